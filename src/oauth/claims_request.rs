//! The `claims` parameter (`OpenID` Core §5.5): which claims a client wants, and where.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{error::OAuthError, params::Params};

/// Which claims are wanted at UserInfo and in the ID token. Other members of the parameter are ignored (§5.5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimsRequest {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub userinfo: BTreeMap<String, Option<ClaimWanted>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub id_token: BTreeMap<String, Option<ClaimWanted>>,
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

impl ClaimsRequest {
    /// The parameter of a request; without one nothing is wanted.
    pub fn from_params(params: &Params) -> Result<Self, OAuthError> {
        let Some(text) = params.get("claims") else { return Ok(Self::default()) };
        serde_json::from_str(text).map_err(|_| {
            OAuthError::invalid_request("The parameter 'claims' must be JSON with the members 'userinfo' and 'id_token' (OpenID Core 5.5).")
        })
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }
}
