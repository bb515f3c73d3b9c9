//! `grantor serve`

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use clap::Args;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::{ConfigArgs, Failure};
use crate::{
    audit::Actor,
    clock::Clock,
    config::{Config, Limits, RegistrationMode},
    declared::{self, Missing},
    jobs,
    oauth::client_metadata::PkcePolicy,
    routes::{self, Routes},
    server::Server,
    store::SoleServer,
    telemetry,
    web::{listener, request_log},
};

#[derive(Args)]
#[command(after_help = "\
Examples:
  grantor serve
  grantor serve --listen 0.0.0.0:8080 --issuer https://id.example.com
  GRANTOR_DATABASE_URL=postgres://grantor@db/grantor GRANTOR_MASTER_KEY_FILE=/run/secrets/master-key grantor serve

SIGTERM and Ctrl-C let requests in progress finish, then end the server with exit code 0.")]
pub(super) struct Serve {
    #[command(flatten)]
    config: ConfigArgs,
    /// The address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The URL by which clients know this server
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
}

impl Serve {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let flags = self.config.flags().set("listen", self.listen).set("issuer", self.issuer);
        let config = Config::load(flags).map_err(Failure::Usage)?;
        telemetry::begin(&config, request_log::current_id);
        warn_of_missing_pkce(&config);
        let sole = SoleServer::of(&config.database_url).map_err(anyhow::Error::new)?;
        if sole.is_none() {
            tracing::warn!(database = %config.database_url, "another process serves this database, and SQLite is for one: stop one of them, or let both use a Postgres");
        }
        let server = Server::start(config, Clock::system()).await?;
        apply_declarations(&server).await?;
        let listeners = bind(&server).await?;
        serve(&server, listeners, stop_signal()?).await;
        Ok(())
    }
}

/// Nothing else protects the codes of such clients (OAuth 2.1 §7.5.1.1): what is for certification must not be forgotten.
fn warn_of_missing_pkce(config: &Config) {
    if config.registration.mode != RegistrationMode::Off && config.registration.confidential_pkce == PkcePolicy::Optional {
        tracing::warn!("registration.confidential_pkce is optional, which is for certification only: set it to required");
    }
    for client in config.declared.clients.iter().filter(|client| client.metadata.pkce == PkcePolicy::Optional) {
        tracing::warn!(client.id = %client.id, "the client's pkce is optional, which is for certification only: set it to required");
    }
}

/// Makes clients and people what the files declare. What was declared once stays as it is: this may be the wrong folder.
async fn apply_declarations(server: &Server) -> Result<(), Failure> {
    let plan = declared::apply(server, &Actor::Configuration, Missing::Keep).await?;
    for change in &plan.changes {
        let fields: Vec<&str> = change.fields.iter().map(|field| field.name).collect();
        tracing::info!(
            kind = %change.kind, name = change.name, action = change.action.as_str(), declared_in = change.declared_in, changed = ?fields,
            "applied what is declared"
        );
        for note in &change.notes {
            tracing::warn!(kind = %change.kind, name = change.name, "{note}");
        }
    }
    for refused in &plan.refused {
        tracing::error!(
            kind = %refused.kind, name = refused.name, declared_in = refused.declared_in, reason = refused.reason,
            "a declaration cannot be applied, and what it is about stays as it is"
        );
    }
    for kept in &plan.no_longer_declared {
        tracing::warn!(
            kind = %kept.kind, name = kept.name, declared_in = kept.declared_in,
            "no longer declared, and kept: 'grantor apply --prune' disables it"
        );
    }
    Ok(())
}

/// The server's, and that of its metrics if there is one.
pub(super) type Listeners = (TcpListener, Option<TcpListener>);

/// Listens on the configured addresses.
pub(super) async fn bind(server: &Server) -> Result<Listeners, Failure> {
    let config = server.config();
    let listener = bind_to(config.listen, "--listen").await?;
    let metrics = match config.metrics.listen {
        Some(listen) => Some(bind_to(listen, "GRANTOR_METRICS__LISTEN").await?),
        None => None,
    };
    Ok((listener, metrics))
}

async fn bind_to(listen: SocketAddr, setting: &str) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(listen).await;
    Ok(listener
        .with_context(|| format!("cannot listen on {listen}: end the program that uses the port, or choose another with {setting}"))?)
}

/// A few connections are enough for those who watch.
async fn serve_metrics(server: Server, listener: Option<TcpListener>, stop: CancellationToken) {
    const CONNECTIONS: usize = 16;
    const PATIENCE: Duration = Duration::from_secs(1);
    if let Some(listener) = listener {
        let limits = Limits { connections: CONNECTIONS, shutdown_timeout: PATIENCE, ..server.config().limits.clone() };
        listener::serve(listener, routes::for_prometheus(&server, telemetry::lost), &limits, stop.cancelled()).await;
    }
}

/// Serves and does the jobs until `stop`; then requests finish first, and the store drains last.
pub(super) async fn serve(server: &Server, (listener, metrics_listener): Listeners, stop: impl Future<Output = ()>) {
    let config = server.config();
    let stop_jobs = CancellationToken::new();
    let stop_metrics = CancellationToken::new();
    let metrics = tokio::spawn(serve_metrics(server.clone(), metrics_listener, stop_metrics.clone()));
    let jobs = tokio::spawn(jobs::work(server.clone(), stop_jobs.clone()));
    tracing::info!(issuer = %config.issuer, listen = %config.listen, database = %config.database_url, "ready");
    listener::serve(listener, Routes::new(server), &config.limits, stop).await;
    stop_jobs.cancel();
    let _ = jobs.await;
    // Until here, so that the end can be watched, too.
    stop_metrics.cancel();
    let _ = metrics.await;
    server.close().await;
    tracing::info!("ended");
}

/// Ends with SIGTERM or SIGINT.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "shutting down");
    })
}
