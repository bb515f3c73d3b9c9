//! Which algorithms have keys, and how the library calls them.

pub(crate) use crate::oauth::Algorithm;

use crate::config::Config;

/// Those that always have a key: what access tokens are signed with by default, what every library knows (RFC 9068 §2.1,
/// `OpenID` Core §15.1), and what a client may register for its ID tokens at any time.
const ALWAYS: &[Algorithm] = &[Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa];

impl Algorithm {
    /// Whether this configuration wants a key of it.
    pub(crate) fn is_in_use(self, config: &Config) -> bool {
        ALWAYS.contains(&self) || self == config.tokens.access_token_alg
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
