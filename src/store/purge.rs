//! Deleting what expired, in batches small enough to let others through.

use std::time::Duration;

use super::backend::{Conn, Extent, Verb, run};
use crate::{clock::Timestamp, error::Result};

/// How many rows one statement deletes at most.
const BATCH: i64 = 500;

/// A table whose rows expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiring {
    AuthorizationCodes,
    AuthorizationRequests,
    BrowserSessions,
    Grants,
    RevokedTokens,
}

impl Expiring {
    /// Every table whose rows expire.
    pub(crate) const ALL: &[Self] =
        &[Self::AuthorizationCodes, Self::AuthorizationRequests, Self::BrowserSessions, Self::Grants, Self::RevokedTokens];

    /// How long a row is kept behind its end: long enough for clocks of several nodes that differ.
    pub(crate) const KEPT_FOR: Duration = Duration::from_mins(10);

    const fn delete(self) -> &'static str {
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
            Self::Grants => "DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE expires_at < $1 LIMIT $2)",
            Self::RevokedTokens => {
                "DELETE FROM revoked_tokens WHERE jti IN (SELECT jti FROM revoked_tokens WHERE expires_at < $1 LIMIT $2)"
            }
        }
    }
}

/// What is left after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purged {
    All,
    OneBatch,
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
        let deleted = run!(conn, db => sqlx::query(self.table.delete())
            .bind(self.expired_before)
            .bind(BATCH)
            .execute(db).await?.rows_affected());
        Ok(if deleted < BATCH.unsigned_abs() { Purged::All } else { Purged::OneBatch })
    }
}
