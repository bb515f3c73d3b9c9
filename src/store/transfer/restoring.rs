//! Writing a backup into a database: all of it in one transaction, or nothing.

use super::{
    super::{
        audit_events,
        backend::{Conn, run},
        opening::{self, OpenError},
        session_clients,
    },
    copy::unfinished_in,
    row::{Content, Row},
    session::{Link, Missing, Result, Session, TransferError},
    tables::Table,
};
use crate::{audit::AuditEvent, clock::Timestamp, config::DatabaseUrl};

/// What becomes of a database that has rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occupied {
    Refuse,
    Replace,
}

/// How much of what the backup let people and clients do was ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub sessions: u64,
    pub grants: u64,
}

/// A database that is being restored. Dropping it before the commit leaves everything as it was, but for empty tables.
pub(crate) struct Restoring {
    session: Session,
    tables: Vec<Table>,
}

impl Restoring {
    /// Opens a database, makes the tables of the backup's schema unless they are there, and keeps others from writing.
    pub(crate) async fn begin(url: &DatabaseUrl, schema: i64, tables: Vec<Table>, occupied: Occupied) -> Result<Self> {
        let mut session = Session::open(url, Missing::Make).await?;
        let found = session.schema().await?;
        let known = opening::newest_schema();
        match found {
            Some(found) if found > known => return Err(OpenError::FromTheFuture { found, known }.into()),
            Some(found) if found > schema => {
                return Err(TransferError::TablesAreNewer { database: session.name, backup: schema, found });
            }
            _ => session.migrate_to(schema).await?,
        }
        session.execute("BEGIN IMMEDIATE", "BEGIN").await?;
        let mut restoring = Self { session, tables };
        restoring.lock().await?;
        restoring.empty(occupied).await?;
        Ok(restoring)
    }

    /// Whoever serves from this database waits until it is another. On `SQLite` the transaction does that.
    async fn lock(&mut self) -> Result<()> {
        match &mut self.session.link {
            Link::Postgres(db) => {
                let locked = sqlx::query(Table::lock(&self.tables)).execute(db).await;
                locked.map(drop).map_err(|cause| self.session.fault(cause))
            }
            Link::Sqlite(_) => Ok(()),
        }
    }

    async fn empty(&mut self, occupied: Occupied) -> Result<()> {
        let unfinished = unfinished_in(&mut self.session).await?;
        let found = self.session.occupied(&self.tables).await?.map(|table| table.name.to_string());
        match (occupied, unfinished, found) {
            (_, None, None) => Ok(()),
            (Occupied::Refuse, Some(source_database), _) => {
                let remedy = "finish that, or restore with --replace, which deletes what is there";
                Err(TransferError::UnfinishedCopy { database: self.session.name.clone(), source_database, remedy })
            }
            (Occupied::Refuse, None, Some(table)) => {
                let remedy = "restore into an empty one, or with --replace, which deletes everything that is there";
                Err(TransferError::NotEmpty { database: self.session.name.clone(), table, remedy })
            }
            (Occupied::Replace, unfinished, _) => {
                for table in self.tables.iter().rev() {
                    self.session.clear(table).await?;
                }
                if unfinished.is_some() {
                    const DELETE: &str = "DELETE FROM unfinished_copies";
                    self.session.execute(DELETE, DELETE).await?;
                }
                Ok(())
            }
        }
    }

    /// Inserts at most [`Table::batch`] rows.
    pub(crate) async fn insert(&mut self, table: &Table, rows: &[Row]) -> Result<()> {
        self.session.insert(table, rows).await
    }

    /// What a table holds now, as the database gives it back.
    pub(crate) async fn content(&mut self, table: &Table) -> Result<Content> {
        self.session.content(table).await
    }

    /// Ends what anybody could still do by what was issued before the backup: what was revoked since then is as alive in it as
    /// what was not, and a refresh token that was rotated away is the current one again.
    pub(crate) async fn end_what_stood(&mut self, now: Timestamp) -> Result<Standing> {
        let mut conn = self.session.link.conn();
        let ended = end_what_stood(&mut conn, &self.tables, now).await;
        ended.map_err(TransferError::Store)
    }

    /// Writes what happened, and makes it so.
    pub(crate) async fn commit(mut self, event: &AuditEvent) -> Result<()> {
        audit_events::insert(&mut self.session.link.conn(), event).await.map_err(TransferError::Store)?;
        self.session.execute("COMMIT", "COMMIT").await?;
        self.session.close().await
    }
}

/// Row by row, too: `tokens_not_before` alone would trust that the clocks of all machines agree.
async fn end_what_stood(conn: &mut Conn<'_>, tables: &[Table], now: Timestamp) -> crate::error::Result<Standing> {
    const REVOKE: &str = "UPDATE grants SET revoked_at = $1 WHERE revoked_at IS NULL";
    const VOID_OF_PEOPLE: &str = "UPDATE people SET tokens_not_before = $1";
    const VOID_OF_CLIENTS: &str = "UPDATE clients SET tokens_not_before = $1";
    let grants = run!(conn, db => sqlx::query(REVOKE).bind(now).execute(db).await?.rows_affected());
    for void in [VOID_OF_PEOPLE, VOID_OF_CLIENTS] {
        run!(conn, db => sqlx::query(void).bind(now).execute(db).await.map(drop)?);
    }
    // In the backup of an earlier schema some are missing.
    let has = |name: &str| tables.iter().any(|table| table.name == name);
    if has("session_clients") {
        session_clients::end_all(conn, now).await?;
    }
    if has("registration_tokens") {
        run!(conn, db => sqlx::query("DELETE FROM registration_tokens").execute(db).await.map(drop)?);
    }
    run!(conn, db => sqlx::query("DELETE FROM authorization_codes").execute(db).await.map(drop)?);
    let sessions = run!(conn, db => sqlx::query("DELETE FROM browser_sessions").execute(db).await?.rows_affected());
    Ok(Standing { sessions, grants })
}
