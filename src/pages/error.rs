//! The page for whatever goes wrong: a fixed sentence, an id, and for developers what to change.

use std::borrow::Cow;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, Uri, header};

use super::{
    render,
    views::{ErrorKind, ErrorPage},
};
use crate::{
    error::Error,
    oauth::{ErrorCode, OAuthError},
    secret,
    server::Server,
    web::{
        headers::ContentPolicy,
        page::Page,
        request_log::{self, Refused},
    },
};

/// Whatever has no route. Whoever asks beside the issuer's path is told of it: mostly, a proxy cut it off.
pub(crate) async fn elsewhere(State(server): State<Server>, uri: Uri) -> PageError {
    let issuer = &server.config().issuer;
    let is_below = uri.path().strip_prefix(issuer.path()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let remedy = (!is_below).then(|| format!("This server is at {issuer}: a proxy must pass the whole path on.").into());
    PageError { remedy, ..PageError::not_found() }
}

/// An error on its way to a person.
pub(crate) struct PageError {
    kind: ErrorKind,
    remedy: Option<Cow<'static, str>>,
    retry_after: Option<u64>,
    code: Option<ErrorCode>,
}

impl PageError {
    /// An error that needs no remedy of its own.
    pub(super) fn of(kind: ErrorKind) -> Self {
        Self { kind, remedy: None, retry_after: None, code: None }
    }

    /// The developer of the app must change something.
    pub(super) fn for_developer(error: OAuthError) -> Self {
        Self { code: Some(error.code), remedy: Some(error.description), ..Self::of(ErrorKind::BadRequest) }
    }

    /// There is no page at this address.
    pub(crate) fn not_found() -> Self {
        Self::of(ErrorKind::NotFound)
    }

    /// The page takes another HTTP method; the router adds `Allow`.
    pub(crate) fn method_not_allowed() -> Self {
        Self::of(ErrorKind::MethodNotAllowed)
    }

    /// The page for an error of any route that people visit.
    pub(crate) fn envelope(error: Error) -> Response {
        Self::from(error).into_response()
    }
}

impl<E: Into<Error>> From<E> for PageError {
    fn from(error: E) -> Self {
        match error.into() {
            Error::Protocol(error) => Self::for_developer(error),
            Error::Unavailable { reason, retry_after, .. } => {
                tracing::debug!(reason, "answered with 503");
                Self { retry_after: Some(retry_after.as_secs().max(1)), ..Self::of(ErrorKind::Busy) }
            }
            Error::TooMany { retry_after } => Self { retry_after: Some(Error::seconds_of(retry_after)), ..Self::of(ErrorKind::TooMany) },
            Error::Internal(fault) => {
                tracing::error!(fault = format!("{fault:#}"), "a request failed");
                Self::of(ErrorKind::Internal)
            }
        }
    }
}

impl ErrorKind {
    const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::Expired => StatusCode::BAD_REQUEST,
            Self::OtherAccount | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let id = request_log::current_id().unwrap_or_else(|| uuid::Uuid::from_bytes(secret::random())).to_string();
        let page = ErrorPage { page: &Page::current(), kind: self.kind, id: &id, remedy: self.remedy.as_deref() };
        let mut response = render(&page, ContentPolicy::Flow).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response());
        *response.status_mut() = self.kind.status();
        if let Some(code) = self.code {
            response.extensions_mut().insert(Refused(code));
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
