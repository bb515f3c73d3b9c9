//! Deleting what expired, in batches small enough to let others through.

use std::time::Duration;

use super::{
    backend::{Conn, Extent, Verb, run},
    throttles::delete_throttles,
};
use crate::{clock::Timestamp, error::Result};

/// How many rows one statement deletes at most.
pub(super) const BATCH: i64 = 500;

/// A table whose rows expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiring {
    AuthorizationCodes,
    AuthorizationRequests,
    BrowserSessions,
    ClientAssertions,
    Grants,
    RegistrationTokens,
    RevokedTokens,
    SessionClients,
    Throttles,
}

impl Expiring {
    /// Every table whose rows expire.
    pub(crate) const ALL: &[Self] = &[
        Self::AuthorizationCodes,
        Self::AuthorizationRequests,
        Self::BrowserSessions,
        Self::ClientAssertions,
        Self::Grants,
        Self::RegistrationTokens,
        Self::RevokedTokens,
        Self::SessionClients,
        Self::Throttles,
    ];

    /// How long a row is kept behind its end: long enough for clocks of several nodes that differ.
    pub(crate) const KEPT_FOR: Duration = Duration::from_mins(10);

    const fn delete(self, conn: &Conn<'_>) -> &'static str {
        match self {
            Self::AuthorizationCodes => {
                "DELETE FROM authorization_codes WHERE hash IN (SELECT hash FROM authorization_codes WHERE expires_at < $1 LIMIT $2)"
            }
            Self::AuthorizationRequests => {
                "DELETE FROM authorization_requests WHERE id IN (SELECT id FROM authorization_requests WHERE expires_at < $1 LIMIT $2)"
            }
            Self::BrowserSessions => {
                "DELETE FROM browser_sessions WHERE id_hash IN (SELECT id_hash FROM browser_sessions WHERE expires_at < $1 LIMIT $2)"
            }
            Self::ClientAssertions => {
                "DELETE FROM client_assertions WHERE (client_id, jti_hash) IN \
                 (SELECT client_id, jti_hash FROM client_assertions WHERE expires_at < $1 LIMIT $2)"
            }
            Self::Grants => "DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE expires_at < $1 LIMIT $2)",
            Self::RegistrationTokens => {
                "DELETE FROM registration_tokens WHERE id IN (SELECT id FROM registration_tokens WHERE expires_at < $1 LIMIT $2)"
            }
            Self::RevokedTokens => {
                "DELETE FROM revoked_tokens WHERE jti IN (SELECT jti FROM revoked_tokens WHERE expires_at < $1 LIMIT $2)"
            }
            // Who signs in again goes on with the session.
            Self::SessionClients => {
                "DELETE FROM session_clients WHERE (session_id, client_id) IN (SELECT session_id, client_id FROM session_clients AS told \
                 WHERE expires_at < $1 AND NOT EXISTS (SELECT 1 FROM browser_sessions WHERE browser_sessions.id = told.session_id) LIMIT $2)"
            }
            Self::Throttles => match conn {
                Conn::Sqlite(_) => delete_throttles!("WHERE expires_at < $1 LIMIT $2", ""),
                Conn::Postgres(_) => delete_throttles!("WHERE expires_at < $1 LIMIT $2", " FOR UPDATE SKIP LOCKED"),
            },
        }
    }
}

/// What is left after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purged {
    All,
    OneBatch,
}

impl Purged {
    /// After a statement that deletes at most [`BATCH`] rows.
    pub(super) fn from_rows(deleted: u64) -> Self {
        if deleted < BATCH.unsigned_abs() { Self::All } else { Self::OneBatch }
    }
}

/// Deletes one batch of rows that expired before a time.
pub(crate) struct Purge {
    pub table: Expiring,
    pub expired_before: Timestamp,
}

impl Verb for Purge {
    type Told = Purged;
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Purged> {
        let delete = self.table.delete(conn);
        let deleted = run!(conn, db => sqlx::query(delete)
            .bind(self.expired_before)
            .bind(BATCH)
            .execute(db).await?.rows_affected());
        Ok(Purged::from_rows(deleted))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::try_join_all;

    use super::*;
    use crate::{
        config::{Config, Sources},
        secret,
        store::{Migrations, Store, authorization_requests::InsertAuthorizationRequest},
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    async fn store(dir: &tempfile::TempDir) -> Store {
        let settings = [
            ("GRANTOR_DATABASE_URL", format!("sqlite:{}", dir.path().join("grantor.db").display())),
            ("GRANTOR_DATA_DIR", dir.path().display().to_string()),
        ];
        let environment = settings.map(|(key, value)| (key.to_owned(), value)).into();
        let config = Config::from_sources(Sources { environment, ..Sources::default() }).expect("a configuration");
        Store::open(&config, Migrations::Apply).await.expect("a store")
    }

    /// Rows that expired so many seconds ago.
    async fn insert(store: &Store, rows: usize, seconds: u64) {
        let expires_at = NOW.before(Duration::from_secs(seconds));
        let row = || store.write(InsertAuthorizationRequest { id: secret::random_id(), params: vec![], expires_at });
        try_join_all((0..rows).map(|_| row())).await.expect("rows");
    }

    async fn rows(store: &Store) -> i64 {
        use crate::store::backend::read;
        let count = async || -> Result<i64> {
            Ok(read!(store, db => sqlx::query_scalar("SELECT COUNT(*) FROM authorization_requests").fetch_one(db).await?))
        };
        count().await.expect("a number")
    }

    #[tokio::test]
    async fn a_batch_is_bounded_and_what_has_not_expired_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = store(&dir).await;
        insert(&store, 1_100, 1).await;
        insert(&store, 3, 0).await;
        let purge = || store.write(Purge { table: Expiring::AuthorizationRequests, expired_before: NOW });

        assert_eq!(purge().await.expect("a batch"), Purged::OneBatch);
        assert_eq!(rows(&store).await, 603);
        assert_eq!(purge().await.expect("a batch"), Purged::OneBatch);
        assert_eq!(purge().await.expect("a batch"), Purged::All);
        assert_eq!(rows(&store).await, 3);
        store.close().await;
    }

    #[tokio::test]
    async fn every_table_with_an_end_is_purged() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = store(&dir).await;
        for &table in Expiring::ALL {
            let told = store.write(Purge { table, expired_before: NOW }).await.expect("the statement runs");
            assert_eq!(told, Purged::All);
        }
        store.close().await;
        // A table that expires and is not in the list would grow for ever.
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
        let migrations = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
        let sql: String = migrations.map(|path| std::fs::read_to_string(path).expect("a migration")).collect();
        let expiring = sql.split("CREATE TABLE ").filter(|table| table.contains("expires_at INTEGER NOT NULL")).count();
        assert_eq!(expiring, Expiring::ALL.len());
    }
}
