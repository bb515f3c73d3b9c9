//! The body of a POST: a form of bounded size (OAuth 2.1 §3.2).

use std::sync::Arc;

use axum::{
    body::{Body, Bytes, HttpBody, to_bytes},
    extract::Request,
};
use http::{HeaderMap, header::CONTENT_TYPE, request::Parts};

use super::{json_error::JsonError, places::Idle};
use crate::{
    oauth::{OAuthError, Params},
    server::Server,
};

const FORM: &str = "application/x-www-form-urlencoded";

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
    let (parts, body) = request.into_parts();
    read_body(server, &parts, body).await
}

/// Reads a body as a form.
pub(super) async fn read_body(server: &Server, parts: &Parts, body: Body) -> Result<Params, NoForm> {
    if !says_that_it_is(&parts.headers, FORM) {
        return Err(NoForm::NotAForm);
    }
    let body = bytes(parts, body, server.config().limits.request_body).await?;
    let text = std::str::from_utf8(&body).map_err(|_| NoForm::NotAForm)?;
    Ok(Params::parse(text))
}

/// Reads a body up to a limit.
pub(super) async fn bytes(parts: &Parts, body: Body, limit: usize) -> Result<Bytes, NoForm> {
    // Who announces too much is not listened to.
    if usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX) > limit {
        return Err(NoForm::TooLarge);
    }
    let idle = parts.extensions.get::<Arc<Idle>>();
    let waiting = |begin: fn(&Idle)| idle.map(Arc::as_ref).map(begin);
    waiting(Idle::begin);
    let body = to_bytes(body, limit).await;
    waiting(Idle::end);
    body.map_err(|error| {
        let is_too_large =
            std::error::Error::source(&error).is_some_and(<dyn std::error::Error + 'static>::is::<http_body_util::LengthLimitError>);
        if is_too_large { NoForm::TooLarge } else { NoForm::Cut }
    })
}

/// The media type in any case, with any parameters (RFC 9110 §8.3.1).
pub(super) fn says_that_it_is(headers: &HeaderMap, media_type: &str) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(media_type)
}

impl From<NoForm> for JsonError {
    fn from(no_form: NoForm) -> Self {
        match no_form {
            NoForm::NotAForm | NoForm::Cut => NoForm::remedy().into(),
            NoForm::TooLarge => Self::too_large(),
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
            prop_assert_eq!(says_that_it_is(&HeaderMap::from_iter([(CONTENT_TYPE, header)]), FORM), form.is_match(&value));
        }
    }
}
