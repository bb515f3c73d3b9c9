//! `client_secret_post`: id and secret in the form (OAuth 2.1 §2.4.1).

use super::Credentials;
use crate::{
    oauth::{OAuthError, Params},
    secret::Secret,
};

pub(super) fn credentials(params: &Params, secret: &str) -> Result<Credentials, OAuthError> {
    let client_id = params.required("client_id")?.to_owned();
    Ok(Credentials { client_id, secret: Some(Secret::from(secret.to_owned())) })
}
