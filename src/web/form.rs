//! The body of a POST: a form of bounded size (OAuth 2.1 §3.2).

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
};
use http::{StatusCode, header::CONTENT_TYPE};

use super::json_error::JsonError;
use crate::{
    oauth::{OAuthError, Params},
    server::Server,
};

/// Why a body is not a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoForm {
    NotAForm,
    TooLarge,
    /// The connection ended.
    Cut,
}

/// Reads the body of a request as a form.
pub(crate) async fn read(server: &Server, request: Request) -> Result<Params, NoForm> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(NoForm::NotAForm);
    }
    let body = to_bytes(request.into_body(), server.config().limits.request_body).await.map_err(|error| {
        let is_too_large =
            std::error::Error::source(&error).is_some_and(<dyn std::error::Error + 'static>::is::<http_body_util::LengthLimitError>);
        if is_too_large { NoForm::TooLarge } else { NoForm::Cut }
    })?;
    let text = std::str::from_utf8(&body).map_err(|_| NoForm::NotAForm)?;
    Ok(Params::parse(text))
}

/// A form for an endpoint that answers with JSON.
pub(crate) struct Form(pub Params);

impl FromRequest<Server> for Form {
    type Rejection = JsonError;

    async fn from_request(request: Request, server: &Server) -> Result<Self, JsonError> {
        read(server, request).await.map(Self).map_err(|no_form| match no_form {
            NoForm::NotAForm | NoForm::Cut => {
                OAuthError::invalid_request("Send the parameters as a form: Content-Type: application/x-www-form-urlencoded.").into()
            }
            NoForm::TooLarge => JsonError::with_status(
                StatusCode::PAYLOAD_TOO_LARGE,
                OAuthError::invalid_request("The body is larger than this server accepts."),
            ),
        })
    }
}
