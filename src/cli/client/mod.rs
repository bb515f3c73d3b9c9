//! `grantor client`

mod rotate_secret;
mod settings;
mod shown;

use clap::{Args, Subcommand};
use serde_json::json;

use self::{rotate_secret::RotateSecret, settings::Settings, shown::Shown};
use super::{CommonArgs, Failure, print_json, print_table, with_server_of};
use crate::{
    audit::{Actor, AuditEvent, AuditName, Origin},
    oauth::{
        Client, ClientId,
        client::{ClientType, RefreshRotation, display_name},
    },
    server::Server,
    store::{
        Saved,
        clients::{DeleteClient, InsertClient, SetClientDisabled, UpdateClient},
    },
};

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  grantor client list
  grantor client show shop --json
  grantor client rotate-secret shop
  grantor client disable shop")]
pub(super) enum Command {
    /// Register a client
    Create(Box<Create>),
    /// List the clients
    List(List),
    /// Show a client
    Show(One),
    /// Change a client; a list that is given replaces the one before
    Update(Box<Update>),
    /// Make a new secret; the one before ends a week later, or when you say
    RotateSecret(RotateSecret),
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
  grantor client create --name Bank --redirect-uri https://bank.example/callback --token-endpoint-auth-method private_key_jwt \
    --jwks-uri https://bank.example/jwks
  grantor client create --name Worker --grant-type client_credentials --scope 'reports:read' --resource https://api.example --json")]
pub(super) struct Create {
    #[command(flatten)]
    common: CommonArgs,
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
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Args)]
pub(super) struct One {
    #[command(flatten)]
    common: CommonArgs,
    /// The client's id
    #[arg(value_parser = client_id)]
    client_id: ClientId,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  grantor client update shop --redirect-uri https://shop.example/callback --redirect-uri https://shop.example/silent
  grantor client update shop --name 'The shop'
  grantor client update shop --post-logout-redirect-uri https://shop.example/goodbye
  grantor client update shop --metadata '{\"tos_uri\": \"https://shop.example/tos\", \"logo_uri\": null}'")]
pub(super) struct Update {
    #[command(flatten)]
    common: CommonArgs,
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
}

fn client_id(text: &str) -> Result<ClientId, String> {
    ClientId::parse(text).map_err(|error| error.to_string())
}

fn name(text: &str) -> Result<String, String> {
    display_name(text).map_err(|error| error.to_string())
}

impl Command {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(create) => Box::pin(create.run()).await,
            Self::List(list) => list.run().await,
            Self::Show(one) => one.show().await,
            Self::Update(update) => Box::pin(update.run()).await,
            Self::RotateSecret(rotate) => Box::pin(rotate.run()).await,
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

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let client_type = if self.public { ClientType::Public } else { ClientType::Confidential };
        let id = self.client_id.unwrap_or_else(ClientId::random);
        let mut client = Client::new(id, self.name, client_type);
        let config = self.common.config.load()?;
        self.settings.apply(&mut client, &config.issuer)?;
        let secret = client.has_secrets().then(|| client.new_secret());
        let saved = with_server_of(config, async |server| {
            client.created_at = server.clock().now();
            if let Some(secret) = &secret {
                let kept = client.kept(secret, server.sealing_key().await?, client.created_at);
                client.secrets.push(kept);
            }
            let event = event(server, AuditName::ClientCreated, &client.id);
            let saved = server.store().write(InsertClient { client: client.clone(), event }).await?;
            if saved == Saved::Done {
                server.rotation().provide_for(client.metadata.access_token_signing_alg).await?;
            }
            Ok(saved)
        });
        match saved.await? {
            Saved::Done => Shown::of(&client, secret.as_ref()).print(self.common.json),
            Saved::Conflict => Err(Failure::Refused(format!("there is a client '{}' already", client.id))),
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let clients = self.common.config.with_server(async |server| Ok(server.store().clients().await?)).await?;
        if self.common.json {
            return print_json(&clients.iter().map(|client| Shown::of(client, None)).collect::<Vec<_>>());
        }
        let row = |client: &Client| {
            let state = if client.disabled_at.is_some() { "disabled" } else { "enabled" };
            let declared_in = client.declared_in.clone().unwrap_or_else(|| "-".to_owned());
            vec![client.id.to_string(), client.name.clone(), client.client_type.as_str().to_owned(), state.to_owned(), declared_in]
        };
        print_table(&["CLIENT_ID", "NAME", "TYPE", "STATE", "DECLARED_IN"], &clients.iter().map(row).collect::<Vec<_>>())
    }
}

impl Update {
    async fn run(self) -> Result<(), Failure> {
        let Self { common, client_id, name, settings, no_first_party, refresh_rotation } = self;
        let client = common.config.with_server(async |server| {
            let mut client = known(server, &client_id).await?;
            refuse_declared(&client, "change it there and run 'grantor apply'")?;
            client.name = name.unwrap_or(client.name);
            client.first_party &= !no_first_party;
            if refresh_rotation {
                client.refresh_rotation = RefreshRotation::Rotate;
            }
            settings.apply(&mut client, &server.config().issuer)?;
            let event = event(server, AuditName::ClientUpdated, &client.id);
            match server.store().write(UpdateClient { client: client.clone(), event }).await? {
                Saved::Done => {
                    server.rotation().provide_for(client.metadata.access_token_signing_alg).await?;
                    Ok(client)
                }
                Saved::Conflict => Err(unknown(&client.id)),
            }
        });
        let client = client.await?;
        Shown::of(&client, None).print(common.json)?;
        if client.metadata.has_mac_secret() && client.secrets.iter().all(|secret| secret.sealed.is_none()) {
            tell!("\nNo secret of it is kept for signing yet: make one with 'grantor client rotate-secret {}'.", client.id);
        }
        Ok(())
    }
}

impl One {
    async fn show(self) -> Result<(), Failure> {
        let client = self.common.config.with_server(async |server| known(server, &self.client_id).await).await?;
        Shown::of(&client, None).print(self.common.json)
    }

    async fn set_disabled(self, disabled: bool) -> Result<(), Failure> {
        let (name, what) = if disabled { (AuditName::ClientDisabled, "disabled") } else { (AuditName::ClientEnabled, "enabled") };
        let Self { common, client_id } = self;
        let saved = common.config.with_server(async |server| {
            let event = event(server, name, &client_id);
            Ok(server.store().write(SetClientDisabled { client_id: client_id.clone(), disabled, event }).await?)
        });
        report(&client_id, saved.await?, what, common.json)
    }

    async fn delete(self) -> Result<(), Failure> {
        let Self { common, client_id } = self;
        let saved = common.config.with_server(async |server| {
            refuse_declared(&known(server, &client_id).await?, "remove it there, run 'grantor apply --prune', and then delete it")?;
            let event = event(server, AuditName::ClientDeleted, &client_id);
            Ok(server.store().write(DeleteClient { client_id: client_id.clone(), event }).await?)
        });
        report(&client_id, saved.await?, "deleted", common.json)
    }
}

async fn known(server: &Server, client_id: &ClientId) -> Result<Client, Failure> {
    server.store().client(client_id).await?.ok_or_else(|| unknown(client_id))
}

/// What a file declares is changed there: the next start would undo it.
fn refuse_declared(client: &Client, instead: &str) -> Result<(), Failure> {
    match &client.declared_in {
        None => Ok(()),
        Some(file) => Err(Failure::Refused(format!("the client '{}' is declared in {file}: {instead}", client.id))),
    }
}

fn report(client_id: &ClientId, saved: Saved, what: &str, json: bool) -> Result<(), Failure> {
    match saved {
        Saved::Conflict => Err(unknown(client_id)),
        Saved::Done if json => print_json(&json!({ "client_id": client_id, what: true })),
        Saved::Done => {
            say!("The client '{client_id}' is {what}.")
        }
    }
}
