//! What is called with an access token (RFC 6750): where the token is, and the challenge when it will not do.

use axum::{
    extract::{FromRequest, Request},
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};

use super::{
    form::{self, NoForm},
    json_error::{JsonError, no_store},
};
use crate::{
    error::Error,
    oauth::{ErrorCode, OAuthError, Params, scope::OPENID},
    server::Server,
};

/// The access token of a request, unverified: in the header, or in a form that is posted (§2.1, §2.2).
pub(crate) struct BearerToken(pub String);

impl FromRequest<Server> for BearerToken {
    type Rejection = BearerError;

    async fn from_request(request: Request, server: &Server) -> Result<Self, BearerError> {
        if request.uri().query().is_some_and(|query| Params::parse(query).get("access_token").is_some()) {
            return Err(OAuthError::invalid_request("Send the access token in the header Authorization: addresses are logged.").into());
        }
        let in_header = in_header(request.headers())?;
        let in_form = if request.method() == Method::POST { in_form(server, request).await? } else { None };
        match (in_header, in_form) {
            (Some(token), None) | (None, Some(token)) => Ok(Self(token)),
            (None, None) => Err(BearerError::NoToken),
            (Some(_), Some(_)) => Err(OAuthError::invalid_request("Send the access token in one place: header or form.").into()),
        }
    }
}

/// The token in the header. Another scheme is no token; half a header is a mistake.
pub(crate) fn in_header(headers: &HeaderMap) -> Result<Option<String>, OAuthError> {
    let malformed = || OAuthError::invalid_request("Send one header 'Authorization: Bearer TOKEN', with one space and the token as it is.");
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed());
    }
    let value = value.to_str().map_err(|_| malformed())?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Ok(None);
    }
    let token = token.trim_start_matches(' ');
    if is_b64token(token) { Ok(Some(token.to_owned())) } else { Err(malformed()) }
}

/// §2.1: what every access token consists of.
fn is_b64token(text: &str) -> bool {
    let text = text.trim_end_matches('=');
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

/// A body that is no form has no token.
async fn in_form(server: &Server, request: Request) -> Result<Option<String>, BearerError> {
    match form::read(server, request).await {
        Ok(params) => {
            params.check()?;
            Ok(params.get("access_token").map(str::to_owned))
        }
        Err(NoForm::NotAForm) => Ok(None),
        Err(no_form) => Err(BearerError::Other(no_form.into())),
    }
}

/// An error on its way to who called with a token, or should have.
pub(crate) enum BearerError {
    /// §3.1: whoever shows nothing learns the scheme, and of no error.
    NoToken,
    Refused(OAuthError),
    Other(JsonError),
}

impl BearerError {
    /// §3.1: whatever is wrong with a token, the remedy is another one.
    pub(crate) fn invalid_token(description: &'static str) -> Self {
        OAuthError::new(ErrorCode::InvalidToken, description).into()
    }
}

impl From<OAuthError> for BearerError {
    fn from(error: OAuthError) -> Self {
        Self::Refused(error)
    }
}

impl From<Error> for BearerError {
    fn from(error: Error) -> Self {
        match error {
            Error::Protocol(error) => Self::Refused(error),
            other => Self::Other(other.into()),
        }
    }
}

impl IntoResponse for BearerError {
    fn into_response(self) -> Response {
        match self {
            Self::NoToken => challenged("Bearer".to_owned(), no_store(StatusCode::UNAUTHORIZED.into_response())),
            Self::Refused(error) => {
                let scope = if error.code == ErrorCode::InsufficientScope { format!(", scope=\"{OPENID}\"") } else { String::new() };
                let challenge = format!(r#"Bearer error="{}", error_description="{}"{scope}"#, error.code.as_str(), error.description);
                challenged(challenge, JsonError::from(error).into_response())
            }
            Self::Other(error) => error.into_response(),
        }
    }
}

/// §3. What stands in a description needs no escape (OAuth 2.1 §3.2.4).
fn challenged(challenge: String, mut response: Response) -> Response {
    if let Ok(challenge) = HeaderValue::try_from(challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, OAuthError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::try_from(*value).unwrap());
        }
        in_header(&headers)
    }

    #[test]
    fn another_scheme_is_no_token_and_half_a_header_is_a_mistake() {
        for value in ["Bearer abc", "bearer abc", "BEARER  abc"] {
            assert_eq!(read(&[value]).unwrap().as_deref(), Some("abc"), "{value}");
        }
        for values in [&[][..], &["Basic YTpi"], &["abc"], &[""], &["DPoP abc"]] {
            assert_eq!(read(values), Ok(None), "{values:?}");
        }
        for values in [&["Bearer"][..], &["Bearer "], &["Bearer a b"], &["Bearer a,b"], &["Bearer =="], &["Bearer a", "Basic YTpi"]] {
            assert!(read(values).is_err(), "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_a_token_of_its_form_or_none(value in "([bB]earer )?[!-~ ]{0,30}") {
            if let Ok(Some(token)) = read(&[&value]) {
                prop_assert!(value.ends_with(&token) && is_b64token(&token));
            }
        }
    }
}
