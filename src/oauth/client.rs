//! What is known about a client (OAuth 2.1 §2).

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    client_auth_method::ClientAuthMethod,
    client_metadata::ClientMetadata,
    client_secret::ClientSecret,
    error::{ErrorCode, OAuthError},
    grant_type::GrantType,
    jws_algorithm::JwsAlgorithm,
    redirect_uri::{RedirectUri, ReturnAddress},
    resource::{self, Resource},
    scope::{self, Scope},
};
use crate::{
    clock::Timestamp,
    secret::{self, MasterKey, Sealed, Secret},
};

/// A client identifier (OAuth 2.1 §2.2): printable ASCII, and never the form of a person's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(String);

/// Why a text cannot be a client identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedClientId {
    #[error("a client id has 1 to 255 printable ASCII characters, without spaces")]
    Characters,
    #[error("a client id must not be a UUID: it could be taken for a person's id (RFC 9068 §5)")]
    Uuid,
}

impl ClientId {
    /// Parses an identifier.
    pub fn parse(text: &str) -> Result<Self, MalformedClientId> {
        if text.is_empty() || text.len() > 255 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(MalformedClientId::Characters);
        }
        if uuid::Uuid::try_parse(text).is_ok() {
            return Err(MalformedClientId::Uuid);
        }
        Ok(Self(text.to_owned()))
    }

    /// A random id that nobody takes for a person's.
    pub fn random() -> Self {
        Self(format!("client-{}", secret::hex(&secret::random::<10>())))
    }

    /// The identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text cannot be what people are shown as a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 100 characters on one line, none of them invisible")]
pub struct UnreadableName;

/// A name that people read: bounded, one line, and not only spaces.
pub fn display_name(text: &str) -> Result<String, UnreadableName> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 100 || text.chars().any(is_unreadable) {
        return Err(UnreadableName);
    }
    Ok(text.to_owned())
}

/// Controls, line ends, and what turns the direction of the text around it (Unicode UAX #9 §2): a name could rewrite the sentence
/// that it stands in.
fn is_unreadable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200B}' | '\u{200E}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// Whether the client can keep a secret (OAuth 2.1 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientType {
    Confidential,
    Public,
}

impl ClientType {
    /// As stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confidential => "confidential",
            Self::Public => "public",
        }
    }
}

/// What kind of program the client is (`OpenID` Registration §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationType {
    Native,
    Web,
}

impl ApplicationType {
    /// As registered.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Web => "web",
        }
    }
}

/// Who registered the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    Operator,
    SelfRegistered,
}

impl Trust {
    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::SelfRegistered => "self_registered",
        }
    }
}

/// Whether every refresh makes a new refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshRotation {
    Rotate,
    /// For confidential clients only (OAuth 2.1 §4.3.1).
    Keep,
}

impl RefreshRotation {
    /// By how much a refresh raises the generation of its grant.
    pub const fn step(self) -> i64 {
        match self {
            Self::Rotate => 1,
            Self::Keep => 0,
        }
    }
}

/// A registered client.
#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "`client_type` is the spec's word")]
pub struct Client {
    pub id: ClientId,
    /// What people are shown.
    pub name: String,
    pub client_type: ClientType,
    pub application_type: ApplicationType,
    pub redirect_uris: Vec<RedirectUri>,
    pub grant_types: Vec<GrantType>,
    /// What it may ask for, and gets when it asks for nothing.
    pub scope: Scope,
    /// The audiences it may ask for (RFC 8707).
    pub resources: Vec<Resource>,
    /// The audiences whose tokens it may introspect, beside its own tokens.
    pub introspects: Vec<Resource>,
    /// Said to be run by the operator; whether that counts, [`Client::is_first_party`] says.
    pub first_party: bool,
    pub trust: Trust,
    pub refresh_rotation: RefreshRotation,
    /// At most two, to change a secret without an outage.
    pub secrets: Vec<ClientSecret>,
    /// How long a secret stays valid that its file gave and gives no more. Of declarations alone, and not kept.
    pub secret_overlap: Duration,
    pub created_at: Timestamp,
    pub disabled_at: Option<Timestamp>,
    /// What was issued earlier is void.
    pub tokens_not_before: Option<Timestamp>,
    /// The file that declares it, in which it is changed.
    pub declared_in: Option<String>,
    /// What it is registered with beyond the core.
    pub metadata: ClientMetadata,
    /// Registered itself, and is forgotten then unless it obtained a token.
    pub unused_until: Option<Timestamp>,
    /// Rises with every change of its registration.
    pub revision: i64,
}

/// The longest time that a secret may stay valid beside the one that took its place: longer ones are forgotten about.
pub const LONGEST_OVERLAP: Duration = Duration::from_hours(24 * 365);

/// Why a registration makes no sense; the message says what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    #[error("a client with the grant type authorization_code needs at least one redirect URI")]
    NoRedirectUri,
    #[error("refresh tokens come with authorization codes: add the grant type authorization_code")]
    RefreshWithoutCode,
    #[error("a public client cannot use client_credentials (OAuth 2.1 §4.2): make it confidential")]
    PublicClientCredentials,
    #[error("a public client cannot introspect: make it confidential")]
    PublicIntrospection,
    #[error("the refresh tokens of a public client must rotate (OAuth 2.1 §4.3.1)")]
    PublicWithoutRotation,
    #[error("the scope must name at least one value")]
    NoScope,
    #[error("a client that registered itself is never first-party: register one of yours instead")]
    FirstPartyStranger,
    #[error("the default resource must be one of the client's resources")]
    DefaultResource,
    #[error("private_key_jwt needs the client's public keys: give either jwks or jwks_uri")]
    NoKeys,
    #[error("jwks and jwks_uri exclude each other (RFC 7591 section 2): give one of them")]
    KeysTwice,
    #[error("jwks_uri must be an https URL, without userinfo and fragment; http is for loopback alone")]
    KeysAddress,
    #[error("a public client has the token_endpoint_auth_method none, and only a public one has it")]
    MethodOfOtherType,
    #[error("token_endpoint_auth_signing_alg must be an algorithm that the token_endpoint_auth_method can use")]
    MethodAlgorithm,
}

impl Client {
    /// A client of the operator's with everything at its default, and no redirect URI yet.
    pub fn new(id: ClientId, name: String, client_type: ClientType) -> Self {
        Self {
            id,
            name,
            client_type,
            application_type: match client_type {
                ClientType::Public => ApplicationType::Native,
                ClientType::Confidential => ApplicationType::Web,
            },
            redirect_uris: Vec::new(),
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            scope: scope::default(),
            resources: Vec::new(),
            introspects: Vec::new(),
            first_party: false,
            trust: Trust::Operator,
            refresh_rotation: RefreshRotation::Rotate,
            secrets: Vec::new(),
            secret_overlap: Duration::ZERO,
            created_at: Timestamp::from_micros(0),
            disabled_at: None,
            tokens_not_before: None,
            declared_in: None,
            metadata: ClientMetadata::default(),
            unused_until: None,
            revision: 0,
        }
    }

    /// Whether the parts of the registration go together.
    pub fn check(&self) -> Result<(), Contradiction> {
        let uses = |grant_type| self.grant_types.contains(&grant_type);
        let is_public = self.client_type == ClientType::Public;
        let contradictions = [
            (uses(GrantType::AuthorizationCode) && self.redirect_uris.is_empty(), Contradiction::NoRedirectUri),
            (uses(GrantType::RefreshToken) && !uses(GrantType::AuthorizationCode), Contradiction::RefreshWithoutCode),
            (is_public && uses(GrantType::ClientCredentials), Contradiction::PublicClientCredentials),
            (is_public && !self.introspects.is_empty(), Contradiction::PublicIntrospection),
            (is_public && self.refresh_rotation == RefreshRotation::Keep, Contradiction::PublicWithoutRotation),
            (self.scope.is_empty(), Contradiction::NoScope),
            (self.first_party && !self.is_first_party(), Contradiction::FirstPartyStranger),
            (self.metadata.default_resource.iter().any(|uri| !self.resources.contains(uri)), Contradiction::DefaultResource),
        ];
        self.check_authentication()?;
        contradictions.into_iter().find(|(holds, _)| *holds).map_or(Ok(()), |(_, contradiction)| Err(contradiction))
    }

    /// Whether the client can authenticate as it is registered to (RFC 7591 §2, `OpenID` Core §9).
    fn check_authentication(&self) -> Result<(), Contradiction> {
        let metadata = &self.metadata;
        let method = metadata.token_endpoint_auth_method;
        let possible = match method {
            Some(ClientAuthMethod::PrivateKeyJwt) => JwsAlgorithm::ASYMMETRIC,
            Some(ClientAuthMethod::ClientSecretJwt) => JwsAlgorithm::SYMMETRIC,
            _ => &[],
        };
        let has_no_keys = metadata.jwks.is_none() && metadata.jwks_uri.is_none();
        let is_of_other_type = method.is_some_and(|method| (method == ClientAuthMethod::None) != (self.client_type == ClientType::Public));
        let algorithm = metadata.token_endpoint_auth_signing_alg.as_deref();
        let contradictions = [
            (is_of_other_type, Contradiction::MethodOfOtherType),
            (metadata.jwks.is_some() && metadata.jwks_uri.is_some(), Contradiction::KeysTwice),
            (method == Some(ClientAuthMethod::PrivateKeyJwt) && has_no_keys, Contradiction::NoKeys),
            (metadata.jwks_uri.as_deref().is_some_and(|uri| !is_fetchable(uri)), Contradiction::KeysAddress),
            (algorithm.is_some() && JwsAlgorithm::allowed(algorithm, possible).is_empty(), Contradiction::MethodAlgorithm),
        ];
        contradictions.into_iter().find(|(holds, _)| *holds).map_or(Ok(()), |(_, contradiction)| Err(contradiction))
    }

    /// `unauthorized_client` unless the client is registered for `grant_type` (OAuth 2.1 §3.2.4).
    pub fn may_use(&self, grant_type: GrantType) -> Result<(), OAuthError> {
        if self.grant_types.contains(&grant_type) {
            Ok(())
        } else {
            Err(OAuthError::new(
                ErrorCode::UnauthorizedClient,
                "The client is not registered for this grant_type; an operator can give it all that it shall have with 'grantor client update --grant-type'.",
            ))
        }
    }

    /// What is granted to the client at the resources that a request names (RFC 8707 §2).
    pub fn granted_resources(&self, requested: Vec<Resource>) -> Result<Vec<Resource>, OAuthError> {
        resource::granted(requested, &self.resources, self.metadata.default_resource.as_ref())
    }

    /// Whether the redirect URI is one that is registered (OAuth 2.1 §4.1.1); without one the only registered is meant.
    pub fn return_address(&self, requested: Option<&str>) -> Option<ReturnAddress> {
        match (requested, self.redirect_uris.as_slice()) {
            (Some(requested), registered) => registered.iter().find_map(|uri| uri.accept(requested, self.application_type)),
            (None, [only]) => Some(only.return_address()),
            (None, _) => None,
        }
    }

    /// Whether a consent given earlier counts, or may be left out for a first-party client: not if any program
    /// on the person's device could be behind the request (OAuth 2.1 §7.3.1, RFC 8252 §8.6).
    pub fn can_skip_consent(&self, return_address: &ReturnAddress) -> bool {
        self.client_type == ClientType::Confidential || return_address.is_claimed()
    }

    /// Whether the operator runs it, so that people are not asked for consent. Nobody vouches for one that registered itself.
    pub fn is_first_party(&self) -> bool {
        self.first_party && self.trust == Trust::Operator
    }

    /// What an operator says of the scope of a client that registered itself is the most that it can register from then on.
    pub fn hold_scope(&mut self) {
        if self.trust == Trust::SelfRegistered {
            self.metadata.scope_limit = Some(self.scope.clone());
        }
    }

    /// Whose pairwise subjects it shares (`OpenID` Core §8.1): the host of its `sector_identifier_uri`, else the one host of its
    /// redirect URIs. `None` if they have several, or one has none.
    pub fn sector_identifier(&self) -> Option<String> {
        if let Some(uri) = &self.metadata.sector_identifier_uri {
            return host(uri);
        }
        let mut hosts = self.redirect_uris.iter().map(|uri| host(uri.as_str()));
        let first = hosts.next()??;
        hosts.all(|other| other.as_ref() == Some(&first)).then_some(first)
    }

    /// Whether it proves who it is by a secret: confidential clients do, unless they have keys instead.
    pub fn has_secrets(&self) -> bool {
        let method = self.metadata.token_endpoint_auth_method;
        let has_keys_instead = method == Some(ClientAuthMethod::PrivateKeyJwt) && !self.metadata.has_mac_secret();
        self.client_type == ClientType::Confidential && !has_keys_instead
    }

    /// A new secret, long enough for what it is for.
    pub fn new_secret(&self) -> Secret {
        if self.metadata.has_mac_secret() { Secret::generate_for_mac() } else { Secret::generate() }
    }

    /// The form of a secret that the store needs beside its hash, if this client keys a MAC with it.
    fn sealed(&self, secret: &Secret, master_key: &MasterKey) -> Option<Sealed> {
        self.metadata.has_mac_secret().then(|| master_key.seal_client_secret(self.id.as_str(), secret))
    }

    /// A secret in the forms in which it is kept.
    pub fn kept(&self, secret: &Secret, master_key: &MasterKey, now: Timestamp) -> ClientSecret {
        ClientSecret::new(secret.hash(), self.sealed(secret, master_key), now)
    }

    /// The secrets that the client may use.
    pub fn valid_secrets(&self, now: Timestamp) -> impl Iterator<Item = &ClientSecret> {
        self.secrets.iter().filter(move |secret| secret.is_valid(now))
    }

    /// Whether the operator gives the client this claim, whatever the scope.
    pub fn is_granted(&self, claim: &str) -> bool {
        self.metadata.claims.iter().any(|granted| granted == claim)
    }

    /// Whether the client is registered to get refresh tokens.
    pub fn gets_refresh_tokens(&self) -> bool {
        self.grant_types.contains(&GrantType::RefreshToken)
    }
}

/// The host of a URI in small letters, without its port.
fn host(uri: &str) -> Option<String> {
    url::Url::parse(uri).ok()?.host_str().map(str::to_ascii_lowercase)
}

/// Whether a document may be registered by this address. Where it leads is decided when it is fetched.
fn is_fetchable(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else { return false };
    let is_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    let is_protected = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    is_protected && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

#[cfg(test)]
mod tests;
