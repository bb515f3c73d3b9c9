//! `UserInfo` (`OpenID` Core §5.3): what a client may know of the person who signed in.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header::CONTENT_TYPE};
use serde_json::{Map, Value};

use crate::{
    error::Result,
    jose::TokenType,
    oauth::{Client, ErrorCode, OAuthError, scope::OPENID},
    server::Server,
    tokens::{
        access_token::{self, Recognised},
        person_claims, subject,
    },
    web::{
        bearer::{BearerError, BearerToken},
        json_error::no_store,
    },
};

/// `GET /oauth/userinfo`
pub(crate) async fn get(State(server): State<Server>, token: BearerToken) -> Result<Response, BearerError> {
    answer(&server, &token).await
}

/// `POST /oauth/userinfo` (§5.3.1)
pub(crate) async fn post(State(server): State<Server>, token: BearerToken) -> Result<Response, BearerError> {
    answer(&server, &token).await
}

async fn answer(server: &Server, BearerToken(presented): &BearerToken) -> Result<Response, BearerError> {
    let token = access_token::recognise(server, presented).await?.ok_or_else(ended)?;
    if !token.claims.aud.iter().any(|audience| audience == server.config().issuer.as_str()) {
        return Err(BearerError::invalid_token(
            "The token is for other resources: leave 'resource' out at the token endpoint to get one that is for UserInfo, too.",
        ));
    }
    let client = server.client(&token.client_id).await?.ok_or_else(ended)?;
    let claims = claims(server, &client, &token).await?;
    Ok(no_store(represented(server, &client, claims).await?))
}

/// Everything behind the token stands, or there are none.
async fn claims(server: &Server, client: &Client, token: &Recognised) -> Result<Map<String, Value>, BearerError> {
    let scope = &token.claims.scope;
    let Some(grant_id) = token.claims.gid else { return Err(insufficient_scope().into()) };
    let (person, claims_request) = server.store().person_behind(grant_id, token.claims.jti).await?.ok_or_else(ended)?;
    if !scope.contains(OPENID) {
        return Err(insufficient_scope().into());
    }
    let mut claims = person_claims::of_userinfo(&person, client, scope, &claims_request.unwrap_or_default());
    claims.insert("sub".to_owned(), subject::of(server, client, person.id).await?.into());
    Ok(claims)
}

/// JSON, or a JWT for a client that registered for it (§5.3.2).
async fn represented(server: &Server, client: &Client, mut claims: Map<String, Value>) -> Result<Response> {
    let Some(algorithm) = client.metadata.userinfo_signed_response_alg else { return Ok(Json(claims).into_response()) };
    claims.insert("iss".to_owned(), server.config().issuer.as_str().into());
    claims.insert("aud".to_owned(), client.id.as_str().into());
    let jwt = server.keys().signing_key(algorithm).await?.sign(TokenType::IdToken, &claims)?;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/jwt"))], jwt).into_response())
}

fn ended() -> BearerError {
    BearerError::invalid_token("The access token is unknown, has expired or was revoked: get a new one.")
}

fn insufficient_scope() -> OAuthError {
    OAuthError::new(ErrorCode::InsufficientScope, "UserInfo needs a token with the scope 'openid'.")
}
