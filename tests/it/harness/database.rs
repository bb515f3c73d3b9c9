//! A database for each test: a copy of one that was migrated once, with keys in it.

use std::{path::PathBuf, sync::Arc};

use grantor::{clock::Clock, server::Server};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{START, config};

/// The master key of every test: 32 times the letter `k`.
pub const MASTER_KEY: &str = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A database of one test.
#[derive(Clone)]
pub struct Database {
    pub backend: Backend,
    pub url: String,
    pub dir: PathBuf,
    /// Its name in the cluster; Postgres only.
    name: String,
    _dir: Arc<TempDir>,
}

/// Migrated databases whose keys are of one time.
struct Templates {
    sqlite: OnceCell<Database>,
    postgres: OnceCell<Database>,
}

impl Templates {
    const fn none_yet() -> Self {
        Self { sqlite: OnceCell::const_new(), postgres: OnceCell::const_new() }
    }

    async fn copy(&self, backend: Backend, clock: Clock) -> Database {
        match backend {
            Backend::Sqlite => {
                let template = self.sqlite.get_or_init(|| template(Backend::Sqlite, clock)).await;
                let copy = Database::empty(backend).await;
                std::fs::copy(template.dir.join("grantor.db"), copy.dir.join("grantor.db")).unwrap();
                copy
            }
            Backend::Postgres => {
                let template = self.postgres.get_or_init(|| template(Backend::Postgres, clock)).await;
                Database::create(backend, Some(&template.name)).await
            }
        }
    }
}

static OF_THE_START: Templates = Templates::none_yet();
static OF_TODAY: Templates = Templates::none_yet();

impl Database {
    /// A fresh copy of the migrated template, for a server whose clock begins at [`START`].
    pub async fn copy(backend: Backend) -> Self {
        OF_THE_START.copy(backend, Clock::moved_from(START)).await
    }

    /// The same for a process, which lives in real time.
    pub async fn copy_of_today(backend: Backend) -> Self {
        OF_TODAY.copy(backend, Clock::system()).await
    }

    /// A database without a table.
    pub async fn empty(backend: Backend) -> Self {
        Self::create(backend, None).await
    }

    /// An empty one in a cluster of a test's own.
    pub fn in_cluster(url: &str) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        Self { backend: Backend::Postgres, url: url.to_owned(), dir: dir.path().to_owned(), name: String::new(), _dir: dir }
    }

    async fn create(backend: Backend, template: Option<&str>) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let path = dir.path().to_owned();
        match backend {
            Backend::Sqlite => {
                let url = format!("sqlite:{}", path.join("grantor.db").display());
                Self { backend, url, dir: path, name: String::new(), _dir: dir }
            }
            Backend::Postgres => {
                let name = format!("test_{}", uuid::Uuid::from_u128(rand()).simple());
                let mut admin = admin().await;
                let from = match template {
                    None => String::new(),
                    Some(template) => format!(" TEMPLATE {template}{}", by_file(&mut admin).await),
                };
                admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}{from}"))).await.unwrap();
                let mut url = url::Url::parse(&cluster()).unwrap();
                url.set_path(&name);
                Self { backend, url: url.into(), dir: path, name, _dir: dir }
            }
        }
    }

    /// Removes the database, with whatever connections are left.
    pub async fn remove(&self) {
        if self.backend == Backend::Postgres {
            let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
            admin().await.execute(AssertSqlSafe(drop)).await.unwrap();
        }
    }

    /// Runs a statement without parameters.
    pub async fn execute(&self, sql: &str) -> u64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.backend {
            Backend::Sqlite => sqlx::query(sql).execute(&mut self.sqlite().await).await.unwrap().rows_affected(),
            Backend::Postgres => sqlx::query(sql).execute(&mut self.postgres().await).await.unwrap().rows_affected(),
        }
    }

    /// Runs a statement that may be refused; tells why.
    pub async fn try_execute(&self, sql: &str) -> Result<(), String> {
        let sql = AssertSqlSafe(sql.to_owned());
        let done = match self.backend {
            Backend::Sqlite => sqlx::query(sql).execute(&mut self.sqlite().await).await.map(drop),
            Backend::Postgres => sqlx::query(sql).execute(&mut self.postgres().await).await.map(drop),
        };
        done.map_err(|error| error.to_string())
    }

    /// The first column of every row, as text.
    pub async fn strings(&self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self.backend {
            Backend::Sqlite => sqlx::query(sql).fetch_all(&mut self.sqlite().await).await.unwrap().iter().map(|row| row.get(0)).collect(),
            Backend::Postgres => {
                sqlx::query(sql).fetch_all(&mut self.postgres().await).await.unwrap().iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &str) -> i64 {
        let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        match self.backend {
            Backend::Sqlite => sqlx::query_scalar(sql).fetch_one(&mut self.sqlite().await).await.unwrap(),
            Backend::Postgres => sqlx::query_scalar(sql).fetch_one(&mut self.postgres().await).await.unwrap(),
        }
    }

    pub async fn sqlite(&self) -> SqliteConnection {
        let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
        connection.execute("PRAGMA busy_timeout = 10000").await.unwrap();
        connection
    }

    pub async fn postgres(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }
}

async fn template(backend: Backend, clock: Clock) -> Database {
    let database = Database::empty(backend).await;
    let server = Server::start(config(&database, &[]), clock).await.unwrap();
    server.close().await;
    // Tests tell what happened since their beginning.
    database.execute("DELETE FROM audit_events").await;
    if backend == Backend::Sqlite {
        // One file is copied: nothing may wait beside it.
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
    }
    database
}

/// Where the cluster of this run is.
fn cluster() -> String {
    std::env::var("TEST_DATABASE_URL").expect(
        "These tests need Postgres, and TEST_DATABASE_URL does not name one. Run 'make test', \
         or one test with 'tests/with-postgres cargo test NAME'.",
    )
}

/// How a template is copied: as files, five times as fast as through the log, which is the default since Postgres 15.
async fn by_file(admin: &mut PgConnection) -> &'static str {
    let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::integer").fetch_one(admin).await.unwrap();
    if version >= 150_000 { " STRATEGY FILE_COPY" } else { "" }
}

async fn admin() -> PgConnection {
    PgConnection::connect(&cluster()).await.expect("the Postgres of TEST_DATABASE_URL answers")
}

/// Any number: it only has to differ from those of other tests.
fn rand() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    let half = || u128::from(RandomState::new().hash_one(std::thread::current().id()));
    half() << 64 | half()
}

/// A new random id as a literal.
pub fn id(backend: Backend) -> String {
    let id = uuid::Builder::from_random_bytes(rand().to_be_bytes()).into_uuid();
    match backend {
        Backend::Sqlite => format!("x'{}'", id.simple()),
        Backend::Postgres => format!("'{id}'"),
    }
}
