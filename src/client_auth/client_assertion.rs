//! A JWT by which a client says who it is (RFC 7521 §4.2, RFC 7523 §2.2, §3; `OpenID` Core §9): what both methods have in common.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

use super::{client_secret_jwt, private_key_jwt, verify_jws};
use crate::{
    clock::Timestamp,
    error::{Error, Result},
    jose::{Jws, Unverified},
    oauth::{Client, ErrorCode, OAuthError, Params, client_auth_method::ClientAuthMethod, metadata::paths},
    secret::SecretHash,
    server::Server,
    store::client_assertions::{UseClientAssertion, Used},
};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// What the header may say that it is, in lower case: a JWT, or more exactly one for this (the coming revision of RFC 7523).
const TYPES: &[&str] = &["jwt", "client-authentication+jwt"];
/// By how much a client's clock may differ from ours.
const SKEW: Duration = Duration::from_secs(30);
/// How long an assertion may live: so long it is remembered.
const LIFETIME: Duration = Duration::from_hours(1);

/// An assertion as presented, and whose it says that it is.
pub(super) struct ClientAssertion<'p> {
    jws: Jws<'p>,
    pub client_id: String,
}

/// RFC 7523 §3.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: NumericDate,
    #[serde(default)]
    nbf: Option<NumericDate>,
    #[serde(default)]
    iat: Option<NumericDate>,
    /// `OpenID` Core §9 requires it.
    jti: String,
}

/// RFC 7519 §4.1.3: one, or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn values(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }
}

/// RFC 7519 §2: seconds, possibly with a fraction, which is cut off.
struct NumericDate(Timestamp);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        #[expect(clippy::cast_possible_truncation, reason = "a cast of a float stops at the ends of the range")]
        let seconds = number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64));
        seconds.map(|seconds| Self(Timestamp::from_seconds(seconds))).ok_or_else(|| D::Error::custom("not a number of seconds"))
    }
}

impl<'p> ClientAssertion<'p> {
    /// Reads the parameters; `None` if neither was sent. A `client_id` beside them is not needed, and must agree (RFC 7521 §4.2).
    pub(super) fn read(params: &'p Params) -> Result<Option<Self>, OAuthError> {
        let (kind, assertion) = (params.get("client_assertion_type"), params.get("client_assertion"));
        let assertion = match (kind, assertion) {
            (None, None) => return Ok(None),
            (Some(TYPE), Some(assertion)) => assertion,
            (Some(TYPE), None) => return Err(refused("The parameter 'client_assertion' is missing beside client_assertion_type.")),
            _ => {
                return Err(refused(
                    "The client_assertion_type beside client_assertion must be urn:ietf:params:oauth:client-assertion-type:jwt-bearer.",
                ));
            }
        };
        let jws = Jws::parse(assertion).map_err(unverified)?;
        if !jws.is_typed(TYPES) {
            return Err(refused("The typ of the client_assertion must be JWT or client-authentication+jwt, or be left out."));
        }
        let claims: Claims = jws.unverified_claims().map_err(|_| missing_claims())?;
        if claims.iss != claims.sub {
            return Err(refused("The iss and the sub of the client_assertion must both be the client_id."));
        }
        if params.get("client_id").is_some_and(|client_id| client_id != claims.sub) {
            return Err(refused("The client_id must be the sub of the client_assertion, or be left out."));
        }
        Ok(Some(Self { jws, client_id: claims.sub }))
    }

    /// Which method it is of.
    pub(super) fn method(&self) -> ClientAuthMethod {
        match self.jws.algorithm.secret_octets() {
            Some(_) => ClientAuthMethod::ClientSecretJwt,
            None => ClientAuthMethod::PrivateKeyJwt,
        }
    }

    /// Checks the signature, then what it says, and lets it work once.
    pub(super) async fn check(&self, server: &Server, client: &Client) -> Result<()> {
        let allowed = match self.method() {
            ClientAuthMethod::ClientSecretJwt => client_secret_jwt::algorithms(client),
            _ => private_key_jwt::algorithms(client),
        };
        let claims: Claims = verify_jws(server, client, &self.jws, allowed).await.map_err(|reason| match reason {
            Unverified::Busy => Error::unavailable("too many key sets are being fetched"),
            reason => unverified(reason).into(),
        })?;
        check_audience(server, &claims)?;
        check_times(server.clock().now(), &claims)?;
        if claims.jti.is_empty() {
            return Err(missing_claims().into());
        }
        let expires_at = claims.exp.0.after(SKEW);
        let once = UseClientAssertion { client_id: client.id.clone(), jti: SecretHash::of(&claims.jti), expires_at };
        match server.store().write(once).await? {
            Used::Now => Ok(()),
            Used::Before => {
                tracing::warn!(client.id = %client.id, "client assertion used again: refused");
                Err(refused("The client_assertion was used before: make a new one with a new jti for each request.").into())
            }
        }
    }
}

/// RFC 7523 §3: us, by the issuer or an endpoint at which clients authenticate. And nobody else, who could use it, too.
fn check_audience(server: &Server, claims: &Claims) -> Result<(), OAuthError> {
    let issuer = &server.config().issuer;
    let is_us = |aud: &String| {
        aud == issuer.as_str() || [paths::TOKEN, paths::REVOKE, paths::INTROSPECT].into_iter().any(|path| *aud == issuer.url(path))
    };
    let audience = claims.aud.values();
    if !audience.is_empty() && audience.iter().all(is_us) {
        Ok(())
    } else {
        Err(refused("The aud of the client_assertion must be the issuer or the token endpoint of this server, and nothing else."))
    }
}

fn check_times(now: Timestamp, claims: &Claims) -> Result<(), OAuthError> {
    let (earliest, latest) = (now.before(SKEW), now.after(SKEW));
    if claims.exp.0 <= earliest {
        return Err(refused("The client_assertion has expired: make a new one for each request, and check the clock."));
    }
    if claims.exp.0 > latest.after(LIFETIME) {
        return Err(refused("The exp of the client_assertion is more than an hour ahead: let it live for a minute or so."));
    }
    if [&claims.nbf, &claims.iat].into_iter().flatten().any(|begin| begin.0 > latest) {
        return Err(refused("The nbf or iat of the client_assertion is yet to come: check the clock."));
    }
    Ok(())
}

fn refused(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, description)
}

fn missing_claims() -> OAuthError {
    refused("The client_assertion needs the claims iss, sub, aud, exp and jti: texts, aud a text or a list of them, exp a number.")
}

fn unverified(reason: Unverified) -> OAuthError {
    OAuthError { description: format!("The client_assertion is refused: {reason}.").into(), ..refused("") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn times(exp: i64, nbf: Option<i64>) -> Claims {
        let claims = json!({ "iss": "app", "sub": "app", "aud": "a", "jti": "1", "exp": exp, "nbf": nbf, "iat": nbf });
        serde_json::from_value(claims).unwrap()
    }

    /// RFC 7523 §3: clocks that differ by 10 seconds do no harm, and by 60 seconds are told.
    #[test]
    fn a_clock_may_differ_by_ten_seconds_and_not_by_a_minute() {
        let now = Timestamp::from_seconds(1_000_000);
        for (exp, nbf, expected) in [
            (1_000_001, None, true),
            (999_990, None, true),
            (999_939, None, false),
            (1_000_060, Some(1_000_010), true),
            (1_000_120, Some(1_000_061), false),
            (1_003_600, None, true),
            (1_003_610, Some(1_000_010), true),
            (1_003_661, None, false),
            (i64::MAX, None, false),
            (i64::MIN, None, false),
            (0, None, false),
        ] {
            assert_eq!(check_times(now, &times(exp, nbf)).is_ok(), expected, "{exp} {nbf:?}");
        }
    }

    /// RFC 7519 §2.
    #[test]
    fn a_date_is_a_number_also_with_a_fraction() {
        let date = |value| serde_json::from_value::<NumericDate>(value).ok().map(|date| date.0.as_seconds());
        assert_eq!(date(json!(1.9)), Some(1));
        assert_eq!(date(json!(1e300)), Some(Timestamp::from_seconds(i64::MAX).as_seconds()));
        assert_eq!((date(json!("1")), date(json!(null)), date(json!([1]))), (None, None, None));
    }

    proptest! {
        #[test]
        fn any_parameters_are_an_assertion_or_refused(kind in prop_oneof![Just(TYPE.to_owned()), ".{0,8}"], text in prop_oneof![".{0,40}", "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,10}"]) {
            let params = Params::from_pairs(vec![("client_assertion_type".to_owned(), kind), ("client_assertion".to_owned(), text)]);
            match ClientAssertion::read(&params) {
                Ok(assertion) => prop_assert!(assertion.is_none()),
                Err(error) => prop_assert_eq!(error.code, ErrorCode::InvalidClient),
            }
        }
    }
}
