//! `revoked_tokens`: access tokens that ended before their time (RFC 7009).

use uuid::Uuid;

use super::{
    audit_events,
    backend::{Conn, Extent, Verb, run},
};
use crate::{audit::AuditEvent, clock::Timestamp, error::Result};

/// Ends one access token.
pub(crate) struct RevokeAccessToken {
    pub jti: Uuid,
    pub expires_at: Timestamp,
    pub event: AuditEvent,
}

impl Verb for RevokeAccessToken {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const INSERT: &str = "INSERT INTO revoked_tokens (jti, expires_at) VALUES ($1, $2) ON CONFLICT (jti) DO NOTHING";
        let inserted = run!(conn, db => sqlx::query(INSERT).bind(self.jti).bind(self.expires_at).execute(db).await?.rows_affected());
        if inserted > 0 {
            audit_events::insert(conn, &self.event).await?;
        }
        Ok(())
    }
}
