//! `grantor demo`: what a newcomer runs first.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use anyhow::Context;
use axum::Router;
use clap::Args;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    Failure,
    serve::{bind, serve, stop_signal},
    user::{create_person, new_person},
};
use crate::{
    accounts::{
        password::{self, Password},
        throttle,
    },
    audit::{Actor, AuditEvent, AuditName, Origin},
    clock::Clock,
    config::{Config, Sources},
    demo::{READ, SampleApi, SampleApp, SinglePageApp, WRITE},
    oauth::{Client, ClientId, Email, GrantType, RedirectUri, Resource, Scope, client::ClientType, client_secret::ClientSecret},
    secret::Secret,
    server::Server,
    store::{
        Saved,
        client_secrets::{Former, RotateClientSecret},
        clients::{InsertClient, UpdateClient},
        people::SetPassword,
    },
    telemetry,
    web::{listener, request_log},
};

struct Sample {
    email: &'static str,
    name: &'static str,
    password: &'static str,
    groups: &'static [&'static str],
    claims: fn() -> serde_json::Value,
}

const PEOPLE: [Sample; 2] = [
    Sample {
        email: "alice@example.com",
        name: "Alice",
        password: "down-the-rabbit-hole",
        groups: &["wonderland"],
        claims: || {
            json!({
                "given_name": "Alice", "family_name": "Liddell", "nickname": "Al", "preferred_username": "alice", "gender": "female",
                "birthdate": "1852-05-04", "zoneinfo": "Europe/London", "locale": "en-GB", "website": "https://example.com/alice",
                "profile": "https://example.com/alice/profile", "picture": "https://example.com/alice.png", "middle_name": "Pleasance",
                "phone_number": "+441865276150", "phone_number_verified": true,
                "address": {
                    "formatted": "Christ Church\nOxford OX1 1DP\nUnited Kingdom", "street_address": "Christ Church", "locality": "Oxford",
                    "region": "Oxfordshire", "postal_code": "OX1 1DP", "country": "United Kingdom",
                },
            })
        },
    },
    Sample {
        email: "bob@example.com",
        name: "Bob",
        password: "can-he-build-it",
        groups: &[],
        claims: || json!({ "given_name": "Bob", "nickname": "The Builder", "locale": "en" }),
    },
];
/// For a database that is kept over several demos. A demo has no secrets: anyone can read its passwords above.
const MASTER_KEY: &str = "Z3JhbnRvciBkZW1vOiBub3QgYSBzZWNyZXQgYXQgYWw=";
/// What the consent page says about the scopes of the sample API.
const SETTINGS: &str = "[scopes]\n\"notes:read\" = \"Read your notes\"\n\"notes:write\" = \"Write notes for you\"\n";

#[derive(Args)]
#[command(after_help = "\
The database is a temporary one that is deleted at the end, unless --database-url names another.

Examples:
  grantor demo
  grantor demo --listen 127.0.0.1:9000 --app-listen 127.0.0.1:9001
  grantor demo --database-url postgres://postgres@localhost/grantor_demo")]
pub(super) struct Demo {
    /// The server's address and port, on loopback
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The sample app's address and port, on loopback
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8081")]
    app_listen: SocketAddr,
    /// The single-page app's [default: one port above the sample app's]
    #[arg(long, value_name = "ADDRESS:PORT")]
    spa_listen: Option<SocketAddr>,
    /// The sample API's [default: two ports above the sample app's]
    #[arg(long, value_name = "ADDRESS:PORT")]
    api_listen: Option<SocketAddr>,
    /// sqlite:PATH or postgres://... [default: a temporary SQLite database]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

/// Where the samples are.
struct Places {
    app: SocketAddr,
    spa: SocketAddr,
    api: SocketAddr,
}

/// The clients of the demo, as they were just registered.
struct Clients {
    app: Registered,
    spa: Registered,
    machine: Registered,
}

struct Registered {
    id: String,
    /// A public client has none.
    secret: String,
}

impl Demo {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let places = self.places()?;
        let temporary = tempfile::Builder::new().prefix("grantor-demo-").tempdir().context("no temporary directory can be made")?;
        let mut environment = BTreeMap::from([
            ("GRANTOR_LISTEN".to_owned(), self.listen.to_string()),
            ("GRANTOR_DATA_DIR".to_owned(), temporary.path().display().to_string()),
            ("GRANTOR_LOG".to_owned(), "warn".to_owned()),
            ("GRANTOR_MASTER_KEY".to_owned(), MASTER_KEY.to_owned()),
        ]);
        environment.extend(self.database_url.map(|url| ("GRANTOR_DATABASE_URL".to_owned(), url)));
        let file = Some((PathBuf::from("the settings of the demo"), SETTINGS.to_owned()));
        let config = Config::from_sources(Sources { environment, file, ..Sources::default() }).map_err(Failure::Usage)?;
        telemetry::begin(&config, request_log::current_id);

        let server = Server::start(config, Clock::system()).await?;
        let listener = bind(&server).await?;
        let listeners = places.bind().await?;
        let clients = Clients::register(&server, &places).await?;
        for sample in PEOPLE {
            add_person(&server, &sample).await?;
        }
        let routers = places.routers(&server, &clients)?;
        let mut samples = JoinSet::new();
        for (listener, router) in listeners.into_iter().zip(routers) {
            let limits = server.config().limits.clone();
            samples.spawn(async move { listener::serve(listener, router, &limits, std::future::pending()).await });
        }
        say!("{}", places.welcome(&server, &clients))?;
        serve(&server, listener, stop_signal()?).await;
        samples.shutdown().await;
        say!("\nThe demo has ended.")?;
        Ok(())
    }

    fn places(&self) -> Result<Places, Failure> {
        let app = self.app_listen;
        let above = |ports: u16, flag: &str| {
            let port = app.port().checked_add(ports);
            let port =
                port.ok_or_else(|| Failure::Argument(format!("no port is left above that of the sample app: choose one with {flag}")))?;
            Ok::<_, Failure>(SocketAddr::new(app.ip(), port))
        };
        let spa = self.spa_listen.map_or_else(|| above(1, "--spa-listen"), Ok)?;
        let api = self.api_listen.map_or_else(|| above(2, "--api-listen"), Ok)?;
        if [self.listen, app, spa, api].iter().all(|address| address.ip().is_loopback()) {
            return Ok(Places { app, spa, api });
        }
        let reason = "the passwords of the demo are public: it listens on loopback only, such as 127.0.0.1:8080";
        Err(Failure::Argument(reason.to_owned()))
    }
}

impl Places {
    fn app_url(&self) -> String {
        format!("http://{}", self.app)
    }

    fn spa_url(&self) -> String {
        format!("http://{}", self.spa)
    }

    /// Also the API's resource identifier, which its tokens name as their audience.
    fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// In the order of [`Places::routers`].
    async fn bind(&self) -> Result<[TcpListener; 3], Failure> {
        Ok([
            listen(self.app, "the sample app", "--app-listen").await?,
            listen(self.spa, "the single-page app", "--spa-listen").await?,
            listen(self.api, "the sample API", "--api-listen").await?,
        ])
    }

    fn routers(&self, server: &Server, clients: &Clients) -> anyhow::Result<[Router; 3]> {
        let issuer = || server.config().issuer.as_str().to_owned();
        let app = SampleApp {
            issuer: issuer(),
            client_id: clients.app.id.clone(),
            client_secret: clients.app.secret.clone(),
            base_url: self.app_url(),
            scopes: Vec::new(),
            api_url: self.api_url(),
            spa_url: self.spa_url(),
            machine: (clients.machine.id.clone(), clients.machine.secret.clone()),
        };
        let spa = SinglePageApp { issuer: issuer(), client_id: clients.spa.id.clone(), base_url: self.spa_url(), api_url: self.api_url() };
        let api = SampleApi { issuer: issuer(), resource: self.api_url(), allowed_origin: self.spa_url() };
        Ok([app.router()?, spa.router()?, api.router(Clock::system())?])
    }

    fn welcome(&self, server: &Server, clients: &Clients) -> String {
        let people = PEOPLE.map(|sample| format!("  {:<20} {}", sample.email, sample.password)).join("\n");
        let Registered { id, secret } = &clients.machine;
        format!(
            "\nGrantor's demo is running.\n\n\
             Open the sample app    {app}\n\
             or a single-page app   {spa}\n\
             and sign in as one of\n{people}\n\n\
             The API that they call {api}/notes\n\
             as a program would:\n\
             \x20 TOKEN=$(curl -s -u '{id}:{secret}' -d grant_type=client_credentials {issuer}/oauth/token | cut -d'\"' -f4)\n\
             \x20 curl -s -H \"Authorization: Bearer $TOKEN\" {api}/notes\n\n\
             The server itself      {issuer}/account\n\
             What clients discover  {issuer}/.well-known/oauth-authorization-server\n\n\
             Ctrl-C ends the demo.",
            app = self.app_url(),
            spa = self.spa_url(),
            api = self.api_url(),
            issuer = server.config().issuer,
        )
    }
}

async fn listen(address: SocketAddr, who: &str, flag: &str) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    Ok(listener
        .with_context(|| format!("{who} cannot listen on {address}: end the program that uses the port, or choose another with {flag}"))?)
}

impl Clients {
    /// Registers the samples as an operator would register any client.
    async fn register(server: &Server, places: &Places) -> Result<Self, Failure> {
        let api = Resource::parse(&places.api_url()).map_err(anyhow::Error::new)?;
        let client = |id: &str, name: &str, client_type| {
            let id = ClientId::parse(id).map_err(anyhow::Error::new)?;
            Ok::<_, Failure>(Client { resources: vec![api.clone()], ..Client::new(id, name.to_owned(), client_type) })
        };
        let notes = scope(&[READ, WRITE])?;

        let app = client("sample-app", "Sample app", ClientType::Confidential)?;
        let redirect_uris = vec![redirect_uri(&SampleApp::redirect_uri(&places.app_url()), ClientType::Confidential)?];
        let app = Client { redirect_uris, scope: app.scope.joined_with(&scope(&[READ])?), ..app };

        let spa = client("sample-spa", "Sample single-page app", ClientType::Public)?;
        let redirect_uris = vec![redirect_uri(&SinglePageApp::redirect_uri(&places.spa_url()), ClientType::Public)?];
        let spa = Client { redirect_uris, scope: notes.clone(), ..spa };

        let machine = client("sample-machine", "Sample machine client", ClientType::Confidential)?;
        let machine = Client { grant_types: vec![GrantType::ClientCredentials], scope: notes, ..machine };

        Ok(Self { app: register(server, app).await?, spa: register(server, spa).await?, machine: register(server, machine).await? })
    }
}

fn scope(tokens: &[&str]) -> Result<Scope, Failure> {
    Ok(Scope::parse(&tokens.join(" ")).map_err(anyhow::Error::new)?)
}

fn redirect_uri(uri: &str, client_type: ClientType) -> Result<RedirectUri, Failure> {
    Ok(RedirectUri::register(uri, client_type).map_err(anyhow::Error::new)?)
}

/// A kept database knows the client already: then it is changed to this one, with a new secret.
async fn register(server: &Server, client: Client) -> Result<Registered, Failure> {
    let secret = (client.client_type == ClientType::Confidential).then(Secret::generate);
    let now = server.clock().now();
    let kept = secret.as_ref().map(|secret| ClientSecret::new(secret.hash(), None, now));
    let client = Client { secrets: kept.iter().cloned().collect(), created_at: now, ..client };
    let event = |name| AuditEvent::new(now, name, Actor::Operator, Origin::default()).of_client(&client.id);
    let insert = InsertClient { client: client.clone(), event: event(AuditName::ClientCreated) };
    if server.store().write(insert).await? == Saved::Conflict {
        let update = UpdateClient { client: client.clone(), event: event(AuditName::ClientUpdated) };
        server.store().write(update).await?;
        if let Some(secret) = kept {
            let (client_id, former) = (client.id.clone(), Former::EndNow);
            let event = event(AuditName::ClientSecretRotated).with("ends_at", now.to_string());
            let rotate = RotateClientSecret { client_id, secret, former, event };
            server.store().write(rotate).await?;
        }
    }
    Ok(Registered { id: client.id.to_string(), secret: secret.map(|secret| secret.expose().to_owned()).unwrap_or_default() })
}

async fn add_person(server: &Server, sample: &Sample) -> Result<(), Failure> {
    let email = Email::parse(sample.email).map_err(anyhow::Error::new)?;
    let password = Password::parse(sample.password).context("the password of a sample is none")?;
    let hash = password::hash(server.hashing(), &server.config().passwords, None, password).await?;
    let mut person = new_person(server, email.clone(), Some(sample.name.to_owned()), Some(hash.clone()));
    person.email_verified_at = Some(person.created_at);
    person.groups = sample.groups.iter().map(|&group| group.to_owned()).collect();
    person.claims = serde_json::from_value((sample.claims)()).map_err(anyhow::Error::new)?;
    if create_person(server, person).await? == Saved::Conflict
        && let Some(known) = server.store().person_by_email(&email.key).await?
    {
        let event = AuditEvent::new(server.clock().now(), AuditName::PasswordSet, Actor::Operator, Origin::default()).about(known.id);
        let throttle = throttle::account_key(server, &known.email_key);
        server.store().write(SetPassword { person_id: known.id, password_hash: hash, throttle, event }).await?;
    }
    Ok(())
}
