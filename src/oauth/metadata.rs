//! Authorization server metadata (RFC 8414 §2). What is announced works, and nothing else does.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    client_auth_method::ClientAuthMethod, grant_type::GrantType, issuer::Issuer, pkce, prompt, response_mode::ResponseMode, scope,
};

/// The paths of the protocol endpoints, behind the issuer.
pub mod paths {
    pub const AUTHORIZE: &str = "/oauth/authorize";
    pub const INTROSPECT: &str = "/oauth/introspect";
    pub const JWKS: &str = "/oauth/jwks";
    pub const METADATA: &str = "/.well-known/oauth-authorization-server";
    pub const REVOKE: &str = "/oauth/revoke";
    pub const TOKEN: &str = "/oauth/token";
}

/// The registered names under which clients look for the document (§7.3). `/.well-known/openid-configuration` belongs here
/// with `OpenID`; until then it is not found.
const WELL_KNOWN: &[&str] = &[paths::METADATA];

/// Every place of the document on the issuer's origin: each name before the issuer's path (§3.1) and behind it (`OpenID`
/// Discovery §4), because clients try both (§5). Without a path these are one.
pub fn places(issuer: &Issuer) -> BTreeSet<String> {
    let path = issuer.path();
    WELL_KNOWN.iter().flat_map(|name| [format!("{name}{path}"), format!("{path}{name}")]).collect()
}

/// The metadata document.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a registered member")]
pub struct Metadata<'a> {
    issuer: &'a str,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    scopes_supported: Vec<&'a str>,
    response_types_supported: &'static [&'static str],
    response_modes_supported: Vec<&'static str>,
    grant_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    code_challenge_methods_supported: &'static [&'static str],
    prompt_values_supported: &'static [&'static str],
    /// RFC 9207 §3.
    authorization_response_iss_parameter_supported: bool,
    // The defaults of these would be untrue, so they are explicit.
    claims_parameter_supported: bool,
    request_parameter_supported: bool,
    request_uri_parameter_supported: bool,
    require_request_uri_registration: bool,
}

impl<'a> Metadata<'a> {
    /// The document of this issuer; `scopes` are those that the operator described, beside our own.
    pub fn new(issuer: &'a Issuer, scopes: impl Iterator<Item = &'a str>) -> Self {
        let mut scopes_supported = scope::DEFAULT.to_vec();
        scopes_supported.extend(scopes.filter(|scope| !scope::DEFAULT.contains(scope)));
        Self {
            issuer: issuer.as_str(),
            authorization_endpoint: issuer.url(paths::AUTHORIZE),
            token_endpoint: issuer.url(paths::TOKEN),
            jwks_uri: issuer.url(paths::JWKS),
            revocation_endpoint: issuer.url(paths::REVOKE),
            introspection_endpoint: issuer.url(paths::INTROSPECT),
            scopes_supported,
            response_types_supported: &["code"],
            response_modes_supported: ResponseMode::ALL.iter().map(|mode| mode.as_str()).collect(),
            grant_types_supported: GrantType::ALL.iter().map(|grant_type| grant_type.as_str()).collect(),
            token_endpoint_auth_methods_supported: names(ClientAuthMethod::ALL),
            revocation_endpoint_auth_methods_supported: names(ClientAuthMethod::ALL),
            introspection_endpoint_auth_methods_supported: names(ClientAuthMethod::CONFIDENTIAL),
            code_challenge_methods_supported: pkce::CODE_CHALLENGE_METHODS,
            prompt_values_supported: prompt::PROMPT_VALUES,
            authorization_response_iss_parameter_supported: true,
            claims_parameter_supported: false,
            request_parameter_supported: false,
            request_uri_parameter_supported: false,
            require_request_uri_registration: false,
        }
    }
}

fn names(methods: &[ClientAuthMethod]) -> Vec<&'static str> {
    methods.iter().map(|method| method.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_before_and_behind_the_path() {
        let places_of = |issuer: &str| places(&issuer.parse().expect(issuer)).into_iter().collect::<Vec<_>>();
        assert_eq!(places_of("https://example.com"), ["/.well-known/oauth-authorization-server"]);
        assert_eq!(
            places_of("https://example.com/tenant/a"),
            ["/.well-known/oauth-authorization-server/tenant/a", "/tenant/a/.well-known/oauth-authorization-server"]
        );
    }
}
