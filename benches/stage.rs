//! Everything that stands while the benchmark runs: the databases, Grantor on each, and a bare server at a time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Context as _;

use crate::bare;
use crate::cluster::Cluster;
use crate::grantor::Grantor;
use crate::http::{self, Connection};
use crate::load::{self, Lane, Operation, Sample, Window};
use crate::plan::{Database, Row, Work};
use crate::process::{Meter, Server, free_address};

/// The size of an answer to `hello POST` when no Grantor runs to take it from.
const USUAL_ANSWER: usize = 700;

pub struct Stage {
    // Dropped in this order: servers before the database they use.
    sqlite: Option<Grantor>,
    postgres: Option<Grantor>,
    cluster: Option<Cluster>,
    bare_databases: u32,
    folder: PathBuf,
    connections: usize,
}

/// Something that can be measured for a while, again and again.
pub enum Target {
    Served {
        lanes: Vec<Lane>,
        meter: Meter,
        _bare: Option<Server>,
    },
    /// Argon2 in this process.
    Hashing,
}

impl Target {
    pub async fn measure(&mut self, window: Window) -> anyhow::Result<Sample> {
        match self {
            Self::Served { lanes, meter, .. } => load::run(lanes, window, meter).await,
            Self::Hashing => tokio::task::spawn_blocking(move || bare::argon2::run(window)).await?,
        }
    }
}

impl Stage {
    /// Starts what the rows need and nothing else.
    pub async fn set(folder: &Path, connections: usize, rows: &[Row]) -> anyhow::Result<Self> {
        let mut stage = Self { sqlite: None, postgres: None, cluster: None, bare_databases: 0, folder: folder.to_owned(), connections };
        if rows.iter().any(|row| row.database == Some(Database::Postgres)) {
            stage.cluster = Some(Cluster::start(folder)?);
        }
        if rows.iter().any(|row| row.needs_grantor(Database::Sqlite)) {
            stage.start_on_sqlite().await?;
        }
        if rows.iter().any(|row| row.needs_grantor(Database::Postgres)) {
            let url = stage.cluster()?.create_database("grantor")?;
            stage.postgres = Some(Grantor::start(&folder.join("grantor-postgres"), url).await?);
        }
        Ok(stage)
    }

    /// Grantor on SQLite, started when it is not running yet.
    pub async fn start_on_sqlite(&mut self) -> anyhow::Result<&mut Grantor> {
        let grantor = if let Some(running) = self.sqlite.take() {
            running
        } else {
            let folder = self.folder.join("grantor-sqlite");
            let url = format!("sqlite:{}", folder.join("grantor.db").display());
            Grantor::start(&folder, url).await?
        };
        Ok(self.sqlite.insert(grantor))
    }

    /// What Grantor logged last, for a row that failed.
    pub fn log_tail(&self, row: &Row) -> String {
        let grantor = match row.database {
            Some(database) if row.needs_grantor(database) => self.grantor(database),
            _ => None,
        };
        grantor.map(Grantor::log_tail).unwrap_or_default()
    }

    /// Makes a row ready to be measured.
    pub async fn prepare(&mut self, row: &Row) -> anyhow::Result<Target> {
        match row.work {
            Work::HelloGet | Work::HelloPost | Work::Rotate | Work::Lookup => self.bare(row).await,
            Work::Argon2 => Ok(Target::Hashing),
            _ => self.grantors(row).await,
        }
    }

    async fn grantors(&mut self, row: &Row) -> anyhow::Result<Target> {
        let connections = self.connections;
        let postmaster = self.postmaster(row);
        let grantor = match row.database {
            Some(Database::Postgres) => self.postgres.as_mut(),
            _ => self.sqlite.as_mut(),
        };
        let grantor = grantor.context("Grantor was not started")?;
        let lanes = match row.work {
            Work::Jwks => grantor.jwks(connections),
            Work::ClientCredentials => grantor.client_credentials(connections),
            Work::Refresh => grantor.refresh(connections).await?,
            Work::Introspect => grantor.introspect(connections).await?,
            Work::CodeFlow => grantor.code_flow(connections).await?,
            Work::CodeFlowOpenId(algorithm) => grantor.code_flow_openid(connections, algorithm).await?,
            Work::SignIn => grantor.sign_in(connections).await?,
            _ => grantor.discovery(connections),
        };
        Ok(Target::Served { lanes, meter: Meter { server: grantor.pid()?, postmaster }, _bare: None })
    }

    async fn bare(&mut self, row: &Row) -> anyhow::Result<Target> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare");
        let ready = match row.work {
            Work::Rotate => command.args(["rotate", "--database-url", &self.bare_database(row)?]),
            Work::Lookup => command.args(["lookup", "--database-url", &self.bare_database(row)?]),
            _ => command.args(["hello", "--size", &self.answer_size().await?.to_string()]),
        };
        ready.args(["--listen", &address.to_string()]);
        let path = if matches!(row.work, Work::Rotate | Work::Lookup) { "/chain/0" } else { "/" };
        let mut server = Server::start(&mut command, address, self.folder.join("bare.log"))?;
        server.ready(path, Instant::now()).await?;

        let mut lanes = Vec::with_capacity(self.connections);
        for number in 0..self.connections {
            let mut connection = Connection::new(address);
            let operation = bare_operation(row.work, &mut connection, &server, number).await?;
            lanes.push(Lane::new(connection, operation));
        }
        let meter = Meter { server: server.pid(), postmaster: self.postmaster(row) };
        Ok(Target::Served { lanes, meter, _bare: Some(server) })
    }

    /// A new database for one bare server.
    fn bare_database(&mut self, row: &Row) -> anyhow::Result<String> {
        self.bare_databases += 1;
        let name = format!("bare_{}", self.bare_databases);
        match row.database {
            Some(Database::Postgres) => self.cluster()?.create_database(&name),
            _ => Ok(format!("sqlite:{}", self.folder.join(format!("{name}.db")).display())),
        }
    }

    async fn answer_size(&self) -> anyhow::Result<usize> {
        match self.sqlite.as_ref().or(self.postgres.as_ref()) {
            Some(grantor) => grantor.client_credentials_size().await,
            None => Ok(USUAL_ANSWER),
        }
    }

    fn grantor(&self, database: Database) -> Option<&Grantor> {
        match database {
            Database::Sqlite => self.sqlite.as_ref(),
            Database::Postgres => self.postgres.as_ref(),
        }
    }

    fn cluster(&self) -> anyhow::Result<&Cluster> {
        self.cluster.as_ref().context("Postgres was not started")
    }

    fn postmaster(&self, row: &Row) -> Option<u32> {
        let cluster = self.cluster.as_ref()?;
        (row.database == Some(Database::Postgres)).then(|| cluster.postmaster())
    }
}

async fn bare_operation(work: Work, connection: &mut Connection, server: &Server, number: usize) -> anyhow::Result<Operation> {
    let host = server.address;
    // The headers that a client of Grantor sends, so that both parse the same.
    let authorization = "Authorization: Basic YmVuY2htYXJrOmNvcnJlY3QgaG9yc2UgYmF0dGVyeSBzdGFwbGUgYW5kIG1vcmU=\r\n";
    let head = http::post_head(host, "/", authorization);
    let fixed = |request, holds| Operation::Fixed { request, status: 200, holds };
    Ok(match work {
        Work::Rotate => {
            let current = http::get(host, &format!("/chain/{number}"), "");
            let token = connection.exchange(&current).await?.expect(200)?.member("refresh_token")?.to_owned();
            Operation::Refresh { head, prefix: "grant_type=refresh_token&refresh_token=".to_owned(), token }
        }
        Work::Lookup => {
            let current = http::get(host, &format!("/chain/{number}"), "");
            let token = connection.exchange(&current).await?.expect(200)?.member("access_token")?.to_owned();
            fixed(http::post(&head, &format!("token={token}")), "\"active\":true")
        }
        Work::HelloPost => {
            let body = http::form([("grant_type", "client_credentials"), ("scope", "reports:read")]);
            fixed(http::post(&head, &body), "\"hello\"")
        }
        _ => fixed(http::get(host, "/", ""), "\"hello\""),
    })
}
