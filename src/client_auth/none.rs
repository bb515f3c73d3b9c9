//! `none`: a public client only says who it is (OAuth 2.1 §2.4).

use super::Credentials;
use crate::oauth::{ErrorCode, OAuthError, Params};

pub(super) fn credentials(params: &Params) -> Result<Credentials, OAuthError> {
    let client_id = params.get("client_id").ok_or_else(|| {
        OAuthError::new(
            ErrorCode::InvalidClient,
            "Client authentication is missing: send an Authorization header, or client_id and client_secret, or a client_assertion.",
        )
    })?;
    Ok(Credentials { client_id: client_id.to_owned(), secret: None })
}
