//! What a client is told about a person (`OpenID` Core §5.3.2, §5.4, §5.5; RFC 9068 §2.2.3).
//!
//! A claim is told only if a scope covers it that the person allowed, or if the operator registered the client to get it. The
//! `claims` parameter chooses among these and adds none: a client cannot widen them.

use serde_json::{Map, Value};

use crate::{
    oauth::{
        Client, Scope,
        claims_request::{AllowedClaims, Wanted},
        standard_claims,
    },
    store::people::Person,
};

/// The answer of `UserInfo`, but for `sub` (§5.3.2).
pub(crate) fn of_userinfo(person: &Person, client: &Client, scope: &Scope, allowed: &AllowedClaims) -> Map<String, Value> {
    let is_asked_for = |name: &str, value: &Value| allowed.is_open_to(client, name) && is_wanted(&allowed.wanted.userinfo, name, value);
    told(person, |name, value| standard_claims::is_in(scope, name) || client.is_granted(name) || is_asked_for(name, value))
}

/// What an ID token says beyond its own claims: what the `claims` parameter asks for (§5.5).
pub(crate) fn of_id_token(person: &Person, client: &Client, allowed: &AllowedClaims) -> Map<String, Value> {
    told(person, |name, value| allowed.is_open_to(client, name) && is_wanted(&allowed.wanted.id_token, name, value))
}

/// What an access token says beyond its own claims: those of these names.
pub(crate) fn of_access_token(person: &Person, granted: &[String]) -> Map<String, Value> {
    told(person, |name, _| granted.iter().any(|granted| granted == name))
}

/// Whether a claim is asked for, with this value if with any (§5.5.1).
fn is_wanted(claims: &Wanted, name: &str, value: &Value) -> bool {
    claims.get(name).is_some_and(|wanted| wanted.as_ref().is_none_or(|wanted| wanted.accepts(value)))
}

fn told(person: &Person, is_told: impl Fn(&str, &Value) -> bool) -> Map<String, Value> {
    let mut claims = everything(person);
    claims.retain(|name, value| is_told(name, value));
    claims
}

/// All that is known of a person. What is not known is left out (§5.3.2).
fn everything(person: &Person) -> Map<String, Value> {
    let mut claims = person.claims.clone();
    // A row may have been changed by hand: nothing that a token says of itself is a person's to have.
    claims.retain(|name, _| !standard_claims::is_reserved(name));
    if let Some(name) = &person.name {
        claims.insert("name".to_owned(), name.as_str().into());
    }
    if claims.contains_key("phone_number") {
        claims.entry("phone_number_verified").or_insert(false.into());
    }
    claims.insert("email".to_owned(), person.email.as_str().into());
    claims.insert("email_verified".to_owned(), person.email_verified_at.is_some().into());
    claims.insert("updated_at".to_owned(), person.updated_at.unwrap_or(person.created_at).as_seconds().into());
    claims.insert("roles".to_owned(), person.roles.clone().into());
    claims.insert("groups".to_owned(), person.groups.clone().into());
    claims
}
