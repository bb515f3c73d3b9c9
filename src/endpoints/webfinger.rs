//! `WebFinger` (RFC 7033 §4).

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{cacheable, metadata::MAX_AGE};
use crate::{
    error::Error,
    oauth::{Document, OAuthError, Params, webfinger},
    server::Server,
    web::json_error::JsonError,
};

/// RFC 7033 §10.2.
const JRD: HeaderValue = HeaderValue::from_static("application/jrd+json");

/// `GET /.well-known/webfinger`
pub(crate) async fn get(State(server): State<Server>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, JsonError> {
    let params = Params::parse(&query.unwrap_or_default());
    let Some(descriptor) = webfinger::describe(&server.config().issuer, &params)? else {
        let error = OAuthError::invalid_request("Nothing is known about this 'resource': it is not at the host of this server.");
        return Err(JsonError::with_status(StatusCode::NOT_FOUND, error));
    };
    let document = Document::new(serde_json::to_string(&descriptor).map_err(Error::internal)?);
    let mut response = cacheable(&headers, &document, MAX_AGE);
    response.headers_mut().insert(header::CONTENT_TYPE, JRD);
    Ok(response)
}
