//! The metadata document (RFC 8414 §3, `OpenID` Discovery §4).

use axum::{extract::State, response::Response};
use http::{HeaderMap, StatusCode};

use super::cacheable;
use crate::{
    oauth::{OAuthError, metadata::paths},
    server::Server,
    web::json_error::JsonError,
};

/// How long the document may be kept: it changes with a release or the configuration.
pub(super) const MAX_AGE: u64 = 600;

/// `GET /.well-known/oauth-authorization-server`, `GET /.well-known/openid-configuration`
pub(crate) async fn get(State(server): State<Server>, headers: HeaderMap) -> Result<Response, JsonError> {
    Ok(answer(&server, &headers))
}

/// The document, or that it has not changed.
pub(crate) fn answer(server: &Server, headers: &HeaderMap) -> Response {
    cacheable(headers, server.metadata(), MAX_AGE)
}

/// What clients look for beside it, and documents about other issuers.
pub(crate) async fn not_found(State(server): State<Server>) -> JsonError {
    let url = server.config().issuer.url(paths::METADATA);
    let description = format!("There is no such document here. The metadata of this server (RFC 8414) is at {url}.");
    JsonError::with_status(StatusCode::NOT_FOUND, OAuthError { description: description.into(), ..OAuthError::invalid_request("") })
}
