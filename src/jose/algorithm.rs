//! The JWS algorithms that we sign with (RFC 7518 §3.1, RFC 8037 §3.1).

use crate::config::{AccessTokenAlg, Config};

/// A JWS algorithm. A key has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Es256,
    Rs256,
    Ps256,
    EdDsa,
}

impl Algorithm {
    /// Every algorithm that can be selected.
    pub(crate) const ALL: &[Self] = &[Self::Es256, Self::Rs256, Self::Ps256, Self::EdDsa];

    /// Those that always have a key: the default, and the one that every library knows (RFC 9068 §2.1).
    const ALWAYS: &[Self] = &[Self::Es256, Self::Rs256];

    /// Whether this configuration wants a key of it.
    pub(crate) fn is_in_use(self, config: &Config) -> bool {
        Self::ALWAYS.contains(&self) || self == Self::from(config.tokens.access_token_alg)
    }

    /// The registered name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// From the registered name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.as_str() == text)
    }

    pub(super) const fn to_jsonwebtoken(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

impl From<AccessTokenAlg> for Algorithm {
    fn from(configured: AccessTokenAlg) -> Self {
        match configured {
            AccessTokenAlg::Es256 => Self::Es256,
            AccessTokenAlg::Rs256 => Self::Rs256,
            AccessTokenAlg::Ps256 => Self::Ps256,
            AccessTokenAlg::EdDsa => Self::EdDsa,
        }
    }
}
