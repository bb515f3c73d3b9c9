//! Client authentication (OAuth 2.1 §2.4): one file per method.

mod client_keys;
mod client_secret_basic;
mod client_secret_post;
mod none;

pub(crate) use client_keys::verify_jws;

use std::sync::Arc;

use http::{HeaderMap, header::AUTHORIZATION};

use crate::{
    error::Result,
    oauth::{Client, ClientId, ErrorCode, OAuthError, Params, client::ClientType},
    secret::Secret,
    server::Server,
};

/// A client that proved who it is; [`authenticate`] is the only way to one.
#[derive(Clone, Debug)]
pub(crate) struct AuthenticatedClient(Arc<Client>);

impl std::ops::Deref for AuthenticatedClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.0
    }
}

/// Who a request says it comes from.
struct Credentials {
    client_id: String,
    /// `None` for the method `none`.
    secret: Option<Secret>,
}

/// Authenticates the client, before anything about a code or token is looked at.
pub(crate) async fn authenticate(server: &Server, headers: &HeaderMap, params: &Params) -> Result<AuthenticatedClient> {
    params.check()?;
    let credentials = credentials(headers, params)?;
    let Ok(client_id) = ClientId::parse(&credentials.client_id) else { return Err(invalid_client().into()) };
    let Some(client) = server.client(&client_id).await? else { return Err(invalid_client().into()) };
    let is_proved = match (&credentials.secret, client.client_type) {
        (Some(secret), ClientType::Confidential) => proves(&client, secret),
        (None, ClientType::Public) => true,
        (Some(_), ClientType::Public) | (None, ClientType::Confidential) => false,
    };
    if is_proved { Ok(AuthenticatedClient(client)) } else { Err(invalid_client().into()) }
}

/// Exactly one method may be used (OAuth 2.1 §2.4).
fn credentials(headers: &HeaderMap, params: &Params) -> Result<Credentials, OAuthError> {
    let has_assertion = params.get("client_assertion").is_some() || params.get("client_assertion_type").is_some();
    if has_assertion && (headers.contains_key(AUTHORIZATION) || params.get("client_secret").is_some()) {
        return Err(OAuthError::invalid_request("Use one way of client authentication."));
    }
    if has_assertion {
        return Err(OAuthError::new(
            ErrorCode::InvalidClient,
            "Client assertions are not supported; use client_secret_basic or client_secret_post.",
        ));
    }
    match (headers.get(AUTHORIZATION), params.get("client_secret")) {
        (Some(_), Some(_)) => {
            Err(OAuthError::invalid_request("Use one way of client authentication: the Authorization header or client_secret."))
        }
        (Some(header), None) => {
            let credentials = client_secret_basic::credentials(header)?;
            if params.get("client_id").is_some_and(|client_id| client_id != credentials.client_id) {
                return Err(OAuthError::invalid_request("The client_id differs from the one in the Authorization header."));
            }
            Ok(credentials)
        }
        (None, Some(secret)) => client_secret_post::credentials(params, secret),
        (None, None) => none::credentials(params),
    }
}

/// Compares with every valid secret, so that the time does not tell which one is close.
fn proves(client: &Client, secret: &Secret) -> bool {
    client.secrets.iter().fold(false, |proved, hash| proved | hash.matches(secret.expose()))
}

/// One answer for an unknown client, a disabled one and a wrong secret.
fn invalid_client() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidClient,
        "Client authentication failed: check client_id and client_secret, and that the client is enabled and of the type that this method is for.",
    )
}
