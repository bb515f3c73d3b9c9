//! Access token scope (OAuth 2.1 §1.4.1).

use std::{collections::HashSet, fmt};

use serde::{Deserialize, Serialize};

use super::{error::OAuthError, params::Params};

/// Asks for a grant that outlives the browser session (`OpenID` Core §11).
pub const OFFLINE_ACCESS: &str = "offline_access";
/// Makes a request an `OpenID` authentication request (`OpenID` Core §3.1.2.1).
pub const OPENID: &str = "openid";
/// What a client may ask for when its registration names no scope.
pub const DEFAULT: [&str; 4] = [OPENID, "profile", "email", OFFLINE_ACCESS];

/// Those that mean something to us (`OpenID` Core §5.4, §11).
pub const OURS: &[&str] = &[OPENID, "profile", "email", "address", "phone", OFFLINE_ACCESS];

/// A set of scope tokens in the order in which they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(Vec<String>);

/// Why a text is not a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope consists of printable ASCII characters without quotation mark and backslash")]
pub struct MalformedScope;

impl Scope {
    /// Parses tokens separated by spaces; repetitions are dropped.
    pub fn parse(text: &str) -> Result<Self, MalformedScope> {
        let mut seen = HashSet::new();
        let tokens: Vec<&str> = text.split(' ').filter(|token| !token.is_empty() && seen.insert(*token)).collect();
        if tokens.iter().all(|token| is_token(token)) {
            Ok(Self(tokens.into_iter().map(str::to_owned).collect()))
        } else {
            Err(MalformedScope)
        }
    }

    /// The `scope` of a request, if it has one.
    pub fn from_params(params: &Params) -> Result<Option<Self>, OAuthError> {
        let malformed = |_| OAuthError::invalid_scope("The scope has characters that are not allowed.");
        params.get("scope").map(Self::parse).transpose().map_err(malformed)
    }

    /// The tokens in their order.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether `token` is in the set.
    pub fn contains(&self, token: &str) -> bool {
        self.0.iter().any(|known| known == token)
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every token of this set is in `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.iter().all(|token| other.contains(token))
    }

    /// The tokens of this set that are also in `other`.
    #[must_use]
    pub fn limited_to(&self, other: &Self) -> Self {
        Self(self.0.iter().filter(|token| other.contains(token)).cloned().collect())
    }

    /// The tokens of this set for which something holds.
    #[must_use]
    pub fn filtered(&self, holds: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|token| holds(token)).cloned().collect())
    }

    /// This set without `token`.
    #[must_use]
    pub fn without(&self, token: &str) -> Self {
        Self(self.0.iter().filter(|known| *known != token).cloned().collect())
    }

    /// The tokens of both sets.
    #[must_use]
    pub fn joined_with(&self, other: &Self) -> Self {
        let mut joined = self.clone();
        joined.0.extend(other.0.iter().filter(|token| !self.contains(token)).cloned());
        joined
    }
}

/// [`DEFAULT`] as a scope.
pub fn default() -> Scope {
    Scope(DEFAULT.map(str::to_owned).into())
}

/// `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`
pub fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl TryFrom<String> for Scope {
    type Error = MalformedScope;

    fn try_from(text: String) -> Result<Self, MalformedScope> {
        Self::parse(&text)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn repetitions_and_extra_spaces_are_dropped() {
        assert_eq!(Scope::parse(" read  write read ").unwrap().to_string(), "read write");
    }

    #[test]
    fn quotes_backslashes_controls_and_letters_beyond_ascii_are_refused() {
        for text in ["a\"b", "a\\b", "a\tb", "ä", "a\u{0}"] {
            assert_eq!(Scope::parse(text), Err(MalformedScope));
        }
    }

    proptest! {
        #[test]
        fn a_parsed_scope_reads_back_as_itself(text in ".{0,80}") {
            if let Ok(scope) = Scope::parse(&text) {
                prop_assert_eq!(Scope::parse(&scope.to_string()).unwrap(), scope);
            }
        }
    }
}
