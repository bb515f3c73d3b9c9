//! The command line: one file per command.

/// Prints a line for people or scripts. Whoever reads no further, as `head` does, has what they wanted.
macro_rules! say {
    ($($line:tt)*) => {
        $crate::cli::print_line(format_args!($($line)*))
    };
}

/// Prints a line for people beside the output. Where nobody can be told, what was done is done all the same.
macro_rules! tell {
    ($($line:tt)*) => {
        $crate::cli::tell_line(format_args!($($line)*))
    };
}

mod apply;
mod audit;
mod backup;
mod client;
mod config;
mod copy;
mod demo;
mod healthcheck;
mod keys;
mod migrate;
mod registration_token;
mod resource;
mod restore;
mod serve;
mod user;

use std::{
    fmt,
    io::{self, Write, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use crate::{
    clock::Clock,
    config::{Config, Flags, Mistakes},
    server::Server,
    telemetry,
};

#[derive(Parser)]
#[command(name = "grantor", version, about = "OAuth 2.1 authorization server and OpenID Provider")]
#[command(disable_help_subcommand = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  grantor demo                       try it: a server, two people and a sample app
  grantor serve                      the server, on SQLite in ./grantor-data
  grantor client create --name Shop --redirect-uri https://shop.example/callback
  grantor user create --email alice@example.com
  grantor apply --dry-run            what would change, by the clients, people and APIs that grantor.toml declares

Settings come from flags, GRANTOR_* variables, .env and grantor.toml; 'grantor config show' prints them.";

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Serve),
    /// Run a server to try out, with two people and a sample app to sign in to
    Demo(demo::Demo),
    /// Apply pending migrations to the database
    Migrate(migrate::Migrate),
    /// Write everything that the database holds into a file, while servers run
    Backup(backup::Backup),
    /// Write a backup into a database
    Restore(restore::Restore),
    /// Copy everything into another database, SQLite or Postgres
    Copy(copy::Copy),
    /// Make clients, people and APIs what the configuration declares
    Apply(apply::Apply),
    /// Register and change clients
    #[command(subcommand)]
    Client(client::Command),
    /// Let others register clients
    #[command(subcommand)]
    RegistrationToken(registration_token::Command),
    /// Add and change people
    #[command(subcommand)]
    User(user::Command),
    /// Register and change APIs (resources)
    #[command(subcommand)]
    Resource(resource::Command),
    /// List and rotate signing keys, change the master key
    #[command(subcommand)]
    Keys(keys::Command),
    /// Show what happened that matters to security
    #[command(subcommand)]
    Audit(audit::Command),
    /// Check and show the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Exit with 0 if the server on the configured address is ready
    Healthcheck(healthcheck::Healthcheck),
}

/// Flags that every command has; each is also a setting.
#[derive(Args, Clone)]
struct ConfigArgs {
    /// The configuration file [default: grantor.toml, if there is one]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// sqlite:PATH or postgres://...
    #[arg(long, value_name = "URL", global = true)]
    database_url: Option<String>,
    /// The folder of the SQLite database and its master key
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<String>,
}

impl ConfigArgs {
    fn flags(self) -> Flags {
        Flags::new(self.config).set("database_url", self.database_url).set("data_dir", self.data_dir)
    }

    fn load(self) -> Result<Config, Failure> {
        Config::load(self.flags()).map_err(Failure::Usage)
    }

    /// Does some work with the store and the keys, beside a running server or without one.
    async fn with_server<T>(self, work: impl AsyncFnOnce(&Server) -> Result<T, Failure>) -> Result<T, Failure> {
        with_server_of(self.load()?, work).await
    }
}

/// Does some work with the store and the keys of this configuration.
async fn with_server_of<T>(mut config: Config, work: impl AsyncFnOnce(&Server) -> Result<T, Failure>) -> Result<T, Failure> {
    // Such a command writes once: it needs no pool.
    config.database.max_connections = 2;
    telemetry::begin_quietly(&config);
    let server = Box::pin(Server::for_a_command(config, Clock::system())).await?;
    let done = work(&server).await;
    server.close().await;
    done
}

/// Flags of the commands that print what they did.
#[derive(Args)]
struct CommonArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Exit code 2.
    #[error("{0}")]
    Usage(Mistakes),
    /// Exit code 2.
    #[error("{0}")]
    Argument(String),
    /// Exit code 1.
    #[error("{0}")]
    Refused(String),
    /// Exit code 1.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl From<crate::error::Error> for Failure {
    fn from(error: crate::error::Error) -> Self {
        Self::Failed(anyhow::Error::new(error))
    }
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::Argument(_) => ExitCode::from(2),
            Self::Refused(_) | Self::Failed(_) => ExitCode::from(1),
        }
    }
}

/// Parses the command line and runs one command.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().on_thread_park(telemetry::rest).build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell!("error: the runtime cannot be started: {error}");
            return ExitCode::from(1);
        }
    };
    match runtime.block_on(cli.command.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell!("error: {failure}");
            failure.exit_code()
        }
    }
}

impl Command {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Serve(serve) => Box::pin(serve.run()).await,
            Self::Demo(demo) => Box::pin(demo.run()).await,
            Self::Migrate(migrate) => migrate.run().await,
            Self::Backup(backup) => backup.run().await,
            Self::Restore(restore) => restore.run().await,
            Self::Copy(copy) => copy.run().await,
            Self::Apply(apply) => apply.run().await,
            Self::Client(command) => command.run().await,
            Self::RegistrationToken(command) => command.run().await,
            Self::User(command) => command.run().await,
            Self::Resource(command) => command.run().await,
            Self::Keys(command) => command.run().await,
            Self::Audit(command) => command.run().await,
            Self::Config(command) => command.run().await,
            Self::Healthcheck(healthcheck) => healthcheck.run().await,
        }
    }
}

fn print_line(line: fmt::Arguments<'_>) -> Result<(), Failure> {
    match writeln!(stdout().lock(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("the output cannot be written").into())
        }
        _ => Ok(()),
    }
}

fn tell_line(line: fmt::Arguments<'_>) {
    let _ = writeln!(stderr().lock(), "{line}");
}

/// One JSON document on standard output and nothing else.
fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    say!("{}", serde_json::to_string_pretty(value).map_err(anyhow::Error::new)?)
}

/// Columns for people, as wide as their contents.
fn print_table(header: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(column, title)| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0).max(title.len())
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        say!("{}", padded.join("  ").trim_end())
    };
    line(&mut header.iter().copied())?;
    rows.iter().try_for_each(|row| line(&mut row.iter().map(String::as_str)))
}
