//! What the token endpoint exchanges (OAuth 2.1 §3.2): one file per grant type.

mod authorization_code;
mod client_credentials;
mod refresh_token;

use crate::{
    audit::Origin,
    client_auth::AuthenticatedClient,
    error::Result,
    oauth::{ErrorCode, GrantType, OAuthError, Params, Resource, Scope, resource::Target, token_response::TokenResponse},
    registration,
    secret::Secret,
    server::Server,
    tokens::terms::Terms,
};

/// A request by a client that proved who it is.
pub(crate) struct TokenRequest<'a> {
    pub client: AuthenticatedClient,
    pub params: &'a Params,
    pub origin: Origin,
}

/// Exchanges what the request brings for tokens.
pub(crate) async fn exchange(server: &Server, request: &TokenRequest<'_>) -> Result<TokenResponse> {
    let grant_type = GrantType::parse(request.params.required("grant_type")?).ok_or_else(|| {
        OAuthError::new(
            ErrorCode::UnsupportedGrantType,
            "This grant_type is not supported; see grant_types_supported in the metadata document.",
        )
    })?;
    request.client.may_use(grant_type)?;
    let tokens = match grant_type {
        GrantType::AuthorizationCode => authorization_code::exchange(server, request).await,
        GrantType::ClientCredentials => client_credentials::exchange(server, request).await,
        GrantType::RefreshToken => refresh_token::exchange(server, request).await,
    }?;
    server.metrics().granted(grant_type);
    if request.client.unused_until.is_some() {
        registration::keep(server, &request.client.id).await?;
    }
    Ok(tokens)
}

/// OAuth 2.1 §3.2.3.
fn token_response(terms: Terms, access_token: String, refresh_token: Option<Secret>, id_token: Option<String>) -> TokenResponse {
    TokenResponse {
        access_token,
        token_type: TokenResponse::BEARER,
        expires_in: terms.lifetime.as_secs(),
        refresh_token: refresh_token.map(|token| token.expose().to_owned()),
        id_token,
        scope: terms.scope,
    }
}

/// The `scope` that the request narrows `granted` to (OAuth 2.1 §4.3).
fn narrowed_scope(params: &Params, granted: &Scope) -> Result<Scope, OAuthError> {
    let Some(requested) = Scope::from_params(params)? else { return Ok(granted.clone()) };
    if requested.is_empty() || !requested.is_within(granted) {
        return Err(OAuthError::invalid_scope("The scope goes beyond what was granted."));
    }
    Ok(requested)
}

/// The `resource` that the request narrows `granted` to (RFC 8707 §2.2).
fn narrowed_target(params: &Params, granted: &[Resource]) -> Result<Target, OAuthError> {
    Target::narrowed(Resource::from_params(params)?, granted)
}
