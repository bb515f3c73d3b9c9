//! The database: the only SQL. One text for `SQLite` and Postgres, writes as verbs that say what happened.

mod backend;
mod health;
mod opening;
mod pool;
mod scalars;
mod sqlite_writer;

pub(crate) mod accesses;
pub(crate) mod audit_events;
pub(crate) mod authorization_codes;
pub(crate) mod authorization_requests;
pub(crate) mod browser_sessions;
pub(crate) mod client_assertions;
pub(crate) mod client_secrets;
pub(crate) mod clients;
pub(crate) mod consents;
pub(crate) mod grants;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod people;
pub(crate) mod purge;
pub(crate) mod registrations;
pub(crate) mod resources;
pub(crate) mod revoked_tokens;
pub(crate) mod sealed;
pub(crate) mod session_clients;
pub(crate) mod settings;
pub(crate) mod throttles;
pub(crate) mod transfer;

pub(crate) use opening::{FirstStart, Migrations, SoleServer, newest_schema};

use std::time::Duration;

use backend::{Backend, Verb, read};
use pool::PoolLoad;

use crate::error::Result;

/// Whether a row was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saved {
    Done,
    /// The id or e-mail is taken, on insert; or there is no such row, on update.
    Conflict,
}

impl Saved {
    fn from_rows(rows: u64) -> Self {
        if rows == 0 { Self::Conflict } else { Self::Done }
    }
}

/// Whether a compare-and-set found what it expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swapped {
    Done,
    /// Somebody was quicker, or what it hangs on fell meanwhile: load again and decide.
    Missed,
}

impl Swapped {
    fn from_rows(rows: u64) -> Self {
        if rows == 0 { Self::Missed } else { Self::Done }
    }
}

/// A part of a long list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub start: u32,
    pub length: u32,
}

/// The open store. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    backend: Backend,
}

impl Store {
    /// Runs a verb; when it returns, what it did is durable and visible to every reader.
    pub(crate) async fn write<V: Verb>(&self, verb: V) -> Result<V::Told> {
        self.backend.write(verb).await
    }

    /// The same store, whose every operation ends within this time on Postgres: what stopped answering without hanging up (a host
    /// that is gone, a server that is paused) is given up, with its connection.
    #[must_use]
    pub(crate) fn answering_within(mut self, limit: Duration) -> Self {
        self.backend.limit_to(limit);
        self
    }

    /// For how much of this time, until now, the database did not answer this process: then nobody could repeat a request.
    pub(crate) fn away_within(&self, age: Duration) -> Duration {
        self.backend.health().away_within(age)
    }

    /// How the pool of connections stands; on `SQLite` that of the readers.
    pub(crate) fn pool_load(&self) -> PoolLoad {
        match &self.backend {
            Backend::Sqlite { readers, .. } => readers.load(),
            Backend::Postgres { pool, .. } => pool.load(),
        }
    }

    /// How many writes wait for the writer of `SQLite`; `None` on Postgres.
    pub(crate) fn writer_queue(&self) -> Option<usize> {
        match &self.backend {
            Backend::Sqlite { writer, .. } => Some(writer.queue_length()),
            Backend::Postgres { .. } => None,
        }
    }

    /// Whether the database answers.
    pub(crate) async fn ping(&self) -> Result<()> {
        read!(self, db => sqlx::query("SELECT 1").execute(db).await.map(drop)?);
        Ok(())
    }

    /// Finishes what waits and closes the connections.
    pub async fn close(&self) {
        self.backend.close().await;
    }
}
