//! `grantor client`

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{ConfigArgs, Failure, print_json, print_table};
use crate::{
    audit::{Actor, AuditEvent, AuditName, Origin},
    clock::Timestamp,
    oauth::{
        Client, ClientId, GrantType, RedirectUri, Resource, Scope,
        client::{ApplicationType, ClientType, RefreshRotation, Trust},
        scope,
    },
    secret::{self, Secret},
    server::Server,
    store::clients::{DeleteClient, InsertClient, RotateClientSecret, Saved, SetClientDisabled, UpdateClient},
};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Register a client
    Create(Create),
    /// List the clients
    List(List),
    /// Show a client
    Show(One),
    /// Change a client; a list that is given replaces the one before
    Update(Update),
    /// Make a new secret; the one before stays valid until the next rotation
    RotateSecret(One),
    /// Refuse a client, and void what was issued to it
    Disable(One),
    /// Accept a disabled client again
    Enable(One),
    /// Delete a client and everything that was issued to it
    Delete(One),
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  grantor client create --name Shop --redirect-uri https://shop.example/callback
  grantor client create --name 'Photo app' --public --redirect-uri http://127.0.0.1/callback
  grantor client create --name Worker --grant-type client_credentials --scope 'reports:read' --resource https://api.example --json")]
pub(super) struct Create {
    #[command(flatten)]
    config: ConfigArgs,
    /// What people are shown
    #[arg(long, value_parser = name)]
    name: String,
    /// [default: made from random characters]
    #[arg(long, value_name = "ID", value_parser = client_id)]
    client_id: Option<ClientId>,
    /// A browser-based, mobile or desktop app, which cannot keep a secret
    #[arg(long, conflicts_with = "confidential")]
    public: bool,
    /// An app on a server, which can keep a secret (the default)
    #[arg(long)]
    confidential: bool,
    #[command(flatten)]
    settings: Settings,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What can be given at registration and changed later.
#[derive(Args)]
struct Settings {
    /// Where the person is sent back, exactly; may be repeated
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// [default: `authorization_code` and `refresh_token`]; may be repeated
    #[arg(long = "grant-type", value_name = "GRANT_TYPE", value_parser = grant_type)]
    grant_types: Vec<GrantType>,
    /// What the client may ask for, and gets when it asks for nothing [default: openid profile email `offline_access`]; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", value_parser = parsed_scope)]
    scopes: Vec<Scope>,
    /// An API that the client may ask tokens for; may be repeated
    #[arg(long = "resource", value_name = "URI", value_parser = parsed_resource)]
    resources: Vec<Resource>,
    /// An API whose tokens the client may introspect; may be repeated
    #[arg(long = "introspect", value_name = "URI", value_parser = parsed_resource)]
    introspects: Vec<Resource>,
    /// Native apps may use any port on a registered loopback URI [default: native for public clients, web for others]
    #[arg(long, value_parser = ["native", "web"])]
    application_type: Option<String>,
    /// Run by you: people are not asked for consent
    #[arg(long)]
    first_party: bool,
    /// Keep the refresh token at each refresh (confidential clients only)
    #[arg(long)]
    no_refresh_rotation: bool,
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct One {
    #[command(flatten)]
    config: ConfigArgs,
    /// The client's id
    #[arg(value_parser = client_id)]
    client_id: ClientId,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  grantor client update shop --redirect-uri https://shop.example/callback --redirect-uri https://shop.example/silent
  grantor client update shop --name 'The shop'")]
pub(super) struct Update {
    #[command(flatten)]
    config: ConfigArgs,
    /// The client's id
    #[arg(value_parser = client_id)]
    client_id: ClientId,
    /// What people are shown
    #[arg(long, value_parser = name)]
    name: Option<String>,
    #[command(flatten)]
    settings: Settings,
    /// Ask people for consent again
    #[arg(long, conflicts_with = "first_party")]
    no_first_party: bool,
    /// Make a new refresh token at each refresh
    #[arg(long, conflicts_with = "no_refresh_rotation")]
    refresh_rotation: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn client_id(text: &str) -> Result<ClientId, String> {
    ClientId::parse(text).map_err(|error| error.to_string())
}

/// People read it: bounded, one line, and not only spaces.
fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) {
        return Err("a name has 1 to 100 characters on one line".to_owned());
    }
    Ok(text.to_owned())
}

fn grant_type(text: &str) -> Result<GrantType, String> {
    let known = || GrantType::ALL.iter().map(|grant_type| grant_type.as_str()).collect::<Vec<_>>().join(", ");
    GrantType::parse(text).ok_or_else(|| format!("one of {}", known()))
}

fn parsed_scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).map_err(|error| error.to_string())
}

fn parsed_resource(text: &str) -> Result<Resource, String> {
    Resource::parse(text).map_err(|error| error.to_string())
}

/// What `--json` prints of a client.
#[derive(Serialize)]
struct Shown<'a> {
    client_id: &'a ClientId,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    client_name: &'a str,
    client_type: ClientType,
    application_type: ApplicationType,
    redirect_uris: &'a [RedirectUri],
    grant_types: &'a [GrantType],
    scope: &'a Scope,
    resources: &'a [Resource],
    introspects: &'a [Resource],
    first_party: bool,
    refresh_rotation: bool,
    trust: Trust,
    created_at: String,
    disabled_at: Option<String>,
}

impl<'a> Shown<'a> {
    fn of(client: &'a Client, client_secret: Option<&'a Secret>) -> Self {
        Self {
            client_id: &client.id,
            client_secret: client_secret.map(Secret::expose),
            client_name: &client.name,
            client_type: client.client_type,
            application_type: client.application_type,
            redirect_uris: &client.redirect_uris,
            grant_types: &client.grant_types,
            scope: &client.scope,
            resources: &client.resources,
            introspects: &client.introspects,
            first_party: client.first_party,
            refresh_rotation: client.refresh_rotation == RefreshRotation::Rotate,
            trust: client.trust,
            created_at: client.created_at.to_string(),
            disabled_at: client.disabled_at.map(|at| at.to_string()),
        }
    }

    fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return print_json(self);
        }
        let list = |items: Vec<&str>| if items.is_empty() { "-".to_owned() } else { items.join("\n                  ") };
        println!("client_id         {}", self.client_id);
        if let Some(secret) = self.client_secret {
            println!("client_secret     {secret}");
        }
        println!("name              {}", self.client_name);
        println!("type              {}, {}", self.client_type.as_str(), self.application_type.as_str());
        println!("redirect_uris     {}", list(self.redirect_uris.iter().map(RedirectUri::as_str).collect()));
        println!("grant_types       {}", list(self.grant_types.iter().map(|grant_type| grant_type.as_str()).collect()));
        println!("scope             {}", self.scope);
        println!("resources         {}", list(self.resources.iter().map(Resource::as_str).collect()));
        println!("introspects       {}", list(self.introspects.iter().map(Resource::as_str).collect()));
        println!("first_party       {}", if self.first_party { "yes" } else { "no" });
        println!("refresh_rotation  {}", if self.refresh_rotation { "yes" } else { "no" });
        println!("trust             {}", self.trust.as_str());
        println!("created_at        {}", self.created_at);
        if let Some(disabled_at) = &self.disabled_at {
            println!("disabled_at       {disabled_at}");
        }
        if self.client_secret.is_some() {
            eprintln!("\nKeep the client_secret: it is not stored and cannot be shown again.");
        }
        Ok(())
    }
}

impl Command {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List(list) => list.run().await,
            Self::Show(one) => one.show().await,
            Self::Update(update) => update.run().await,
            Self::RotateSecret(one) => one.rotate_secret().await,
            Self::Disable(one) => one.set_disabled(true).await,
            Self::Enable(one) => one.set_disabled(false).await,
            Self::Delete(one) => one.delete().await,
        }
    }
}

fn event(server: &Server, name: AuditName, client_id: &ClientId) -> AuditEvent {
    AuditEvent::new(server.clock().now(), name, Actor::Operator, Origin::default()).of_client(client_id)
}

fn unknown(client_id: &ClientId) -> Failure {
    Failure::Refused(format!("there is no client '{client_id}'; 'grantor client list' shows those that there are"))
}

/// A random id that nobody takes for a person's.
fn random_client_id() -> ClientId {
    ClientId::parse(&format!("client-{}", secret::hex(&secret::random::<10>()))).expect("letters and digits make a client id")
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let client_type = if self.public { ClientType::Public } else { ClientType::Confidential };
        let secret = (client_type == ClientType::Confidential).then(Secret::generate);
        let mut client = Client {
            id: self.client_id.unwrap_or_else(random_client_id),
            name: self.name,
            client_type,
            application_type: if self.public { ApplicationType::Native } else { ApplicationType::Web },
            redirect_uris: Vec::new(),
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            scope: Scope::parse(scope::DEFAULT).map_err(anyhow::Error::new)?,
            resources: Vec::new(),
            introspects: Vec::new(),
            first_party: false,
            trust: Trust::Operator,
            refresh_rotation: RefreshRotation::Rotate,
            secrets: secret.iter().map(Secret::hash).collect(),
            created_at: Timestamp::from_micros(0),
            disabled_at: None,
            tokens_not_before: None,
        };
        self.settings.apply(&mut client)?;
        let server = self.config.open().await?;
        client.created_at = server.clock().now();
        let event = event(&server, AuditName::ClientCreated, &client.id);
        let saved = server.store().write(InsertClient { client: client.clone(), event }).await;
        server.close().await;
        match saved? {
            Saved::Done => Shown::of(&client, secret.as_ref()).print(self.json),
            Saved::Conflict => Err(Failure::Refused(format!("there is a client '{}' already", client.id))),
        }
    }
}

impl Settings {
    /// Changes what was given, and checks that the whole makes sense.
    fn apply(self, client: &mut Client) -> Result<(), Failure> {
        if !self.redirect_uris.is_empty() {
            client.redirect_uris = self
                .redirect_uris
                .iter()
                .map(|text| {
                    RedirectUri::register(text, client.client_type)
                        .map_err(|why| Failure::Argument(format!("--redirect-uri {text}: {why}")))
                })
                .collect::<Result<_, _>>()?;
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
        if !self.introspects.is_empty() {
            client.introspects = self.introspects;
        }
        match self.application_type.as_deref() {
            Some("native") => client.application_type = ApplicationType::Native,
            Some(_) => client.application_type = ApplicationType::Web,
            None => {}
        }
        if self.first_party {
            client.first_party = true;
        }
        if self.no_refresh_rotation {
            client.refresh_rotation = RefreshRotation::Keep;
        }
        make_sense(client)
    }
}

fn make_sense(client: &Client) -> Result<(), Failure> {
    let refuse = |why: &str| Err(Failure::Argument(why.to_owned()));
    let uses = |grant_type| client.grant_types.contains(&grant_type);
    if uses(GrantType::AuthorizationCode) && client.redirect_uris.is_empty() {
        return refuse("a client with the grant type authorization_code needs at least one --redirect-uri");
    }
    if uses(GrantType::RefreshToken) && !uses(GrantType::AuthorizationCode) {
        return refuse("refresh tokens come with authorization codes: add --grant-type authorization_code");
    }
    if client.client_type == ClientType::Public {
        if uses(GrantType::ClientCredentials) {
            return refuse("a public client cannot use client_credentials (OAuth 2.1 §4.2): leave out --public");
        }
        if !client.introspects.is_empty() {
            return refuse("a public client cannot introspect: leave out --public");
        }
        if client.refresh_rotation == RefreshRotation::Keep {
            return refuse("the refresh tokens of a public client must rotate (OAuth 2.1 §4.3.1): leave out --no-refresh-rotation");
        }
    }
    if client.scope.is_empty() {
        return refuse("--scope must name at least one scope");
    }
    Ok(())
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let server = self.config.open().await?;
        let clients = server.store().clients().await;
        server.close().await;
        let clients = clients?;
        if self.json {
            return print_json(&clients.iter().map(|client| Shown::of(client, None)).collect::<Vec<_>>());
        }
        let row = |client: &Client| {
            let state = if client.disabled_at.is_some() { "disabled" } else { "enabled" };
            vec![client.id.to_string(), client.name.clone(), client.client_type.as_str().to_owned(), state.to_owned()]
        };
        print_table(&["CLIENT_ID", "NAME", "TYPE", "STATE"], &clients.iter().map(row).collect::<Vec<_>>());
        Ok(())
    }
}

impl Update {
    async fn run(self) -> Result<(), Failure> {
        let server = self.config.open().await?;
        let Some(mut client) = server.store().client(&self.client_id).await? else {
            server.close().await;
            return Err(unknown(&self.client_id));
        };
        client.name = self.name.unwrap_or(client.name);
        client.first_party &= !self.no_first_party;
        if self.refresh_rotation {
            client.refresh_rotation = RefreshRotation::Rotate;
        }
        self.settings.apply(&mut client)?;
        let event = event(&server, AuditName::ClientUpdated, &client.id);
        let saved = server.store().write(UpdateClient { client: client.clone(), event }).await;
        server.close().await;
        match saved? {
            Saved::Done => Shown::of(&client, None).print(self.json),
            Saved::Conflict => Err(unknown(&client.id)),
        }
    }
}

impl One {
    async fn show(self) -> Result<(), Failure> {
        let server = self.config.open().await?;
        let client = server.store().client(&self.client_id).await;
        server.close().await;
        let client = client?.ok_or_else(|| unknown(&self.client_id))?;
        Shown::of(&client, None).print(self.json)
    }

    async fn rotate_secret(self) -> Result<(), Failure> {
        let server = self.config.open().await?;
        let client = server.store().client(&self.client_id).await?.ok_or_else(|| unknown(&self.client_id))?;
        if client.client_type == ClientType::Public {
            return Err(Failure::Refused(format!("'{}' is a public client: it has no secret", client.id)));
        }
        let secret = Secret::generate();
        let event = event(&server, AuditName::ClientSecretRotated, &client.id);
        let rotated = server.store().write(RotateClientSecret { client_id: client.id.clone(), hash: secret.hash(), event }).await;
        server.close().await;
        rotated?;
        Shown::of(&client, Some(&secret)).print(self.json)
    }

    async fn set_disabled(self, disabled: bool) -> Result<(), Failure> {
        let server = self.config.clone().open().await?;
        let name = if disabled { AuditName::ClientDisabled } else { AuditName::ClientEnabled };
        let event = event(&server, name, &self.client_id);
        let saved = server.store().write(SetClientDisabled { client_id: self.client_id.clone(), disabled, event }).await;
        server.close().await;
        self.report(saved?, if disabled { "disabled" } else { "enabled" })
    }

    async fn delete(self) -> Result<(), Failure> {
        let server = self.config.clone().open().await?;
        let event = event(&server, AuditName::ClientDeleted, &self.client_id);
        let saved = server.store().write(DeleteClient { client_id: self.client_id.clone(), event }).await;
        server.close().await;
        self.report(saved?, "deleted")
    }

    fn report(&self, saved: Saved, what: &str) -> Result<(), Failure> {
        match saved {
            Saved::Conflict => Err(unknown(&self.client_id)),
            Saved::Done if self.json => print_json(&serde_json::json!({ "client_id": self.client_id, what: true })),
            Saved::Done => {
                println!("The client '{}' is {what}.", self.client_id);
                Ok(())
            }
        }
    }
}
