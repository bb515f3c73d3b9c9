//! An access token opened for reading (RFC 7519 §3, RFC 9068 §2.2).
//!
//! Nothing is verified: that is the API's part. A client of a real app treats the token as opaque.

use std::borrow::Cow;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rust_i18n::t;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The order in which claims are explained; others follow.
const ORDER: [&str; 12] = ["iss", "sub", "aud", "client_id", "scope", "iat", "exp", "auth_time", "acr", "amr", "jti", "gid"];

pub struct DecodedToken {
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

/// One claim, with what it means.
pub struct Claim {
    pub name: String,
    pub value: String,
    pub meaning: Cow<'static, str>,
}

impl DecodedToken {
    /// `None` if the token is not a signed JWT.
    pub fn decode(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Some(Self { header: object(header)?, claims: object(claims)? })
    }

    /// The header as indented JSON.
    pub fn header(&self) -> String {
        format!("{:#}", Value::Object(self.header.clone()))
    }

    /// The claims as indented JSON.
    pub fn payload(&self) -> String {
        format!("{:#}", Value::Object(self.claims.clone()))
    }

    /// Every claim, explained.
    pub fn claims(&self) -> Vec<Claim> {
        let known = ORDER.iter().filter_map(|name| self.claims.get_key_value(*name));
        let others = self.claims.iter().filter(|(name, _)| !ORDER.contains(&name.as_str()));
        known.chain(others).map(|(name, value)| Claim { name: name.clone(), value: shown(name, value), meaning: meaning(name) }).collect()
    }

    /// One claim as the pages show it.
    pub fn claim(&self, name: &str) -> Option<String> {
        self.claims.get(name).map(|value| shown(name, value))
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn shown(name: &str, value: &Value) -> String {
    match (name, value) {
        ("iat" | "exp" | "auth_time" | "nbf", Value::Number(seconds)) => {
            let time = seconds
                .as_i64()
                .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
                .and_then(|time| time.format(&Rfc3339).ok());
            match time {
                Some(time) => format!("{seconds} ({time})"),
                None => seconds.to_string(),
            }
        }
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}

fn meaning(claim: &str) -> Cow<'static, str> {
    match claim {
        "iss" => t!("demo.claim.iss"),
        "sub" => t!("demo.claim.sub"),
        "aud" => t!("demo.claim.aud"),
        "client_id" => t!("demo.claim.client_id"),
        "scope" => t!("demo.claim.scope"),
        "iat" => t!("demo.claim.iat"),
        "exp" => t!("demo.claim.exp"),
        "auth_time" => t!("demo.claim.auth_time"),
        "acr" => t!("demo.claim.acr"),
        "amr" => t!("demo.claim.amr"),
        "jti" => t!("demo.claim.jti"),
        "gid" => t!("demo.claim.gid"),
        _ => t!("demo.claim.other"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        let encode = |part: &str| BASE64_URL_SAFE_NO_PAD.encode(part);
        format!("{}.{}.c2ln", encode(header), encode(claims))
    }

    #[test]
    fn claims_come_in_the_order_of_their_explanation_and_unknown_ones_last() {
        let claims = r#"{"a_new_one":[1],"exp":0,"sub":"p1","iss":"http://as.example"}"#;
        let decoded = DecodedToken::decode(&token(r#"{"alg":"ES256","typ":"at+jwt"}"#, claims)).unwrap();
        let claims: Vec<_> = decoded.claims().into_iter().map(|claim| (claim.name, claim.value)).collect();
        let claims: Vec<_> = claims.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(claims, [("iss", "http://as.example"), ("sub", "p1"), ("exp", "0 (1970-01-01T00:00:00Z)"), ("a_new_one", "[1]"),],);
        assert!(decoded.header().contains("at+jwt"));
    }

    #[test]
    fn every_claim_that_is_ordered_is_explained() {
        for claim in ORDER {
            assert_ne!(meaning(claim), meaning("another"), "{claim}");
            assert!(!meaning(claim).starts_with("demo."), "{claim}");
        }
    }

    #[test]
    fn a_time_out_of_range_is_shown_as_it_is() {
        let decoded = DecodedToken::decode(&token("{}", r#"{"exp":9223372036854775807}"#)).unwrap();
        assert_eq!(decoded.claim("exp").unwrap(), "9223372036854775807");
    }

    #[test]
    fn what_is_not_a_signed_jwt_stays_opaque() {
        for token in ["", "opaque", "a.b", "a.b.c", &token("[]", "{}"), &format!("{}.x", token("{}", "{}"))] {
            assert!(DecodedToken::decode(token).is_none(), "{token}");
        }
    }
}
