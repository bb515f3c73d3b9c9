//! What may act in a person's name: consents and live grants together, by client.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Store, Window,
    backend::read,
    clients::{ClientRow, client_columns},
    grants::is_backed,
};
use crate::{
    clock::Timestamp,
    error::{Error, Result},
    oauth::{Client, Scope},
};

/// A client that a person allowed something, or that holds a grant without being asked for (first-party).
pub(crate) struct Access {
    /// Without its secrets.
    pub client: Client,
    /// Everything that was allowed or granted.
    pub scope: Scope,
    pub since: Timestamp,
    /// When a token was last issued, or refreshed, under a grant that is live.
    pub last_used_at: Option<Timestamp>,
    /// How many grants are live.
    pub grants: u64,
}

#[derive(FromRow)]
struct AccessRow {
    #[sqlx(flatten)]
    client: ClientRow,
    allowed: String,
    since: Timestamp,
    last_used_at: Option<Timestamp>,
    grants: i64,
}

impl TryFrom<AccessRow> for Access {
    type Error = Error;

    fn try_from(row: AccessRow) -> Result<Self> {
        Ok(Self {
            client: row.client.into_client(Vec::new())?,
            scope: Scope::parse(&row.allowed).map_err(|_| Error::internal("a scope in consents or grants makes no sense"))?,
            since: row.since,
            last_used_at: row.last_used_at,
            grants: u64::try_from(row.grants).unwrap_or_default(),
        })
    }
}

impl Store {
    /// What may act in a person's name, the latest used first. One statement.
    pub(crate) async fn accesses_of(&self, person_id: Uuid, now: Timestamp, window: Window) -> Result<Vec<Access>> {
        const SELECT: &str = concat!(
            "SELECT ",
            client_columns!(),
            ", allowed, since, last_used_at, grants FROM (\
                 SELECT client_id, string_agg(scope, ' ' ORDER BY since) AS allowed, MIN(since) AS since, MAX(last_used_at) AS last_used_at, \
                     CAST(SUM(grants) AS BIGINT) AS grants \
                 FROM (SELECT client_id, scope, MIN(created_at) AS since, MAX(last_used_at) AS last_used_at, COUNT(*) AS grants \
                     FROM grants WHERE person_id = $1 AND revoked_at IS NULL AND expires_at > $2 AND ",
            is_backed!(),
            " GROUP BY client_id, scope \
                     UNION ALL SELECT client_id, scope, given_at, NULL, 0 FROM consents WHERE person_id = $1) AS parts \
                 GROUP BY client_id) AS access \
             JOIN clients ON clients.id = access.client_id \
             ORDER BY COALESCE(last_used_at, since) DESC, id LIMIT $3 OFFSET $4"
        );
        let rows: Vec<AccessRow> = read!(self, db => sqlx::query_as(SELECT)
            .bind(person_id)
            .bind(now)
            .bind(i64::from(window.length))
            .bind(i64::from(window.start))
            .fetch_all(db).await?);
        rows.into_iter().map(Access::try_from).collect()
    }
}
