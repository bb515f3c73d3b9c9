//! Token introspection (RFC 7662).

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    client_auth::AuthenticatedClient,
    error::Result,
    oauth::{ErrorCode, OAuthError, Scope, claims::AccessTokenClaims, client::ClientType, token_response::TokenResponse},
    server::Server,
    store::grants::Standing,
    tokens::{access_token, refresh_token, subject},
    web::{
        client_request::ClientRequest,
        json_error::{JsonError, no_store},
    },
};

/// The answer (§2.2). Of a token that does not stand, or that the caller may not know about, only that it is not active.
#[derive(Serialize)]
struct Introspection {
    active: bool,
    #[serde(flatten)]
    token: Option<Token>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Token {
    Access {
        token_type: &'static str,
        #[serde(flatten)]
        claims: Box<AccessTokenClaims>,
    },
    Refresh {
        iss: String,
        sub: String,
        client_id: String,
        scope: Scope,
        iat: i64,
        exp: i64,
    },
}

/// `POST /oauth/introspect`
pub(crate) async fn post(State(server): State<Server>, request: ClientRequest) -> Result<Response, JsonError> {
    let ClientRequest { client, params, .. } = request;
    if client.client_type != ClientType::Confidential {
        return Err(
            OAuthError::new(ErrorCode::InvalidClient, "Introspection is for confidential clients: it needs a client_secret.").into()
        );
    }
    let presented = params.required("token")?;
    let token = if refresh_token::looks_like_one(presented) {
        active_refresh_token(&server, &client, presented).await?
    } else {
        active_access_token(&server, &client, presented).await?
    };
    Ok(no_store(Json(Introspection { active: token.is_some(), token }).into_response()))
}

/// A client may ask about its own tokens, and about those for an audience that it introspects.
async fn active_access_token(server: &Server, client: &AuthenticatedClient, presented: &str) -> Result<Option<Token>> {
    let Some(token) = access_token::recognise(server, presented).await? else { return Ok(None) };
    let is_own = token.client_id == client.id;
    let is_for_it = || client.introspects.iter().any(|resource| token.claims.aud.iter().any(|aud| aud == resource.as_str()));
    if !(is_own || is_for_it()) || !access_token::stands(server, &token).await? {
        return Ok(None);
    }
    Ok(Some(Token::Access { token_type: TokenResponse::BEARER, claims: Box::new(token.claims) }))
}

async fn active_refresh_token(server: &Server, client: &AuthenticatedClient, presented: &str) -> Result<Option<Token>> {
    let Some(token) = refresh_token::recognise(server, &client.id, presented).await? else { return Ok(None) };
    let Some(grant) = server.store().grant(token.grant_id).await? else { return Ok(None) };
    let idle_end = grant.last_used_at.after(server.config().tokens.refresh_token_idle_ttl);
    let ends_at = grant.expires_at.min(idle_end);
    if grant.standing != Standing::Stands || grant.generation != token.generation || ends_at <= server.clock().now() {
        return Ok(None);
    }
    Ok(Some(Token::Refresh {
        iss: server.config().issuer.as_str().to_owned(),
        sub: subject::of(server, client, grant.person_id).await?,
        client_id: grant.client_id.to_string(),
        scope: grant.scope,
        iat: grant.last_used_at.as_seconds(),
        exp: ends_at.as_seconds(),
    }))
}
