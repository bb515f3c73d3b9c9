//! Client metadata (IANA "OAuth Dynamic Client Registration Metadata"): what a client is registered with beyond the core of
//! OAuth 2.1. Names and meanings are those of RFC 7591 §2, `OpenID` Registration §2 and the logout specifications.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{algorithm::Algorithm, client_auth_method::ClientAuthMethod, jws_algorithm::JwsAlgorithm, resource::Resource, scope::Scope};

/// The members that decide nothing about the core, kept as one document. What is absent has the default of its specification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientMetadata {
    /// The one method that the client uses; without it any that its type and secrets allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_method: Option<ClientAuthMethod>,
    /// The one JWS algorithm of its assertions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<String>,
    /// A JWK Set (RFC 7517 §5) with public keys alone; never together with `jwks_uri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,

    /// RS256 where absent (`OpenID` Registration §2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_signed_response_alg: Option<Algorithm>,
    /// JSON where absent, else a JWT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<Algorithm>,
    /// The one JWS algorithm of its request objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_signing_alg: Option<String>,
    /// Where its request objects may be fetched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_uris: Vec<String>,

    #[serde(skip_serializing_if = "SubjectType::is_public")]
    pub subject_type: SubjectType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<String>,

    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub require_auth_time: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub default_acr_values: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initiate_login_uri: Option<String>,

    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub backchannel_logout_session_required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frontchannel_logout_uri: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub frontchannel_logout_session_required: bool,

    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    /// Human-readable members in other languages, by their names with a tag: `client_name#de` (RFC 7591 §2.2).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub localized: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
    /// The statement with which it registered, as it was (RFC 7591 §3.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_statement: Option<String>,

    /// Ours: whether authorization requests need a `code_challenge`.
    #[serde(skip_serializing_if = "PkcePolicy::is_required")]
    pub pkce: PkcePolicy,
    /// Ours: what access tokens are signed with, where a resource does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_signing_alg: Option<Algorithm>,
    /// Ours: the resource that is meant where a request names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_resource: Option<Resource>,
    /// Ours: which claims beyond those of the scopes its tokens and UserInfo carry: `roles`, `groups`, and attributes by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
    /// Ours: the most scope that a client which registered itself can have, where the operator said what it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope_limit: Option<Scope>,
}

impl ClientMetadata {
    /// Whether the client's secret keys a MAC, so that its hash alone would not do.
    pub fn has_mac_secret(&self) -> bool {
        let is_symmetric = |algorithm: &Option<String>| {
            algorithm.as_deref().and_then(JwsAlgorithm::parse).is_some_and(|algorithm| algorithm.secret_octets().is_some())
        };
        self.token_endpoint_auth_method == Some(ClientAuthMethod::ClientSecretJwt) || is_symmetric(&self.request_object_signing_alg)
    }

    /// A human-readable member in this language, where the client registered it so (RFC 7591 §2.2).
    pub fn in_language(&self, member: &str, lang: &str) -> Option<&str> {
        self.localized.iter().find_map(|(name, value)| {
            let (known, tag) = name.split_once('#')?;
            let is_of_language = tag.eq_ignore_ascii_case(lang) || tag.split('-').next()?.eq_ignore_ascii_case(lang);
            (known == member && is_of_language).then_some(value.as_str())
        })
    }

    /// What the client tells people of itself in this language, by the names of the members.
    pub fn links(&self, lang: &str) -> Vec<(&'static str, &str)> {
        let members =
            [("client_uri", &self.client_uri), ("policy_uri", &self.policy_uri), ("tos_uri", &self.tos_uri), ("logo_uri", &self.logo_uri)];
        let here = members.into_iter().filter_map(|(member, plain)| Some((member, self.in_language(member, lang).or(plain.as_deref())?)));
        // Whatever else a registration holds is no address of a page.
        here.filter(|(_, address)| address.starts_with("https://") || address.starts_with("http://")).collect()
    }

    /// Whether it is to be told when a session ends (`OpenID` Back-Channel Logout §2.2, Front-Channel Logout §2).
    pub const fn hears_of_logout(&self) -> bool {
        self.backchannel_logout_uri.is_some() || self.frontchannel_logout_uri.is_some()
    }
}

/// Whether a person is the same to every client (`OpenID` Core §8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectType {
    #[default]
    Public,
    Pairwise,
}

impl SubjectType {
    /// As registered.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Pairwise => "pairwise",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_public(&self) -> bool {
        *self == Self::Public
    }
}

/// Whether authorization requests of a confidential client need a `code_challenge` (OAuth 2.1 §7.5.1.1). Those of public clients do.
/// The strictest is the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PkcePolicy {
    #[default]
    Required,
    /// A `nonce` of `OpenID` will do instead.
    OrNonce,
    /// Neither is needed: for certification only.
    Optional,
}

impl PkcePolicy {
    /// Every policy.
    pub const ALL: &[Self] = &[Self::Required, Self::OrNonce, Self::Optional];

    /// As registered.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::OrNonce => "or_nonce",
            Self::Optional => "optional",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_required(&self) -> bool {
        *self == Self::Required
    }
}
