//! `client_assertions`: those that were used (RFC 7523 §3).

use super::backend::{Conn, Extent, Verb, run};
use crate::{clock::Timestamp, error::Result, oauth::ClientId, secret::SecretHash};

/// Uses an assertion, which works once.
pub(crate) struct UseClientAssertion {
    pub client_id: ClientId,
    pub jti: SecretHash,
    /// From when on it is refused by its times.
    pub expires_at: Timestamp,
}

/// Whether an assertion was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Used {
    Now,
    Before,
}

impl Verb for UseClientAssertion {
    type Told = Used;
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Used> {
        const INSERT: &str = "INSERT INTO client_assertions (client_id, jti_hash, expires_at) VALUES ($1, $2, $3) \
             ON CONFLICT (client_id, jti_hash) DO NOTHING";
        let inserted = run!(conn, db => sqlx::query(INSERT)
            .bind(self.client_id.as_str())
            .bind(self.jti.as_bytes())
            .bind(self.expires_at)
            .execute(db).await?.rows_affected());
        Ok(if inserted > 0 { Used::Now } else { Used::Before })
    }
}
