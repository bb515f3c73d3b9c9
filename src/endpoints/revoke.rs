//! Token revocation (RFC 7009).

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;

use crate::{
    audit::{Actor, AuditEvent, AuditName, Origin},
    client_auth::AuthenticatedClient,
    clock::Timestamp,
    error::Result,
    oauth::OAuthError,
    server::Server,
    store::{grants::RevokeGrant, revoked_tokens::RevokeAccessToken},
    tokens::{access_token, refresh_token},
    web::{
        client_request::ClientRequest,
        json_error::{JsonError, no_store},
    },
};

/// `POST /oauth/revoke`. The hint is not needed: tokens tell themselves apart (§2.1).
pub(crate) async fn post(State(server): State<Server>, request: ClientRequest) -> Result<Response, JsonError> {
    let ClientRequest { client, params, origin } = request;
    let token = params.required("token")?;
    if refresh_token::looks_like_one(token) {
        revoke_refresh_token(&server, &client, token, origin).await?;
    } else {
        revoke_access_token(&server, &client, token, origin).await?;
    }
    Ok(no_store(StatusCode::OK.into_response()))
}

/// Ends the whole grant with every token that it obtained (§2.1).
async fn revoke_refresh_token(server: &Server, client: &AuthenticatedClient, token: &str, origin: Origin) -> Result<()> {
    let Some(token) = refresh_token::recognise(server, &client.id, token).await? else {
        return if refresh_token::is_of_another_client(server, token).await? { Err(of_another_client().into()) } else { Ok(()) };
    };
    let Some(grant) = server.store().grant(token.grant_id).await? else { return Ok(()) };
    let event = event(server, client, origin).about(grant.person_id).of_grant(grant.id).with("token", "refresh_token");
    server.store().write(RevokeGrant { grant_id: grant.id, event }).await?;
    Ok(())
}

/// Ends this one token.
async fn revoke_access_token(server: &Server, client: &AuthenticatedClient, token: &str, origin: Origin) -> Result<()> {
    let Some(token) = access_token::recognise(server, token).await? else { return Ok(()) };
    if token.client_id != client.id {
        return Err(of_another_client().into());
    }
    let mut event = event(server, client, origin).with("token", "access_token").with("jti", token.claims.jti.to_string());
    event.grant_id = token.claims.gid;
    server.store().write(RevokeAccessToken { jti: token.claims.jti, expires_at: Timestamp::from_seconds(token.claims.exp), event }).await
}

fn event(server: &Server, client: &AuthenticatedClient, origin: Origin) -> AuditEvent {
    AuditEvent::new(server.clock().now(), AuditName::TokenRevoked, Actor::Client(client.id.clone()), origin).of_client(&client.id)
}

fn of_another_client() -> OAuthError {
    OAuthError::invalid_grant("The token was issued to another client.")
}
