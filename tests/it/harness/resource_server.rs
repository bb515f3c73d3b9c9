//! A resource server that verifies access tokens by itself (RFC 9068 §4) and keeps the JWKS for as long as it may (RFC 9111).

use std::{collections::BTreeSet, time::Duration};

use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use serde_json::Value;

use super::Answer;

/// What it knows of the authorization server, and what it met.
#[derive(Default)]
pub struct ResourceServer {
    jwks: Option<JwkSet>,
    kept_until: Duration,
    pub fetches: usize,
    pub verified: usize,
    /// The keys and algorithms of tokens that it verified.
    pub kids: BTreeSet<String>,
    pub algorithms: BTreeSet<String>,
    /// Keys of tokens that the JWKS did not have which it was allowed to keep.
    pub unknown: Vec<String>,
}

impl ResourceServer {
    /// Whether it has to fetch the JWKS before it verifies. Times are since the test began.
    pub fn must_fetch(&self, now: Duration) -> bool {
        self.jwks.is_none() || self.kept_until <= now
    }

    /// Keeps an answer for its `max-age`, counted from when it came.
    pub fn keep(&mut self, answer: &Answer, now: Duration) {
        let max_age = answer.assert_status(200).header("cache-control").strip_prefix("public, max-age=").unwrap();
        self.jwks = Some(serde_json::from_value(answer.json()).unwrap());
        self.kept_until = now + Duration::from_secs(max_age.parse().unwrap());
        self.fetches += 1;
    }

    /// Notes the key of a token if the JWKS does not have it.
    pub fn meet(&mut self, token: &str) {
        let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
        if self.jwks.as_ref().is_none_or(|jwks| jwks.find(&kid).is_none()) {
            self.unknown.push(kid);
        }
    }

    /// Verifies the signature with the key that the token names. What is no valid signature of a known key panics.
    #[track_caller]
    pub fn verify(&mut self, token: &str) {
        let header = jsonwebtoken::decode_header(token).unwrap();
        let kid = header.kid.unwrap();
        let Some(jwk) = self.jwks.as_ref().and_then(|jwks| jwks.find(&kid)) else {
            self.unknown.push(kid);
            return;
        };
        // RFC 8725 §3.1: the key says the algorithm, and the token must agree.
        let algorithm = jwk.common.key_algorithm.unwrap().to_string();
        assert_eq!(algorithm, format!("{:?}", header.alg));
        let mut validation = Validation::new(header.alg);
        validation.validate_exp = false;
        validation.validate_aud = false;
        jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(jwk).unwrap(), &validation).unwrap();
        self.verified += 1;
        self.kids.insert(kid);
        self.algorithms.insert(algorithm);
    }
}
