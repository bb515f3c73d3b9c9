//! Request objects (RFC 9101, `OpenID` Core §6): authorization request parameters that the client signed.

use std::{borrow::Cow, time::Duration};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Map, Value};

use super::{
    client::ClientId,
    error::{ErrorCode, OAuthError},
    issuer::Issuer,
    params::Params,
    scope::{self, Scope},
};
use crate::clock::Timestamp;

/// What the header says in `typ`, if anything: before RFC 9101 §10.8 there was no type of its own.
pub const TYPES: &[&str] = &["oauth-authz-req+jwt", "jwt"];
/// How far the client's clock may be ahead or behind.
const LEEWAY: Duration = Duration::from_secs(30);
/// Claims that a JWT has for itself (RFC 7519 §4.1, RFC 9101 §9.1): no parameters.
const OF_THE_JWT: &[&str] = &["aud", "exp", "iat", "iss", "jti", "nbf", "sub"];

/// How a request carries its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried<'a> {
    /// `request` (§6.1)
    ByValue(&'a str),
    /// `request_uri` (§6.2)
    ByReference(&'a str),
}

impl<'a> Carried<'a> {
    /// How these parameters do, if at all. Never in both ways (`OpenID` Core §6).
    pub fn by(params: &'a Params) -> Result<Option<Self>, OAuthError> {
        match (params.get("request"), params.get("request_uri")) {
            (Some(_), Some(_)) => Err(OAuthError::invalid_request("Send either 'request' or 'request_uri'.")),
            (Some(object), None) => Ok(Some(Self::ByValue(object))),
            (None, Some(uri)) => Ok(Some(Self::ByReference(uri))),
            (None, None) => Ok(None),
        }
    }

    /// An object of this kind is not supported: one without a signature proves nothing about who made it (RFC 9101 §10.2).
    pub fn unsigned(self) -> OAuthError {
        let code = match self {
            Self::ByValue(_) => ErrorCode::RequestNotSupported,
            Self::ByReference(_) => ErrorCode::RequestUriNotSupported,
        };
        OAuthError::new(code, "Sign the request object: those with the alg 'none' are not supported.")
    }
}

/// Whether a JWS says that nobody signed it (RFC 7518 §3.6).
pub fn is_unsigned(object: &str) -> bool {
    let header = object.split('.').next().and_then(|header| BASE64_URL_SAFE_NO_PAD.decode(header).ok());
    let header: Option<Value> = header.and_then(|header| serde_json::from_slice(&header).ok());
    header.is_some_and(|header| header["alg"].as_str().is_some_and(|alg| alg.eq_ignore_ascii_case("none")))
}

/// A refusal of an object that was there.
pub fn invalid(description: impl Into<Cow<'static, str>>) -> OAuthError {
    OAuthError { code: ErrorCode::InvalidRequestObject, description: description.into() }
}

/// The parameters of a request whose object has these verified claims (§6.3.3). What the object says supersedes what the URL says.
/// What it does not say counts with `openid` (`OpenID` Core §6.1), and otherwise not (RFC 9101 §6.3).
pub fn assembled(
    outside: &Params,
    claims: &Map<String, Value>,
    client_id: &ClientId,
    issuer: &Issuer,
    now: Timestamp,
) -> Result<Params, OAuthError> {
    check_jwt(claims, client_id, issuer, now)?;
    let inside = parameters(claims)?;
    let is_openid = Scope::from_params(outside).ok().flatten().is_some_and(|scope| scope.contains(scope::OPENID));
    // So that it is an OAuth 2.0 request by itself (`OpenID` Core §6.1).
    if is_openid {
        outside.required("response_type")?;
    }
    for name in ["client_id", "response_type"] {
        if let (Some(within), Some(without)) = (inside.get(name), outside.get(name))
            && within != without
        {
            return Err(invalid("client_id and response_type must be the same in the request object and in the request."));
        }
    }
    let counts = |name: &str| is_openid && !matches!(name, "request" | "request_uri") || name == "client_id";
    let kept = outside.pairs().iter().filter(|(name, _)| counts(name) && inside.get(name).is_none());
    Ok(Params::from_pairs(kept.chain(inside.pairs()).cloned().collect()))
}

/// RFC 9101 §4, §6.3; `OpenID` Core §6.1: what is there must be right.
fn check_jwt(claims: &Map<String, Value>, client_id: &ClientId, issuer: &Issuer, now: Timestamp) -> Result<(), OAuthError> {
    if claims.get("iss").is_some_and(|iss| iss != client_id.as_str()) {
        return Err(invalid("The iss of the request object must be the client_id."));
    }
    let names_us = |aud: &Value| aud == issuer.as_str();
    if claims.get("aud").is_some_and(|aud| !names_us(aud) && !aud.as_array().is_some_and(|several| several.iter().any(names_us))) {
        return Err(invalid("The aud of the request object must be the issuer."));
    }
    // §10.8: else it could be an assertion by which the client authenticates.
    if claims.get("sub").is_some_and(|sub| sub == client_id.as_str()) {
        return Err(invalid("The sub of the request object must not be the client_id: leave it out."));
    }
    let time = |name| match claims.get(name) {
        None => Ok(None),
        Some(time) => time.as_f64().map(Some).ok_or_else(|| invalid("The times of the request object must be numbers of seconds.")),
    };
    #[expect(clippy::cast_precision_loss, reason = "seconds of this millennium are exact")]
    let seconds = |at: Timestamp| at.as_seconds() as f64;
    if time("exp")?.is_some_and(|exp| exp <= seconds(now.before(LEEWAY))) {
        return Err(invalid("The request object has expired: sign one for each request, or leave exp out."));
    }
    if time("nbf")?.is_some_and(|nbf| nbf > seconds(now.after(LEEWAY))) {
        return Err(invalid("The request object is not valid yet: see to the clock, or leave nbf out."));
    }
    if ["request", "request_uri"].iter().any(|name| claims.contains_key(*name)) {
        return Err(invalid("A request object must not contain request or request_uri."));
    }
    Ok(())
}

/// RFC 9101 §4: strings and numbers as such, `claims` as an object; `resource` may be several.
fn parameters(claims: &Map<String, Value>) -> Result<Params, OAuthError> {
    let mut pairs = Vec::new();
    for (name, value) in claims.iter().filter(|(name, _)| !OF_THE_JWT.contains(&name.as_str())) {
        match value {
            Value::Null => {}
            Value::Array(several) if name == "resource" => {
                let resources: Option<Vec<_>> = several.iter().map(Value::as_str).collect();
                let resources =
                    resources.ok_or_else(|| invalid("The resource of the request object must be a string, or a list of them."))?;
                pairs.extend(resources.into_iter().map(|resource| (name.clone(), resource.to_owned())));
            }
            Value::Array(_) => return Err(invalid("Only the resource of a request object may be a list.")),
            Value::String(text) => pairs.push((name.clone(), text.clone())),
            Value::Bool(_) | Value::Number(_) | Value::Object(_) => pairs.push((name.clone(), value.to_string())),
        }
    }
    // An empty value is an absent parameter, as in a query (OAuth 2.1 §3.1).
    pairs.retain(|(_, value)| !value.is_empty());
    Ok(Params::from_pairs(pairs))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn assemble(outside: &str, claims: Value) -> Result<Params, OAuthError> {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        let issuer = "https://auth.example.com".parse().unwrap();
        assembled(&Params::parse(outside), &claims, &ClientId::parse("app").unwrap(), &issuer, NOW)
    }

    /// The example of `OpenID` Core §6.1, with our response type.
    #[test]
    fn what_is_inside_goes_before_what_is_outside() {
        let outside = "response_type=code&client_id=app&scope=openid&state=outer&nonce=outer&request=x&display=page";
        let params = assemble(
            outside,
            json!({
                "iss": "app", "aud": "https://auth.example.com", "response_type": "code", "client_id": "app",
                "redirect_uri": "https://app.example/cb", "scope": "openid email", "state": "inner", "max_age": 86400,
                "claims": {"userinfo": {"given_name": {"essential": true}}}, "resource": ["https://a.example", "https://b.example"],
            }),
        )
        .unwrap();
        let expected = [
            ("scope", "openid email"),
            ("state", "inner"),
            ("nonce", "outer"),
            ("max_age", "86400"),
            ("claims", r#"{"userinfo":{"given_name":{"essential":true}}}"#),
            ("display", "page"),
        ];
        for (name, value) in expected {
            assert_eq!(params.get(name), Some(value), "{name}");
        }
        assert_eq!(params.all("resource").count(), 2);
        assert!(params.get("request").is_none() && params.get("iss").is_none() && params.check().is_ok());
    }

    /// RFC 9101 §6.3: without `openid` nothing from outside is used.
    #[test]
    fn without_openid_only_what_is_inside_counts() {
        let params = assemble("client_id=app&scope=admin&state=outer", json!({"response_type": "code", "scope": "read"})).unwrap();
        assert_eq!((params.get("scope"), params.get("state"), params.get("client_id")), (Some("read"), None, Some("app")));
    }

    #[test]
    fn an_object_for_others_of_another_time_or_purpose_is_refused() {
        let (now, outside) = (NOW.as_seconds(), "client_id=app&response_type=code&scope=openid");
        for claims in [
            json!({"iss": "other"}),
            json!({"iss": null}),
            json!({"aud": "https://elsewhere.example"}),
            json!({"aud": ["https://elsewhere.example"]}),
            json!({"sub": "app"}),
            json!({"exp": now - 30}),
            json!({"exp": "soon"}),
            json!({"nbf": now + 31}),
            json!({"client_id": "other"}),
            json!({"response_type": "token"}),
            json!({"request": "x"}),
            json!({"request_uri": null}),
            json!({"scope": ["openid"]}),
            json!({"resource": [1]}),
        ] {
            assert_eq!(assemble(outside, claims.clone()).map_err(|error| error.code), Err(ErrorCode::InvalidRequestObject), "{claims}");
        }
        for claims in [json!({}), json!({"exp": now - 29, "nbf": now + 30, "aud": ["https://auth.example.com", "x"], "sub": "alice"})] {
            assert!(assemble(outside, claims).is_ok());
        }
        assert_eq!(assemble("client_id=app&scope=openid", json!({"response_type": "code"})).unwrap_err().code, ErrorCode::InvalidRequest);
    }

    #[test]
    fn an_object_comes_in_one_way() {
        let carried = |query: &str| Carried::by(&Params::parse(query)).map(|carried| carried.is_some());
        assert_eq!(carried("request=a"), Ok(true));
        assert_eq!(carried("request_uri=a&request="), Ok(true));
        assert_eq!(carried("scope=a"), Ok(false));
        assert!(carried("request=a&request_uri=b").is_err());
    }

    proptest! {
        /// Whatever it says, nothing inside is lost or doubled, and the whole is checked like any request.
        #[test]
        fn what_is_inside_supersedes(inside in prop::collection::btree_map("(scope|state|nonce|prompt|max_age|x)", "[a-z0-9 ]{0,8}", 0..6), outside in "(&(scope=openid|state=o|nonce=o|prompt=o|x=o)){0,5}") {
            let claims = json!(inside);
            let outside = format!("client_id=app&response_type=code{outside}");
            let params = assemble(&outside, claims).unwrap();
            for (name, value) in inside.iter().filter(|(_, value)| !value.is_empty()) {
                prop_assert_eq!(params.all(name).collect::<Vec<_>>(), [value.as_str()]);
            }
            prop_assert_eq!(params.get("client_id"), Some("app"));
        }
    }
}
