//! Connections that are kept and lent, one to each who reads or writes.
//!
//! sqlx's own pool asks every connection for a sign of life when it comes back, which doubles the round trips of a server whose
//! operations are one statement. Here only a connection is asked that was not used to the end, or that rested for a while.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::{ConnectOptions, Connection};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

/// A connection that rested for this long is asked before it is lent: the other side may have closed it.
const ASKED_AFTER: Duration = Duration::from_secs(5);

/// How many there may be, how long to wait for one, and when they end.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolLimits {
    pub connections: u32,
    pub acquire_timeout: Duration,
    /// How long a connection may rest.
    pub idle_timeout: Duration,
    /// How old a connection may get.
    pub max_lifetime: Duration,
}

/// How many connections there are, and who wants one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolLoad {
    pub limit: usize,
    /// Also while they are opened.
    pub in_use: usize,
    pub idle: usize,
    pub waiting: usize,
    pub timeouts: u64,
}

/// One who waits, until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn of(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A handle on the connections.
#[derive(Debug)]
pub(super) struct Pool<C: Connection>(Arc<Inner<C>>);

impl<C: Connection> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<C: Connection> {
    options: C::Options,
    limits: PoolLimits,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    timeouts: AtomicU64,
    /// The one used last is lent first, so that those beyond the need rest until they end.
    resting: Mutex<Vec<Resting<C>>>,
}

#[derive(Debug)]
struct Resting<C> {
    connection: C,
    opened_at: Instant,
    since: Instant,
}

impl<C: Connection + Send + 'static> Pool<C> {
    /// Opens the first `connections`, so that what is wrong shows at once.
    pub(super) async fn open(options: C::Options, limits: PoolLimits, connections: usize) -> Result<Self, sqlx::Error> {
        let places = Arc::new(Semaphore::new(limits.connections as usize));
        let pool = Self(Arc::new(Inner {
            options,
            limits,
            places,
            waiting: AtomicUsize::new(0),
            timeouts: AtomicU64::new(0),
            resting: Mutex::default(),
        }));
        for _ in 0..connections {
            let now = Instant::now();
            let connection = pool.0.options.connect().await?;
            pool.0.resting().push(Resting { connection, opened_at: now, since: now });
        }
        Ok(pool)
    }

    /// A connection of one's own, until it is given back or dropped.
    pub(super) async fn lend(&self) -> Result<Lent<C>, sqlx::Error> {
        timeout(self.0.limits.acquire_timeout, self.wait()).await.map_err(|_| {
            self.0.timeouts.fetch_add(1, Ordering::Relaxed);
            sqlx::Error::PoolTimedOut
        })?
    }

    /// How it stands.
    pub(super) fn load(&self) -> PoolLoad {
        let limit = self.0.limits.connections as usize;
        PoolLoad {
            limit,
            in_use: limit.saturating_sub(self.0.places.available_permits()),
            idle: self.0.resting().len(),
            waiting: self.0.waiting.load(Ordering::Relaxed),
            timeouts: self.0.timeouts.load(Ordering::Relaxed),
        }
    }

    /// A place, for whom there is one at once without being counted among those who wait.
    async fn place(&self) -> Result<OwnedSemaphorePermit, sqlx::Error> {
        if let Ok(place) = Arc::clone(&self.0.places).try_acquire_owned() {
            return Ok(place);
        }
        let _waiting = Waiting::of(&self.0.waiting);
        Arc::clone(&self.0.places).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)
    }

    async fn wait(&self) -> Result<Lent<C>, sqlx::Error> {
        let place = self.place().await?;
        while let Some(mut rested) = self.0.pop() {
            if rested.since.elapsed() < ASKED_AFTER || rested.connection.ping().await.is_ok() {
                let lent = Use { connection: rested.connection, opened_at: rested.opened_at, place };
                return Ok(Lent { lent: Some(lent), pool: self.clone() });
            }
        }
        let lent = Use { connection: self.0.options.connect().await?, opened_at: Instant::now(), place };
        Ok(Lent { lent: Some(lent), pool: self.clone() })
    }

    /// Waits until all are back, and closes them. Nobody gets one any more.
    pub(super) async fn close(&self) {
        let all = self.0.places.acquire_many(self.0.limits.connections).await;
        self.0.places.close();
        drop(all);
        let resting = std::mem::take(&mut *self.0.resting());
        for rested in resting {
            // Whoever does not say goodbye is gone as well.
            let _ = rested.connection.close().await;
        }
    }
}

impl<C: Connection> Inner<C> {
    fn resting(&self) -> MutexGuard<'_, Vec<Resting<C>>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pop(&self) -> Option<Resting<C>> {
        let mut resting = self.resting();
        resting.retain(|rested| rested.opened_at.elapsed() < self.limits.max_lifetime && rested.since.elapsed() < self.limits.idle_timeout);
        resting.pop()
    }

    fn push(&self, lent: Use<C>) {
        let Use { connection, opened_at, place } = lent;
        self.resting().push(Resting { connection, opened_at, since: Instant::now() });
        drop(place);
    }
}

#[derive(Debug)]
struct Use<C> {
    connection: C,
    opened_at: Instant,
    place: OwnedSemaphorePermit,
}

/// A connection in use.
#[derive(Debug)]
pub(super) struct Lent<C: Connection + Send + 'static> {
    /// `None` only while it is dropped.
    lent: Option<Use<C>>,
    pool: Pool<C>,
}

impl<C: Connection + Send + 'static> Lent<C> {
    /// After the answer to the last statement was read to its end.
    pub(super) fn give_back(mut self) {
        if let Some(lent) = self.lent.take() {
            self.pool.0.push(lent);
        }
    }

    /// Where every connection is as useless as this one turned out to be.
    pub(super) fn end_with_all_that_rest(mut self) {
        self.lent = None;
        self.pool.0.resting().clear();
    }
}

impl<C: Connection + Send + 'static> Deref for Lent<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.lent.as_ref().expect("a connection that is lent is here").connection
    }
}

impl<C: Connection + Send + 'static> DerefMut for Lent<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.lent.as_mut().expect("a connection that is lent is here").connection
    }
}

impl<C: Connection + Send + 'static> Drop for Lent<C> {
    /// A statement failed, or whoever waited for it is gone: what is still under way (an answer, a rollback) ends first, and a
    /// connection on which it does not end is not used again.
    fn drop(&mut self) {
        let (Some(mut lent), Ok(runtime)) = (self.lent.take(), tokio::runtime::Handle::try_current()) else { return };
        let pool = self.pool.clone();
        let dropped_at = Instant::now();
        runtime.spawn(async move {
            if let Ok(Ok(())) = timeout(pool.0.limits.acquire_timeout, lent.connection.ping()).await {
                return pool.0.push(lent);
            }
            // Nor do those that were not used since: the server was restarted, or is another one now.
            pool.0.resting().retain(|rested| rested.since > dropped_at);
        });
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{SqliteConnection, sqlite::SqliteConnectOptions};

    use super::*;

    async fn pool(connections: u32) -> Pool<SqliteConnection> {
        let limits = PoolLimits {
            connections,
            acquire_timeout: Duration::from_millis(100),
            idle_timeout: Duration::MAX,
            max_lifetime: Duration::MAX,
        };
        Pool::open(SqliteConnectOptions::new().in_memory(true), limits, 1).await.unwrap()
    }

    /// Notes on a connection, which show whether it is the same one.
    async fn note(lent: &mut Lent<SqliteConnection>) {
        sqlx::query("CREATE TEMP TABLE notes (note)").execute(&mut **lent).await.unwrap();
    }

    async fn is_noted(lent: &mut Lent<SqliteConnection>) -> bool {
        sqlx::query("SELECT note FROM notes").execute(&mut **lent).await.is_ok()
    }

    #[tokio::test]
    async fn the_connection_used_last_is_lent_first() {
        let pool = pool(2).await;
        let (mut one, other) = (pool.lend().await.unwrap(), pool.lend().await.unwrap());
        note(&mut one).await;
        other.give_back();
        one.give_back();
        assert!(is_noted(&mut pool.lend().await.unwrap()).await);
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_the_time_out_or_gets_one_after_the_end() {
        let pool = pool(1).await;
        let lent = pool.lend().await.unwrap();
        assert!(matches!(pool.lend().await, Err(sqlx::Error::PoolTimedOut)));
        lent.give_back();
        pool.close().await;
        assert!(matches!(pool.lend().await, Err(sqlx::Error::PoolClosed)));
    }

    /// What a dropped request leaves behind, a transaction here, is not the next one's.
    #[tokio::test]
    async fn a_connection_that_was_not_given_back_is_lent_again_when_it_is_done() {
        let pool = pool(1).await;
        let mut lent = pool.lend().await.unwrap();
        note(&mut lent).await;
        let mut transaction = lent.begin().await.unwrap();
        sqlx::query("INSERT INTO notes VALUES (1)").execute(&mut *transaction).await.unwrap();
        drop(transaction);
        drop(lent);
        let mut lent = pool.lend().await.unwrap();
        let notes: i64 = sqlx::query_scalar("SELECT count(*) FROM notes").fetch_one(&mut *lent).await.unwrap();
        assert_eq!(notes, 0);
        lent.begin().await.unwrap().rollback().await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_rested_too_long_or_is_too_old_is_not_lent() {
        for (idle_timeout, max_lifetime) in [(Duration::ZERO, Duration::MAX), (Duration::MAX, Duration::ZERO)] {
            let limits = PoolLimits { connections: 1, acquire_timeout: Duration::from_secs(5), idle_timeout, max_lifetime };
            let pool = Pool::open(SqliteConnectOptions::new().in_memory(true), limits, 1).await.unwrap();
            let mut lent = pool.lend().await.unwrap();
            note(&mut lent).await;
            lent.give_back();
            assert!(!is_noted(&mut pool.lend().await.unwrap()).await);
        }
    }
}
