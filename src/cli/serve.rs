//! `grantor serve`

use anyhow::Context;
use clap::Args;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::{ConfigArgs, Failure};
use crate::{
    clock::Clock,
    config::Config,
    jobs, routes,
    server::Server,
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
        let server = Server::start(config, Clock::system()).await?;
        let listener = bind(&server).await?;
        serve(&server, listener, stop_signal()?).await;
        Ok(())
    }
}

/// Listens on the configured address.
pub(super) async fn bind(server: &Server) -> Result<TcpListener, Failure> {
    let listen = server.config().listen;
    let listener = TcpListener::bind(listen).await;
    Ok(listener
        .with_context(|| format!("cannot listen on {listen}: end the program that uses the port, or choose another with --listen"))?)
}

/// Serves and does the jobs until `stop`; then requests finish first, and the store drains last.
pub(super) async fn serve(server: &Server, listener: TcpListener, stop: impl Future<Output = ()>) {
    let config = server.config();
    let stop_jobs = CancellationToken::new();
    let jobs = tokio::spawn(jobs::work(server.clone(), stop_jobs.clone()));
    tracing::info!(issuer = %config.issuer, listen = %config.listen, database = %config.database_url, "ready");
    listener::serve(listener, routes::router(server), &config.limits, stop).await;
    stop_jobs.cancel();
    let _ = jobs.await;
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
