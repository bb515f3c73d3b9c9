//! Opening a database: connections, migrations, and the first start as a critical section.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    str::FromStr,
    time::Duration,
};

use sqlx::{
    ConnectOptions, PgConnection,
    migrate::{Migrate, Migrator},
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{
    Store,
    backend::{Backend, read},
    health::Health,
    pool::{Pool, PoolLimits},
    sqlite_writer::{self, Writer},
};
use crate::{
    config::{Config, DatabaseUrl},
    error::Error,
};

pub(super) static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
pub(super) static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Marks the first start among advisory locks; the value has no meaning.
const FIRST_START_LOCK: i64 = 0x6772_616e_746f_7221;
/// More than the number of texts in this module's siblings: each is prepared once per connection.
const STATEMENT_CACHE: usize = 200;

/// Why a database could not be opened; the message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot open the database {database}: {cause}\nCheck 'database_url' and that the server runs and may be reached from here.")]
    Connect { database: String, cause: sqlx::Error },
    #[error("cannot read the database {database}: {cause}")]
    Unreadable { database: String, cause: Error },
    #[error("cannot use the directory {path}: {cause}\nCreate it, or set 'data_dir' to a place that this user may write to.")]
    Directory { path: String, cause: io::Error },
    #[error("the migration of the database failed: {0}\nNothing was half done: fix the cause and start again.")]
    Migrate(sqlx::migrate::MigrateError),
    #[error(
        "the database is of schema version {found}, made by a newer Grantor: this is Grantor {program}, which knows schema versions up to \
         {known}. Run the newer version; nothing was changed.",
        program = env!("CARGO_PKG_VERSION")
    )]
    FromTheFuture { found: i64, known: i64 },
    #[error("the database holds an unfinished copy of {0}: run 'grantor copy' again to finish it, or use an empty database.")]
    UnfinishedCopy(String),
    #[error("{} migration(s) are pending: run 'grantor migrate' first, for a new database, too.", .0.len())]
    Pending(Vec<String>),
}

/// The version of the schema that this program works with.
pub(crate) fn newest_schema() -> i64 {
    SQLITE_MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// Names of the migrations that a database still needs, in their order.
pub type PendingMigrations = Vec<String>;

/// Whether the one who opens the database may change its tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Migrations {
    Apply,
    /// Refuse if some are pending.
    Expect,
}

/// A guard on the first start: while it is held, no other process migrates or makes keys.
pub(crate) enum FirstStart {
    /// Dropping the file releases the lock.
    File(#[expect(dead_code, reason = "held for its lock")] fs::File),
    /// A dedicated connection, never one of the pool: the lock ends with it.
    Advisory(#[expect(dead_code, reason = "held for its lock")] PgConnection),
}

impl FirstStart {
    /// Waits until no other process is in its first start.
    pub(crate) async fn begin(config: &Config) -> Result<Self, OpenError> {
        create_private_dir(&config.data_dir)?;
        Self::of(&config.database_url).await
    }

    /// The same for a database alone.
    pub(crate) async fn of(database: &DatabaseUrl) -> Result<Self, OpenError> {
        match database {
            DatabaseUrl::Sqlite(path) => {
                let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
                create_private_dir(dir)?;
                let (database_path, lock_path) = (path.clone(), path.with_extension("lock"));
                let locked = tokio::task::spawn_blocking(move || {
                    // SQLite gives its other files the mode of this one.
                    open_private(&database_path)?;
                    let file = open_private(&lock_path)?;
                    file.lock().map(|()| file)
                });
                locked.await.map_err(io::Error::other).flatten().map(Self::File).map_err(|cause| directory_error(dir, cause))
            }
            DatabaseUrl::Postgres(url) => {
                let connect = |cause| OpenError::Connect { database: database.to_string(), cause };
                let mut connection = postgres_options(url).map_err(connect)?.connect().await.map_err(connect)?;
                sqlx::query("SELECT pg_advisory_lock($1)").bind(FIRST_START_LOCK).execute(&mut connection).await.map_err(connect)?;
                Ok(Self::Advisory(connection))
            }
        }
    }
}

/// That a database of `SQLite`, which is for one server process, is not served by another one. Dropping it ends that.
pub(crate) struct SoleServer(#[expect(dead_code, reason = "held for its lock")] Option<fs::File>);

impl SoleServer {
    /// `None` where another process serves it. Postgres is for any number of them.
    pub(crate) fn of(database: &DatabaseUrl) -> Result<Option<Self>, OpenError> {
        let DatabaseUrl::Sqlite(path) = database else { return Ok(Some(Self(None))) };
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        create_private_dir(dir)?;
        let file = open_private(&path.with_extension("serving")).map_err(|cause| directory_error(dir, cause))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(Some(file)))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(cause)) => Err(directory_error(dir, cause)),
        }
    }
}

impl Store {
    /// Connects, and applies or expects migrations. Call it while holding [`FirstStart`].
    pub(crate) async fn open(config: &Config, migrations: Migrations) -> Result<Self, OpenError> {
        let connect = |cause| connect_error(config, cause);
        let backend = match &config.database_url {
            DatabaseUrl::Sqlite(path) => {
                let options = sqlite_options(path);
                migrate(&mut options.connect().await.map_err(connect)?, &SQLITE_MIGRATIONS, migrations).await?;
                let cores = std::thread::available_parallelism().map_or(2, usize::from).max(2);
                let limits = PoolLimits {
                    connections: u32::try_from(cores).unwrap_or(2),
                    acquire_timeout: config.database.acquire_timeout,
                    idle_timeout: Duration::MAX,
                    max_lifetime: Duration::MAX,
                };
                let readers = Pool::open(options.clone().read_only(true).create_if_missing(false), limits, 1).await.map_err(connect)?;
                // The writer asks for the lock by itself, more often than SQLite's busy handler would.
                let health = Health::good();
                let writer = Writer::start(options.busy_timeout(sqlite_writer::PATIENCE), health.clone()).await.map_err(connect)?;
                Backend::Sqlite { readers, writer, health }
            }
            DatabaseUrl::Postgres(url) => {
                let options = postgres_options(url).map_err(connect)?;
                migrate(&mut options.connect().await.map_err(connect)?, &POSTGRES_MIGRATIONS, migrations).await?;
                let limits = PoolLimits {
                    connections: config.database.max_connections.max(2),
                    acquire_timeout: config.database.acquire_timeout,
                    idle_timeout: Duration::from_mins(10),
                    max_lifetime: Duration::from_mins(30),
                };
                let pool = Pool::open(options, limits, 2).await.map_err(connect)?;
                Backend::Postgres { pool, health: Health::good(), limit: Duration::MAX }
            }
        };
        let store = Self { backend };
        match store.unfinished_copy().await.map_err(|cause| OpenError::Unreadable { database: config.database_url.to_string(), cause })? {
            None => Ok(store),
            Some(source) => Err(OpenError::UnfinishedCopy(source)),
        }
    }

    async fn unfinished_copy(&self) -> Result<Option<String>, Error> {
        const SELECT: &str = "SELECT source FROM unfinished_copies";
        Ok(read!(self, db => sqlx::query_scalar(SELECT).fetch_optional(db).await?))
    }

    /// What [`Store::open`] with [`Migrations::Apply`] would do.
    pub(crate) async fn pending_migrations(config: &Config) -> Result<PendingMigrations, OpenError> {
        let connect = |cause| connect_error(config, cause);
        match &config.database_url {
            DatabaseUrl::Sqlite(path) => pending(&mut sqlite_options(path).connect().await.map_err(connect)?, &SQLITE_MIGRATIONS).await,
            DatabaseUrl::Postgres(url) => {
                let options = postgres_options(url).map_err(connect)?;
                pending(&mut options.connect().await.map_err(connect)?, &POSTGRES_MIGRATIONS).await
            }
        }
    }
}

fn connect_error(config: &Config, cause: sqlx::Error) -> OpenError {
    OpenError::Connect { database: config.database_url.to_string(), cause }
}

fn directory_error(path: &Path, cause: io::Error) -> OpenError {
    OpenError::Directory { path: path.display().to_string(), cause }
}

/// Makes a file that only its owner may read; one that exists keeps its mode and content.
fn open_private(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// Makes a directory that only its owner may enter; one that exists keeps its mode.
fn create_private_dir(path: &Path) -> Result<(), OpenError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|cause| directory_error(path, cause))
}

pub(super) fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(30))
        .statement_cache_capacity(STATEMENT_CACHE)
        // Deleted rows are overwritten: what was purged cannot be read from the file.
        .pragma("secure_delete", "FAST")
}

pub(super) fn postgres_options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(PgConnectOptions::from_str(url)?.application_name("grantor").statement_cache_capacity(STATEMENT_CACHE))
}

async fn migrate<C: Migrate>(connection: &mut C, migrator: &Migrator, migrations: Migrations) -> Result<(), OpenError> {
    let pending = pending(connection, migrator).await?;
    if pending.is_empty() {
        return Ok(());
    }
    if migrations == Migrations::Expect {
        return Err(OpenError::Pending(pending));
    }
    migrator.run_direct(None, connection, false).await.map_err(OpenError::Migrate)?;
    tracing::info!(migrations = ?pending, "the database was migrated");
    Ok(())
}

async fn pending<C: Migrate>(connection: &mut C, migrator: &Migrator) -> Result<PendingMigrations, OpenError> {
    connection.ensure_migrations_table(&migrator.table_name).await.map_err(OpenError::Migrate)?;
    let applied = connection.list_applied_migrations(&migrator.table_name).await.map_err(OpenError::Migrate)?;
    if let Some(unknown) = applied.iter().find(|applied| !migrator.version_exists(applied.version)) {
        return Err(OpenError::FromTheFuture { found: unknown.version, known: newest_schema() });
    }
    let is_pending = |version: i64| !applied.iter().any(|applied| applied.version == version);
    let pending = migrator.iter().filter(|migration| is_pending(migration.version));
    Ok(pending.map(|migration| format!("{:04} {}", migration.version, migration.description)).collect())
}
