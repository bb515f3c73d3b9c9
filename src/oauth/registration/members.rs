//! Every member that can be registered, and how each is read (RFC 7591 §2, `OpenID` Registration §2, the logout specifications).

use std::borrow::Cow;

use serde_json::Value;

use super::{
    Rules,
    values::{Fragment, LONGEST_URI, MOST_URIS, Read, claims, flag, jwks, line, lines, list, number, one_of, string, web_uri},
};
use crate::oauth::{
    Algorithm, Client, GrantType, JwsAlgorithm, RedirectUri, Resource, Scope,
    client::{ApplicationType, Trust, display_name},
    client_auth_method::ClientAuthMethod,
    client_metadata::{PkcePolicy, SubjectType},
    scope,
};

/// The members that people read, which may be there in several languages (RFC 7591 §2.2).
pub(super) const LOCALIZED: &[&str] = &["client_name", "client_uri", "logo_uri", "policy_uri", "tos_uri"];

/// Who may say what a member is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    Anyone,
    /// From a client it is like any member that we do not know.
    Operator,
}

pub(super) struct Member {
    pub name: &'static str,
    pub says: Says,
    pub set: fn(&mut Client, &Value, &Rules) -> Read<()>,
}

const fn anyone(name: &'static str, set: fn(&mut Client, &Value, &Rules) -> Read<()>) -> Member {
    Member { name, says: Says::Anyone, set }
}

const fn operator(name: &'static str, set: fn(&mut Client, &Value, &Rules) -> Read<()>) -> Member {
    Member { name, says: Says::Operator, set }
}

/// In the order in which they are read: the type of a client decides what its URIs may be.
pub(super) const MEMBERS: &[Member] = &[
    anyone("token_endpoint_auth_method", auth_method),
    anyone("client_name", |client, value, _| client_name(value).map(|name| client.name = name)),
    anyone("application_type", |client, value, _| {
        let known = [ApplicationType::Web, ApplicationType::Native].map(|known| (known.as_str(), known));
        one_of(value, known.into_iter()).map(|read| client.application_type = read)
    }),
    anyone("redirect_uris", |client, value, _| redirect_uris(client, value).map(|uris| client.redirect_uris = uris)),
    anyone("grant_types", |client, value, rules| grant_types(value, rules).map(|types| client.grant_types = types)),
    anyone("response_types", response_types),
    anyone("scope", scope),
    anyone("token_endpoint_auth_signing_alg", |client, value, _| {
        theirs(value).map(|name| client.metadata.token_endpoint_auth_signing_alg = Some(name))
    }),
    anyone("jwks", |client, value, _| jwks(value).map(|keys| client.metadata.jwks = Some(keys))),
    anyone("jwks_uri", |client, value, rules| web_uri(value, rules, Fragment::Refused).map(|uri| client.metadata.jwks_uri = Some(uri))),
    anyone("id_token_signed_response_alg", |client, value, _| {
        ours(value, Algorithm::OF_ID_TOKENS).map(|read| client.metadata.id_token_signed_response_alg = Some(read))
    }),
    anyone("userinfo_signed_response_alg", |client, value, _| {
        ours(value, Algorithm::OF_ID_TOKENS).map(|read| client.metadata.userinfo_signed_response_alg = Some(read))
    }),
    anyone("request_object_signing_alg", |client, value, _| {
        theirs(value).map(|name| client.metadata.request_object_signing_alg = Some(name))
    }),
    anyone("request_uris", |client, value, rules| {
        // A fragment may be the hash of the object (`OpenID` Core §6.2).
        list(value, MOST_URIS, |value| web_uri(value, rules, Fragment::Allowed)).map(|uris| client.metadata.request_uris = uris)
    }),
    anyone("subject_type", |client, value, _| {
        let known = [SubjectType::Public, SubjectType::Pairwise].map(|known| (known.as_str(), known));
        one_of(value, known.into_iter()).map(|read| client.metadata.subject_type = read)
    }),
    anyone("sector_identifier_uri", |client, value, rules| {
        web_uri(value, rules, Fragment::Refused).map(|uri| client.metadata.sector_identifier_uri = Some(uri))
    }),
    anyone("default_max_age", |client, value, _| number(value).map(|age| client.metadata.default_max_age = Some(age))),
    anyone("require_auth_time", |client, value, _| flag(value).map(|flag| client.metadata.require_auth_time = flag)),
    anyone("default_acr_values", |client, value, _| lines(value).map(|values| client.metadata.default_acr_values = values)),
    anyone("initiate_login_uri", |client, value, rules| {
        web_uri(value, rules, Fragment::Refused).map(|uri| client.metadata.initiate_login_uri = Some(uri))
    }),
    anyone("post_logout_redirect_uris", |client, value, _| {
        // Where people are sent is where they are sent, after signing in or out.
        let uris = redirect_uris(client, value)?;
        client.metadata.post_logout_redirect_uris = uris.iter().map(ToString::to_string).collect();
        Ok(())
    }),
    anyone("backchannel_logout_uri", |client, value, rules| {
        web_uri(value, rules, Fragment::Refused).map(|uri| client.metadata.backchannel_logout_uri = Some(uri))
    }),
    anyone("backchannel_logout_session_required", |client, value, _| {
        flag(value).map(|flag| client.metadata.backchannel_logout_session_required = flag)
    }),
    anyone("frontchannel_logout_uri", |client, value, rules| {
        web_uri(value, rules, Fragment::Refused).map(|uri| client.metadata.frontchannel_logout_uri = Some(uri))
    }),
    anyone("frontchannel_logout_session_required", |client, value, _| {
        flag(value).map(|flag| client.metadata.frontchannel_logout_session_required = flag)
    }),
    anyone("client_uri", |client, value, rules| web_uri(value, rules, Fragment::Allowed).map(|uri| client.metadata.client_uri = Some(uri))),
    anyone("logo_uri", |client, value, rules| web_uri(value, rules, Fragment::Allowed).map(|uri| client.metadata.logo_uri = Some(uri))),
    anyone("policy_uri", |client, value, rules| web_uri(value, rules, Fragment::Allowed).map(|uri| client.metadata.policy_uri = Some(uri))),
    anyone("tos_uri", |client, value, rules| web_uri(value, rules, Fragment::Allowed).map(|uri| client.metadata.tos_uri = Some(uri))),
    anyone("contacts", |client, value, _| lines(value).map(|contacts| client.metadata.contacts = contacts)),
    anyone("software_id", |client, value, _| line(value).map(|id| client.metadata.software_id = Some(id))),
    anyone("software_version", |client, value, _| line(value).map(|version| client.metadata.software_version = Some(version))),
    operator("pkce", |client, value, _| {
        one_of(value, PkcePolicy::ALL.iter().map(|known| (known.as_str(), *known))).map(|read| client.metadata.pkce = read)
    }),
    operator("access_token_signing_alg", |client, value, _| {
        ours(value, Algorithm::ALL).map(|read| client.metadata.access_token_signing_alg = Some(read))
    }),
    operator("default_resource", |client, value, _| {
        let resource = Resource::parse(string(value)?).map_err(|_| Cow::Borrowed("must be an absolute URI without fragment"))?;
        client.metadata.default_resource = Some(resource);
        Ok(())
    }),
    operator("claims", |client, value, _| claims(value).map(|claims| client.metadata.claims = claims)),
];

/// Sealed secrets, private keys and no secret at all belong to a method; the type of an operator's client is settled before.
fn auth_method(client: &mut Client, value: &Value, rules: &Rules) -> Read<()> {
    let method = one_of(value, ClientAuthMethod::ALL.iter().map(|method| (method.as_str(), *method)))?;
    if rules.by == Trust::SelfRegistered {
        client.client_type = method.client_type();
    } else if method.client_type() != client.client_type {
        return Err(Cow::Borrowed("must be 'none' for a public client, and another for a confidential one"));
    }
    client.metadata.token_endpoint_auth_method = Some(method);
    Ok(())
}

fn client_name(value: &Value) -> Read<String> {
    display_name(string(value)?).map_err(|why| Cow::Owned(format!("must be a name: {why}")))
}

fn redirect_uris(client: &Client, value: &Value) -> Read<Vec<RedirectUri>> {
    list(value, MOST_URIS, |value| {
        let text = string(value)?;
        if text.len() > LONGEST_URI {
            return Err(Cow::Owned(format!("must have URIs of at most {LONGEST_URI} characters")));
        }
        RedirectUri::register(text, client.client_type).map_err(|why| Cow::Owned(format!("has a URI that cannot be registered: {why}")))
    })
}

/// What registers itself acts for people, never for itself: its tokens would be those of nobody whom an API knows.
fn grant_types(value: &Value, rules: &Rules) -> Read<Vec<GrantType>> {
    let is_open = |grant_type: &GrantType| rules.by == Trust::Operator || *grant_type != GrantType::ClientCredentials;
    let known = || GrantType::ALL.iter().filter(|grant_type| is_open(grant_type)).map(|known| (known.as_str(), *known));
    let mut types = Vec::new();
    for grant_type in list(value, MOST_URIS, |value| one_of(value, known()))? {
        if !types.contains(&grant_type) {
            types.push(grant_type);
        }
    }
    Ok(types)
}

/// There is one, which goes with authorization codes (RFC 7591 §2.1).
fn response_types(_: &mut Client, value: &Value, rules: &Rules) -> Read<()> {
    let types = list(value, MOST_URIS, |value| one_of(value, std::iter::once(("code", ()))))?;
    if types.is_empty() && rules.by == Trust::SelfRegistered {
        return Err(Cow::Borrowed("must have code, which goes with the grant type authorization_code"));
    }
    Ok(())
}

/// Of what a client asks for itself, it gets what the operator lets such clients have (RFC 7591 §3.2.1).
fn scope(client: &mut Client, value: &Value, rules: &Rules) -> Read<()> {
    let asked = Scope::parse(string(value)?).map_err(|why| Cow::Owned(format!("is malformed: {why}")))?;
    client.scope = match rules.scope {
        Some(most) => asked.limited_to(most),
        None => asked,
    };
    if client.scope.is_empty() {
        let most = rules.scope.cloned().unwrap_or_else(scope::default);
        return Err(Cow::Owned(format!("must have at least one of: {most}")));
    }
    Ok(())
}

/// One of the algorithms that we sign with.
fn ours(value: &Value, known: &[Algorithm]) -> Read<Algorithm> {
    one_of(value, known.iter().map(|algorithm| (algorithm.as_str(), *algorithm)))
}

/// One of the algorithms that clients sign with.
fn theirs(value: &Value) -> Read<String> {
    let known = JwsAlgorithm::ASYMMETRIC.iter().chain(JwsAlgorithm::SYMMETRIC);
    one_of(value, known.map(|algorithm| (algorithm.as_str(), algorithm.as_str()))).map(str::to_owned)
}

/// A member in a language: read like the one that it translates.
pub(super) fn localized(base: &str, value: &Value, rules: &Rules) -> Read<String> {
    if base == "client_name" { client_name(value) } else { web_uri(value, rules, Fragment::Allowed) }
}
