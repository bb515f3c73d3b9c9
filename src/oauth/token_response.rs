//! The successful answer of the token endpoint (OAuth 2.1 §3.2.3).

use serde::Serialize;

use super::scope::Scope;

/// `application/json` for the client; holds secrets, so it has no `Debug`.
#[derive(Serialize)]
pub struct TokenResponse {
    pub access_token: String,
    pub token_type: &'static str,
    /// Seconds.
    pub expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// `OpenID` Core §3.1.3.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    pub scope: Scope,
}

impl TokenResponse {
    /// RFC 6750: whoever bears it may use it.
    pub const BEARER: &str = "Bearer";
}
