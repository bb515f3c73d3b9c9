//! The body of a POST: a form of bounded size (OAuth 2.1 §3.2).

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
};
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};

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

impl NoForm {
    /// What a developer must change.
    pub(crate) fn remedy() -> OAuthError {
        OAuthError::invalid_request("Send the parameters as a form: Content-Type: application/x-www-form-urlencoded.")
    }
}

/// Reads the body of a request as a form.
pub(crate) async fn read(server: &Server, request: Request) -> Result<Params, NoForm> {
    if !says_that_it_is_a_form(request.headers()) {
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

/// The media type in any case, with any parameters (RFC 9110 §8.3.1).
fn says_that_it_is_a_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// A form for an endpoint that answers with JSON.
pub(crate) struct Form(pub Params);

impl FromRequest<Server> for Form {
    type Rejection = JsonError;

    async fn from_request(request: Request, server: &Server) -> Result<Self, JsonError> {
        Ok(Self(read(server, request).await?))
    }
}

impl From<NoForm> for JsonError {
    fn from(no_form: NoForm) -> Self {
        match no_form {
            NoForm::NotAForm | NoForm::Cut => NoForm::remedy().into(),
            NoForm::TooLarge => Self::with_status(
                StatusCode::PAYLOAD_TOO_LARGE,
                OAuthError::invalid_request("The body is larger than this server accepts."),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_content_type_is_that_of_a_form_or_not(
            value in prop_oneof![
                "[ \t]?([aA]pplication|text)/(x-www-form-urlencoded|X-WWW-FORM-URLENCODED|json)[ \t]?(;[ -~]{0,12}|[ -~]{0,2})",
                "\\PC{0,40}"
            ]
        ) {
            let Ok(header) = HeaderValue::from_bytes(value.as_bytes()) else { return Ok(()) };
            let form = regex::Regex::new(r"^[ \t]*(?i:application/x-www-form-urlencoded)[ \t]*(;[\x20-\x7e\t]*)?$").unwrap();
            prop_assert_eq!(says_that_it_is_a_form(&HeaderMap::from_iter([(CONTENT_TYPE, header)])), form.is_match(&value));
        }
    }
}
