//! A server in this process, on either database, with a clock that the test moves; people and clients with verbs.

pub mod answer;
pub mod app;
pub mod backup;
pub mod browser;
pub mod chains;
pub mod cluster;
pub mod database;
pub mod deployment;
pub mod meanwhile;
pub mod operator;
pub mod over_http;
pub mod process;
pub mod registration;
pub mod relying_party;
pub mod resource_server;
pub mod signing;
pub mod silent;
pub mod wire;

use std::{collections::BTreeMap, time::Duration};

use axum::body::Body;
use grantor::{
    clock::{Clock, Timestamp},
    config::{Config, Sources},
    jobs,
    routes::Routes,
    server::Server,
};
use http::Request;
use tower::ServiceExt;

pub use answer::Answer;
pub use app::{App, Registration};
pub use browser::Browser;
pub use database::{Backend, Database};
pub use operator::eventually;

/// Where every test's server says it is. Nothing listens there.
pub const ISSUER: &str = "https://auth.example.com";
/// The verifier of RFC 7636, Appendix B, and its challenge.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// When every test begins.
pub const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// A test that runs on `SQLite` and on Postgres, each with a database of its own:
///
/// ```ignore
/// on_every_backend! {
///     /// OAuth 2.1 §4.1.3: what it proves.
///     async fn a_sentence(server) { ... }
///
///     /// With settings of its own.
///     async fn another_sentence(server, "GRANTOR_TOKENS__REFRESH_RETRY_WINDOW" = "0s") { ... }
/// }
/// ```
#[macro_export]
macro_rules! on_every_backend {
    ($($(#[$meta:meta])* async fn $name:ident($server:ident $(, $key:literal = $value:literal)*) $body:block)*) => {
        $(
            $(#[$meta])*
            mod $name {
                #[allow(unused_imports, reason = "not every test needs what its module imports")]
                use {super::*, $crate::harness::*};

                async fn test($server: &$crate::harness::TestServer) $body

                #[tokio::test]
                async fn sqlite() {
                    let server = $crate::harness::TestServer::start($crate::harness::Backend::Sqlite, &[$(($key, $value)),*]).await;
                    test(&server).await;
                    server.end().await;
                }

                #[tokio::test]
                async fn postgres() {
                    let server = $crate::harness::TestServer::start($crate::harness::Backend::Postgres, &[$(($key, $value)),*]).await;
                    test(&server).await;
                    server.end().await;
                }
            }
        )*
    };
}

/// A test with the real binary, on fresh databases of the kinds that are named first:
///
/// ```ignore
/// on_databases! { [Sqlite, Postgres]
///     /// What it proves.
///     async fn a_sentence(database) { ... }
/// }
/// ```
#[macro_export]
macro_rules! on_databases {
    ($backends:tt $($(#[$meta:meta])* async fn $name:ident($database:ident) $body:block)*) => {
        $(
            $(#[$meta])*
            mod $name {
                #[allow(unused_imports, reason = "not every test needs what its module imports")]
                use super::*;

                async fn test($database: &$crate::harness::Database) $body

                $crate::on_databases! { @each $backends }
            }
        )*
    };
    (@each [$($backend:ident),*]) => { $($crate::on_databases! { @ $backend })* };
    (@ Sqlite) => {
        #[tokio::test]
        async fn sqlite() {
            let database = $crate::harness::Database::copy_of_today($crate::harness::Backend::Sqlite).await;
            test(&database).await;
        }
    };
    (@ Postgres) => {
        #[tokio::test]
        async fn postgres() {
            let database = $crate::harness::Database::copy_of_today($crate::harness::Backend::Postgres).await;
            test(&database).await;
            database.remove().await;
        }
    };
}

/// The server under test.
pub struct TestServer {
    pub clock: Clock,
    pub database: Database,
    pub routes: Routes,
    /// The path of its issuer; mostly none.
    pub path: String,
    pub server: Server,
}

impl TestServer {
    /// Starts a server on a fresh copy of a migrated database, with keys in it.
    pub async fn start(backend: Backend, settings: &[(&str, &str)]) -> Self {
        let database = Database::copy(backend).await;
        let clock = Clock::moved_from(START);
        let server = Server::start(config(&database, settings), clock.clone()).await.unwrap();
        Self { routes: Routes::new(&server), path: path_of_issuer(settings), clock, database, server }
    }

    /// Starts a server on a database without a table.
    pub async fn first_start(backend: Backend, settings: &[(&str, &str)]) -> Self {
        let database = Database::empty(backend).await;
        let clock = Clock::moved_from(START);
        let server = Server::start(config(&database, settings), clock.clone()).await.unwrap();
        Self { routes: Routes::new(&server), path: path_of_issuer(settings), clock, database, server }
    }

    /// A server on a database that commands wrote to, at the time that they have.
    pub async fn on(database: Database) -> Self {
        Self::beside(&database, &[]).await
    }

    /// The same with settings, on a database that is still in use.
    pub async fn beside(database: &Database, settings: &[(&str, &str)]) -> Self {
        let clock = Clock::moved_from(Clock::system().now());
        let server = Server::start(config(database, settings), clock.clone()).await.unwrap();
        Self { routes: Routes::new(&server), path: String::new(), clock, database: database.clone(), server }
    }

    /// A second node on the same database, with the same clock. `SQLite` serves one node, so this is for Postgres.
    pub async fn another_node(&self) -> Self {
        self.node_with(&[]).await
    }

    /// The same with settings of its own. On `SQLite`, take turns.
    pub async fn node_with(&self, settings: &[(&str, &str)]) -> Self {
        let server = Server::start(config(&self.database, settings), self.clock.clone()).await.unwrap();
        Self {
            routes: Routes::new(&server),
            path: path_of_issuer(settings),
            clock: self.clock.clone(),
            database: self.database.clone(),
            server,
        }
    }

    /// Does what the jobs of a running server do now and then.
    pub async fn run_jobs(&self) {
        jobs::run_due(&self.server).await;
    }

    /// Closes the store of a node among several.
    pub async fn close(self) {
        self.server.close().await;
    }

    /// Closes the store and removes the database.
    pub async fn end(self) {
        self.server.close().await;
        self.database.remove().await;
    }

    /// Sends a request to what is below the issuer's path.
    pub async fn send(&self, mut request: Request<Body>) -> Answer {
        if !request.uri().path().starts_with(&self.path) {
            *request.uri_mut() = format!("{}{}", self.path, request.uri()).parse().unwrap();
        }
        self.send_to_origin(request).await
    }

    /// Sends a request through the router as it is.
    pub async fn send_to_origin(&self, request: Request<Body>) -> Answer {
        Answer::read(self.routes.clone().oneshot(request).await.unwrap()).await
    }

    /// `GET` without cookies.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// `POST` of a form without cookies or client authentication.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(form_request(path, form)).await
    }

    /// A browser without cookies.
    pub fn browser(&self) -> Browser<'_> {
        Browser::new(self)
    }

    /// Moves the clock, and lets caches of real time go by: none of them outlives a test's step.
    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The names of the audit events so far, in their order.
    pub async fn audit(&self) -> Vec<String> {
        self.database.strings("SELECT name FROM audit_events ORDER BY at, id").await
    }

    /// How many audit events have this name.
    pub async fn audited(&self, name: &str) -> usize {
        self.audit().await.iter().filter(|known| *known == name).count()
    }
}

fn path_of_issuer(settings: &[(&str, &str)]) -> String {
    let issuer = settings.iter().find(|(name, _)| *name == "GRANTOR_ISSUER").map_or(ISSUER, |(_, issuer)| issuer);
    url::Url::parse(issuer).unwrap().path().trim_end_matches('/').to_owned()
}

/// The configuration of a test, from nothing but what is given: cheap hashes, a fixed master key.
/// The setting `grantor.toml` is the text of that file.
pub fn config(database: &Database, settings: &[(&str, &str)]) -> Config {
    let (file, settings): (Vec<_>, Vec<_>) = settings.iter().partition(|(name, _)| *name == "grantor.toml");
    let file = file.first().map(|(name, text)| (name.into(), (*text).to_owned()));
    let mut environment: BTreeMap<String, String> = [
        ("GRANTOR_ISSUER", ISSUER),
        ("GRANTOR_LISTEN", "127.0.0.1:8080"),
        ("GRANTOR_DATABASE_URL", &database.url),
        ("GRANTOR_DATA_DIR", database.dir.to_str().unwrap()),
        ("GRANTOR_MASTER_KEY", database::MASTER_KEY),
    ]
    .into_iter()
    .chain(settings)
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    environment.entry("GRANTOR_DATABASE__MAX_CONNECTIONS".to_owned()).or_insert_with(|| "8".to_owned());
    let mut config =
        Config::from_sources(Sources { environment, file, ..Sources::default() }).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    // Too weak for the configuration to accept; hashing is not what these tests are about.
    config.passwords.argon2_memory_kib = 8;
    config.passwords.argon2_iterations = 1;
    config
}

/// A `POST` with a form as its body.
pub fn form_request(path: &str, form: &[(&str, &str)]) -> Request<Body> {
    Request::post(path).header("content-type", "application/x-www-form-urlencoded").body(Body::from(encode(form))).unwrap()
}

/// `application/x-www-form-urlencoded`
pub fn encode(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
