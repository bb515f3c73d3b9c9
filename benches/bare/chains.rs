//! One row per refresh chain, updated in place, on Postgres and on SQLite.

use std::str::FromStr as _;
use std::thread::available_parallelism;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, FromRow};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// More chains than there are connections, so that each connection has its own.
pub const CHAINS: u32 = 1024;

/// Rotations that one SQLite commit makes durable together.
const SHARED: usize = 64;

const SELECT: &str = "SELECT client_id, person_id, scope, generation, revoked_at FROM chains WHERE id = $1";
const ROTATE: &str = "UPDATE chains SET generation = generation + 1, rotated_at = $3 \
     WHERE id = $1 AND generation = $2 AND revoked_at IS NULL";
const INSERT: &str = "INSERT INTO chains (id, client_id, person_id, scope, code_hash, generation, rotated_at) \
     VALUES ($1, $2, $3, $4, $5, 0, 0) ON CONFLICT DO NOTHING";

/// A chain as its row says.
#[derive(FromRow)]
pub struct Chain {
    pub client_id: String,
    pub person_id: Uuid,
    pub scope: String,
    pub generation: i64,
    pub revoked_at: Option<i64>,
}

/// The database of a bare server.
#[derive(Clone)]
pub enum Chains {
    Postgres(PgPool),
    Sqlite { readers: SqlitePool, writer: mpsc::Sender<Rotation> },
}

/// A compare-and-set that waits for its commit.
pub struct Rotation {
    id: Uuid,
    generation: i64,
    told: oneshot::Sender<bool>,
}

impl Chains {
    /// Opens the database and makes its table.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        if url.starts_with("postgres:") {
            return open_postgres(url).await;
        }
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(30));
        let mut connection = options.clone().connect().await?;
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS chains (id BLOB PRIMARY KEY, client_id TEXT NOT NULL, person_id BLOB NOT NULL, \
             scope TEXT NOT NULL, code_hash BLOB NOT NULL, generation INTEGER NOT NULL, rotated_at INTEGER NOT NULL, \
             revoked_at INTEGER) STRICT, WITHOUT ROWID",
        )
        .execute(&mut connection)
        .await?;
        for number in 0..CHAINS {
            sqlx::query(INSERT)
                .bind(id(number))
                .bind("benchmark")
                .bind(Uuid::new_v4())
                .bind("openid profile email offline_access")
                .bind([0u8; 32].as_slice())
                .execute(&mut connection)
                .await?;
        }
        let readers =
            SqlitePoolOptions::new().max_connections(cores()).test_before_acquire(false).connect_with(options.read_only(true)).await?;
        let (writer, waiting) = mpsc::channel(1024);
        tokio::spawn(write(connection, waiting));
        Ok(Self::Sqlite { readers, writer })
    }

    /// The chain with this id.
    pub async fn chain(&self, id: Uuid) -> anyhow::Result<Option<Chain>> {
        Ok(match self {
            Self::Postgres(pool) => sqlx::query_as(SELECT).bind(id).fetch_optional(pool).await?,
            Self::Sqlite { readers, .. } => sqlx::query_as(SELECT).bind(id).fetch_optional(readers).await?,
        })
    }

    /// Moves the chain on from `generation`; false when another request did it first.
    pub async fn rotate(&self, id: Uuid, generation: i64) -> anyhow::Result<bool> {
        match self {
            Self::Postgres(pool) => {
                let done = sqlx::query(ROTATE).bind(id).bind(generation).bind(now()).execute(pool).await?;
                Ok(done.rows_affected() == 1)
            }
            Self::Sqlite { writer, .. } => {
                let (told, answer) = oneshot::channel();
                writer.send(Rotation { id, generation, told }).await.ok().context("the writer has ended")?;
                answer.await.context("the commit failed")
            }
        }
    }
}

/// The id of the chain with this number.
pub fn id(number: u32) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(number))
}

/// Whole seconds since the epoch.
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

async fn open_postgres(url: &str) -> anyhow::Result<Chains> {
    let pool = PgPoolOptions::new().max_connections(16).min_connections(2).test_before_acquire(false).connect(url).await?;
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS chains (id UUID PRIMARY KEY, client_id TEXT NOT NULL, person_id UUID NOT NULL, \
         scope TEXT NOT NULL, code_hash BYTEA NOT NULL, generation BIGINT NOT NULL, rotated_at BIGINT NOT NULL, \
         revoked_at BIGINT) WITH (fillfactor = 50)",
    )
    .execute(&pool)
    .await?;
    for number in 0..CHAINS {
        sqlx::query(INSERT)
            .bind(id(number))
            .bind("benchmark")
            .bind(Uuid::new_v4())
            .bind("openid profile email offline_access")
            .bind([0u8; 32].as_slice())
            .execute(&pool)
            .await?;
    }
    Ok(Chains::Postgres(pool))
}

/// The one writer: whatever waits shares a commit, and nobody is told before it.
async fn write(mut connection: SqliteConnection, mut waiting: mpsc::Receiver<Rotation>) {
    let mut group = Vec::with_capacity(SHARED);
    while waiting.recv_many(&mut group, SHARED).await > 0 {
        match commit(&mut connection, &group).await {
            Ok(rotated) => {
                for (rotation, rotated) in group.drain(..).zip(rotated) {
                    // A request that was dropped has nobody to tell.
                    let _ = rotation.told.send(rotated);
                }
            }
            Err(error) => {
                eprintln!("rotate: {error:#}");
                return;
            }
        }
    }
}

async fn commit(connection: &mut SqliteConnection, group: &[Rotation]) -> anyhow::Result<Vec<bool>> {
    let mut rotated = Vec::with_capacity(group.len());
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    for rotation in group {
        let done = sqlx::query(ROTATE).bind(rotation.id).bind(rotation.generation).bind(now()).execute(&mut *connection).await?;
        rotated.push(done.rows_affected() == 1);
    }
    sqlx::query("COMMIT").execute(&mut *connection).await?;
    Ok(rotated)
}

fn cores() -> u32 {
    available_parallelism().map_or(2, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
}
