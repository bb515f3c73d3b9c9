//! The JWS algorithms that clients sign with (RFC 7518 §3.1, RFC 8037 §3.1): more than we sign with ourselves.

/// A JWS algorithm whose signature or MAC we verify. `none` is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwsAlgorithm {
    Es256,
    Es384,
    EdDsa,
    Ps256,
    Ps384,
    Ps512,
    Rs256,
    Rs384,
    Rs512,
    Hs256,
    Hs384,
    Hs512,
}

impl JwsAlgorithm {
    /// With a private key.
    pub const ASYMMETRIC: &[Self] =
        &[Self::Es256, Self::Es384, Self::EdDsa, Self::Ps256, Self::Ps384, Self::Ps512, Self::Rs256, Self::Rs384, Self::Rs512];
    /// With a shared secret.
    pub const SYMMETRIC: &[Self] = &[Self::Hs256, Self::Hs384, Self::Hs512];

    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// From the registered name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ASYMMETRIC.iter().chain(Self::SYMMETRIC).copied().find(|algorithm| algorithm.as_str() == text)
    }

    /// Which of `possible` a client may use: the one that it registered, or where it registered none, any (`OpenID`
    /// Registration §2). A registered one that is not possible leaves none.
    pub fn allowed(registered: Option<&str>, possible: &'static [Self]) -> &'static [Self] {
        let Some(registered) = registered else { return possible };
        let at = possible.iter().position(|algorithm| algorithm.as_str() == registered);
        at.map_or(&[], |at| &possible[at..=at])
    }

    /// Which of them the request objects of a client may have: by its keys, or by its secret where it registered that (RFC 9101 §6.2).
    pub fn of_request_objects(registered: Option<&str>) -> &'static [Self] {
        match registered.and_then(Self::parse).and_then(Self::secret_octets) {
            Some(_) => Self::allowed(registered, Self::SYMMETRIC),
            None => Self::allowed(registered, Self::ASYMMETRIC),
        }
    }

    /// How many octets a secret must have to key its MAC (RFC 7518 §3.2); none for others.
    pub const fn secret_octets(self) -> Option<usize> {
        match self {
            Self::Hs256 => Some(32),
            Self::Hs384 => Some(48),
            Self::Hs512 => Some(64),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_registered_is_the_only_one_and_none_is_never() {
        use JwsAlgorithm as Alg;
        assert_eq!(Alg::allowed(Some("ES256"), Alg::ASYMMETRIC), [Alg::Es256]);
        assert_eq!(Alg::allowed(None, Alg::SYMMETRIC), Alg::SYMMETRIC);
        // RFC 8725 §3.1: a MAC is no signature, and no MAC is asked of a client with keys.
        assert!(Alg::allowed(Some("HS256"), Alg::ASYMMETRIC).is_empty());
        assert_eq!((Alg::parse("none"), Alg::parse("es256"), Alg::parse("")), (None, None, None));
    }
}
