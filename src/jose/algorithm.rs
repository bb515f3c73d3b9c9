//! Which algorithms have keys, and how the library calls them.

pub(crate) use crate::oauth::Algorithm;

use crate::config::Config;

impl Algorithm {
    /// Whether a key of it is wanted: always of those of ID tokens, with which access tokens are signed by default, too
    /// (RFC 9068 §2.1), and else if this configuration selects it.
    pub(crate) fn is_in_use(self, config: &Config) -> bool {
        Self::OF_ID_TOKENS.contains(&self) || self == config.tokens.access_token_alg
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
