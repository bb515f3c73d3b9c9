//! `audit_events`: what happened that matters to security, append-only, without secrets.

use sqlx::types::Json;

use super::backend::{Conn, Extent, Verb, run};
use crate::{audit::AuditEvent, error::Result, oauth::ClientId};

/// Writes an event in the transaction of the verb that caused it.
pub(super) async fn insert(conn: &mut Conn<'_>, event: &AuditEvent) -> Result<()> {
    const INSERT: &str = "INSERT INTO audit_events (id, at, name, actor, subject, client_id, grant_id, address, request_id, details) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    run!(conn, db => sqlx::query(INSERT)
        .bind(event.id)
        .bind(event.at)
        .bind(event.name.as_str())
        .bind(event.actor.to_string())
        .bind(event.subject)
        .bind(event.client_id.as_ref().map(ClientId::as_str))
        .bind(event.grant_id)
        .bind(event.origin.address.map(|address| address.to_string()))
        .bind(event.origin.request_id)
        .bind(Json(&event.details))
        .execute(db).await.map(drop)?);
    Ok(())
}

/// An event that changes nothing else.
pub(crate) struct RecordEvent(pub AuditEvent);

impl Verb for RecordEvent {
    type Told = ();
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        insert(conn, &self.0).await
    }
}
