//! `consents`: what a person allowed a client.

use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{
    Store, audit_events,
    backend::{Conn, Extent, Verb, read, run},
};
use crate::{
    audit::AuditEvent,
    clock::Timestamp,
    error::{Error, Result},
    oauth::{ClientId, Resource, Scope},
};

/// What a person allowed a client, in one or several steps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Consent {
    pub client_id: ClientId,
    pub scope: Scope,
    pub resources: Vec<Resource>,
    pub given_at: Timestamp,
}

#[derive(FromRow)]
struct ConsentRow {
    client_id: String,
    scope: String,
    resources: Json<Vec<Resource>>,
    given_at: Timestamp,
}

impl TryFrom<ConsentRow> for Consent {
    type Error = Error;

    fn try_from(row: ConsentRow) -> Result<Self> {
        let nonsense = |column: &str| Error::internal(format!("a row of consents makes no sense: {column}"));
        Ok(Self {
            client_id: ClientId::parse(&row.client_id).map_err(|_| nonsense("client_id"))?,
            scope: Scope::parse(&row.scope).map_err(|_| nonsense("scope"))?,
            resources: row.resources.0,
            given_at: row.given_at,
        })
    }
}

impl Store {
    /// What the person allowed the client.
    pub(crate) async fn consent(&self, person_id: Uuid, client_id: &ClientId) -> Result<Option<Consent>> {
        const SELECT: &str = "SELECT client_id, scope, resources, given_at FROM consents WHERE person_id = $1 AND client_id = $2";
        let row: Option<ConsentRow> =
            read!(self, db => sqlx::query_as(SELECT).bind(person_id).bind(client_id.as_str()).fetch_optional(db).await?);
        row.map(Consent::try_from).transpose()
    }
}

/// Remembers what a person allows; it replaces what was allowed before.
pub(crate) struct GiveConsent {
    pub person_id: Uuid,
    pub consent: Consent,
    pub event: AuditEvent,
}

impl Verb for GiveConsent {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const UPSERT: &str = "INSERT INTO consents (person_id, client_id, scope, resources, given_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (person_id, client_id) DO UPDATE SET scope = excluded.scope, resources = excluded.resources, given_at = excluded.given_at";
        let consent = &self.consent;
        run!(conn, db => sqlx::query(UPSERT)
            .bind(self.person_id)
            .bind(consent.client_id.as_str())
            .bind(consent.scope.to_string())
            .bind(Json(&consent.resources))
            .bind(consent.given_at)
            .execute(db).await.map(drop)?);
        audit_events::insert(conn, &self.event).await
    }
}

/// Forgets what a person allowed a client, and ends everything that the client obtained for them.
pub(crate) struct WithdrawConsent {
    pub person_id: Uuid,
    pub client_id: ClientId,
    pub event: AuditEvent,
}

impl Verb for WithdrawConsent {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        // The consent first: a code that is issued meanwhile waits for its row, or is there to be deleted.
        const DELETES: [&str; 2] = [
            "DELETE FROM consents WHERE person_id = $1 AND client_id = $2",
            "DELETE FROM authorization_codes WHERE person_id = $1 AND client_id = $2",
        ];
        const REVOKE: &str = "UPDATE grants SET revoked_at = $3 WHERE person_id = $1 AND client_id = $2 AND revoked_at IS NULL";
        let id = self.client_id.as_str();
        let mut changed = 0;
        for delete in DELETES {
            changed += run!(conn, db => sqlx::query(delete).bind(self.person_id).bind(id).execute(db).await?.rows_affected());
        }
        changed +=
            run!(conn, db => sqlx::query(REVOKE).bind(self.person_id).bind(id).bind(self.event.at).execute(db).await?.rows_affected());
        // Of an app that was never there, nothing is said.
        if changed > 0 {
            audit_events::insert(conn, &self.event).await?;
        }
        Ok(())
    }
}
