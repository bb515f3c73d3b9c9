//! The metadata of an authorization server (RFC 8414 §2) and `OpenID` Provider (`OpenID` Discovery §3): one document. What is
//! announced works, and nothing else does.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    algorithm::Algorithm, claims::ACR_ONE_FACTOR, client_auth_method::ClientAuthMethod, client_metadata::SubjectType,
    grant_type::GrantType, issuer::Issuer, jws_algorithm::JwsAlgorithm, pkce, prompt, response_mode::ResponseMode, scope, standard_claims,
};

/// The paths of the protocol endpoints, behind the issuer.
pub mod paths {
    pub const AUTHORIZE: &str = "/oauth/authorize";
    pub const END_SESSION: &str = "/oauth/logout";
    pub const INTROSPECT: &str = "/oauth/introspect";
    pub const JWKS: &str = "/oauth/jwks";
    pub const METADATA: &str = "/.well-known/oauth-authorization-server";
    pub const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";
    pub const REGISTER: &str = "/oauth/register";
    pub const REVOKE: &str = "/oauth/revoke";
    pub const TOKEN: &str = "/oauth/token";
    pub const USERINFO: &str = "/oauth/userinfo";
    /// At the root of the origin, whatever the issuer's path (RFC 7033 §4).
    pub const WEBFINGER: &str = "/.well-known/webfinger";
}

/// The registered names under which clients look for the document (§7.3; `OpenID` Discovery §4).
const WELL_KNOWN: &[&str] = &[paths::METADATA, paths::OPENID_CONFIGURATION];

/// What an ID token can say (`OpenID` Discovery §3).
const OF_ID_TOKENS: &[&str] = &["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "sid"];

/// Every place of the document on the issuer's origin: each name before the issuer's path (§3.1) and behind it (`OpenID`
/// Discovery §4), because clients try both (§5). Without a path these are one.
pub fn places(issuer: &Issuer) -> BTreeSet<String> {
    let path = issuer.path();
    WELL_KNOWN.iter().flat_map(|name| [format!("{name}{path}"), format!("{path}{name}")]).collect()
}

/// What the operator decides about the document.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    pub issuer: &'a Issuer,
    /// The scopes that the operator described, beside our own.
    pub scopes: &'a [&'a str],
    /// Whether people may make an account.
    pub sign_up: bool,
    /// Clients can register themselves.
    pub registers: bool,
}

/// The metadata document: one line a member. One that is `null` or empty is left out (RFC 8414 §3.2), so that a member which
/// depends on the configuration is `offer.x.then(...)`.
pub fn document(offer: &Offer<'_>) -> Map<String, Value> {
    let mut members = authorization_server(offer);
    members.extend(openid_provider(offer));
    members.extend(logout(offer));
    members.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|values| !values.is_empty()));
    members
}

/// RFC 8414 §2 and the registry behind it.
fn authorization_server(offer: &Offer<'_>) -> Map<String, Value> {
    let url = |path| offer.issuer.url(path);
    members(json!({
        "issuer": offer.issuer.as_str(),
        "authorization_endpoint": url(paths::AUTHORIZE),
        "token_endpoint": url(paths::TOKEN),
        "jwks_uri": url(paths::JWKS),
        "revocation_endpoint": url(paths::REVOKE),
        "introspection_endpoint": url(paths::INTROSPECT),
        "registration_endpoint": offer.registers.then(|| url(paths::REGISTER)),
        "scopes_supported": scopes(offer),
        "response_types_supported": ["code"],
        "response_modes_supported": names(ResponseMode::ALL, ResponseMode::as_str),
        "grant_types_supported": names(GrantType::ALL, GrantType::as_str),
        "token_endpoint_auth_methods_supported": names(ClientAuthMethod::ALL, ClientAuthMethod::as_str),
        "revocation_endpoint_auth_methods_supported": names(ClientAuthMethod::ALL, ClientAuthMethod::as_str),
        "introspection_endpoint_auth_methods_supported": names(ClientAuthMethod::CONFIDENTIAL, ClientAuthMethod::as_str),
        "token_endpoint_auth_signing_alg_values_supported": algorithms_of_assertions(),
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms_of_assertions(),
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms_of_assertions(),
        "code_challenge_methods_supported": pkce::CODE_CHALLENGE_METHODS,
        // RFC 9207 §3.
        "authorization_response_iss_parameter_supported": true,
    }))
}

/// `OpenID` Discovery §3. The defaults of what is `false` here would be untrue, or read differently by different clients.
fn openid_provider(offer: &Offer<'_>) -> Map<String, Value> {
    members(json!({
        "subject_types_supported": [SubjectType::Public.as_str(), SubjectType::Pairwise.as_str()],
        "userinfo_endpoint": offer.issuer.url(paths::USERINFO),
        "userinfo_signing_alg_values_supported": names(Algorithm::OF_ID_TOKENS, Algorithm::as_str),
        "id_token_signing_alg_values_supported": names(Algorithm::OF_ID_TOKENS, Algorithm::as_str),
        "acr_values_supported": [ACR_ONE_FACTOR],
        "claim_types_supported": ["normal"],
        "claims_supported": OF_ID_TOKENS.iter().copied().chain(standard_claims::names()).collect::<Vec<_>>(),
        "prompt_values_supported": prompts(offer),
        // Each with the pages that suit every screen (§3.1.2.1).
        "display_values_supported": ["page", "popup", "touch", "wap"],
        "claims_parameter_supported": true,
        "request_parameter_supported": true,
        "request_uri_parameter_supported": true,
        "require_request_uri_registration": true,
        "request_object_signing_alg_values_supported": names(&[JwsAlgorithm::ASYMMETRIC, JwsAlgorithm::SYMMETRIC].concat(), JwsAlgorithm::as_str),
    }))
}

/// RP-Initiated Logout §2.1, Back-Channel Logout §2.1, Front-Channel Logout §3. Session Management is not supported.
fn logout(offer: &Offer<'_>) -> Map<String, Value> {
    members(json!({
        "end_session_endpoint": offer.issuer.url(paths::END_SESSION),
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "frontchannel_logout_supported": true,
        "frontchannel_logout_session_supported": true,
    }))
}

/// What clients may sign their assertions with: by `private_key_jwt`, then by `client_secret_jwt`.
fn algorithms_of_assertions() -> Vec<&'static str> {
    names(&[JwsAlgorithm::ASYMMETRIC, JwsAlgorithm::SYMMETRIC].concat(), JwsAlgorithm::as_str)
}

fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn scopes<'a>(offer: &Offer<'a>) -> Vec<&'a str> {
    let described = offer.scopes.iter().copied().filter(|scope| !scope::OURS.contains(scope));
    scope::OURS.iter().copied().chain(described).collect()
}

fn prompts(offer: &Offer<'_>) -> Vec<&'static str> {
    prompt::PROMPT_VALUES.iter().copied().chain(offer.sign_up.then_some(prompt::CREATE)).collect()
}

fn names<T: Copy>(values: &[T], name: impl Fn(T) -> &'static str) -> Vec<&'static str> {
    values.iter().map(|value| name(*value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_before_and_behind_the_path() {
        let places_of = |issuer: &str| places(&issuer.parse().expect(issuer)).into_iter().collect::<Vec<_>>();
        assert_eq!(places_of("https://example.com"), ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]);
        assert_eq!(
            places_of("https://example.com/tenant/a"),
            [
                "/.well-known/oauth-authorization-server/tenant/a",
                "/.well-known/openid-configuration/tenant/a",
                "/tenant/a/.well-known/oauth-authorization-server",
                "/tenant/a/.well-known/openid-configuration",
            ]
        );
    }
}
