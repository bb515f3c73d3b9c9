//! Clients that register themselves (RFC 7591, RFC 7592, `OpenID` Registration): who may, what they get, how they change it.

mod admission;
mod sector_identifier;
mod software_statement;

use serde_json::{Map, Value};
use uuid::Uuid;

pub(crate) use self::admission::{Admitted, Refused, admit};
use crate::{
    audit::{Actor, AuditEvent, AuditName, Origin},
    clock::Timestamp,
    error::{Error, Result},
    jose::ClientKeys,
    oauth::{
        Client, ClientId, ErrorCode, OAuthError, Scope,
        client::{ClientType, Trust},
        client_metadata::{ClientMetadata, PkcePolicy},
        registration::{self, Rules, WrongMember},
    },
    secret::Secret,
    server::Server,
    store::{
        Swapped,
        clients::{DeleteClient, UpdateClient},
        registrations::{DeleteUnusedClient, KeepClient, RegisterClient, Registered, ReplaceRegistration},
    },
};

/// A registration as its client is told of it.
#[expect(clippy::struct_field_names, reason = "`registration_access_token` is the spec's word")]
pub(crate) struct Registration {
    pub client: Client,
    /// A new one, which is told once.
    pub secret: Option<Secret>,
    pub registration_access_token: Secret,
}

/// A client that may manage its registration; [`manage`] is the only way to one.
pub(crate) struct Managed {
    client: Client,
    registration_access_token: Secret,
}

/// Registers a client by its document (RFC 7591 §3.1).
pub(crate) async fn register(server: &Server, admitted: Admitted, document: Map<String, Value>, origin: Origin) -> Result<Registration> {
    let config = &server.config().registration;
    let now = server.clock().now();
    let id = ClientId::random();
    let mut blank = registration::blank(Client::new(id.clone(), id.to_string(), ClientType::Confidential), &config.scope);
    blank.created_at = now;
    blank.unused_until = Some(now.after(config.unused_ttl));
    blank.metadata.pkce = config.confidential_pkce;
    let mut client = read(server, blank, document)?;
    sector_identifier::verify(server, &client).await?;
    let secret = give_secret(server, &mut client).await?;
    let registration_access_token = Secret::generate();
    let verb = RegisterClient {
        registration_access_token: registration_access_token.hash(),
        let_by: admitted.token(),
        most_unused: config.unused_clients,
        network: admitted.network(config.unused_clients),
        event: created(server, &client, admitted.token(), origin),
        client: client.clone(),
    };
    match server.store().write(verb).await? {
        Registered::Done => Ok(Registration { client, secret, registration_access_token }),
        Registered::TokenSpent => Err(Refused::invalid_token().into()),
        Registered::TooMany => Err(Error::unavailable("too many registered clients wait for their first token")),
        Registered::TooManyOfNetwork => Err(Error::unavailable("too many clients that one network registered wait for their first token")),
    }
}

fn created(server: &Server, client: &Client, token: Option<Uuid>, origin: Origin) -> AuditEvent {
    let event = AuditEvent::new(server.clock().now(), AuditName::ClientCreated, Actor::Stranger, origin).of_client(&client.id);
    match token {
        Some(token) => event.with("registration_token", token.to_string()),
        None => event,
    }
}

/// Finds the registration that a token is for (RFC 7592 §2). Whoever has none, or another's, learns nothing.
pub(crate) async fn manage(server: &Server, client_id: &str, token: &str) -> Result<Managed> {
    let refuse = || Error::from(Refused::invalid_token());
    let id = ClientId::parse(client_id).map_err(|_| refuse())?;
    if !server.store().registration_access_token(&id).await?.is_some_and(|hash| hash.matches(token)) {
        return Err(refuse());
    }
    let client = server.store().client(&id).await?.ok_or_else(refuse)?;
    if client.disabled_at.is_some() || client.declared_in.is_some() || client.trust != Trust::SelfRegistered {
        return Err(OAuthError::new(ErrorCode::AccessDenied, "The operator of this server took over this client, or disabled it.").into());
    }
    Ok(Managed { client, registration_access_token: Secret::from(token.to_owned()) })
}

/// Keeps a client that obtained its first token. Others never come here.
pub(crate) async fn keep(server: &Server, id: &ClientId) -> Result<()> {
    server.store().write(KeepClient { client_id: id.clone() }).await?;
    server.forget_client(id).await;
    Ok(())
}

/// Deletes those that obtained no token in their time. Ends with whatever else of this kind is left for the next time.
pub(crate) async fn delete_unused(server: &Server) -> Result<()> {
    let now = server.clock().now();
    for client_id in server.store().unused_clients(now).await? {
        let event = AuditEvent::new(now, AuditName::ClientDeleted, Actor::Server, Origin::default()).of_client(&client_id);
        server.store().write(DeleteUnusedClient { event: event.with("reason", "unused"), client_id }).await?;
    }
    Ok(())
}

impl Managed {
    /// What is registered (RFC 7592 §2.1). The secret is not told again: only its hash is kept.
    pub(crate) fn registration(self) -> Registration {
        Registration { client: self.client, secret: None, registration_access_token: self.registration_access_token }
    }

    /// Registers something else instead (RFC 7592 §2.2): what the document leaves out has its default, but for what only an
    /// operator says. The registration access token stays: a client that loses the answer could not go on (§5 lets it).
    pub(crate) async fn replace(self, server: &Server, document: Map<String, Value>, origin: Origin) -> Result<Registration> {
        if let Some(registration) = self.try_replace(server, document.clone(), origin).await? {
            return Ok(registration);
        }
        // What an operator did meanwhile counts, perhaps that the client may not do this any more.
        let again = manage(server, self.client.id.as_str(), self.registration_access_token.expose()).await?;
        let replaced = again.try_replace(server, document, origin).await?;
        replaced.ok_or_else(|| Error::unavailable("the registration kept changing while its client replaced it"))
    }

    /// None, if the registration changed since it was read.
    async fn try_replace(&self, server: &Server, document: Map<String, Value>, origin: Origin) -> Result<Option<Registration>> {
        let before = &self.client;
        check_identity(before, &document, server.clock().now())?;
        let mut client = read(server, emptied(before, server), document)?;
        if sector_identifier::differs(before, &client) {
            sector_identifier::verify(server, &client).await?;
        }
        if client.client_type != before.client_type {
            return Err(wrong("token_endpoint_auth_method", "must stay none, or stay another: a client's type never changes").into());
        }
        let keeps_secrets = kind_of_secret(&client) == kind_of_secret(before);
        let secret = if keeps_secrets { None } else { give_secret(server, &mut client).await? };
        let event = by_itself(server, AuditName::ClientUpdated, &client.id, origin);
        let secrets = (!keeps_secrets).then(|| client.secrets.clone());
        let verb = ReplaceRegistration { update: UpdateClient { client: client.clone(), event }, secrets };
        if server.store().write(verb).await? == Swapped::Missed {
            return Ok(None);
        }
        server.forget_client(&client.id).await;
        let registration_access_token = Secret::from(self.registration_access_token.expose().to_owned());
        Ok(Some(Registration { client, secret, registration_access_token }))
    }

    /// Ends the client and everything that was issued to it (RFC 7592 §2.3).
    pub(crate) async fn delete(self, server: &Server, origin: Origin) -> Result<()> {
        let id = self.client.id;
        let event = by_itself(server, AuditName::ClientDeleted, &id, origin);
        server.store().write(DeleteClient { client_id: id.clone(), event }).await?;
        server.forget_client(&id).await;
        Ok(())
    }
}

fn by_itself(server: &Server, name: AuditName, id: &ClientId, origin: Origin) -> AuditEvent {
    AuditEvent::new(server.clock().now(), name, Actor::Client(id.clone()), origin).of_client(id)
}

/// A client without what it said of itself.
fn emptied(client: &Client, server: &Server) -> Client {
    let mut blank = registration::blank(client.clone(), most_scope(client, server));
    let metadata = &client.metadata;
    blank.name = client.id.to_string();
    blank.redirect_uris = Vec::new();
    blank.metadata = ClientMetadata {
        token_endpoint_auth_method: blank.metadata.token_endpoint_auth_method,
        pkce: metadata.pkce,
        claims: metadata.claims.clone(),
        default_resource: metadata.default_resource.clone(),
        access_token_signing_alg: metadata.access_token_signing_alg,
        scope_limit: metadata.scope_limit.clone(),
        ..ClientMetadata::default()
    };
    blank
}

/// The most scope that the client can have (RFC 7591 §3.2.1): what the operator said of this one, or lets all such clients have.
fn most_scope<'a>(client: &'a Client, server: &'a Server) -> &'a Scope {
    client.metadata.scope_limit.as_ref().unwrap_or(&server.config().registration.scope)
}

/// RFC 7592 §2.2: both must be those of the client, whoever has its token.
fn check_identity(client: &Client, document: &Map<String, Value>, now: Timestamp) -> Result<(), OAuthError> {
    if document.get("client_id").and_then(Value::as_str) != Some(client.id.as_str()) {
        return Err(wrong("client_id", "must be the one that is in the address"));
    }
    let proves = |secret: &str| client.valid_secrets(now).fold(false, |proved, kept| proved | kept.hash.matches(secret));
    match document.get("client_secret") {
        None | Some(Value::Null) => Ok(()),
        Some(secret) if secret.as_str().is_some_and(proves) => Ok(()),
        Some(_) => Err(wrong("client_secret", "must be the one that was issued, or be left out: a client does not choose its secret")),
    }
}

/// Fills a blank client with what a document says, and checks the whole.
fn read(server: &Server, mut client: Client, document: Map<String, Value>) -> Result<Client> {
    let (document, statement) = software_statement::merged(server, document)?;
    let most = most_scope(&client, server).clone();
    let rules = Rules { by: Trust::SelfRegistered, issuer_is_loopback: server.config().issuer.is_loopback(), scope: Some(&most) };
    refuse_first(registration::apply(&mut client, &document, &rules))?;
    if !document.contains_key("application_type") {
        client.application_type = registration::application_type(&client);
    }
    client.metadata.software_statement = statement;
    if client.client_type == ClientType::Public {
        client.metadata.pkce = PkcePolicy::Required;
    }
    refuse_first(registration::check(&client, &rules))?;
    if let Some(Err(why)) = client.metadata.jwks.as_ref().map(ClientKeys::of) {
        return Err(OAuthError::from(WrongMember { member: "jwks", remedy: format!("cannot be used: {why}").into() }).into());
    }
    Ok(client)
}

/// One at a time is told, as a protocol error holds one.
fn refuse_first(wrong: Vec<WrongMember>) -> Result<(), OAuthError> {
    wrong.into_iter().next().map_or(Ok(()), |wrong| Err(wrong.into()))
}

fn wrong(member: &'static str, remedy: &'static str) -> OAuthError {
    WrongMember { member, remedy: remedy.into() }.into()
}

/// Whether the client has a secret, and whether that is kept sealed.
fn kind_of_secret(client: &Client) -> (bool, bool) {
    (client.has_secrets(), client.metadata.has_mac_secret())
}

/// Gives a client the only secret that it has, if it needs one.
async fn give_secret(server: &Server, client: &mut Client) -> Result<Option<Secret>> {
    client.secrets.clear();
    if !client.has_secrets() {
        return Ok(None);
    }
    let secret = client.new_secret();
    let kept = client.kept(&secret, server.sealing_key().await?, server.clock().now());
    client.secrets.push(kept);
    Ok(Some(secret))
}
