//! What came back, and what a test expects of it.

use axum::{body::to_bytes, response::Response};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// A response that was read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Self { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body))
    }

    /// Panics unless the status is this one.
    #[track_caller]
    pub fn assert_status(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{} {}", self.header("location"), self.body);
        self
    }

    /// Panics unless this is the JSON error with this status and code (OAuth 2.1 §3.2.4).
    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str) -> &Self {
        self.assert_status(status);
        let body = self.json();
        assert_eq!(body["error"], code, "{body}");
        let description = body["error_description"].as_str().expect("a description");
        assert!(
            !description.is_empty() && description.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)),
            "{description}"
        );
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.header("content-type"), "application/json");
        self
    }

    /// The string member of a JSON answer.
    #[track_caller]
    pub fn member(&self, name: &str) -> String {
        let body = self.json();
        body[name].as_str().unwrap_or_else(|| panic!("no {name}: {} {body}", self.status)).to_owned()
    }

    /// The access token of a successful answer.
    #[track_caller]
    pub fn access_token(&self) -> String {
        self.assert_status(200).member("access_token")
    }

    /// The ID token of a successful answer.
    #[track_caller]
    pub fn id_token(&self) -> String {
        self.assert_status(200).member("id_token")
    }

    /// The refresh token of a successful answer.
    #[track_caller]
    pub fn refresh_token(&self) -> String {
        self.assert_status(200).member("refresh_token")
    }

    /// The claims of the access token, unverified.
    #[track_caller]
    pub fn claims(&self) -> Value {
        claims(&self.access_token())
    }

    /// Where the answer redirects.
    #[track_caller]
    pub fn location(&self) -> String {
        self.assert_status(303);
        self.header("location").to_owned()
    }

    /// A parameter of the query of the redirect.
    #[track_caller]
    pub fn param(&self, name: &str) -> Option<String> {
        let location = self.location();
        let (_, query) = location.split_once('?').unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The code of an authorization response.
    #[track_caller]
    pub fn code(&self) -> String {
        self.param("code").unwrap_or_else(|| panic!("no code: {}", self.location()))
    }

    /// Panics unless this redirects to the client with this error (OAuth 2.1 §4.1.2.1) and our `iss` (RFC 9207).
    #[track_caller]
    pub fn assert_redirected_error(&self, code: &str) -> &Self {
        assert_eq!(self.param("error").as_deref(), Some(code), "{}", self.location());
        assert!(self.param("error_description").is_some());
        assert_eq!(self.param("iss").as_deref(), Some(super::ISSUER));
        assert_eq!(self.param("code"), None);
        self
    }

    /// Panics unless this is an error page with this status, and no redirect.
    #[track_caller]
    pub fn assert_page_error(&self, status: u16) -> &Self {
        self.assert_status(status);
        assert_eq!(self.header("location"), "");
        assert!(self.body.contains("id=\"error-id\""), "{}", self.body);
        self
    }

    /// The value of a field of the form on the page.
    #[track_caller]
    pub fn field(&self, name: &str) -> String {
        self.fields().into_iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no field {name}: {}", self.body)).1
    }

    /// Names and values of the hidden fields on the page.
    pub fn fields(&self) -> Vec<(String, String)> {
        let input = regex::Regex::new(r#"<input type="hidden" name="([^"]*)" value="([^"]*)""#).unwrap();
        input.captures_iter(&self.body).map(|found| (found[1].to_owned(), unescape(&found[2]))).collect()
    }
}

/// The claims of a JWT, unverified.
pub fn claims(token: &str) -> Value {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
    let payload = token.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn unescape(text: &str) -> String {
    [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}
