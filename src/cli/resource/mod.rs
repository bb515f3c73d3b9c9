//! `grantor resource`

mod shown;

use std::time::Duration;

use clap::{Args, Subcommand};

use self::shown::Shown;
use super::{CommonArgs, Failure, print_json, print_table};
use crate::{
    audit::{Actor, AuditEvent, AuditName, Origin},
    config::AccessTokenTtl,
    oauth::{Algorithm, ProtectedResource, Resource, Scope, client::display_name, protected_resource::claim_name},
    server::Server,
    store::{
        Saved,
        resources::{DeleteResource, InsertResource, UpdateResource},
    },
};

#[derive(Subcommand)]
#[command(after_help = "\
A client may ask for tokens of an API that its --resource names. Registering the API says more of it: what people read, which
scopes it knows, how long its access tokens live, and what signs them.

Examples:
  grantor resource create https://api.example.com --name 'Photo API' --scope 'photos:read photos:write'
  grantor resource list
  grantor resource show https://api.example.com --json
  grantor resource disable https://api.example.com")]
pub(super) enum Command {
    /// Register an API
    Create(Create),
    /// List the registered APIs
    List(List),
    /// Show an API
    Show(One),
    /// Change an API; a list that is given replaces the one before
    Update(Update),
    /// Issue no more tokens for an API
    Disable(One),
    /// Issue tokens for a disabled API again
    Enable(One),
    /// Forget an API; clients that have it get tokens for it without its limits
    Delete(One),
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  grantor resource create https://api.example.com --name 'Photo API' --scope 'photos:read photos:write'
  grantor resource create https://bank.example/api --name Bank --access-token-ttl 2m --access-token-signing-alg PS256
  grantor resource create urn:example:reports --name Reports --claim roles --claim groups --json")]
pub(super) struct Create {
    #[command(flatten)]
    common: CommonArgs,
    /// The URI by which clients ask for it, which becomes the audience of its tokens
    #[arg(value_parser = parsed_resource)]
    uri: Resource,
    /// What people are shown
    #[arg(long, value_parser = name)]
    name: String,
    #[command(flatten)]
    settings: Settings,
}

const SCOPE_HELP: &str = "The scopes that it knows: its access tokens carry no others but those of OpenID; may be repeated [default: any]";
const TTL_HELP: &str = "How long its access tokens live, from 1s to 1d [default: tokens.access_token_ttl]";
const ALG_HELP: &str =
    "What signs its access tokens: ES256, RS256, PS256 or EdDSA [default: what the client or tokens.access_token_alg says]";

/// What can be given at registration and changed later.
#[derive(Args)]
struct Settings {
    #[arg(long = "scope", value_name = "SCOPE", value_parser = parsed_scope, help = SCOPE_HELP)]
    scopes: Vec<Scope>,
    #[arg(long, value_name = "DURATION", value_parser = lifetime, help = TTL_HELP)]
    access_token_ttl: Option<Duration>,
    #[arg(long, value_name = "ALG", value_parser = algorithm, help = ALG_HELP)]
    access_token_signing_alg: Option<Algorithm>,
    /// A claim about people that its access tokens carry: roles, groups, or an attribute by name; may be repeated
    #[arg(long = "claim", value_name = "NAME", value_parser = claim)]
    claims: Vec<String>,
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
    /// The API's URI
    #[arg(value_parser = parsed_resource)]
    uri: Resource,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  grantor resource update https://api.example.com --scope 'photos:read photos:write albums:read'
  grantor resource update https://api.example.com --any-scope --no-access-token-ttl")]
pub(super) struct Update {
    #[command(flatten)]
    common: CommonArgs,
    /// The API's URI
    #[arg(value_parser = parsed_resource)]
    uri: Resource,
    /// What people are shown
    #[arg(long, value_parser = name)]
    name: Option<String>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    resets: Resets,
}

/// What goes back to its default.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
struct Resets {
    /// Let its access tokens carry every scope
    #[arg(long, conflicts_with = "scopes")]
    any_scope: bool,
    /// Let its access tokens live as long as others
    #[arg(long, conflicts_with = "access_token_ttl")]
    no_access_token_ttl: bool,
    /// Sign its access tokens as the client or the configuration says
    #[arg(long, conflicts_with = "access_token_signing_alg")]
    no_access_token_signing_alg: bool,
    /// Give its access tokens no claims about people
    #[arg(long, conflicts_with = "claims")]
    no_claims: bool,
}

fn name(text: &str) -> Result<String, String> {
    display_name(text).map_err(|error| error.to_string())
}

fn parsed_resource(text: &str) -> Result<Resource, String> {
    Resource::parse(text).map_err(|error| error.to_string())
}

fn parsed_scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).map_err(|error| error.to_string())
}

fn lifetime(text: &str) -> Result<Duration, String> {
    AccessTokenTtl::parse_duration(text)
}

pub(super) fn algorithm(text: &str) -> Result<Algorithm, String> {
    let known = || Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>().join(", ");
    Algorithm::parse(text).ok_or_else(|| format!("one of {}", known()))
}

fn claim(text: &str) -> Result<String, String> {
    claim_name(text).map_err(|error| error.to_string())
}

impl Command {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List(list) => list.run().await,
            Self::Show(one) => one.show().await,
            Self::Update(update) => update.run().await,
            Self::Disable(one) => one.set_disabled(true).await,
            Self::Enable(one) => one.set_disabled(false).await,
            Self::Delete(one) => one.delete().await,
        }
    }
}

fn event(server: &Server, name: AuditName, uri: &Resource) -> AuditEvent {
    AuditEvent::new(server.clock().now(), name, Actor::Operator, Origin::default()).with("uri", uri.as_str())
}

fn unknown(uri: &Resource) -> Failure {
    Failure::Refused(format!("the resource '{uri}' is not registered; 'grantor resource list' shows those that are"))
}

async fn known(server: &Server, uri: &Resource) -> Result<ProtectedResource, Failure> {
    server.store().resource(uri).await?.ok_or_else(|| unknown(uri))
}

/// What a file declares is changed there: the next start would undo it.
fn refuse_declared(resource: &ProtectedResource, instead: &str) -> Result<(), Failure> {
    match &resource.declared_in {
        None => Ok(()),
        Some(file) => Err(Failure::Refused(format!("the resource '{}' is declared in {file}: {instead}", resource.uri))),
    }
}

impl Settings {
    fn apply(self, resource: &mut ProtectedResource) -> Result<(), Failure> {
        if !self.scopes.is_empty() {
            let scope = self.scopes.iter().fold(Scope::default(), |all, scope| all.joined_with(scope));
            if scope.is_empty() {
                return Err(Failure::Argument("--scope must name at least one value".to_owned()));
            }
            resource.scope = Some(scope);
        }
        resource.access_token_ttl = self.access_token_ttl.or(resource.access_token_ttl);
        resource.access_token_signing_alg = self.access_token_signing_alg.or(resource.access_token_signing_alg);
        if !self.claims.is_empty() {
            resource.claims = self.claims;
        }
        Ok(())
    }
}

impl Resets {
    fn apply(&self, resource: &mut ProtectedResource) {
        if self.any_scope {
            resource.scope = None;
        }
        if self.no_access_token_ttl {
            resource.access_token_ttl = None;
        }
        if self.no_access_token_signing_alg {
            resource.access_token_signing_alg = None;
        }
        if self.no_claims {
            resource.claims.clear();
        }
    }
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let mut resource = ProtectedResource::new(self.uri, self.name);
        self.settings.apply(&mut resource)?;
        let saved = self.common.config.with_server(async |server| {
            resource.created_at = server.clock().now();
            let event = event(server, AuditName::ResourceCreated, &resource.uri);
            let saved = server.store().write(InsertResource { resource: resource.clone(), event }).await?;
            if saved == Saved::Done {
                server.rotation().provide_for(resource.access_token_signing_alg).await?;
            }
            Ok(saved)
        });
        match saved.await? {
            Saved::Done => Shown::of(&resource).print(self.common.json),
            Saved::Conflict => Err(Failure::Refused(format!("the resource '{}' is registered already", resource.uri))),
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let resources = self.common.config.with_server(async |server| Ok(server.store().resources().await?)).await?;
        if self.common.json {
            return print_json(&resources.iter().map(Shown::of).collect::<Vec<_>>());
        }
        let row = |resource: &ProtectedResource| {
            let state = if resource.disabled_at.is_some() { "disabled" } else { "enabled" };
            let scope = resource.scope.as_ref().map_or_else(|| "any".to_owned(), Scope::to_string);
            let declared_in = resource.declared_in.clone().unwrap_or_else(|| "-".to_owned());
            vec![resource.uri.to_string(), resource.name.clone(), scope, state.to_owned(), declared_in]
        };
        print_table(&["URI", "NAME", "SCOPE", "STATE", "DECLARED_IN"], &resources.iter().map(row).collect::<Vec<_>>())
    }
}

impl Update {
    async fn run(self) -> Result<(), Failure> {
        let Self { common, uri, name, settings, resets } = self;
        let resource = common.config.with_server(async |server| {
            let mut resource = known(server, &uri).await?;
            refuse_declared(&resource, "change it there and run 'grantor apply'")?;
            resource.name = name.unwrap_or(resource.name);
            settings.apply(&mut resource)?;
            resets.apply(&mut resource);
            change(server, resource, AuditName::ResourceUpdated).await
        });
        Shown::of(&resource.await?).print(common.json)
    }
}

async fn change(server: &Server, resource: ProtectedResource, name: AuditName) -> Result<ProtectedResource, Failure> {
    let event = event(server, name, &resource.uri);
    match server.store().write(UpdateResource { resource: resource.clone(), event }).await? {
        Saved::Conflict => Err(unknown(&resource.uri)),
        Saved::Done => {
            server.rotation().provide_for(resource.access_token_signing_alg).await?;
            Ok(resource)
        }
    }
}

impl One {
    async fn show(self) -> Result<(), Failure> {
        let resource = self.common.config.with_server(async |server| known(server, &self.uri).await).await?;
        Shown::of(&resource).print(self.common.json)
    }

    async fn set_disabled(self, disabled: bool) -> Result<(), Failure> {
        let (name, what) = if disabled { (AuditName::ResourceDisabled, "disabled") } else { (AuditName::ResourceEnabled, "enabled") };
        let Self { common, uri } = self;
        let changed = common.config.with_server(async |server| {
            let mut resource = known(server, &uri).await?;
            resource.disabled_at = disabled.then(|| server.clock().now());
            change(server, resource, name).await
        });
        changed.await?;
        report(&uri, what, common.json)
    }

    async fn delete(self) -> Result<(), Failure> {
        let Self { common, uri } = self;
        let saved = common.config.with_server(async |server| {
            refuse_declared(&known(server, &uri).await?, "remove it there, run 'grantor apply --prune', and then delete it")?;
            let event = event(server, AuditName::ResourceDeleted, &uri);
            Ok(server.store().write(DeleteResource { uri: uri.clone(), event }).await?)
        });
        match saved.await? {
            Saved::Conflict => Err(unknown(&uri)),
            Saved::Done => report(&uri, "deleted", common.json),
        }
    }
}

fn report(uri: &Resource, what: &str, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&serde_json::json!({ "uri": uri, what: true }));
    }
    say!("The resource '{uri}' is {what}.")
}
