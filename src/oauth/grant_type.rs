//! The grant types (IANA "OAuth Grant Types").

use serde::{Deserialize, Serialize};

/// How a client obtains a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    AuthorizationCode,
    ClientCredentials,
    RefreshToken,
}

impl GrantType {
    /// What the metadata document announces (RFC 8414 §2).
    pub const ALL: &[Self] = &[Self::AuthorizationCode, Self::ClientCredentials, Self::RefreshToken];

    /// The registered value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
            Self::RefreshToken => "refresh_token",
        }
    }

    /// From the registered value.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|grant_type| grant_type.as_str() == text)
    }
}
