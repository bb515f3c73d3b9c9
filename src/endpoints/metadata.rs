//! The metadata document (RFC 8414 §3).

use axum::{extract::State, response::Response};
use http::HeaderMap;

use super::cacheable;
use crate::{server::Server, web::json_error::JsonError};

/// How long the document may be kept: it changes with a release or the configuration.
const MAX_AGE: u64 = 600;

/// `GET /.well-known/oauth-authorization-server`
pub(crate) async fn get(State(server): State<Server>, headers: HeaderMap) -> Result<Response, JsonError> {
    Ok(cacheable(&headers, server.metadata(), MAX_AGE))
}
