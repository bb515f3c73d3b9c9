//! What can be said of a client, at registration and later.

use std::fs;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::{
    cli::{Failure, resource},
    jose::ClientKeys,
    oauth::{
        Algorithm, Client, GrantType, Issuer, RedirectUri, Resource, Scope,
        client::{ApplicationType, RefreshRotation},
        client_auth_method::ClientAuthMethod,
        client_metadata::PkcePolicy,
        registration::{self, Rules},
    },
};

const GRANT_TYPE_HELP: &str = "May be repeated [default: authorization_code and refresh_token]";
const SCOPE_HELP: &str =
    "What the client may ask for, and gets when it asks for nothing; may be repeated [default: openid profile email offline_access]";
const ALG_HELP: &str =
    "What signs its access tokens where the API does not say: ES256, RS256, PS256 or EdDSA [default: tokens.access_token_alg]";
const METHOD_HELP: &str = "How the client authenticates: client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt or none \
     [default: confidential clients send their secret, by either of the first two]";
const PKCE_HELP: &str =
    "Whether its authorization requests need PKCE: required, or_nonce or optional; confidential clients only [default: required]";

/// What can be given at registration and changed later.
#[derive(Args)]
pub(super) struct Settings {
    /// Where the person is sent back, exactly; may be repeated
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    #[arg(long = "grant-type", value_name = "GRANT_TYPE", value_parser = grant_type, help = GRANT_TYPE_HELP)]
    grant_types: Vec<GrantType>,
    #[arg(long = "scope", value_name = "SCOPE", value_parser = parsed_scope, help = SCOPE_HELP)]
    scopes: Vec<Scope>,
    /// An API that the client may ask tokens for; may be repeated
    #[arg(long = "resource", value_name = "URI", value_parser = parsed_resource)]
    resources: Vec<Resource>,
    /// The one of these that is meant where a request names none
    #[arg(long, value_name = "URI", value_parser = parsed_resource)]
    default_resource: Option<Resource>,
    #[arg(long, value_name = "ALG", value_parser = resource::algorithm, help = ALG_HELP)]
    access_token_signing_alg: Option<Algorithm>,
    /// An API whose tokens the client may introspect; may be repeated
    #[arg(long = "introspect", value_name = "URI", value_parser = parsed_resource)]
    introspects: Vec<Resource>,
    /// Native apps may use any port on a registered loopback URI [default: native for public clients, web for others]
    #[arg(long, value_parser = ["native", "web"])]
    application_type: Option<String>,
    #[arg(long, value_name = "METHOD", value_parser = auth_method, help = METHOD_HELP)]
    token_endpoint_auth_method: Option<ClientAuthMethod>,
    /// Where the client publishes its public keys as a JWK Set
    #[arg(long, value_name = "URL", conflicts_with = "jwks")]
    jwks_uri: Option<String>,
    /// A file with the client's public keys as a JWK Set
    #[arg(long, value_name = "FILE", value_parser = key_set)]
    jwks: Option<Value>,
    /// Run by you: people are not asked for consent
    #[arg(long)]
    first_party: bool,
    /// Keep the refresh token at each refresh (confidential clients only)
    #[arg(long)]
    no_refresh_rotation: bool,
    /// Where people may be sent back after signing out, exactly; may be repeated
    #[arg(long = "post-logout-redirect-uri", value_name = "URI")]
    post_logout_redirect_uris: Vec<String>,
    #[arg(long, value_name = "POLICY", help = PKCE_HELP)]
    pkce: Option<String>,
    /// Members by their registered names (RFC 7591), as a JSON object or @FILE; null takes one back
    #[arg(long, value_name = "JSON|@FILE", value_parser = metadata)]
    metadata: Option<Map<String, Value>>,
}

fn grant_type(text: &str) -> Result<GrantType, String> {
    let known = || GrantType::ALL.iter().map(|grant_type| grant_type.as_str()).collect::<Vec<_>>().join(", ");
    GrantType::parse(text).ok_or_else(|| format!("one of {}", known()))
}

fn auth_method(text: &str) -> Result<ClientAuthMethod, String> {
    let known = || ClientAuthMethod::ALL.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ");
    ClientAuthMethod::parse(text).ok_or_else(|| format!("one of {}", known()))
}

/// Checked as it will be used, and kept as it is.
fn key_set(path: &str) -> Result<Value, String> {
    let document = fs::read(path).map_err(|error| error.to_string())?;
    ClientKeys::read(&document).map_err(|error| error.to_string())?;
    serde_json::from_slice(&document).map_err(|error| error.to_string())
}

fn parsed_scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).map_err(|error| error.to_string())
}

fn parsed_resource(text: &str) -> Result<Resource, String> {
    Resource::parse(text).map_err(|error| error.to_string())
}

/// A JSON object, or the file that holds one.
fn metadata(text: &str) -> Result<Map<String, Value>, String> {
    let json = match text.strip_prefix('@') {
        Some(path) => fs::read_to_string(path).map_err(|error| format!("the file {path} cannot be read: {error}"))?,
        None => text.to_owned(),
    };
    let document: Map<String, Value> = serde_json::from_str(&json).map_err(|error| format!("not a JSON object: {error}"))?;
    if let Some(name) = registration::unknown(&document).next() {
        return Err(format!("{name:?} is not known; see [[clients]] in docs/configuration.md"));
    }
    Ok(document)
}

impl Settings {
    /// What was given of the members that a client could register by itself.
    fn document(&self) -> Map<String, Value> {
        let mut document = self.metadata.clone().unwrap_or_default();
        if !self.post_logout_redirect_uris.is_empty() {
            document.insert("post_logout_redirect_uris".to_owned(), json!(self.post_logout_redirect_uris));
        }
        if let Some(pkce) = &self.pkce {
            document.insert("pkce".to_owned(), json!(pkce));
        }
        document
    }

    /// Changes what was given, and checks that the whole makes sense.
    pub(super) fn apply(self, client: &mut Client, issuer: &Issuer) -> Result<(), Failure> {
        let document = self.document();
        let says_scope = !self.scopes.is_empty() || document.contains_key("scope");
        if !self.redirect_uris.is_empty() {
            let register = |text: &String| {
                RedirectUri::register(text, client.client_type).map_err(|why| Failure::Argument(format!("--redirect-uri {text}: {why}")))
            };
            client.redirect_uris = self.redirect_uris.iter().map(register).collect::<Result<_, _>>()?;
        }
        if !self.grant_types.is_empty() {
            client.grant_types = self.grant_types;
        }
        if !self.scopes.is_empty() {
            client.scope = self.scopes.iter().fold(Scope::default(), |all, scope| all.joined_with(scope));
        }
        if !self.resources.is_empty() {
            client.resources = self.resources;
        }
        if self.default_resource.is_some() {
            client.metadata.default_resource = self.default_resource;
        }
        if self.access_token_signing_alg.is_some() {
            client.metadata.access_token_signing_alg = self.access_token_signing_alg;
        }
        if !self.introspects.is_empty() {
            client.introspects = self.introspects;
        }
        match self.application_type.as_deref() {
            Some("native") => client.application_type = ApplicationType::Native,
            Some(_) => client.application_type = ApplicationType::Web,
            None => {}
        }
        let metadata = &mut client.metadata;
        metadata.token_endpoint_auth_method = self.token_endpoint_auth_method.or(metadata.token_endpoint_auth_method);
        if self.jwks_uri.is_some() || self.jwks.is_some() {
            (metadata.jwks_uri, metadata.jwks) = (self.jwks_uri, self.jwks);
        }
        if self.first_party {
            client.first_party = true;
        }
        if self.no_refresh_rotation {
            client.refresh_rotation = RefreshRotation::Keep;
        }
        let rules = Rules::of_operator(issuer.is_loopback());
        let mut wrong = registration::apply(client, &document, &rules);
        if says_scope {
            client.hold_scope();
        }
        if wrong.is_empty() {
            client.check().map_err(|contradiction| Failure::Argument(contradiction.to_string()))?;
            wrong = registration::check(client, &rules);
        }
        if let Some(Err(why)) = client.metadata.jwks.as_ref().map(ClientKeys::of) {
            return Err(Failure::Argument(format!("jwks cannot be used: {why}")));
        }
        if client.metadata.pkce == PkcePolicy::Optional {
            tell!("warning: with pkce optional, nothing protects the codes of '{}': it is for certification only", client.id);
        }
        match wrong.as_slice() {
            [] => Ok(()),
            wrong => Err(Failure::Argument(wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))),
        }
    }
}
