//! `grantor demo`: what a newcomer runs first.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;

use super::{
    Failure,
    serve::{bind, serve, stop_signal},
    user::{create_person, new_person},
};
use crate::{
    accounts::{
        email::Email,
        password::{self, Password},
    },
    audit::{Actor, AuditEvent, AuditName, Origin},
    clock::Clock,
    config::{Config, Sources},
    demo::SampleApp,
    oauth::{Client, ClientId, RedirectUri, client::ClientType},
    secret::Secret,
    server::Server,
    store::{
        Saved,
        clients::{InsertClient, RotateClientSecret, UpdateClient},
        people::SetPassword,
    },
    telemetry,
    web::listener,
};

const CLIENT_ID: &str = "sample-app";
const PEOPLE: [(&str, &str, &str); 2] =
    [("alice@example.com", "Alice", "down-the-rabbit-hole"), ("bob@example.com", "Bob", "can-he-build-it")];
/// For a database that is kept over several demos. A demo has no secrets: anyone can read its passwords above.
const MASTER_KEY: &str = "Z3JhbnRvciBkZW1vOiBub3QgYSBzZWNyZXQgYXQgYWw=";

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
    /// sqlite:PATH or postgres://... [default: a temporary SQLite database]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

impl Demo {
    pub(super) async fn run(self) -> Result<(), Failure> {
        if !self.listen.ip().is_loopback() || !self.app_listen.ip().is_loopback() {
            return Err(Failure::Argument(
                "the passwords of the demo are public: it listens on loopback only, such as 127.0.0.1:8080".to_owned(),
            ));
        }
        let temporary = tempfile::Builder::new().prefix("grantor-demo-").tempdir().context("no temporary directory can be made")?;
        let mut environment = BTreeMap::from([
            ("GRANTOR_LISTEN".to_owned(), self.listen.to_string()),
            ("GRANTOR_DATA_DIR".to_owned(), temporary.path().display().to_string()),
            ("GRANTOR_LOG".to_owned(), "warn".to_owned()),
            ("GRANTOR_MASTER_KEY".to_owned(), MASTER_KEY.to_owned()),
        ]);
        environment.extend(self.database_url.map(|url| ("GRANTOR_DATABASE_URL".to_owned(), url)));
        let config = Config::from_sources(Sources { environment, ..Sources::default() }).map_err(Failure::Usage)?;
        telemetry::begin(&config);

        let server = Server::start(config, Clock::system()).await?;
        let listener = bind(&server).await?;
        let app_listener = TcpListener::bind(self.app_listen)
            .await
            .with_context(|| format!("the sample app cannot listen on {}: choose another address with --app-listen", self.app_listen))?;
        let base_url = format!("http://{}", self.app_listen);
        let client_secret = register(&server, &base_url).await?;
        for (email, name, password) in PEOPLE {
            add_person(&server, email, name, password).await?;
        }
        let app = SampleApp {
            issuer: server.config().issuer.as_str().to_owned(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: client_secret.expose().to_owned(),
            base_url: base_url.clone(),
            scopes: Vec::new(),
        };
        let app = app.router()?;
        let limits = server.config().limits.clone();
        let app_task = tokio::spawn(async move { listener::serve(app_listener, app, &limits, std::future::pending()).await });
        say!("{}", welcome(&server, &base_url))?;
        serve(&server, listener, stop_signal()?).await;
        app_task.abort();
        say!("\nThe demo has ended.")?;
        Ok(())
    }
}

fn welcome(server: &Server, base_url: &str) -> String {
    let people = PEOPLE.map(|(email, _, password)| format!("  {email:<20} {password}")).join("\n");
    format!(
        "\nGrantor's demo is running.\n\n\
         Open the sample app    {base_url}\n\
         and sign in as one of\n{people}\n\n\
         The server itself      {issuer}/account\n\
         What clients discover  {issuer}/.well-known/oauth-authorization-server\n\n\
         Ctrl-C ends the demo.",
        issuer = server.config().issuer,
    )
}

/// The sample app is a confidential client like any other. A kept database knows it already: then it gets a new secret.
async fn register(server: &Server, base_url: &str) -> Result<Secret, Failure> {
    let secret = Secret::generate();
    let now = server.clock().now();
    let redirect_uri = RedirectUri::register(&SampleApp::redirect_uri(base_url), ClientType::Confidential).map_err(anyhow::Error::new)?;
    let id = ClientId::parse(CLIENT_ID).map_err(anyhow::Error::new)?;
    let client = Client {
        redirect_uris: vec![redirect_uri],
        secrets: vec![secret.hash()],
        created_at: now,
        ..Client::new(id, "Sample app".to_owned(), ClientType::Confidential)
    };
    let event = |name| AuditEvent::new(now, name, Actor::Operator, Origin::default()).of_client(&client.id);
    let insert = InsertClient { client: client.clone(), event: event(AuditName::ClientCreated) };
    if server.store().write(insert).await? == Saved::Conflict {
        let update = UpdateClient { client: client.clone(), event: event(AuditName::ClientUpdated) };
        server.store().write(update).await?;
        let rotate = RotateClientSecret { client_id: client.id.clone(), hash: secret.hash(), event: event(AuditName::ClientSecretRotated) };
        server.store().write(rotate).await?;
    }
    Ok(secret)
}

async fn add_person(server: &Server, email: &str, name: &str, password: &str) -> Result<(), Failure> {
    let email = Email::parse(email).map_err(anyhow::Error::new)?;
    let password = Password::parse(password).map_err(anyhow::Error::new)?;
    let hash = password::hash(server.hashing(), &server.config().passwords, password).await?;
    let person = new_person(server, email.clone(), Some(name.to_owned()), Some(hash.clone()));
    if create_person(server, person).await? == Saved::Conflict
        && let Some(known) = server.store().person_by_email(&email.key).await?
    {
        let event = AuditEvent::new(server.clock().now(), AuditName::PasswordSet, Actor::Operator, Origin::default()).about(known.id);
        server.store().write(SetPassword { person_id: known.id, password_hash: hash, event }).await?;
    }
    Ok(())
}
