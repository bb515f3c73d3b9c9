//! The client credentials grant (OAuth 2.1 §4.2): a client speaks for itself.

use super::{TokenRequest, token_response};
use crate::{
    error::Result,
    oauth::{
        Client, ErrorCode, OAuthError, Params, Resource, Scope,
        client::ClientType,
        resource::Target,
        scope::{OFFLINE_ACCESS, OPENID},
        token_response::TokenResponse,
    },
    server::Server,
    tokens::{
        access_token::{self, Subject},
        terms::Terms,
    },
};

pub(super) async fn exchange(server: &Server, request: &TokenRequest<'_>) -> Result<TokenResponse> {
    let client = &request.client;
    if client.client_type != ClientType::Confidential {
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, "Only a confidential client can use client_credentials.").into());
    }
    let scope = requested_scope(request.params, client)?;
    let requested = Resource::from_params(request.params)?;
    let target = Target { is_named: !requested.is_empty(), resources: client.granted_resources(requested)? };
    let terms = Terms::of(server, client, &scope, &target).await?;
    let access_token = access_token::issue(server, client, Subject::Client, &terms).await?;
    Ok(token_response(terms, access_token, None, None))
}

/// `openid` and `offline_access` are about a person, of whom there is none here.
fn requested_scope(params: &Params, client: &Client) -> Result<Scope, OAuthError> {
    let own = client.scope.without(OPENID).without(OFFLINE_ACCESS);
    let requested = Scope::from_params(params)?.unwrap_or_else(|| own.clone());
    if requested.contains(OPENID) || requested.contains(OFFLINE_ACCESS) {
        return Err(OAuthError::invalid_scope("openid and offline_access are about a person: client_credentials has none."));
    }
    if requested.is_empty() || !requested.is_within(&own) {
        return Err(OAuthError::invalid_scope("The client is not registered for every scope that it asked for."));
    }
    Ok(requested)
}
