//! `session_clients`: which clients a person is signed in to at a session, and, when it has ended, which are yet to be told
//! (`OpenID` Back-Channel Logout §2.3).

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Store, Swapped, audit_events,
    backend::{Conn, Extent, Verb, read, run},
};
use crate::{
    audit::AuditEvent,
    clock::Timestamp,
    error::{Error, Result},
    oauth::{ClientId, client::Trust},
};

/// How long it is tried to tell a client.
const TOLD_WITHIN: std::time::Duration = std::time::Duration::from_hours(24);

/// That a person's session at a client ended, which the client is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogoutNotice {
    /// What the `sid` of ID tokens stands for.
    pub session_id: Uuid,
    pub client_id: ClientId,
    pub person_id: Uuid,
    /// How often it was tried.
    pub attempts: i64,
}

#[derive(FromRow)]
struct NoticeRow {
    session_id: Uuid,
    client_id: String,
    person_id: Uuid,
    attempts: i64,
}

impl TryFrom<NoticeRow> for LogoutNotice {
    type Error = Error;

    fn try_from(row: NoticeRow) -> Result<Self> {
        Ok(Self {
            session_id: row.session_id,
            client_id: ClientId::parse(&row.client_id)
                .map_err(|_| Error::internal("a row of session_clients makes no sense: client_id"))?,
            person_id: row.person_id,
            attempts: row.attempts,
        })
    }
}

fn notices(rows: Vec<NoticeRow>) -> Result<Vec<LogoutNotice>> {
    rows.into_iter().map(LogoutNotice::try_from).collect()
}

impl Store {
    /// Notices to clients of this kind that are due, the oldest first. A client that is gone is nobody's, and holds nobody up.
    pub(crate) async fn due_logouts(&self, trust: Trust, now: Timestamp, most: u32) -> Result<Vec<LogoutNotice>> {
        const SELECT: &str = "SELECT session_id, client_id, person_id, attempts FROM session_clients \
             LEFT JOIN clients ON clients.id = client_id \
             WHERE due_at <= $1 AND COALESCE(clients.trust, 'operator') = $3 ORDER BY due_at, session_id, client_id LIMIT $2";
        notices(read!(self, db => sqlx::query_as(SELECT)
            .bind(now)
            .bind(i64::from(most))
            .bind(trust.as_str())
            .fetch_all(db).await?))
    }
}

/// A client at a session, to be told when the session ends.
pub(super) struct SessionClient<'a> {
    pub session_id: Uuid,
    pub client_id: &'a ClientId,
    pub person_id: Uuid,
    /// When it can be forgotten, unless the session lives on.
    pub expires_at: Timestamp,
}

/// Notes a client, in the transaction that gives it a code.
pub(super) async fn remember(conn: &mut Conn<'_>, client: &SessionClient<'_>) -> Result<()> {
    const INSERT: &str = "INSERT INTO session_clients (session_id, client_id, person_id, expires_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (session_id, client_id) DO UPDATE SET expires_at = excluded.expires_at WHERE session_clients.ended_at IS NULL";
    run!(conn, db => sqlx::query(INSERT)
        .bind(client.session_id)
        .bind(client.client_id.as_str())
        .bind(client.person_id)
        .bind(client.expires_at)
        .execute(db).await.map(drop)?);
    Ok(())
}

/// Which sessions ended.
#[derive(Clone, Copy)]
pub(super) enum Ended {
    Session(Uuid),
    /// Also those that merely expired: the person may still be signed in at their clients.
    AllOf(Uuid),
}

/// Makes notices due, in the transaction that ends the sessions; tells which.
pub(super) async fn end(conn: &mut Conn<'_>, ended: Ended, now: Timestamp) -> Result<Vec<LogoutNotice>> {
    macro_rules! end_where {
        ($column:literal) => {
            concat!(
                "UPDATE session_clients SET ended_at = $2, due_at = $2, expires_at = $3 WHERE ",
                $column,
                " = $1 AND ended_at IS NULL RETURNING session_id, client_id, person_id, attempts"
            )
        };
    }
    let (update, id) = match ended {
        Ended::Session(id) => (end_where!("session_id"), id),
        Ended::AllOf(person_id) => (end_where!("person_id"), person_id),
    };
    notices(run!(conn, db => sqlx::query_as(update).bind(id).bind(now).bind(now.after(TOLD_WITHIN)).fetch_all(db).await?))
}

/// Makes notices of every session due, in the transaction that ends them all.
pub(super) async fn end_all(conn: &mut Conn<'_>, now: Timestamp) -> Result<()> {
    const END: &str = "UPDATE session_clients SET ended_at = $1, due_at = $1, expires_at = $2 WHERE ended_at IS NULL";
    run!(conn, db => sqlx::query(END).bind(now).bind(now.after(TOLD_WITHIN)).execute(db).await.map(drop)?);
    Ok(())
}

/// Takes a notice to tell it: of several nodes one. Whoever dies with it is replaced at `until`.
pub(crate) struct LeaseLogout {
    pub notice: LogoutNotice,
    pub now: Timestamp,
    pub until: Timestamp,
}

impl Verb for LeaseLogout {
    type Told = Swapped;
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Swapped> {
        const LEASE: &str = "UPDATE session_clients SET due_at = $5, attempts = attempts + 1 \
             WHERE session_id = $1 AND client_id = $2 AND attempts = $3 AND due_at <= $4";
        let leased = run!(conn, db => sqlx::query(LEASE)
            .bind(self.notice.session_id)
            .bind(self.notice.client_id.as_str())
            .bind(self.notice.attempts)
            .bind(self.now)
            .bind(self.until)
            .execute(db).await?.rows_affected());
        Ok(Swapped::from_rows(leased))
    }
}

/// Ends a notice whose last attempt this was, with what became of it; or one that nobody wants to hear.
pub(crate) struct FinishLogout {
    pub notice: LogoutNotice,
    pub event: Option<AuditEvent>,
}

impl Verb for FinishLogout {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const DELETE: &str =
            "DELETE FROM session_clients WHERE session_id = $1 AND client_id = $2 AND attempts = $3 AND ended_at IS NOT NULL";
        let deleted = run!(conn, db => sqlx::query(DELETE)
            .bind(self.notice.session_id)
            .bind(self.notice.client_id.as_str())
            .bind(self.notice.attempts)
            .execute(db).await?.rows_affected());
        if let (1.., Some(event)) = (deleted, &self.event) {
            audit_events::insert(conn, event).await?;
        }
        Ok(())
    }
}
