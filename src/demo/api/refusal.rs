//! How the API says no (OAuth 2.1 §5.3): a challenge for programs, and for developers a body that says what to change.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::key_set::PAUSE;

/// Why a token is not good enough. What was `found` in it is told only to its bearer, who can read it anyway.
#[derive(Debug)]
pub enum Reason {
    NoToken,
    Malformed,
    NotAJwt,
    OtherType { found: String },
    UnknownKey,
    OtherAlgorithm,
    WrongSignature,
    MissingClaims,
    OtherIssuer { expected: String, found: String },
    OtherAudience { expected: String, found: String },
    Expired { exp: i64, now: i64 },
    NotYet { nbf: i64, now: i64 },
    MissingScope { found: String },
    KeysUnavailable,
}

/// A reason at a place that asks for this scope.
#[derive(Debug)]
pub struct Refusal {
    pub reason: Reason,
    pub scope: &'static str,
}

/// The words of a refusal. Those of the header must do without `"` and `\` (OAuth 2.1 §5.3.1), so they are constants.
struct Words {
    status: StatusCode,
    /// None if the request had no token (OAuth 2.1 §5.3.2).
    error: Option<&'static str>,
    why: &'static str,
    change: &'static str,
}

#[derive(Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    error_description: &'static str,
    what_to_change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
    /// What the request needs.
    scope: &'static str,
}

impl Reason {
    fn words(&self) -> Words {
        match self {
            Self::NoToken => Words {
                status: StatusCode::UNAUTHORIZED,
                error: None,
                why: "The request has no access token.",
                change: "Get a token from the authorization server and send it as 'Authorization: Bearer TOKEN'.",
            },
            Self::Malformed => Words {
                status: StatusCode::BAD_REQUEST,
                error: Some("invalid_request"),
                why: "The Authorization header is not 'Bearer' and one token.",
                change: "Send one header 'Authorization: Bearer TOKEN'. Is the variable with the token empty?",
            },
            Self::KeysUnavailable => Words {
                status: StatusCode::SERVICE_UNAVAILABLE,
                error: None,
                why: "The keys of the authorization server cannot be fetched, so no token can be judged.",
                change: "Try again in a moment. If it stays so: does the authorization server run, and does the API know its exact issuer?",
            },
            Self::MissingScope { .. } => Words {
                status: StatusCode::FORBIDDEN,
                error: Some("insufficient_scope"),
                why: "The token is good, but not for this: it lacks the scope that is needed.",
                change: "Ask for the scope at sign-in, and register the client for it.",
            },
            _ => {
                let (why, change) = self.words_of_an_invalid_token();
                Words { status: StatusCode::UNAUTHORIZED, error: Some("invalid_token"), why, change }
            }
        }
    }

    fn words_of_an_invalid_token(&self) -> (&'static str, &'static str) {
        match self {
            Self::OtherType { .. } => (
                "The token is a JWT, but not an access token: its typ is not at+jwt.",
                "Send the access_token of the token response, not the id_token, which is for the app alone.",
            ),
            Self::UnknownKey => (
                "The token is signed with a key that the authorization server does not publish.",
                "Get a token from the server that the API trusts. If its keys were just replaced, try again in ten seconds.",
            ),
            Self::OtherAlgorithm => (
                "The token names another algorithm than its key is for.",
                "Get a new token: a server that signs by its own keys makes no such token.",
            ),
            Self::WrongSignature => (
                "The signature does not belong to the token.",
                "Send the token exactly as it was issued: something has changed or cut it on the way.",
            ),
            Self::MissingClaims => (
                "The token lacks a claim that an access token must have, or has it in another form.",
                "An access token has iss, sub, aud, exp and more (RFC 9068): find out who issued this one.",
            ),
            Self::OtherIssuer { .. } => (
                "The token was issued by another server than the one that this API trusts.",
                "Get a token from the expected issuer. It is compared byte for byte: a trailing slash counts.",
            ),
            Self::OtherAudience { .. } => (
                "The token is not for this API: its aud names another.",
                "Register the client for this API with --resource, and if it has several, ask with the parameter resource.",
            ),
            Self::Expired { .. } => ("The token has expired.", "Get a new one with the refresh token, or ask the person to sign in again."),
            Self::NotYet { .. } => ("The token is not valid yet.", "Compare the clocks of the two machines."),
            _ => (
                "The token is not a signed JWT.",
                "Send the access_token of the token response, whole. A refresh token is for the authorization server alone.",
            ),
        }
    }

    /// What the API expects, and what the token has instead.
    fn comparison(&self) -> (Option<String>, Option<String>) {
        match self {
            Self::OtherType { found } => (Some("at+jwt".to_owned()), Some(found.clone())),
            Self::OtherIssuer { expected, found } | Self::OtherAudience { expected, found } => {
                (Some(expected.clone()), Some(found.clone()))
            }
            Self::Expired { exp, now } => (Some(format!("exp later than now, {now}")), Some(exp.to_string())),
            Self::NotYet { nbf, now } => (Some(format!("nbf no later than now, {now}")), Some(nbf.to_string())),
            Self::MissingScope { found } => (None, Some(found.clone())),
            _ => (None, None),
        }
    }
}

impl Refusal {
    /// OAuth 2.1 §5.3.1: without a token there is nothing wrong with it, so the challenge says only what is needed.
    fn challenge(&self, words: &Words) -> String {
        let scope = self.scope;
        match words.error {
            None => format!(r#"Bearer realm="notes", scope="{scope}""#),
            Some(error) => format!(r#"Bearer realm="notes", error="{error}", error_description="{}", scope="{scope}""#, words.why),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let words = self.reason.words();
        let (expected, found) = self.reason.comparison();
        let challenge = self.challenge(&words);
        let Words { status, error, why, change } = words;
        let body = Body { error, error_description: why, what_to_change: change, expected, found, scope: self.scope };
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, PAUSE.as_secs().into());
        } else if let Ok(challenge) = HeaderValue::try_from(challenge) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
