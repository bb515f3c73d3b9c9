//! A client's secret as it is kept (OAuth 2.1 §2.4.1): two may be valid at once, and the older one may have an end.

use crate::{
    clock::Timestamp,
    secret::{Sealed, SecretHash},
};

/// A secret of a client, by its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecret {
    pub hash: SecretHash,
    /// Where the client keys a MAC with it.
    pub sealed: Option<Sealed>,
    pub created_at: Timestamp,
    /// When it ends by itself, once another has taken its place.
    pub ends_at: Option<Timestamp>,
    /// Whether a file gives it.
    pub is_declared: bool,
}

impl ClientSecret {
    /// A secret without an end.
    pub fn new(hash: SecretHash, sealed: Option<Sealed>, now: Timestamp) -> Self {
        Self { hash, sealed, created_at: now, ends_at: None, is_declared: false }
    }

    /// Whether it has not ended.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.ends_at.is_none_or(|ends_at| now < ends_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_valid_until_it_ends() {
        let at = Timestamp::from_seconds;
        let endless = ClientSecret::new(SecretHash::of("secret"), None, at(1));
        assert!(endless.is_valid(at(i64::from(u32::MAX))));
        let ending = ClientSecret { ends_at: Some(at(10)), ..endless };
        assert_eq!([9, 10, 11].map(|now| ending.is_valid(at(now))), [true, false, false]);
    }
}
