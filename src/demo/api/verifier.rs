//! What makes an access token one that this API believes (RFC 9068 §4).

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, Validation};
use serde::Deserialize;

use super::key_set::{Key, KeySet};
use super::refusal::Reason;
use crate::clock::Clock;
use crate::outbound::Outbound;

/// The claims that the API reads.
#[derive(Debug, Deserialize)]
pub struct AccessToken {
    pub iss: String,
    /// Whose notes these are: a person, or a client that speaks for itself.
    pub sub: String,
    pub aud: Audience,
    pub exp: i64,
    pub nbf: Option<i64>,
    #[serde(default)]
    pub scope: String,
}

/// One or several (RFC 7519 §4.1.3).
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

pub struct Verifier {
    issuer: String,
    resource: String,
    keys: KeySet,
    clock: Clock,
}

impl Verifier {
    pub fn new(issuer: String, resource: String, outbound: Outbound, clock: Clock) -> Self {
        Self { keys: KeySet::new(issuer.clone(), outbound, clock.clone()), issuer, resource, clock }
    }

    /// Checks everything about the token but its scope, which depends on what is asked.
    pub async fn verify(&self, token: &str) -> Result<AccessToken, Reason> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Reason::NotAJwt)?;
        require_access_token(&header)?;
        let kid = header.kid.as_deref().ok_or(Reason::UnknownKey)?;
        let key = self.keys.key(kid).await.map_err(|_| Reason::KeysUnavailable)?.ok_or(Reason::UnknownKey)?;
        let claims = signed_claims(token, &header, &key)?;
        self.check(&claims)?;
        Ok(claims)
    }

    fn check(&self, claims: &AccessToken) -> Result<(), Reason> {
        if claims.iss != self.issuer {
            return Err(Reason::OtherIssuer { expected: self.issuer.clone(), found: claims.iss.clone() });
        }
        if !claims.aud.names().contains(&self.resource) {
            return Err(Reason::OtherAudience { expected: self.resource.clone(), found: claims.aud.names().join(" ") });
        }
        // By the clock of this process, which tests move.
        let now = self.clock.now().as_seconds();
        if now >= claims.exp {
            return Err(Reason::Expired { exp: claims.exp, now });
        }
        match claims.nbf {
            Some(nbf) if now < nbf => Err(Reason::NotYet { nbf, now }),
            _ => Ok(()),
        }
    }
}

impl AccessToken {
    /// Whether the token may be used for this (OAuth 2.1 §1.4.1: words between spaces, not parts of words).
    pub fn require(&self, scope: &'static str) -> Result<(), Reason> {
        if self.scope.split(' ').any(|granted| granted == scope) { Ok(()) } else { Err(Reason::MissingScope { found: self.scope.clone() }) }
    }
}

/// RFC 9068 §4: `at+jwt`, so that no other JWT of the server, such as an ID token, passes for an access token.
fn require_access_token(header: &Header) -> Result<(), Reason> {
    let typ = header.typ.as_deref().unwrap_or_default();
    let is_access_token = ["at+jwt", "application/at+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known));
    if is_access_token { Ok(()) } else { Err(Reason::OtherType { found: typ.to_owned() }) }
}

/// The claims, if the key's owner signed them with the key's algorithm.
fn signed_claims(token: &str, header: &Header, key: &Key) -> Result<AccessToken, Reason> {
    if header.alg != key.algorithm {
        return Err(Reason::OtherAlgorithm);
    }
    let mut validation = Validation::new(key.algorithm);
    // The library checks the signature; issuer, audience and time come next, each with a reason of its own.
    validation.required_spec_claims.clear();
    validation.validate_aud = false;
    validation.validate_exp = false;
    let decoded = jsonwebtoken::decode(token, &key.verifies, &validation);
    decoded.map(|decoded| decoded.claims).map_err(|error| match error.kind() {
        ErrorKind::Json(_) => Reason::MissingClaims,
        _ => Reason::WrongSignature,
    })
}
