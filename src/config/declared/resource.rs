//! `[[resources]]`: APIs by the names of `grantor resource show --json`.

use super::{
    super::values::AccessTokenTtl,
    entry::{Entry, Keys},
};
use crate::oauth::{Algorithm, ProtectedResource, Resource, Scope, client, protected_resource};

pub(in crate::config) const KEYS: Keys = &[
    ("uri", "What clients ask for, and the audience of its access tokens. Required."),
    ("name", "What people are shown. Required."),
    ("scope", "The scopes that it knows, a text or a list: its access tokens carry no others but those of OpenID. Without it: any."),
    ("access_token_ttl", "How long its access tokens live (1s to 1d). Without it: `tokens.access_token_ttl`."),
    (
        "access_token_signing_alg",
        "What its access tokens are signed with: `ES256`, `RS256`, `PS256` or `EdDSA`. Without it: what the client or `tokens.access_token_alg` says.",
    ),
    ("claims", "The claims about people that its access tokens carry, a list: `roles`, `groups`, and attributes by name."),
];

/// The resource of one table; `None` where something is wrong with it.
pub(super) fn read(entry: &mut Entry<'_>) -> Option<ProtectedResource> {
    let uri = entry.parsed("uri", Resource::parse);
    let name = entry.parsed("name", client::display_name);
    if !entry.has("name") {
        entry.mistake("name", None, "must be given: people are shown it");
    }
    let scope = entry.text_or_texts("scope").map(|texts| texts.join(" "));
    let scope = scope.and_then(|text| match Scope::parse(&text) {
        Ok(scope) if !scope.is_empty() => Some(scope),
        Ok(_) => {
            entry.mistake("scope", None, "must name at least one value: leave it out for any");
            None
        }
        Err(why) => {
            entry.mistake("scope", Some(&text), why.to_string());
            None
        }
    });
    let access_token_ttl = entry.parsed("access_token_ttl", AccessTokenTtl::parse_duration);
    let access_token_signing_alg = entry.parsed("access_token_signing_alg", algorithm);
    let claims = entry.each("claims", protected_resource::claim_name).unwrap_or_default();
    let declared_in = Some(entry.document.name.to_owned());
    let (uri, name) = uri.zip(name).filter(|_| entry.is_right())?;
    Some(ProtectedResource { scope, access_token_ttl, access_token_signing_alg, claims, declared_in, ..ProtectedResource::new(uri, name) })
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    let known = || Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>().join(", ");
    Algorithm::parse(text).ok_or_else(|| format!("must be one of {}", known()))
}
