//! What the operator registered of a resource (RFC 8707 §2): what its access tokens carry, how long they live, what signs them.

use std::{sync::Arc, time::Duration};

use super::{
    algorithm::Algorithm,
    error::OAuthError,
    resource::Resource,
    scope::{self, Scope},
    standard_claims,
};
use crate::clock::Timestamp;

/// A registered resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedResource {
    pub uri: Resource,
    /// What people are shown.
    pub name: String,
    /// The scopes that it knows; without it, every one.
    pub scope: Option<Scope>,
    /// Whole seconds; without it, as long as the tokens of any other.
    pub access_token_ttl: Option<Duration>,
    /// What its access tokens are signed with; without it, what the client or the configuration says.
    pub access_token_signing_alg: Option<Algorithm>,
    /// The claims about people that its access tokens carry: `roles`, `groups`, and attributes by name.
    pub claims: Vec<String>,
    pub created_at: Timestamp,
    /// Nobody gets tokens for it.
    pub disabled_at: Option<Timestamp>,
    /// The file that declares it, in which it is changed.
    pub declared_in: Option<String>,
}

impl ProtectedResource {
    /// A resource of which no more is known than its name.
    pub fn new(uri: Resource, name: String) -> Self {
        Self {
            uri,
            name,
            scope: None,
            access_token_ttl: None,
            access_token_signing_alg: None,
            claims: Vec::new(),
            created_at: Timestamp::from_micros(0),
            disabled_at: None,
            declared_in: None,
        }
    }
}

/// Why a text cannot name a claim that a resource gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a claim's name has 1 to 100 printable ASCII characters without spaces, quotation marks and backslashes, and is none that tokens use for themselves"
)]
pub struct MalformedClaim;

/// The name of a claim.
pub fn claim_name(text: &str) -> Result<String, MalformedClaim> {
    if text.len() <= 100 && scope::is_token(text) && !standard_claims::is_reserved(text) {
        Ok(text.to_owned())
    } else {
        Err(MalformedClaim)
    }
}

/// What is registered of the resources of one token, in their order. Of one that nobody registered, which is `None`, nothing is
/// known: it takes any scope and algorithm, and its tokens live as long as others.
pub type Registered = [Option<Arc<ProtectedResource>>];

/// What the resources of one token have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    pub scope: Scope,
    /// None, if they leave it open.
    pub algorithm: Option<Algorithm>,
}

/// What these resources agree on, given what was granted.
pub fn agreed(resources: &Registered, granted: &Scope) -> Result<Agreed, OAuthError> {
    if resources.iter().flatten().any(|resource| resource.disabled_at.is_some()) {
        return Err(OAuthError::invalid_target("A 'resource' is disabled; an operator can enable it with 'grantor resource enable'."));
    }
    let scope = scope_known_to(resources, granted);
    if scope.is_empty() {
        return Err(OAuthError::invalid_scope("The 'resource' knows nothing of this scope: see 'grantor resource show'."));
    }
    let mut algorithms = resources.iter().flatten().filter_map(|resource| resource.access_token_signing_alg);
    let algorithm = algorithms.next();
    if algorithms.any(|other| Some(other) != algorithm) {
        return Err(OAuthError::invalid_target(
            "No algorithm signs a token for all of these resources: ask for one token for each, with the parameter 'resource'.",
        ));
    }
    Ok(Agreed { scope, algorithm })
}

/// How long a token for these resources lives: as the strictest of them says.
pub fn lifetime(resources: &Registered, default: Duration) -> Duration {
    let of_one = |resource: &Option<Arc<ProtectedResource>>| resource.as_ref().and_then(|resource| resource.access_token_ttl);
    resources.iter().map(|resource| of_one(resource).unwrap_or(default)).min().unwrap_or(default)
}

/// RFC 9068 §2.2.3: each scope of a token has a meaning for a resource of its audience. Ours have one for every client.
fn scope_known_to(resources: &Registered, granted: &Scope) -> Scope {
    let mut known = Vec::new();
    for resource in resources {
        match resource.as_ref().and_then(|resource| resource.scope.as_ref()) {
            Some(scope) => known.push(scope),
            None => return granted.clone(),
        }
    }
    if known.is_empty() {
        return granted.clone();
    }
    granted.filtered(|token| scope::OURS.contains(&token) || known.iter().any(|scope| scope.contains(token)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::ErrorCode;

    #[expect(clippy::unnecessary_wraps, reason = "as it is asked for")]
    fn api(change: impl FnOnce(&mut ProtectedResource)) -> Option<Arc<ProtectedResource>> {
        let mut resource = ProtectedResource::new(Resource::parse("https://api.example").unwrap(), "API".to_owned());
        change(&mut resource);
        Some(Arc::new(resource))
    }

    fn knows(scope: &str) -> Option<Arc<ProtectedResource>> {
        api(|api| api.scope = Some(Scope::parse(scope).unwrap()))
    }

    fn scope_of(resources: &Registered) -> String {
        agreed(resources, &Scope::parse("openid read write mail").unwrap()).unwrap().scope.to_string()
    }

    /// RFC 9068 §2.2.3.
    #[test]
    fn a_token_carries_what_its_resources_know_and_what_is_ours() {
        assert_eq!(scope_of(&[]), "openid read write mail");
        assert_eq!(scope_of(&[None]), "openid read write mail");
        assert_eq!(scope_of(&[knows("read")]), "openid read");
        assert_eq!(scope_of(&[knows("read"), knows("mail other")]), "openid read mail");
        assert_eq!(scope_of(&[knows("read"), None]), "openid read write mail");
        assert_eq!(scope_of(&[knows("other")]), "openid");
        let refused = agreed(&[knows("other")], &Scope::parse("read").unwrap()).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidScope);
    }

    #[test]
    fn the_shortest_lifetime_counts() {
        let lives = |minutes| api(|api| api.access_token_ttl = Some(Duration::from_mins(minutes)));
        let minutes = |resources: &Registered| lifetime(resources, Duration::from_mins(10)).as_secs() / 60;
        assert_eq!((minutes(&[]), minutes(&[None]), minutes(&[lives(60)]), minutes(&[lives(1)])), (10, 10, 60, 1));
        assert_eq!((minutes(&[lives(60), lives(30)]), minutes(&[lives(60), None])), (30, 10));
    }

    #[test]
    fn an_algorithm_must_suit_all() {
        let signed = |algorithm| api(|api| api.access_token_signing_alg = Some(algorithm));
        let algorithm = |resources: &Registered| agreed(resources, &Scope::parse("read").unwrap()).map(|agreed| agreed.algorithm);
        assert_eq!(algorithm(&[None]), Ok(None));
        assert_eq!(algorithm(&[None, signed(Algorithm::Rs256), signed(Algorithm::Rs256)]), Ok(Some(Algorithm::Rs256)));
        assert_eq!(algorithm(&[signed(Algorithm::Rs256), signed(Algorithm::Es256)]).unwrap_err().code, ErrorCode::InvalidTarget);
    }
}
