//! What went over the wire, as the pages show it: every secret masked before it is kept.

use std::borrow::Cow;

use http::{Request, Response, StatusCode, header};
use rust_i18n::t;
use serde_json::Value;
use url::{Url, form_urlencoded};

/// Parameters and members that are shown masked.
const SECRETS: [&str; 6] = ["access_token", "client_secret", "code", "code_verifier", "refresh_token", "token"];

/// What stands for the part of a secret that is not shown.
const HIDDEN: &str = "••••••";

/// One request, and its answer if it was the app that sent it.
pub struct Exchange {
    pub kind: Kind,
    pub method: String,
    /// Without query: that is in `parameters`.
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub parameters: Vec<(String, String)>,
    pub answer: Option<Answer>,
}

/// What a request is for, which also says who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The browser on its way to the server.
    AuthorizationRequest,
    /// The browser on its way back.
    AuthorizationResponse,
    /// The app to the server; the browser sees nothing of it.
    Direct,
    /// The app to the sample API.
    ApiCall,
}

pub struct Answer {
    pub status: StatusCode,
    /// Indented, if it is JSON; other bodies are not shown.
    pub json: Option<String>,
}

impl Kind {
    pub fn sender(self) -> Cow<'static, str> {
        match self {
            Self::AuthorizationRequest | Self::AuthorizationResponse => t!("demo.wire.browser"),
            Self::Direct | Self::ApiCall => t!("demo.wire.app"),
        }
    }

    pub fn text(self) -> Cow<'static, str> {
        match self {
            Self::AuthorizationRequest => t!("demo.wire.authorization_request"),
            Self::AuthorizationResponse => t!("demo.wire.authorization_response"),
            Self::Direct => t!("demo.wire.direct"),
            Self::ApiCall => t!("demo.wire.api_call"),
        }
    }
}

impl Exchange {
    /// A redirect that the browser followed.
    pub fn navigation(kind: Kind, url: &Url) -> Self {
        let parameters = masked_form(url.query().unwrap_or_default().as_bytes());
        Self { kind, method: "GET".to_owned(), url: without_query(url.as_str()), headers: Vec::new(), parameters, answer: None }
    }

    /// A request of the app itself.
    pub fn request(kind: Kind, request: &Request<Vec<u8>>) -> Self {
        let mut headers = Vec::new();
        if let Some(value) = request.headers().get(header::AUTHORIZATION) {
            let scheme = value.to_str().unwrap_or_default().split(' ').next().unwrap_or_default();
            headers.push(("Authorization", format!("{scheme} {HIDDEN}")));
        }
        if let Some(value) = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
            headers.push(("Content-Type", value.to_owned()));
        }
        Self {
            kind,
            method: request.method().to_string(),
            url: without_query(&request.uri().to_string()),
            headers,
            parameters: masked_form(request.body()),
            answer: None,
        }
    }

    pub fn answered(&mut self, response: &Response<Vec<u8>>) {
        let json = serde_json::from_slice(response.body()).ok().map(|mut json: Value| {
            mask_members(&mut json);
            format!("{json:#}")
        });
        self.answer = Some(Answer { status: response.status(), json });
    }
}

/// Enough of a secret to tell it from another, and never enough to use it.
pub fn masked(secret: &str) -> String {
    let characters = secret.chars().count();
    if characters < 32 {
        return HIDDEN.to_owned();
    }
    let start: String = secret.chars().take(8).collect();
    let end: String = secret.chars().skip(characters - 4).collect();
    format!("{start}{HIDDEN}{end}")
}

fn without_query(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}

fn masked_form(form: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(form)
        .map(|(name, value)| {
            let value = if SECRETS.contains(&name.as_ref()) { masked(&value) } else { value.into_owned() };
            (name.into_owned(), value)
        })
        .collect()
}

fn mask_members(json: &mut Value) {
    let Value::Object(members) = json else { return };
    for (name, value) in members {
        if let (true, Value::String(secret)) = (SECRETS.contains(&name.as_str()), value) {
            *secret = masked(secret);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(url: &str) -> Exchange {
        Exchange::navigation(Kind::AuthorizationResponse, &url.parse().unwrap())
    }

    #[test]
    fn a_short_secret_is_hidden_whole_and_a_long_one_keeps_its_ends() {
        assert_eq!(masked(""), HIDDEN);
        assert_eq!(masked(&"x".repeat(31)), HIDDEN);
        assert_eq!(masked("grt_AAAABBBBCCCCDDDDEEEEFFFFGGGG"), "grt_AAAA••••••GGGG");
        assert_eq!(masked(&"é".repeat(40)), "éééééééé••••••éééé");
    }

    #[test]
    fn no_secret_of_a_request_is_kept() {
        let request = Request::post("http://as.example/oauth/token?x=1")
            .header(header::AUTHORIZATION, "Basic aWQ6c2VjcmV0")
            .body(b"grant_type=authorization_code&code=abc&code_verifier=def&client_secret=ghi".to_vec())
            .unwrap();
        let exchange = Exchange::request(Kind::Direct, &request);
        assert_eq!(exchange.url, "http://as.example/oauth/token");
        assert_eq!(exchange.headers, [("Authorization", format!("Basic {HIDDEN}"))]);
        let parameters: Vec<_> = exchange.parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(
            parameters,
            [("grant_type", "authorization_code"), ("code", HIDDEN), ("code_verifier", HIDDEN), ("client_secret", HIDDEN),],
        );
    }

    #[test]
    fn no_token_of_an_answer_is_kept() {
        let mut exchange = back("http://app.example/callback?code=abc&state=s");
        assert_eq!(exchange.parameters[0], ("code".to_owned(), HIDDEN.to_owned()));
        exchange.answered(&Response::new(br#"{"access_token":"abc","expires_in":600}"#.to_vec()));
        let json = exchange.answer.unwrap().json.unwrap();
        assert!(!json.contains("abc") && json.contains("600"), "{json}");
    }

    #[test]
    fn a_body_that_is_not_json_is_not_shown() {
        let mut exchange = back("http://app.example/");
        exchange.answered(&Response::new(b"<html>".to_vec()));
        assert!(exchange.answer.unwrap().json.is_none());
    }
}
