//! The `claims` parameter (`OpenID` Core §5.5): which claims a client wants, and where.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::{
    claims::ACR_ONE_FACTOR,
    client::Client,
    error::{ErrorCode, OAuthError},
    json,
    params::Params,
    scope::Scope,
    standard_claims,
};

/// What a grant keeps of a request is bounded.
const MAX_BYTES: usize = 4096;

/// Which claims are wanted at UserInfo and in the ID token. Other members of the parameter are ignored (§5.5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimsRequest {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub userinfo: Wanted,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub id_token: Wanted,
}

/// The claims that are wanted in one place, by their names.
pub type Wanted = BTreeMap<String, Option<ClaimWanted>>;

/// A request with what the person allowed of it, which stays what it was whatever the client registers for later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedClaims {
    #[serde(flatten)]
    pub wanted: ClaimsRequest,
    /// The scopes that have the claims which the person allowed.
    #[serde(default)]
    scope: Scope,
}

/// How a claim is wanted (§5.5.1); `null` asks for it as a voluntary one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimWanted {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub essential: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<serde_json::Value>>,
}

impl ClaimWanted {
    /// Whether the claim may have this value; it may have any where none is asked for.
    pub fn accepts(&self, value: &serde_json::Value) -> bool {
        let mut wanted = self.value.iter().chain(self.values.iter().flatten()).peekable();
        wanted.peek().is_none() || wanted.any(|wanted| wanted == value)
    }

    fn names_values(&self) -> bool {
        self.value.is_some() || self.values.is_some()
    }
}

impl ClaimsRequest {
    /// The parameter of a request; without one nothing is wanted.
    pub fn from_params(params: &Params) -> Result<Self, OAuthError> {
        let Some(text) = params.get("claims") else { return Ok(Self::default()) };
        if text.len() > MAX_BYTES {
            return Err(OAuthError::invalid_request(
                "The parameter 'claims' is too large: ask for fewer claims, or for the scopes that have them.",
            ));
        }
        // An object and nothing else: of a list, a struct would be read by position.
        let malformed = |_| {
            OAuthError::invalid_request("The parameter 'claims' must be JSON with the members 'userinfo' and 'id_token' (OpenID Core 5.5).")
        };
        let object: Map<_, _> = serde_json::from_str(text).map_err(malformed)?;
        if json::members_have_nul(&object) {
            return Err(OAuthError::invalid_request("The parameter 'claims' contains the character NUL."));
        }
        serde_json::from_value(object.into()).map_err(malformed)
    }

    /// Whether the client named the person that it wants to hear of (§5.5.1, §3.1.2.2).
    pub fn names_a_person(&self) -> bool {
        self.subjects().any(ClaimWanted::names_values)
    }

    /// Whether an answer about whom the client knows as `sub` is what was asked for (§5.5.1).
    pub fn is_about(&self, sub: &str) -> bool {
        self.subjects().all(|wanted| wanted.accepts(&sub.into()))
    }

    fn subjects(&self) -> impl Iterator<Item = &ClaimWanted> {
        [&self.id_token, &self.userinfo].into_iter().filter_map(|claims| claims.get("sub")?.as_ref())
    }

    /// An essential `acr` that no sign-in here reaches is a failed authentication (§5.5.1.1).
    pub fn check_acr(&self) -> Result<(), OAuthError> {
        let wanted = self.id_token.get("acr").and_then(Option::as_ref);
        if wanted.is_some_and(|wanted| wanted.essential && !wanted.accepts(&ACR_ONE_FACTOR.into())) {
            return Err(OAuthError::new(
                ErrorCode::UnmetAuthenticationRequirements,
                "No sign-in here reaches the essential acr: ask for one of acr_values_supported, or not as an essential claim.",
            ));
        }
        Ok(())
    }

    /// The scopes that have the claims which are asked for by name, as far as the client is registered for them: a scope is a
    /// shorthand for its claims (§5.5.1), and what people are asked to allow.
    pub fn scope(&self, client: &Client) -> Scope {
        let wanted = self.userinfo.keys().chain(self.id_token.keys());
        let scopes: Vec<&str> = wanted.filter_map(|name| standard_claims::scope_of(name)).collect();
        Scope::parse(&scopes.join(" ")).unwrap_or_default().limited_to(&client.scope)
    }

    /// The request as the person allows it, who is asked for [`Self::scope`].
    pub fn allowed(&self, client: &Client) -> AllowedClaims {
        AllowedClaims { wanted: self.clone(), scope: self.scope(client) }
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }
}

impl AllowedClaims {
    /// Whether the client may have this claim today: it must still be registered for what the person allowed it.
    pub fn is_open_to(&self, client: &Client, name: &str) -> bool {
        let is_allowed = standard_claims::is_in(&self.scope, name) && standard_claims::is_in(&client.scope, name);
        is_allowed || client.is_granted(name)
    }
}
