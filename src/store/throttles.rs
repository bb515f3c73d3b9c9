//! `throttles`: failures to sign in, by account and network. A row is a time: how long its failures still count.

use std::time::Duration;

use sqlx::FromRow;

use super::{
    Store,
    backend::{Conn, Extent, Verb, read, run},
    purge::{BATCH, Purged},
};
use crate::{clock::Timestamp, error::Result, secret::ThrottleKey};

/// How many rows there may be: whoever names ever other accounts fills no disk. The rows that count least go first.
pub(crate) const MOST_ROWS: i64 = 100_000;
/// In the place of an account or network, where a row is about all of them.
const ALL: &[u8] = &[];

/// Who tries to sign in to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Parties {
    /// None, if what was typed cannot be an account's.
    pub account: Option<ThrottleKey>,
    pub network: ThrottleKey,
    /// What is around the network, if that counts.
    pub neighbourhood: Option<ThrottleKey>,
}

impl Parties {
    fn account(&self) -> &[u8] {
        self.account.as_ref().map_or(ALL, ThrottleKey::as_bytes)
    }

    fn neighbourhood(&self) -> &[u8] {
        self.neighbourhood.as_ref().map_or(ALL, ThrottleKey::as_bytes)
    }
}

/// Something for each of the four rows that an attempt concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows<T> {
    /// The account, from anywhere.
    pub account: T,
    /// The account, from this network.
    pub pair: T,
    /// Any account, from this network.
    pub network: T,
    /// Any account, from around this network.
    pub neighbourhood: T,
}

impl<T> Rows<T> {
    /// Something else for each of them.
    pub(crate) fn map<U>(self, each: impl Fn(T) -> U) -> Rows<U> {
        let Self { account, pair, network, neighbourhood } = self;
        Rows { account: each(account), pair: each(pair), network: each(network), neighbourhood: each(neighbourhood) }
    }
}

/// Until when failures count.
pub(crate) type Spent = Rows<Option<Timestamp>>;

#[derive(FromRow)]
struct ThrottleRow {
    account: Vec<u8>,
    network: Vec<u8>,
    expires_at: Timestamp,
}

fn spent(parties: &Parties, rows: Vec<ThrottleRow>) -> Spent {
    let mut spent = Spent::default();
    for row in rows {
        let place = match (row.account.is_empty(), row.network.is_empty()) {
            (false, true) => &mut spent.account,
            (true, false) if row.network == parties.neighbourhood() => &mut spent.neighbourhood,
            (true, false) => &mut spent.network,
            _ => &mut spent.pair,
        };
        *place = Some(row.expires_at);
    }
    spent
}

impl Store {
    /// What counts against an attempt.
    pub(crate) async fn throttles(&self, parties: &Parties) -> Result<Spent> {
        const SELECT: &str = "SELECT account, network, expires_at FROM throttles \
             WHERE (account = $1 AND network = $3) OR (account = $1 AND network = $2) OR (account = $3 AND network = $2) \
             OR (account = $3 AND network = $4)";
        let rows = read!(self, db => sqlx::query_as(SELECT)
            .bind(parties.account())
            .bind(parties.network.as_bytes())
            .bind(ALL)
            .bind(parties.neighbourhood())
            .fetch_all(db).await?);
        Ok(spent(parties, rows))
    }
}

/// What an attempt costs a row, if not more than `limit` is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    pub cost: Duration,
    pub limit: Duration,
}

/// Counts an attempt in every row that has room for it. Tells which these are, and what is spent now.
pub(crate) struct CountAttempt {
    pub parties: Parties,
    pub charges: Rows<Option<Charge>>,
    pub now: Timestamp,
}

impl Verb for CountAttempt {
    type Told = Spent;
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Spent> {
        let until = self.charges.map(|charge| charge.map(|charge| self.now.after(charge.cost)));
        let limits = self.charges.map(|charge| charge.map_or(self.now, |charge| self.now.after(charge.limit)));
        change(conn, &self.parties, until, limits, self.now).await
    }
}

/// Takes back what was counted; more than is spent leaves nothing spent.
pub(crate) struct GiveBack {
    pub parties: Parties,
    pub amounts: Rows<Option<Duration>>,
    pub now: Timestamp,
}

impl Verb for GiveBack {
    type Told = ();
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const NO_LIMIT: Timestamp = Timestamp::from_seconds(200_000_000_000);
        let until = self.amounts.map(|amount| amount.map(|amount| self.now.before(amount)));
        let limits = self.amounts.map(|_| NO_LIMIT);
        change(conn, &self.parties, until, limits, self.now).await.map(drop)
    }
}

/// Moves each row by the distance of `until` from now. Always in one order, so that on Postgres no two wait for each other.
async fn change(conn: &mut Conn<'_>, parties: &Parties, until: Spent, limits: Rows<Timestamp>, now: Timestamp) -> Result<Spent> {
    const UPSERT: &str = "INSERT INTO throttles (account, network, expires_at) \
         SELECT account, network, expires_at FROM (SELECT $1 AS account, $3 AS network, $4 AS expires_at \
             UNION ALL SELECT $1, $2, $5 UNION ALL SELECT $3, $2, $6 UNION ALL SELECT $3, $11, $12) AS changed \
             WHERE expires_at IS NOT NULL \
         ON CONFLICT (account, network) DO UPDATE SET expires_at = CASE WHEN throttles.expires_at > $7 \
             THEN throttles.expires_at + (excluded.expires_at - $7) ELSE excluded.expires_at END \
         WHERE throttles.expires_at <= CASE WHEN length(throttles.network) = 0 THEN $8 WHEN length(throttles.account) > 0 THEN $9 \
             WHEN throttles.network = $11 THEN $13 ELSE $10 END \
         RETURNING account, network, expires_at";
    let rows = run!(conn, db => sqlx::query_as(UPSERT)
        .bind(parties.account())
        .bind(parties.network.as_bytes())
        .bind(ALL)
        .bind(until.account)
        .bind(until.pair)
        .bind(until.network)
        .bind(now)
        .bind(limits.account)
        .bind(limits.pair)
        .bind(limits.network)
        .bind(parties.neighbourhood())
        .bind(until.neighbourhood)
        .bind(limits.neighbourhood)
        .fetch_all(db).await?);
    Ok(spent(parties, rows))
}

/// Forgets an account's failures, wherever they came from: in the transaction of the verb that is the remedy.
pub(super) async fn forget_account(conn: &mut Conn<'_>, account: &ThrottleKey) -> Result<()> {
    const DELETE: &str = "DELETE FROM throttles WHERE account = $1";
    run!(conn, db => sqlx::query(DELETE).bind(account.as_bytes()).execute(db).await.map(drop)?);
    Ok(())
}

/// Deletes one batch of what is beyond [`MOST_ROWS`], first what would be forgotten first.
pub(crate) struct EvictThrottles {
    pub most: i64,
}

/// On Postgres, rows that are in use are left alone: nobody waits for a row in any order but one.
macro_rules! delete_throttles {
    ($which:literal, $lock:literal) => {
        concat!("DELETE FROM throttles WHERE (account, network) IN (SELECT account, network FROM throttles ", $which, $lock, ")")
    };
}
pub(super) use delete_throttles;

impl Verb for EvictThrottles {
    type Told = Purged;
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Purged> {
        let delete = match conn {
            Conn::Sqlite(_) => delete_throttles!("ORDER BY expires_at DESC LIMIT $2 OFFSET $1", ""),
            Conn::Postgres(_) => delete_throttles!("ORDER BY expires_at DESC LIMIT $2 OFFSET $1", " FOR UPDATE SKIP LOCKED"),
        };
        let deleted = run!(conn, db => sqlx::query(delete).bind(self.most).bind(BATCH).execute(db).await?.rows_affected());
        Ok(Purged::from_rows(deleted))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::try_join_all;

    use super::*;
    use crate::{
        config::{Config, Sources},
        secret::RootKey,
        store::Migrations,
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    /// Whoever fills the table pushes out what counts least, not what is spent on the account that is guessed at.
    #[tokio::test]
    async fn beyond_the_most_rows_those_go_that_count_least() {
        let dir = tempfile::tempdir().expect("a directory");
        let database_url = ("GRANTOR_DATABASE_URL".to_owned(), format!("sqlite:{}", dir.path().join("grantor.db").display()));
        let config = Config::from_sources(Sources { environment: [database_url].into(), ..Sources::default() }).expect("a configuration");
        let store = Store::open(&config, Migrations::Apply).await.expect("a store");
        let key = RootKey::new(&[7; 32]).expect("32 bytes");
        let parties = |name: &str| Parties {
            account: Some(key.throttle_key("account", name)),
            network: key.throttle_key("network", "-"),
            neighbourhood: None,
        };
        let fail = |name: &str, minutes| {
            let pair = Some(Charge { cost: Duration::from_mins(minutes), limit: Duration::ZERO });
            store.write(CountAttempt { parties: parties(name), charges: Rows { pair, ..Rows::default() }, now: NOW })
        };
        fail("alice", 100).await.expect("counted");
        try_join_all((0..1_100).map(|number| fail(&format!("person{number}"), 10 + number / 1_000))).await.expect("counted");

        while store.write(EvictThrottles { most: 51 }).await.expect("evicted") == Purged::OneBatch {}
        let left = store.throttles(&parties("alice")).await.expect("read").pair;
        assert_eq!(left, Some(NOW.after(Duration::from_mins(100))));
        let names = (0..1_100).map(|number| parties(&format!("person{number}")));
        let mut kept = 0;
        for parties in names {
            kept += usize::from(store.throttles(&parties).await.expect("read").pair.is_some());
        }
        assert_eq!(kept, 50);
        store.close().await;
    }
}
