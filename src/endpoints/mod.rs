//! The endpoints of the specifications, one file each. Handlers are named after the HTTP method.

pub(crate) mod authorize;
pub(crate) mod end_session;
pub(crate) mod health;
pub(crate) mod introspect;
pub(crate) mod jwks;
pub(crate) mod metadata;
pub(crate) mod metrics;
pub(crate) mod register;
pub(crate) mod revoke;
pub(crate) mod token;
pub(crate) mod userinfo;
pub(crate) mod webfinger;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::{
    oauth::{Document, OAuthError},
    web::{entity_tag, json_error::JsonError},
};

/// The answer to a method that an endpoint does not have; the router adds `Allow`.
pub(crate) async fn method_not_allowed() -> JsonError {
    JsonError::with_status(
        StatusCode::METHOD_NOT_ALLOWED,
        OAuthError::invalid_request("This endpoint takes another HTTP method: see the header Allow."),
    )
}

/// A public document that caches may keep (RFC 9111), with its entity tag.
fn cacheable(request_headers: &HeaderMap, document: &Document, max_age: u64) -> Response {
    let is_known = entity_tag::is_known(request_headers, &document.etag);
    let mut response = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { document.body.clone().into_response() };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let (Ok(etag), Ok(cache_control)) =
        (HeaderValue::try_from(&document.etag), HeaderValue::try_from(format!("public, max-age={max_age}")))
    {
        headers.insert(header::ETAG, etag);
        headers.insert(header::CACHE_CONTROL, cache_control);
    }
    response
}
