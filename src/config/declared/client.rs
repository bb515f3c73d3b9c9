//! `[[clients]]`: clients by the names of `grantor client show --json`.

use std::{fs, path::Path, time::Duration};

use zeroize::Zeroizing;

use super::{
    super::parse_duration,
    entry::{Entry, Keys},
};
use crate::{
    oauth::{
        Client, ClientId, GrantType, RedirectUri, Resource, Scope,
        client::{self, ApplicationType, ClientType, RefreshRotation},
        client_secret::ClientSecret,
        registration::{self, Rules, WrongMember},
    },
    secret::SecretHash,
};

pub(in crate::config) const KEYS: Keys = &[
    ("client_id", "What the client is known by. Required."),
    ("client_name", "What people are shown. Required."),
    ("client_type", "`confidential`, the default, for a program that can keep a secret, or `public`. It never changes."),
    ("application_type", "`web`, the default of confidential clients, or `native`, that of public ones: any port on loopback."),
    ("redirect_uris", "Where people are sent back, exactly: a list."),
    ("grant_types", "A list of `authorization_code`, `refresh_token` and `client_credentials`. Without it: the first two."),
    (
        "scope",
        "What the client may ask for, and gets when it asks for nothing: a text, or a list. Without it: `openid profile email offline_access`.",
    ),
    ("resources", "The APIs that it may ask tokens for: a list of URIs."),
    ("introspects", "The APIs whose tokens it may introspect: a list of URIs."),
    ("first_party", "`true` for a client of yours: people are not asked for consent."),
    ("refresh_rotation", "`false` to keep the refresh token at each refresh; for confidential clients only."),
    (
        "client_secret_file",
        "A file with the secret of a confidential client, at least 32 characters, such as `openssl rand -base64 32` prints; or a list of two, while one takes the place of the other.",
    ),
    ("client_secret_sha256", "The SHA-256 of such a secret in hexadecimal, instead of its file; or a list of two."),
    (
        "client_secret_overlap",
        "How long the secret of before stays valid when the file gives another, such as `7d`. Without it: not at all, as it ends with the declaration.",
    ),
    ("post_logout_redirect_uris", "Where people may be sent back after signing out, exactly: a list."),
    (
        "token_endpoint_auth_method",
        "The one way in which it authenticates: `client_secret_basic`, `client_secret_post`, `client_secret_jwt`, `private_key_jwt` or, if it is public, `none`.",
    ),
    ("token_endpoint_auth_signing_alg", "The one algorithm that it signs with to authenticate, such as `ES256`."),
    ("jwks_uri", "Where its public keys are."),
    ("jwks", "Its public keys themselves, a JWK Set: `{ keys = [{ kty = \"EC\", ... }] }`."),
    ("id_token_signed_response_alg", "What its ID tokens are signed with: `RS256`, the default, `ES256` or `EdDSA`."),
    ("userinfo_signed_response_alg", "The same for UserInfo, which then answers with a JWT."),
    ("request_object_signing_alg", "The one algorithm that it signs request objects with."),
    ("request_uris", "Where its request objects may be fetched: a list."),
    ("subject_type", "`public`, the default, or `pairwise`: people have an identifier of their own at each site."),
    (
        "sector_identifier_uri",
        "The host of this URI is the site, where `pairwise` clients share one. You vouch for it: nothing is fetched.",
    ),
    ("default_max_age", "So many seconds after signing in, people sign in again."),
    ("require_auth_time", "`true`: it relies on `auth_time` in ID tokens, which is always there."),
    ("default_acr_values", "The `acr` that it wants where a request names none: a list."),
    ("initiate_login_uri", "Where others can send people to have it sign them in."),
    ("backchannel_logout_uri", "What is told when a session ends."),
    ("backchannel_logout_session_required", "`true`: it wants to know which session, by `sid`."),
    ("frontchannel_logout_uri", "What browsers load when a session ends; at the origin of one of the `redirect_uris`."),
    ("frontchannel_logout_session_required", "`true`: it wants to know which session, by `sid`."),
    ("client_uri", "Its home page."),
    ("logo_uri", "Its logo."),
    ("policy_uri", "Its privacy policy."),
    ("tos_uri", "Its terms of service."),
    ("contacts", "Whom to ask about it: a list."),
    ("software_id", "What program it is."),
    ("software_version", "And which version."),
    (
        "pkce",
        "Whether its authorization requests need PKCE: `required`, the default, `or_nonce` (a `nonce` of OpenID will do), or `optional`, for certification only. For confidential clients.",
    ),
    (
        "access_token_signing_alg",
        "What its access tokens are signed with: `ES256`, `RS256`, `PS256` or `EdDSA`. Without it: `tokens.access_token_alg`.",
    ),
    ("default_resource", "The one of its `resources` that is meant where a request names none."),
    ("claims", "What its tokens and UserInfo say of people beyond the scopes: `roles`, `groups`, and attributes by name, a list."),
];

/// So many secrets are valid at once, as after `grantor client rotate-secret`.
const SECRETS: usize = 2;
const SECRET_LEN: std::ops::RangeInclusive<usize> = 32..=512;

/// What is read as a whole below, each value with its own mistake.
const CORE: [&str; 6] = ["client_name", "application_type", "redirect_uris", "grant_types", "response_types", "scope"];

/// The client of one table; `None` where something is wrong with it.
pub(super) fn read(entry: &mut Entry<'_>, rules: &Rules<'_>) -> Option<Client> {
    let id = entry.parsed("client_id", ClientId::parse);
    let name = entry.parsed("client_name", client::display_name);
    if !entry.has("client_name") {
        entry.mistake("client_name", None, "must be given: people are shown it");
    }
    let client_type = entry.parsed("client_type", client_type).unwrap_or(ClientType::Confidential);
    // Whoever has no id is not registered: what follows can be checked all the same.
    let id = id.or_else(|| ClientId::parse("nobody").ok())?;
    let mut client = Client::new(id, name.unwrap_or_default(), client_type);
    client.declared_in = Some(entry.document.name.to_owned());
    read_core(entry, &mut client);
    let members = entry.document(registration::names().filter(|name| !CORE.contains(name)));
    tell(entry, registration::apply(&mut client, &members, rules));
    let declared = |hash| ClientSecret { is_declared: true, ..ClientSecret::new(hash, None, client.created_at) };
    client.secrets = read_secrets(entry, client_type).into_iter().map(declared).collect();
    client.secret_overlap = entry.parsed("client_secret_overlap", overlap).unwrap_or_default();
    if client.secrets.is_empty() && entry.has("client_secret_overlap") {
        entry.mistake("client_secret_overlap", None, "is about secrets that this file gives, and it gives none: remove it");
    }
    if entry.is_right() {
        client.check().map_err(|contradiction| entry.contradiction(contradiction.to_string())).ok()?;
        tell(entry, registration::check(&client, rules));
    }
    entry.is_right().then_some(client)
}

fn tell(entry: &mut Entry<'_>, wrong: Vec<WrongMember>) {
    for WrongMember { member, remedy } in wrong {
        entry.mistake(member, None, remedy);
    }
}

fn read_core(entry: &mut Entry<'_>, client: &mut Client) {
    if let Some(application_type) = entry.parsed("application_type", application_type) {
        client.application_type = application_type;
    }
    if let Some(uris) = entry.each("redirect_uris", |text| RedirectUri::register(text, client.client_type)) {
        client.redirect_uris = uris;
    }
    if let Some(grant_types) = entry.each("grant_types", grant_type) {
        client.grant_types = grant_types;
    }
    if let Some(texts) = entry.text_or_texts("scope") {
        match Scope::parse(&texts.join(" ")) {
            Ok(scope) => client.scope = scope,
            Err(why) => entry.mistake("scope", Some(&texts.join(" ")), why.to_string()),
        }
    }
    if let Some(resources) = entry.each("resources", Resource::parse) {
        client.resources = resources;
    }
    if let Some(introspects) = entry.each("introspects", Resource::parse) {
        client.introspects = introspects;
    }
    client.first_party = entry.flag("first_party").unwrap_or(false);
    if entry.flag("refresh_rotation") == Some(false) {
        client.refresh_rotation = RefreshRotation::Keep;
    }
}

fn client_type(text: &str) -> Result<ClientType, &'static str> {
    [ClientType::Confidential, ClientType::Public].into_iter().find(|known| known.as_str() == text).ok_or("must be confidential or public")
}

fn application_type(text: &str) -> Result<ApplicationType, &'static str> {
    [ApplicationType::Native, ApplicationType::Web].into_iter().find(|known| known.as_str() == text).ok_or("must be native or web")
}

fn grant_type(text: &str) -> Result<GrantType, String> {
    let known = || GrantType::ALL.iter().map(|grant_type| grant_type.as_str()).collect::<Vec<_>>().join(", ");
    GrantType::parse(text).ok_or_else(|| format!("must be one of {}", known()))
}

/// As `grantor client rotate-secret --overlap` takes it.
fn overlap(text: &str) -> Result<Duration, &'static str> {
    parse_duration(text)
        .filter(|overlap| *overlap <= client::LONGEST_OVERLAP)
        .ok_or("must be a duration up to 365d, written like \"12h\" or \"7d\"")
}

/// Only hashes leave here.
fn read_secrets(entry: &mut Entry<'_>, client_type: ClientType) -> Vec<SecretHash> {
    const KEYS: [&str; 2] = ["client_secret_file", "client_secret_sha256"];
    if client_type == ClientType::Public {
        for key in KEYS.into_iter().filter(|key| entry.has(key)).collect::<Vec<_>>() {
            entry.mistake(key, None, "a public client has no secret: remove it, or make the client confidential");
        }
        return Vec::new();
    }
    let mut secrets: Vec<SecretHash> = Vec::new();
    for key in KEYS {
        for text in entry.text_or_texts(key).unwrap_or_default() {
            let read = if key == KEYS[0] { secret_in(&entry.document.beside(text)) } else { sha256(text) };
            match read {
                Ok(hash) if secrets.contains(&hash) => {}
                Ok(hash) => secrets.push(hash),
                // The path of a file may be told. A hash need not be, nor what may be the secret itself in the wrong place.
                Err(remedy) => entry.mistake(key, Some(text).filter(|text| key == KEYS[0] && text.contains('/')), remedy),
            }
        }
    }
    if secrets.len() > SECRETS {
        entry.mistake(KEYS[usize::from(!entry.has(KEYS[0]))], None, "a client has two secrets at most: the old one and the new one");
    }
    secrets
}

fn secret_in(path: &Path) -> Result<SecretHash, String> {
    let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|error| format!("the file cannot be read: {error}"))?;
    let secret = text.trim();
    if !SECRET_LEN.contains(&secret.len()) || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "what the file holds must have 32 to 512 printable ASCII characters without spaces: make one with `openssl rand -base64 32`"
                .to_owned(),
        );
    }
    Ok(SecretHash::of(secret))
}

fn sha256(text: &str) -> Result<SecretHash, String> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let bytes =
        digits.filter(|digits| digits.len() == 64).map(|digits| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect::<Vec<_>>());
    bytes
        .and_then(|bytes| SecretHash::from_bytes(&bytes))
        .ok_or_else(|| "must be 64 hexadecimal digits, such as `printf %s \"$SECRET\" | sha256sum` prints".to_owned())
}
