//! Errors of the endpoints for programs: JSON, and a challenge where one is due (OAuth 2.1 §3.2.4).

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::request_log::Refused;
use crate::{
    error::Error,
    oauth::{ErrorCode, OAuthError},
};

/// RFC 7617 §2.1: the parameter says that id and secret are UTF-8.
const BASIC_CHALLENGE: HeaderValue = HeaderValue::from_static(r#"Basic realm="grantor", charset="UTF-8""#);

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    error_description: &'a str,
}

/// An error on its way to a program.
pub(crate) struct JsonError {
    error: Error,
    status: Option<StatusCode>,
}

impl JsonError {
    /// An error that leaves with another status than its code has by itself: 405, 413.
    pub(crate) fn with_status(status: StatusCode, error: OAuthError) -> Self {
        Self { error: Error::Protocol(error), status: Some(status) }
    }

    /// 413.
    pub(crate) fn too_large() -> Self {
        Self::with_status(StatusCode::PAYLOAD_TOO_LARGE, OAuthError::invalid_request("The body is larger than this server accepts."))
    }
}

impl<E: Into<Error>> From<E> for JsonError {
    fn from(error: E) -> Self {
        Self { error: error.into(), status: None }
    }
}

impl IntoResponse for JsonError {
    fn into_response(self) -> Response {
        let mut response = match &self.error {
            Error::Protocol(error) => answer(error),
            Error::Unavailable { reason, retry_after, .. } => {
                tracing::debug!(reason, "answered with 503");
                let error = OAuthError::new(ErrorCode::TemporarilyUnavailable, "The server is busy: try again in a moment.");
                let mut response = answer(&error);
                response.headers_mut().insert(header::RETRY_AFTER, retry_after.as_secs().max(1).into());
                response
            }
            Error::TooMany { retry_after } => {
                let error = OAuthError::new(
                    ErrorCode::TemporarilyUnavailable,
                    "Too many requests: send the next one when the seconds in the header Retry-After are over.",
                );
                let mut response = answer(&error);
                *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
                response.headers_mut().insert(header::RETRY_AFTER, Error::seconds_of(*retry_after).into());
                response
            }
            Error::Internal(fault) => {
                tracing::error!(fault = format!("{fault:#}"), "a request failed");
                answer(&OAuthError::new(
                    ErrorCode::ServerError,
                    "The server failed to answer; its log has the details under the id in the header X-Request-Id.",
                ))
            }
        };
        if let Some(status) = self.status {
            *response.status_mut() = status;
        }
        response
    }
}

fn answer(error: &OAuthError) -> Response {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = Body { error: error.code.as_str(), error_description: &error.description };
    let mut response = no_store((status, Json(body)).into_response());
    response.extensions_mut().insert(Refused(error.code));
    if error.code == ErrorCode::InvalidClient {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, BASIC_CHALLENGE);
    }
    response
}

/// OAuth 2.1 §3.2.3: answers that hold tokens are not kept by anyone.
pub(crate) fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
