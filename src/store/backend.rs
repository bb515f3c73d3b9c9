//! Two databases behind one shape: how a verb runs, and how rows are read.

use std::{future::Future, time::Duration};

use sqlx::{Connection, PgConnection, SqliteConnection};
use tokio::time::Instant;

use super::{
    health::{Access, Health},
    pool::Pool,
    sqlite_writer::Writer,
};
use crate::error::{Error, Result};

/// Why a write was refused by a Postgres that may only be read.
const READ_ONLY: &str = "the database may only be read";
/// The same of one whose disk is full.
const FULL: &str = "the disk of the database is full";
const LATE: &str = "the database did not answer in time";
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The open database.
#[derive(Clone, Debug)]
pub(super) enum Backend {
    Sqlite {
        readers: Pool<SqliteConnection>,
        writer: Writer,
        health: Health,
    },
    Postgres {
        pool: Pool<PgConnection>,
        health: Health,
        /// How long an operation may take, a connection included.
        limit: Duration,
    },
}

/// The connection that a verb runs on.
pub(crate) enum Conn<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// How many statements a verb consists of, which decides how its atomicity is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Atomic by itself: an autocommit round trip on Postgres, no savepoint on `SQLite`.
    OneStatement,
    /// A transaction on Postgres, a savepoint on `SQLite`.
    Several,
}

/// A write that is atomic and says what happened. It owns hashes and ids, never a secret.
pub(crate) trait Verb: Send + Sync + 'static {
    type Told: Send + 'static;
    const EXTENT: Extent;

    /// Where Postgres does in one statement what takes several on `SQLite`.
    fn extent_on_postgres(&self) -> Extent {
        Self::EXTENT
    }

    fn run(&self, conn: &mut Conn<'_>) -> impl Future<Output = Result<Self::Told>> + Send;
}

/// Evaluates one sqlx expression against the connection of a verb.
macro_rules! run {
    ($conn:expr, $db:ident => $query:expr) => {
        match $conn {
            $crate::store::backend::Conn::Sqlite($db) => {
                let $db = &mut **$db;
                $query
            }
            $crate::store::backend::Conn::Postgres($db) => {
                let $db = &mut **$db;
                $query
            }
        }
    };
}

/// Evaluates one sqlx expression against a pool of readers.
macro_rules! read {
    ($store:expr, $db:ident => $query:expr) => {
        match &$store.backend {
            $crate::store::backend::Backend::Sqlite { readers, health, .. } => {
                let asked_at = tokio::time::Instant::now();
                let told = $crate::store::backend::lent!(readers, $db => $query).await;
                health.of($crate::store::health::Access::Read, asked_at, told)?
            }
            $crate::store::backend::Backend::Postgres { pool, health, limit } => {
                let asked_at = tokio::time::Instant::now();
                let told = $crate::store::backend::within(*limit, $crate::store::backend::lent!(pool, $db => $query)).await;
                health.of($crate::store::health::Access::Read, asked_at, told)?
            }
        }
    };
}

/// Evaluates one sqlx expression on a connection of a pool. Boxed, for whoever reads would otherwise keep the room for every way of it.
macro_rules! lent {
    ($pool:expr, $db:ident => $query:expr) => {
        Box::pin(async {
            let mut lent = $pool.lend().await?;
            let $db = &mut *lent;
            let told = $query;
            lent.give_back();
            Ok::<_, $crate::error::Error>(told)
        })
    };
}

pub(super) use {lent, read, run};

impl Backend {
    /// Runs a verb to its end, also if the request that wanted it is dropped meanwhile.
    pub(super) async fn write<V: Verb>(&self, verb: V) -> Result<V::Told> {
        match self {
            Self::Sqlite { writer, .. } => writer.write(verb).await,
            Self::Postgres { pool, health, limit } => {
                let (pool, health, limit) = (pool.clone(), health.clone(), *limit);
                let run = tokio::spawn(async move {
                    let writing = Box::pin(async {
                        let mut lent = pool.lend().await?;
                        let told = on_postgres(&mut lent, &verb).await;
                        match &told {
                            Ok(_) => lent.give_back(),
                            // Connections to a server that was demoted stay read-only: new ones find the server that may write.
                            Err(Error::Unavailable { reason: READ_ONLY, .. }) => lent.end_with_all_that_rest(),
                            Err(_) => drop(lent),
                        }
                        told
                    });
                    let asked_at = Instant::now();
                    let told = within(limit, writing).await;
                    health.of(on_postgres_access(&told), asked_at, told)
                });
                run.await.map_err(|fault| Error::Internal(anyhow::Error::new(fault).context("a write panicked")))?
            }
        }
    }

    /// Waits until the readers are done; on `SQLite` the writer drains last. The last connection that closes empties the
    /// write-ahead log into the database, which one that may only read cannot.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { readers, writer, .. } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres { pool, .. } => pool.close().await,
        }
    }

    pub(super) fn health(&self) -> &Health {
        match self {
            Self::Sqlite { health, .. } | Self::Postgres { health, .. } => health,
        }
    }

    pub(super) fn limit_to(&mut self, within: Duration) {
        // Clients give up sooner than we do.
        self.health().wait_for(within / 4);
        match self {
            // Its files are here: what they take, they take.
            Self::Sqlite { .. } => {}
            Self::Postgres { limit, .. } => *limit = within,
        }
    }
}

/// The outcome of an operation, if it has one in time.
pub(super) async fn within<T>(limit: Duration, operation: impl Future<Output = Result<T>>) -> Result<T> {
    let outcome = tokio::time::timeout(limit, operation).await;
    outcome.unwrap_or_else(|_| {
        let cause = format!("no answer within {} s", limit.as_secs());
        Err(Error::Unavailable { reason: LATE, retry_after: RETRY_AFTER, cause: Some(cause) })
    })
}

/// One that may only be read, or whose disk or standby keeps writes from ending, still answers readers; any other trouble is
/// everybody's.
fn on_postgres_access<T>(told: &Result<T>) -> Access {
    match told {
        Ok(_) | Err(Error::Unavailable { reason: READ_ONLY | FULL | LATE, .. }) => Access::Write,
        Err(_) => Access::Read,
    }
}

async fn on_postgres<V: Verb>(connection: &mut PgConnection, verb: &V) -> Result<V::Told> {
    match verb.extent_on_postgres() {
        Extent::OneStatement => verb.run(&mut Conn::Postgres(connection)).await,
        Extent::Several => {
            let mut transaction = connection.begin().await?;
            let told = verb.run(&mut Conn::Postgres(&mut transaction)).await?;
            transaction.commit().await?;
            Ok(told)
        }
    }
}

impl From<sqlx::Error> for Error {
    /// Being busy, full or disconnected passes; anything else is a fault of ours.
    fn from(error: sqlx::Error) -> Self {
        if is_passing(&error) {
            let reason = match postgres_code(&error).as_deref() {
                Some("25006") => READ_ONLY,
                Some("53100") => FULL,
                _ => "the database cannot be reached or is busy",
            };
            return Self::Unavailable { reason, retry_after: RETRY_AFTER, cause: Some(error.to_string()) };
        }
        Self::Internal(anyhow::Error::new(error).context("database"))
    }
}

/// `read_only_sql_transaction` and `disk_full` are told apart (PostgreSQL, Appendix A); the codes of SQLite are shorter.
fn postgres_code(error: &sqlx::Error) -> Option<std::borrow::Cow<'_, str>> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).filter(|code| code.len() == 5)
}

fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::Io(_) | sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| match code.len() {
            // PostgreSQL, Appendix A: connection exceptions, a server that became read-only, transaction rollback, insufficient
            // resources, a state that passes, operator intervention, the system.
            5 => ["08", "25006", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class)),
            // SQLite's primary result codes BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, FULL and CANTOPEN are the low byte of what is reported.
            _ => code.parse::<u32>().is_ok_and(|code| matches!(code & 0xFF, 5 | 6 | 7 | 9 | 10 | 13 | 14)),
        }),
        _ => false,
    }
}
