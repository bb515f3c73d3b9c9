//! Resource indicators (RFC 8707).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    error::OAuthError,
    issuer::Issuer,
    params::Params,
    scope::{OPENID, Scope},
};

/// An API, named by an absolute URI without fragment (RFC 8707 §2). Compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resource(String);

/// Why a text is not a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a resource is an absolute URI without fragment, for example https://api.example.com")]
pub struct MalformedResource;

impl Resource {
    /// Parses an absolute URI without fragment.
    pub fn parse(text: &str) -> Result<Self, MalformedResource> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        match url::Url::parse(text) {
            Ok(url) if is_plain && url.fragment().is_none() => Ok(Self(text.to_owned())),
            _ => Err(MalformedResource),
        }
    }

    /// The URI as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The `resource` parameters of a request, in their order (§2).
    pub fn from_params(params: &Params) -> Result<Vec<Self>, OAuthError> {
        let mut resources: Vec<Self> = Vec::new();
        for text in params.all("resource") {
            let resource =
                Self::parse(text).map_err(|_| OAuthError::invalid_target("A 'resource' must be an absolute URI without fragment."))?;
            if !resources.contains(&resource) {
                resources.push(resource);
            }
        }
        Ok(resources)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a grant is for, given what the request names, what the client is registered for, and which of that is meant where nothing
/// is named (RFC 8707 §2). Empty means the server itself: see [`Target::audience`].
pub fn granted(requested: Vec<Resource>, registered: &[Resource], default: Option<&Resource>) -> Result<Vec<Resource>, OAuthError> {
    if requested.is_empty() {
        return match (default, registered) {
            (Some(default), _) => within(vec![default.clone()], registered, "The client is not registered for its default resource."),
            (None, []) => Ok(Vec::new()),
            (None, [only]) => Ok(vec![only.clone()]),
            (None, _) => Err(OAuthError::invalid_target("This client has several resources: say which one with the parameter 'resource'.")),
        };
    }
    within(requested, registered, "The client is not registered for this 'resource'.")
}

fn narrowed(requested: Vec<Resource>, granted: &[Resource]) -> Result<Vec<Resource>, OAuthError> {
    if requested.is_empty() {
        return Ok(granted.to_vec());
    }
    within(requested, granted, "This 'resource' was not granted.")
}

fn within(requested: Vec<Resource>, allowed: &[Resource], refusal: &'static str) -> Result<Vec<Resource>, OAuthError> {
    if requested.iter().all(|resource| allowed.contains(resource)) { Ok(requested) } else { Err(OAuthError::invalid_target(refusal)) }
}

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub resources: Vec<Resource>,
    /// Whether the token request named them itself.
    pub is_named: bool,
}

impl Target {
    /// Given what the token request names and what was granted: narrower at most (RFC 8707 §2.2).
    pub fn narrowed(requested: Vec<Resource>, granted: &[Resource]) -> Result<Self, OAuthError> {
        let is_named = !requested.is_empty();
        Ok(Self { resources: narrowed(requested, granted)?, is_named })
    }

    /// The `aud`: the resources, or the issuer if there is none. UserInfo is the issuer's, so that a token with `openid` is for
    /// the issuer, too, unless the token request narrowed it to what it named (decision 0018).
    pub fn audience(&self, scope: &Scope, issuer: &Issuer) -> Vec<String> {
        let serves_userinfo = scope.contains(OPENID) && !self.is_named;
        let issuer = (self.resources.is_empty() || serves_userinfo).then(|| issuer.as_str().to_owned());
        self.resources.iter().map(|resource| resource.0.clone()).chain(issuer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(texts: &[&str]) -> Vec<Resource> {
        texts.iter().map(|text| Resource::parse(text).unwrap()).collect()
    }

    #[test]
    fn relative_uris_fragments_and_spaces_are_refused() {
        for text in ["", "api", "/api", "https://api.example.com/#x", "https://api.example.com/ x"] {
            assert_eq!(Resource::parse(text), Err(MalformedResource));
        }
    }

    /// RFC 8707 §2: without `resource`, the only registered one is meant; of several none can be guessed.
    #[test]
    fn without_resource_the_only_registered_one_is_meant() {
        let one = resources(&["https://a.example"]);
        let two = resources(&["https://a.example", "https://b.example"]);
        assert_eq!(granted(vec![], &one, None).unwrap(), one);
        assert_eq!(granted(vec![], &[], None).unwrap(), vec![]);
        assert!(granted(vec![], &two, None).is_err());
        assert_eq!(granted(two.clone(), &two, None).unwrap(), two);
        assert!(granted(resources(&["https://c.example"]), &two, None).is_err());
        assert!(granted(one, &[], None).is_err());
    }

    /// RFC 8707 §2: of several, the default one is meant.
    #[test]
    fn without_resource_the_default_is_meant() {
        let (two, other) = (resources(&["https://a.example", "https://b.example"]), resources(&["https://c.example"]));
        assert_eq!(granted(vec![], &two, Some(&two[1])).unwrap(), [two[1].clone()]);
        assert_eq!(granted(two[..1].to_vec(), &two, Some(&two[1])).unwrap(), two[..1]);
        assert!(granted(vec![], &two, Some(&other[0])).is_err());
    }

    #[test]
    fn a_token_with_openid_is_for_the_issuer_too_unless_the_token_request_names_a_resource() {
        let issuer: Issuer = "https://auth.example".parse().unwrap();
        let audience = |resources: &[&str], is_named, scope: &str| {
            Target { resources: self::resources(resources), is_named }.audience(&Scope::parse(scope).unwrap(), &issuer)
        };
        assert_eq!(audience(&["https://a.example"], false, "openid read"), ["https://a.example", "https://auth.example"]);
        assert_eq!(audience(&["https://a.example"], true, "openid read"), ["https://a.example"]);
        assert_eq!(audience(&["https://a.example"], false, "read"), ["https://a.example"]);
        assert_eq!(audience(&[], false, "openid"), ["https://auth.example"]);
        assert_eq!(audience(&[], false, "read"), ["https://auth.example"]);
    }

    #[test]
    fn a_later_request_only_narrows() {
        let two = resources(&["https://a.example", "https://b.example"]);
        assert_eq!(narrowed(resources(&["https://b.example"]), &two).unwrap(), resources(&["https://b.example"]));
        assert!(narrowed(two, &resources(&["https://a.example"])).is_err());
    }
}
