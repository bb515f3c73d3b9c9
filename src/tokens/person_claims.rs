//! What a client is told about a person (`OpenID` Core §5.3.2, §5.4, §5.5; RFC 9068 §2.2.3).
//!
//! A claim is told only if a scope covers it that the person allowed, or if the operator registered the client to get it. The
//! `claims` parameter chooses among these and adds none: a client cannot widen them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    oauth::{Client, Scope, claims_request::ClaimWanted, standard_claims},
    store::people::Person,
};

/// The answer of `UserInfo`, but for `sub` (§5.3.2).
pub(crate) fn of_userinfo(person: &Person, client: &Client, scope: &Scope, wanted: &Wanted) -> Map<String, Value> {
    told(person, |name, value| standard_claims::is_in(scope, name) || is_granted(client, name) || is_asked_for(client, wanted, name, value))
}

/// What an ID token says beyond its own claims: what the `claims` parameter asks for (§5.5).
pub(crate) fn of_id_token(person: &Person, client: &Client, wanted: &Wanted) -> Map<String, Value> {
    told(person, |name, value| is_asked_for(client, wanted, name, value))
}

/// What an access token says beyond its own claims: those of these names.
pub(crate) fn of_access_token(person: &Person, granted: &[String]) -> Map<String, Value> {
    told(person, |name, _| granted.iter().any(|granted| granted == name))
}

/// A member of the `claims` parameter of a grant.
pub(crate) type Wanted = BTreeMap<String, Option<ClaimWanted>>;

/// Whether the operator gives the client this claim.
fn is_granted(client: &Client, name: &str) -> bool {
    client.metadata.claims.iter().any(|granted| granted == name)
}

/// Whether a claim is asked for, with this value if with any (§5.5.1), and the client may ask: with the grant the person
/// allowed the scopes that have it.
fn is_asked_for(client: &Client, wanted: &Wanted, name: &str, value: &Value) -> bool {
    let accepts = |wanted: &Option<ClaimWanted>| wanted.as_ref().is_none_or(|wanted| wanted.accepts(value));
    wanted.get(name).is_some_and(accepts) && (standard_claims::is_in(&client.scope, name) || is_granted(client, name))
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
