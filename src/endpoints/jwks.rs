//! The JWKS (RFC 7517 §5), from memory.

use axum::{extract::State, response::Response};
use http::HeaderMap;

use super::cacheable;
use crate::{server::Server, web::json_error::JsonError};

/// `GET /oauth/jwks`
pub(crate) async fn get(State(server): State<Server>, headers: HeaderMap) -> Result<Response, JsonError> {
    let (jwks, max_age) = server.keys().jwks().await?;
    Ok(cacheable(&headers, &jwks, max_age.as_secs()))
}

/// The same, unless the keys in memory must be read anew.
pub(crate) fn answer_from_memory(server: &Server, headers: &HeaderMap) -> Option<Response> {
    let (jwks, max_age) = server.keys().jwks_in_memory()?;
    Some(cacheable(headers, &jwks, max_age.as_secs()))
}
