//! `browser_sessions`: who is signed in at which browser. The cookie's value is kept only as a hash.

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection, types::Json};
use uuid::Uuid;

use super::{
    Store, Swapped, Window,
    audit_events::{self, bind_event, insert_event},
    backend::{Conn, Extent, Verb, read, run},
    session_clients::{self, Ended, LogoutNotice},
};
use crate::{audit::AuditEvent, clock::Timestamp, error::Result, secret::SecretHash};

/// A browser at which a person is signed in.
#[derive(Clone, Debug, PartialEq, FromRow, Serialize, Deserialize)]
pub(crate) struct BrowserSession {
    /// Stays the same when the cookie's value changes.
    pub id: Uuid,
    pub person_id: Uuid,
    pub auth_time: Timestamp,
    #[sqlx(json)]
    pub amr: Vec<String>,
    pub address: Option<String>,
    pub user_agent: Option<String>,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
}

const COLUMNS_OF_STANDING: &str = "SELECT session.id, session.person_id, session.auth_time, session.amr, session.address, session.user_agent, \
     session.created_at, session.last_seen_at, session.expires_at FROM browser_sessions AS session \
     JOIN people ON people.id = session.person_id AND people.disabled_at IS NULL \
     AND (people.tokens_not_before IS NULL OR people.tokens_not_before < session.created_at) \
     WHERE session.id_hash = $1 AND session.expires_at > $2";

impl Store {
    /// The session behind a cookie, if it has not expired and its person may still sign in.
    pub(crate) async fn browser_session(&self, id_hash: &SecretHash, now: Timestamp) -> Result<Option<BrowserSession>> {
        Ok(read!(self, db => sqlx::query_as(COLUMNS_OF_STANDING).bind(id_hash.as_bytes()).bind(now).fetch_optional(db).await?))
    }

    /// A person's sessions, the one with this id first, then the latest seen.
    pub(crate) async fn browser_sessions_of(
        &self,
        person_id: Uuid,
        first: Uuid,
        now: Timestamp,
        window: Window,
    ) -> Result<Vec<BrowserSession>> {
        const SELECT: &str = "SELECT id, person_id, auth_time, amr, address, user_agent, created_at, last_seen_at, expires_at \
             FROM browser_sessions WHERE person_id = $1 AND expires_at > $2 \
             ORDER BY CASE WHEN id = $3 THEN 0 ELSE 1 END, last_seen_at DESC, id LIMIT $4 OFFSET $5";
        Ok(read!(self, db => sqlx::query_as(SELECT)
            .bind(person_id)
            .bind(now)
            .bind(first)
            .bind(i64::from(window.length))
            .bind(i64::from(window.start))
            .fetch_all(db).await?))
    }
}

/// Begins a session, or goes on with one under a new cookie. Whoever was signed in under the old cookie and is someone else is signed out.
///
/// Missed if the person was disabled, or their password changed, since it was checked.
pub(crate) struct BeginSession {
    pub id_hash: SecretHash,
    pub session: BrowserSession,
    /// The session that the browser had before.
    pub replaces: Option<Uuid>,
    /// The person's `tokens_not_before` when the password was checked.
    pub tokens_not_before: Option<Timestamp>,
    pub event: AuditEvent,
}

/// On Postgres the person's row is locked: a change of password then waits for the session, and deletes it.
macro_rules! insert_session {
    ($lock:literal) => {
        concat!(
            "INSERT INTO browser_sessions (id_hash, id, person_id, auth_time, amr, address, user_agent, created_at, last_seen_at, expires_at) \
             SELECT $1, $2, people.id, $4, $5, $6, $7, $8, $9, $10 FROM people \
             WHERE people.id = $3 AND people.disabled_at IS NULL AND people.tokens_not_before IS NOT DISTINCT FROM $11",
            $lock,
            " ON CONFLICT (id) DO UPDATE SET id_hash = excluded.id_hash, auth_time = excluded.auth_time, amr = excluded.amr, \
             address = excluded.address, user_agent = excluded.user_agent, created_at = excluded.created_at, \
             last_seen_at = excluded.last_seen_at, expires_at = excluded.expires_at"
        )
    };
}

/// Binds the eleven values of a session that begins.
macro_rules! bind_session {
    ($query:expr, $begin:expr) => {
        $query
            .bind($begin.id_hash.as_bytes())
            .bind($begin.session.id)
            .bind($begin.session.person_id)
            .bind($begin.session.auth_time)
            .bind(Json(&$begin.session.amr))
            .bind(&$begin.session.address)
            .bind(&$begin.session.user_agent)
            .bind($begin.session.created_at)
            .bind($begin.session.last_seen_at)
            .bind($begin.session.expires_at)
            .bind($begin.tokens_not_before)
    };
}

impl BeginSession {
    /// The session that ends with this one's beginning.
    fn replaced(&self) -> Option<Uuid> {
        self.replaces.filter(|replaced| *replaced != self.session.id)
    }

    /// Session and event in one statement, for one round trip instead of four.
    async fn run_at_once(&self, db: &mut PgConnection) -> Result<Swapped> {
        const BEGIN: &str = concat!(
            "WITH begun AS (",
            insert_session!(" FOR SHARE"),
            " RETURNING id) ",
            insert_event!(),
            "SELECT $12, $13, $14, $15, $16, $17, $18, $19, $20, $21 FROM begun"
        );
        let query = bind_event!(bind_session!(sqlx::query(BEGIN), self), self.event);
        Ok(Swapped::from_rows(query.execute(db).await?.rows_affected()))
    }
}

impl Verb for BeginSession {
    type Told = Swapped;
    const EXTENT: Extent = Extent::Several;

    fn extent_on_postgres(&self) -> Extent {
        if self.replaced().is_some() { Extent::Several } else { Extent::OneStatement }
    }

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Swapped> {
        let insert = match (&mut *conn, self.replaced()) {
            (Conn::Postgres(db), None) => return self.run_at_once(db).await,
            (Conn::Postgres(_), Some(_)) => insert_session!(" FOR SHARE"),
            (Conn::Sqlite(_), _) => insert_session!(""),
        };
        let begun = run!(conn, db => bind_session!(sqlx::query(insert), self).execute(db).await?.rows_affected());
        if begun > 0 {
            if let Some(replaced) = self.replaced() {
                end_session(conn, replaced, self.event.at).await?;
            }
            audit_events::insert(conn, &self.event).await?;
        }
        Ok(Swapped::from_rows(begun))
    }
}

/// Notes that a session is in use. An ended session stays ended.
pub(crate) struct TouchSession {
    pub id: Uuid,
    pub now: Timestamp,
    pub expires_at: Timestamp,
}

impl Verb for TouchSession {
    type Told = ();
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const UPDATE: &str = "UPDATE browser_sessions SET last_seen_at = $2, expires_at = $3 WHERE id = $1";
        run!(conn, db => sqlx::query(UPDATE).bind(self.id).bind(self.now).bind(self.expires_at).execute(db).await.map(drop)?);
        Ok(())
    }
}

/// Signs a person out of one session, and ends the grants that end with it; tells which clients are to be told.
pub(crate) struct EndSession {
    pub id: Uuid,
    /// Only this person's session is ended.
    pub person_id: Uuid,
    pub event: AuditEvent,
}

impl Verb for EndSession {
    type Told = Vec<LogoutNotice>;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Vec<LogoutNotice>> {
        const OWN: &str = "SELECT id FROM browser_sessions WHERE id = $1 AND person_id = $2";
        let own: Option<Uuid> = run!(conn, db => sqlx::query_scalar(OWN).bind(self.id).bind(self.person_id).fetch_optional(db).await?);
        let Some(id) = own else { return Ok(Vec::new()) };
        let notices = end_session(conn, id, self.event.at).await?;
        audit_events::insert(conn, &self.event).await?;
        Ok(notices)
    }
}

/// What ended when a person was signed out everywhere.
pub(crate) struct Revoked {
    pub sessions: u64,
    pub notices: Vec<LogoutNotice>,
}

/// Signs a person out everywhere, and ends the grants that end with a session.
pub(crate) struct RevokeSessions {
    pub person_id: Uuid,
    pub event: AuditEvent,
}

impl Verb for RevokeSessions {
    type Told = Revoked;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Revoked> {
        // The sessions first: a code that is redeemed meanwhile waits for its row.
        const SESSIONS: &str = "DELETE FROM browser_sessions WHERE person_id = $1";
        const CODES: &str = "DELETE FROM authorization_codes WHERE person_id = $1 AND session_id IS NOT NULL";
        // Grants whose session merely expired end here, too: the person meant everything that hangs on a sign-in.
        const REVOKE: &str = "UPDATE grants SET revoked_at = $2 WHERE person_id = $1 AND session_id IS NOT NULL AND revoked_at IS NULL";
        let sessions = run!(conn, db => sqlx::query(SESSIONS).bind(self.person_id).execute(db).await?.rows_affected());
        run!(conn, db => sqlx::query(CODES).bind(self.person_id).execute(db).await.map(drop)?);
        run!(conn, db => sqlx::query(REVOKE).bind(self.person_id).bind(self.event.at).execute(db).await.map(drop)?);
        let notices = session_clients::end(conn, Ended::AllOf(self.person_id), self.event.at).await?;
        audit_events::insert(conn, &self.event).await?;
        Ok(Revoked { sessions, notices })
    }
}

/// The session first: a code that is redeemed meanwhile waits for its row.
async fn end_session(conn: &mut Conn<'_>, id: Uuid, now: Timestamp) -> Result<Vec<LogoutNotice>> {
    const DELETES: [&str; 2] = ["DELETE FROM browser_sessions WHERE id = $1", "DELETE FROM authorization_codes WHERE session_id = $1"];
    const REVOKE: &str = "UPDATE grants SET revoked_at = $2 WHERE session_id = $1 AND revoked_at IS NULL";
    for delete in DELETES {
        run!(conn, db => sqlx::query(delete).bind(id).execute(db).await.map(drop)?);
    }
    run!(conn, db => sqlx::query(REVOKE).bind(id).bind(now).execute(db).await.map(drop)?);
    session_clients::end(conn, Ended::Session(id), now).await
}
