//! Client authentication (OAuth 2.1 §2.4): one file per method.

mod client_assertion;
mod client_keys;
pub(crate) mod client_secret_basic;
mod client_secret_jwt;
mod client_secret_post;
mod none;
mod private_key_jwt;

pub(crate) use client_keys::verify_jws;

use std::sync::Arc;

use client_assertion::ClientAssertion;
use http::{HeaderMap, header::AUTHORIZATION};

use crate::{
    clock::Timestamp,
    error::Result,
    oauth::{Client, ClientId, ErrorCode, OAuthError, Params, client::ClientType, client_auth_method::ClientAuthMethod},
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
pub(crate) struct Credentials {
    client_id: String,
    /// `None` for the method `none`.
    secret: Option<Secret>,
}

/// Authenticates the client, before anything about a code or token is looked at.
pub(crate) async fn authenticate(server: &Server, headers: &HeaderMap, params: &Params) -> Result<AuthenticatedClient> {
    params.check()?;
    let presented = presented(headers, params)?;
    let Ok(client_id) = ClientId::parse(presented.client_id()) else { return Err(invalid_client().into()) };
    let Some(client) = server.client(&client_id).await? else { return Err(invalid_client().into()) };
    check_method(&client, presented.method())?;
    let is_proved = match &presented {
        Presented::Secret(_, Credentials { secret: Some(secret), .. }) => proves(&client, secret, server.clock().now()),
        Presented::Secret(_, Credentials { secret: None, .. }) => client.client_type == ClientType::Public,
        Presented::Assertion(assertion) => {
            assertion.check(server, &client).await?;
            true
        }
    };
    if is_proved { Ok(AuthenticatedClient(client)) } else { Err(invalid_client().into()) }
}

/// What a request has to show for the client.
enum Presented<'p> {
    Secret(ClientAuthMethod, Credentials),
    Assertion(ClientAssertion<'p>),
}

impl Presented<'_> {
    fn client_id(&self) -> &str {
        match self {
            Self::Secret(_, credentials) => &credentials.client_id,
            Self::Assertion(assertion) => &assertion.client_id,
        }
    }

    fn method(&self) -> ClientAuthMethod {
        match self {
            Self::Secret(method, _) => *method,
            Self::Assertion(assertion) => assertion.method(),
        }
    }
}

/// Exactly one method may be used (OAuth 2.1 §2.4).
fn presented<'p>(headers: &HeaderMap, params: &'p Params) -> Result<Presented<'p>, OAuthError> {
    // A proxy may read the other one.
    if headers.get_all(AUTHORIZATION).iter().nth(1).is_some() {
        return Err(OAuthError::invalid_request("Send one Authorization header."));
    }
    let has_assertion = params.get("client_assertion").is_some() || params.get("client_assertion_type").is_some();
    if has_assertion && (headers.contains_key(AUTHORIZATION) || params.get("client_secret").is_some()) {
        return Err(OAuthError::invalid_request("Use one way of client authentication."));
    }
    if let Some(assertion) = ClientAssertion::read(params)? {
        return Ok(Presented::Assertion(assertion));
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
            Ok(Presented::Secret(ClientAuthMethod::ClientSecretBasic, credentials))
        }
        (None, Some(secret)) => Ok(Presented::Secret(ClientAuthMethod::ClientSecretPost, client_secret_post::credentials(params, secret)?)),
        (None, None) => Ok(Presented::Secret(ClientAuthMethod::None, none::credentials(params)?)),
    }
}

/// A client uses the method that it is registered for (RFC 7591 §2). One that names none has a secret to send, or is public.
fn check_method(client: &Client, used: ClientAuthMethod) -> Result<(), OAuthError> {
    use ClientAuthMethod::{ClientSecretBasic, ClientSecretPost, None as Nothing};
    let is_allowed = match (client.metadata.token_endpoint_auth_method, client.client_type) {
        (Some(registered), _) if registered != used => return Err(other_method(registered)),
        (Some(_), _) => true,
        (None, ClientType::Confidential) => matches!(used, ClientSecretBasic | ClientSecretPost),
        (None, ClientType::Public) => used == Nothing,
    };
    if is_allowed { Ok(()) } else { Err(invalid_client()) }
}

/// What is registered is no secret: whoever set the client up wrongly learns what it must do.
fn other_method(registered: ClientAuthMethod) -> OAuthError {
    let description = format!("The client is registered for the token_endpoint_auth_method {}: use it.", registered.as_str());
    OAuthError { description: description.into(), ..invalid_client() }
}

/// Compares with every valid secret, so that the time does not tell which one is close.
fn proves(client: &Client, secret: &Secret, now: Timestamp) -> bool {
    client.valid_secrets(now).fold(false, |proved, kept| proved | kept.hash.matches(secret.expose()))
}

/// One answer for an unknown client, a disabled one and a wrong secret.
fn invalid_client() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidClient,
        "Client authentication failed: check client_id and client_secret, and that the client is enabled and of the type that this method is for.",
    )
}
