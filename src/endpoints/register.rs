//! The client registration endpoint (RFC 7591 §3, `OpenID` Registration §3) and the client configuration endpoint (RFC 7592 §2).

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use crate::{
    error::Error,
    oauth::{ErrorCode, metadata::paths, registration::registered},
    registration::{self, Managed, Registration},
    server::Server,
    web::{
        bearer::{self, BearerError},
        caller::Caller,
        json_error::{JsonError, no_store},
        json_object::JsonObject,
    },
};

/// `POST /oauth/register`
pub(crate) async fn post(
    State(server): State<Server>,
    caller: Caller,
    headers: HeaderMap,
    document: Result<JsonObject, JsonError>,
) -> Result<Response, BearerError> {
    let token = bearer::in_header(&headers)?;
    let admitted = registration::admit(&server, token.as_deref(), caller.origin).await.map_err(refusal)?;
    let admitted = admitted.ok_or(BearerError::NoToken)?.map_err(|wait| Error::TooMany { retry_after: wait.0 })?;
    let JsonObject(document) = document.map_err(BearerError::Other)?;
    let registration = registration::register(&server, admitted, document, caller.origin).await.map_err(refusal)?;
    Ok(told(&server, StatusCode::CREATED, &registration))
}

/// `GET /oauth/register/{client_id}`
pub(crate) async fn get(State(server): State<Server>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, BearerError> {
    let registration = managed(&server, &id, &headers).await?.registration();
    Ok(told(&server, StatusCode::OK, &registration))
}

/// `PUT /oauth/register/{client_id}`
pub(crate) async fn put(
    State(server): State<Server>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    document: Result<JsonObject, JsonError>,
) -> Result<Response, BearerError> {
    let managed = managed(&server, &id, &headers).await?;
    let JsonObject(document) = document.map_err(BearerError::Other)?;
    let registration = managed.replace(&server, document, caller.origin).await.map_err(refusal)?;
    Ok(told(&server, StatusCode::OK, &registration))
}

/// `DELETE /oauth/register/{client_id}`
pub(crate) async fn delete(
    State(server): State<Server>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, BearerError> {
    managed(&server, &id, &headers).await?.delete(&server, caller.origin).await.map_err(refusal)?;
    Ok(no_store(StatusCode::NO_CONTENT.into_response()))
}

async fn managed(server: &Server, id: &str, headers: &HeaderMap) -> Result<Managed, BearerError> {
    let token = bearer::in_header(headers)?.ok_or(BearerError::NoToken)?;
    registration::manage(server, id, &token).await.map_err(refusal)
}

/// What is wrong with a token is told with a challenge (RFC 6750 §3); what is wrong with a registration is not (RFC 7591 §3.2.2).
fn refusal(error: Error) -> BearerError {
    match error {
        Error::Protocol(error) if error.code == ErrorCode::InvalidToken => BearerError::Refused(error),
        other => BearerError::Other(other.into()),
    }
}

/// RFC 7591 §3.2.1 and RFC 7592 §3: everything that is registered, and how it is managed.
fn told(server: &Server, status: StatusCode, registration: &Registration) -> Response {
    let mut members: Map<String, Value> = registered(&registration.client);
    if let Some(secret) = &registration.secret {
        members.insert("client_secret".to_owned(), json!(secret.expose()));
        members.insert("client_secret_expires_at".to_owned(), json!(0));
    }
    let address = server.config().issuer.url(&format!("{}/{}", paths::REGISTER, registration.client.id));
    members.insert("registration_client_uri".to_owned(), json!(address));
    members.insert("registration_access_token".to_owned(), json!(registration.registration_access_token.expose()));
    no_store((status, Json(members)).into_response())
}
