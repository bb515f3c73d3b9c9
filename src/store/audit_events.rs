//! `audit_events`: what happened that matters to security, append-only, without secrets.

use serde_json::{Map, Value};
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{
    Store,
    backend::{Conn, Extent, Verb, read, run},
    purge::{BATCH, Purged},
};
use crate::{audit::AuditEvent, clock::Timestamp, error::Result};

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

/// A row of the trail, also of a name that only a later version knows.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct AuditRecord {
    pub id: Uuid,
    pub at: Timestamp,
    pub name: String,
    pub actor: String,
    pub subject: Option<Uuid>,
    pub client_id: Option<String>,
    pub grant_id: Option<Uuid>,
    pub address: Option<String>,
    pub request_id: Option<Uuid>,
    pub details: Json<Map<String, Value>>,
}

/// Which events are looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditFilter {
    pub since: Option<Timestamp>,
    pub subject: Option<Uuid>,
    pub client_id: Option<String>,
    pub name: Option<&'static str>,
}

/// After everything that there is.
const END_OF_TIME: (Timestamp, Uuid) = (Timestamp::from_seconds(253_402_300_799), Uuid::max());

/// The newest events before a place. The condition that an index serves stands first, by itself: one that may be absent uses none.
macro_rules! select_events {
    ($first:literal) => {
        concat!(
            "SELECT id, at, name, actor, subject, client_id, grant_id, address, request_id, details FROM audit_events WHERE ",
            $first,
            " AND at >= $1 AND (at, id) < ($2, $3) AND ($4 IS NULL OR subject = $4) AND ($5 IS NULL OR client_id = $5) \
             AND ($6 IS NULL OR name = $6) ORDER BY at DESC, id DESC LIMIT $7"
        )
    };
}

impl Store {
    /// The newest events that match, the newest first; those before `before`, if a place is given.
    pub(crate) async fn audit_events(
        &self,
        filter: &AuditFilter,
        before: Option<(Timestamp, Uuid)>,
        most: u32,
    ) -> Result<Vec<AuditRecord>> {
        let select = match filter {
            AuditFilter { subject: Some(_), .. } => select_events!("subject = $4"),
            AuditFilter { client_id: Some(_), .. } => select_events!("client_id = $5"),
            AuditFilter { name: Some(_), .. } => select_events!("name = $6"),
            _ => select_events!("1 = 1"),
        };
        let (at, id) = before.unwrap_or(END_OF_TIME);
        Ok(read!(self, db => sqlx::query_as(select)
            .bind(filter.since.unwrap_or(Timestamp::from_seconds(0)))
            .bind(at)
            .bind(id)
            .bind(filter.subject)
            .bind(&filter.client_id)
            .bind(filter.name)
            .bind(i64::from(most))
            .fetch_all(db).await?))
    }
}

/// Deletes one batch of the events before a time: retention, the one way in which an event goes.
pub(crate) struct ForgetEvents {
    pub before: Timestamp,
}

impl Verb for ForgetEvents {
    type Told = Purged;
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Purged> {
        const FORGET: &str = "DELETE FROM audit_events WHERE id IN (SELECT id FROM audit_events WHERE at < $1 ORDER BY at LIMIT $2)";
        let deleted = run!(conn, db => sqlx::query(FORGET).bind(self.before).bind(BATCH).execute(db).await?.rows_affected());
        Ok(Purged::from_rows(deleted))
    }
}
