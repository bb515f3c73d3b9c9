//! The rules of client metadata (RFC 7591 §2, `OpenID` Registration §2): one home for the registration endpoint, the command line
//! and what files declare.

mod document;
mod members;
mod values;

use std::{borrow::Cow, fmt};

use serde_json::{Map, Value};
use url::Url;

pub use self::document::{metadata_members, registered};
use self::{
    members::{LOCALIZED, MEMBERS, Says},
    values::is_language_tag,
};
use super::{
    Client, GrantType, JwsAlgorithm, RedirectUri, Scope,
    client::{ApplicationType, ClientType, Contradiction, Trust},
    client_auth_method::ClientAuthMethod,
    client_metadata::{PkcePolicy, SubjectType},
    error::{ErrorCode, OAuthError},
    issuer::is_loopback,
};

/// How many members may be there in other languages.
const MOST_LOCALIZED: usize = 50;

/// Answers would come back in the clear to someone who asked for more (`OpenID` Registration §2): told, not ignored.
const ENCRYPTION: &[&str] = &[
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
];

/// Who registers, and where.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    pub by: Trust,
    /// What there is runs on one machine: there, `http` is for everything.
    pub issuer_is_loopback: bool,
    /// The most that the client may have; any, if there is none.
    pub scope: Option<&'a Scope>,
}

impl Rules<'_> {
    /// For what an operator says of a client.
    pub const fn of_operator(issuer_is_loopback: bool) -> Self {
        Self { by: Trust::Operator, issuer_is_loopback, scope: None }
    }
}

/// What is wrong with a member. `remedy` follows its name, and echoes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongMember {
    pub member: &'static str,
    pub remedy: Cow<'static, str>,
}

impl fmt::Display for WrongMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.member, self.remedy)
    }
}

impl From<WrongMember> for OAuthError {
    /// RFC 7591 §3.2.2.
    fn from(wrong: WrongMember) -> Self {
        let code = match wrong.member {
            "redirect_uris" => ErrorCode::InvalidRedirectUri,
            _ => ErrorCode::InvalidClientMetadata,
        };
        let description = format!("'{}' {}.", wrong.member, wrong.remedy.replace('§', "section "));
        Self { code, description: Cow::Owned(description) }
    }
}

/// The names of the members that an operator can say, in their order.
pub fn names() -> impl Iterator<Item = &'static str> {
    MEMBERS.iter().map(|member| member.name)
}

/// Whether this is a JWK Set of public keys.
pub fn is_jwks(value: &Value) -> bool {
    values::jwks(value).is_ok()
}

/// Whether `name` is a member that people read, with a language tag: `client_name#de` (RFC 7591 §2.2).
pub fn is_localized(name: &str) -> bool {
    localized_base(name).is_some()
}

fn localized_base(name: &str) -> Option<&'static str> {
    let (base, tag) = name.split_once('#')?;
    LOCALIZED.iter().copied().find(|known| *known == base && is_language_tag(tag))
}

/// The members of a document that nobody knows: a client's are ignored (RFC 7591 §2), an operator's are mistakes.
pub fn unknown(document: &Map<String, Value>) -> impl Iterator<Item = &str> {
    document.keys().map(String::as_str).filter(|name| !names().any(|known| known == *name) && !is_localized(name))
}

/// Changes a client by the members that a document has: each one that is wrong is told. `null` is the default of a member.
/// What was read by itself must still fit together: [`check`].
pub fn apply(client: &mut Client, document: &Map<String, Value>, rules: &Rules) -> Vec<WrongMember> {
    let mut wrong = Vec::new();
    for member in MEMBERS.iter().filter(|member| member.says == Says::Anyone || rules.by == Trust::Operator) {
        let Some(value) = document.get(member.name) else { continue };
        let set = if value.is_null() { clear(client, member.name, rules) } else { (member.set)(client, value, rules) };
        wrong.extend(set.err().map(|remedy| WrongMember { member: member.name, remedy }));
    }
    for (name, value) in document {
        let Some(base) = localized_base(name) else { continue };
        client.metadata.localized.remove(name);
        if !value.is_null() {
            match members::localized(base, value, rules) {
                Ok(text) => drop(client.metadata.localized.insert(name.clone(), text)),
                Err(remedy) => wrong.push(WrongMember { member: base, remedy: Cow::Owned(format!("in another language {remedy}")) }),
            }
        }
    }
    for name in ENCRYPTION.iter().filter(|name| document.get(**name).is_some_and(|value| !value.is_null())) {
        wrong.push(WrongMember { member: name, remedy: Cow::Borrowed("must be left out: answers are signed, and never encrypted") });
    }
    wrong
}

/// Gives a member its default. What has no place in [`super::ClientMetadata`] has none that an operator could mean.
fn clear(client: &mut Client, name: &str, rules: &Rules) -> values::Read<()> {
    let metadata = serde_json::to_value(&client.metadata).ok().and_then(|mut metadata| {
        metadata.as_object_mut()?.remove(name);
        serde_json::from_value(metadata).ok()
    });
    let is_of_the_core = ["client_name", "application_type", "redirect_uris", "grant_types", "response_types", "scope"].contains(&name);
    match metadata {
        Some(metadata) if !is_of_the_core => client.metadata = metadata,
        // A registration begins with the defaults.
        _ if rules.by == Trust::SelfRegistered => {}
        _ => return Err(Cow::Borrowed("must not be null: say what it shall be")),
    }
    Ok(())
}

/// Whether the parts of a registration go together. Everything that does not is told.
pub fn check(client: &Client, rules: &Rules) -> Vec<WrongMember> {
    let metadata = &client.metadata;
    let has_keys = metadata.jwks.is_some() || metadata.jwks_uri.is_some();
    let signs_requests_with = metadata.request_object_signing_alg.as_deref().and_then(JwsAlgorithm::parse);
    let requests_by_mac = signs_requests_with.map(|algorithm| algorithm.secret_octets().is_some());
    let mut wrong: Vec<WrongMember> = client.check().err().map(WrongMember::from).into_iter().collect();
    let mut refuse = |holds: bool, member: &'static str, remedy: &'static str| {
        if holds {
            wrong.push(WrongMember { member, remedy: Cow::Borrowed(remedy) });
        }
    };
    refuse(
        requests_by_mac == Some(false) && !has_keys,
        "request_object_signing_alg",
        "needs 'jwks' or 'jwks_uri', by which request objects are verified",
    );
    refuse(
        requests_by_mac == Some(true) && client.client_type == ClientType::Public,
        "request_object_signing_alg",
        "must be of a key pair, such as RS256 or ES256: a public client has no secret",
    );
    refuse(
        metadata.subject_type == SubjectType::Pairwise && client.sector_identifier().is_none(),
        "sector_identifier_uri",
        "must be given: with the subject_type pairwise, redirect_uris of several hosts or without one have no sector of their own",
    );
    refuse(
        metadata.pkce != PkcePolicy::Required && client.client_type == ClientType::Public,
        "pkce",
        "must be required: a public client has nothing else that protects its codes",
    );
    refuse(
        metadata.frontchannel_logout_uri.as_ref().is_some_and(|uri| !is_beside_a_redirect_uri(client, uri)),
        "frontchannel_logout_uri",
        "must have scheme, host and port of one of the redirect_uris",
    );
    refuse(metadata.localized.len() > MOST_LOCALIZED, "client_name", "and the like must be there in at most 50 variants in all");
    refuse(
        rules.by == Trust::SelfRegistered && !client.grant_types.contains(&GrantType::AuthorizationCode),
        "grant_types",
        "must have authorization_code, which goes with the response_types code: that is what a client can register for",
    );
    if rules.by == Trust::SelfRegistered {
        wrong.extend(check_redirects(client, rules));
    }
    wrong
}

/// Which redirect URIs a kind of application has (`OpenID` Registration §2), where nobody vouches for it. On a loopback issuer
/// everything is on one machine, web applications, too.
fn check_redirects(client: &Client, rules: &Rules) -> Option<WrongMember> {
    let mut logout = client.metadata.post_logout_redirect_uris.iter().map(String::as_str);
    let remedy = match client.application_type {
        ApplicationType::Web => {
            "must begin with https:// and not be on loopback, because application_type is web; a program on people's devices is native"
        }
        // A claimed `https` URI is what RFC 8252 §7.2 prefers for native apps, though `OpenID` Registration does not list it.
        ApplicationType::Native => "must be on loopback, of https:// or of a private-use scheme, because application_type is native",
    };
    let is_wrong = |uri: &str| {
        let on_loopback = Url::parse(uri).is_ok_and(|url| url.host().is_some_and(|host| is_loopback(&host)));
        match client.application_type {
            ApplicationType::Web if on_loopback => !rules.issuer_is_loopback,
            ApplicationType::Web => !uri.starts_with("https://"),
            ApplicationType::Native => uri.starts_with("https://") && on_loopback,
        }
    };
    let wrong = |member| WrongMember { member, remedy: Cow::Borrowed(remedy) };
    if client.redirect_uris.iter().map(RedirectUri::as_str).any(is_wrong) {
        return Some(wrong("redirect_uris"));
    }
    logout.any(is_wrong).then(|| wrong("post_logout_redirect_uris"))
}

/// Front-Channel Logout §2.
fn is_beside_a_redirect_uri(client: &Client, uri: &str) -> bool {
    let origin = |uri: &str| Url::parse(uri).ok().map(|url| url.origin()).filter(url::Origin::is_tuple);
    let own = origin(uri);
    own.is_some() && client.redirect_uris.iter().any(|redirect_uri| origin(redirect_uri.as_str()) == own)
}

/// What kind of application registers itself without saying so. `OpenID` Registration §2 takes it for a web application, but
/// OAuth's clients do not know that member: one without a secret that returns to its own device can only be native.
pub fn application_type(client: &Client) -> ApplicationType {
    let is_on_the_web = |uri: &RedirectUri| uri.as_str().starts_with("https://");
    if client.client_type == ClientType::Public && !client.redirect_uris.iter().all(is_on_the_web) {
        ApplicationType::Native
    } else {
        ApplicationType::Web
    }
}

impl From<Contradiction> for WrongMember {
    fn from(contradiction: Contradiction) -> Self {
        let member = match contradiction {
            Contradiction::NoRedirectUri => "redirect_uris",
            Contradiction::RefreshWithoutCode | Contradiction::PublicClientCredentials => "grant_types",
            Contradiction::PublicIntrospection => "introspects",
            Contradiction::PublicWithoutRotation => "refresh_rotation",
            Contradiction::NoScope => "scope",
            Contradiction::FirstPartyStranger => "first_party",
            Contradiction::DefaultResource => "default_resource",
            Contradiction::NoKeys | Contradiction::MethodOfOtherType => "token_endpoint_auth_method",
            Contradiction::KeysTwice => "jwks",
            Contradiction::KeysAddress => "jwks_uri",
            Contradiction::MethodAlgorithm => "token_endpoint_auth_signing_alg",
        };
        Self { member, remedy: Cow::Owned(format!("does not fit: {contradiction}")) }
    }
}

/// A client that registers itself, before its document is read (RFC 7591 §2: the defaults).
pub fn blank(mut client: Client, scope: &Scope) -> Client {
    client.trust = Trust::SelfRegistered;
    client.client_type = ClientType::Confidential;
    client.application_type = ApplicationType::Web;
    client.grant_types = vec![GrantType::AuthorizationCode];
    client.scope = scope.clone();
    client.metadata.token_endpoint_auth_method = Some(ClientAuthMethod::ClientSecretBasic);
    client
}

#[cfg(test)]
mod tests;
