//! `audit_events`: what happened that matters to security, append-only, without secrets.

use super::backend::{Conn, Extent, Verb, run};
use crate::{audit::AuditEvent, error::Result};

/// The beginning of a statement that writes an event.
macro_rules! insert_event {
    () => {
        "INSERT INTO audit_events (id, at, name, actor, subject, client_id, grant_id, address, request_id, details) "
    };
}

/// Binds the ten values of an event.
macro_rules! bind_event {
    ($query:expr, $event:expr) => {
        $query
            .bind($event.id)
            .bind($event.at)
            .bind($event.name.as_str())
            .bind($event.actor.to_string())
            .bind($event.subject)
            .bind($event.client_id.as_ref().map($crate::oauth::ClientId::as_str))
            .bind($event.grant_id)
            .bind($event.origin.address.map(|address| address.to_string()))
            .bind($event.origin.request_id)
            .bind(sqlx::types::Json(&$event.details))
    };
}

pub(super) use {bind_event, insert_event};

/// Writes an event in the transaction of the verb that caused it.
pub(super) async fn insert(conn: &mut Conn<'_>, event: &AuditEvent) -> Result<()> {
    const INSERT: &str = concat!(insert_event!(), "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
    run!(conn, db => bind_event!(sqlx::query(INSERT), event).execute(db).await.map(drop)?);
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
