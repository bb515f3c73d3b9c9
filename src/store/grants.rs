//! `grants`: one row for everything that one authorization code obtained; the refresh chain is this row.

use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{
    Store, Swapped, audit_events,
    backend::{Conn, Extent, Verb, read, run},
};
use crate::{
    audit::AuditEvent,
    clock::Timestamp,
    error::{Error, Result},
    oauth::{ClientId, Resource, Scope, claims_request::AllowedClaims, client::RefreshRotation},
    secret::SecretHash,
};

/// A row with what decides whether it still stands.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub id: Uuid,
    pub person_id: Uuid,
    pub client_id: ClientId,
    pub scope: Scope,
    pub resources: Vec<Resource>,
    pub auth_time: Timestamp,
    pub amr: Vec<String>,
    pub claims_request: Option<AllowedClaims>,
    /// The session at which the person allowed it, whether or not it ends with that.
    pub sid: Option<Uuid>,
    pub created_at: Timestamp,
    /// The refresh token of this number is the current one.
    pub generation: i64,
    /// When the current refresh token was made.
    pub last_used_at: Timestamp,
    /// The absolute end, which never moves.
    pub expires_at: Timestamp,
    pub standing: Standing,
}

/// Whether anything may still be obtained with a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Stands,
    Revoked,
    /// The person or the client was disabled, or everything issued to them earlier was voided.
    Voided,
}

#[derive(FromRow)]
struct GrantRow {
    id: Uuid,
    person_id: Uuid,
    client_id: String,
    scope: String,
    resources: Json<Vec<Resource>>,
    auth_time: Timestamp,
    amr: Json<Vec<String>>,
    claims_request: Option<Json<AllowedClaims>>,
    sid: Option<Uuid>,
    created_at: Timestamp,
    generation: i64,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    revoked_at: Option<Timestamp>,
    is_backed: bool,
}

impl TryFrom<GrantRow> for Grant {
    type Error = Error;

    fn try_from(row: GrantRow) -> Result<Self> {
        let nonsense = |column: &str| Error::internal(format!("the row of grant {} makes no sense: {column}", row.id));
        Ok(Self {
            id: row.id,
            person_id: row.person_id,
            client_id: ClientId::parse(&row.client_id).map_err(|_| nonsense("client_id"))?,
            scope: Scope::parse(&row.scope).map_err(|_| nonsense("scope"))?,
            resources: row.resources.0,
            auth_time: row.auth_time,
            amr: row.amr.0,
            claims_request: row.claims_request.map(|json| json.0),
            sid: row.sid,
            created_at: row.created_at,
            generation: row.generation,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
            standing: match (row.revoked_at, row.is_backed) {
                (Some(_), _) => Standing::Revoked,
                (None, false) => Standing::Voided,
                (None, true) => Standing::Stands,
            },
        })
    }
}

/// A person and a client who are enabled, and did not void what was issued when `grants.created_at`.
macro_rules! is_backed {
    () => {
        "EXISTS (SELECT 1 FROM people WHERE people.id = grants.person_id AND people.disabled_at IS NULL \
             AND (people.tokens_not_before IS NULL OR people.tokens_not_before < grants.created_at)) \
         AND EXISTS (SELECT 1 FROM clients WHERE clients.id = grants.client_id AND clients.disabled_at IS NULL \
             AND (clients.tokens_not_before IS NULL OR clients.tokens_not_before < grants.created_at))"
    };
}
pub(super) use is_backed;

/// The grant `$1` behind the access token `$2`, where neither was revoked and the grant is backed.
macro_rules! stands_behind {
    () => {
        concat!(
            "grants.id = $1 AND revoked_at IS NULL AND NOT EXISTS (SELECT 1 FROM revoked_tokens WHERE jti = $2) AND ",
            $crate::store::grants::is_backed!()
        )
    };
}
pub(super) use stands_behind;

macro_rules! select_grant {
    ($condition:literal) => {
        concat!(
            "SELECT id, person_id, client_id, scope, resources, auth_time, amr, claims_request, sid, created_at, generation, last_used_at, \
             expires_at, revoked_at, (",
            is_backed!(),
            ") AS is_backed FROM grants WHERE ",
            $condition
        )
    };
}

impl Store {
    /// A grant by its id.
    pub(crate) async fn grant(&self, id: Uuid) -> Result<Option<Grant>> {
        const SELECT: &str = select_grant!("id = $1");
        let row: Option<GrantRow> = read!(self, db => sqlx::query_as(SELECT).bind(id).fetch_optional(db).await?);
        row.map(Grant::try_from).transpose()
    }

    /// The grant that a code obtained.
    pub(crate) async fn grant_of_code(&self, code_hash: &SecretHash) -> Result<Option<Grant>> {
        const SELECT: &str = select_grant!("code_hash = $1");
        let row: Option<GrantRow> = read!(self, db => sqlx::query_as(SELECT).bind(code_hash.as_bytes()).fetch_optional(db).await?);
        row.map(Grant::try_from).transpose()
    }

    /// Whether the grant behind an access token stands, and the token was not revoked by itself. One statement.
    pub(crate) async fn grant_stands_behind(&self, grant_id: Uuid, jti: Uuid) -> Result<bool> {
        const SELECT: &str = concat!("SELECT id FROM grants WHERE ", stands_behind!());
        let found: Option<Uuid> = read!(self, db => sqlx::query_scalar(SELECT).bind(grant_id).bind(jti).fetch_optional(db).await?);
        Ok(found.is_some())
    }

    /// Whether a token that a client obtained for itself, issued at `iat`, still stands. One statement.
    pub(crate) async fn client_stands_behind(&self, client_id: &ClientId, iat: Timestamp, jti: Uuid) -> Result<bool> {
        const SELECT: &str = "SELECT id FROM clients WHERE id = $1 AND disabled_at IS NULL \
             AND (tokens_not_before IS NULL OR tokens_not_before < $2) AND NOT EXISTS (SELECT 1 FROM revoked_tokens WHERE jti = $3)";
        let found: Option<String> =
            read!(self, db => sqlx::query_scalar(SELECT).bind(client_id.as_str()).bind(iat).bind(jti).fetch_optional(db).await?);
        Ok(found.is_some())
    }
}

/// Spends an authorization code by writing the grant that it obtains: of racing requests the unique `code_hash` lets one win.
pub(crate) struct SpendAuthorizationCode {
    pub code_hash: SecretHash,
    pub grant_id: Uuid,
    pub now: Timestamp,
    pub expires_at: Timestamp,
}

/// On Postgres the rows of session and code are locked: whoever ends them waits for the grant and ends it, too, or the grant is not made.
macro_rules! spend {
    ($lock_session:literal, $lock_code:literal) => {
        concat!(
            "INSERT INTO grants (id, person_id, client_id, session_id, scope, resources, code_hash, auth_time, amr, claims_request, sid, created_at, \
                 generation, last_used_at, expires_at) \
             SELECT $1, code.person_id, code.client_id, code.session_id, code.scope, code.resources, code.hash, code.auth_time, code.amr, \
                 code.claims_request, code.sid, $2, 0, $2, $3 \
             FROM authorization_codes AS code \
             JOIN people ON people.id = code.person_id AND people.disabled_at IS NULL \
                 AND (people.tokens_not_before IS NULL OR people.tokens_not_before < code.created_at) \
             JOIN clients ON clients.id = code.client_id AND clients.disabled_at IS NULL \
                 AND (clients.tokens_not_before IS NULL OR clients.tokens_not_before < code.created_at) \
             WHERE code.hash = $4 AND code.expires_at > $2 AND (code.session_id IS NULL \
                 OR EXISTS (SELECT 1 FROM browser_sessions AS session WHERE session.id = code.session_id",
            $lock_session,
            "))",
            $lock_code,
            " ON CONFLICT (code_hash) DO NOTHING"
        )
    };
}

impl Verb for SpendAuthorizationCode {
    type Told = Swapped;
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Swapped> {
        let insert = match conn {
            Conn::Sqlite(_) => spend!("", ""),
            Conn::Postgres(_) => spend!(" FOR KEY SHARE", " FOR KEY SHARE OF code"),
        };
        let inserted = run!(conn, db => sqlx::query(insert)
            .bind(self.grant_id)
            .bind(self.now)
            .bind(self.expires_at)
            .bind(self.code_hash.as_bytes())
            .execute(db).await?.rows_affected());
        Ok(Swapped::from_rows(inserted))
    }
}

/// Uses the refresh token of `generation`: makes the next one current, or with [`RefreshRotation::Keep`] notes the use.
pub(crate) struct UseRefreshToken {
    pub grant_id: Uuid,
    pub generation: i64,
    pub rotation: RefreshRotation,
    pub now: Timestamp,
    /// A grant last used before this has idled too long.
    pub idle_since: Timestamp,
}

impl Verb for UseRefreshToken {
    type Told = Swapped;
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Swapped> {
        const UPDATE: &str = concat!(
            "UPDATE grants SET generation = generation + $3, last_used_at = $4 \
             WHERE id = $1 AND generation = $2 AND revoked_at IS NULL AND expires_at > $4 AND last_used_at > $5 AND ",
            is_backed!()
        );
        let updated = run!(conn, db => sqlx::query(UPDATE)
            .bind(self.grant_id)
            .bind(self.generation)
            .bind(self.rotation.step())
            .bind(self.now)
            .bind(self.idle_since)
            .execute(db).await?.rows_affected());
        Ok(Swapped::from_rows(updated))
    }
}

/// Ends a grant and everything that it obtained. The event is written by the one request that ends it.
pub(crate) struct RevokeGrant {
    pub grant_id: Uuid,
    pub event: AuditEvent,
}

impl Verb for RevokeGrant {
    type Told = Swapped;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Swapped> {
        const UPDATE: &str = "UPDATE grants SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
        let updated = run!(conn, db => sqlx::query(UPDATE).bind(self.grant_id).bind(self.event.at).execute(db).await?.rows_affected());
        if updated > 0 {
            audit_events::insert(conn, &self.event).await?;
        }
        Ok(Swapped::from_rows(updated))
    }
}
