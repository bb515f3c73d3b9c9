//! The places of connections: so many at a time, and who waits for a slow client makes room for the next.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

/// Files that are open beside connections: those of the database, of requests to other servers, and the program's own.
const OTHER_FILES: usize = 512;
/// How long to wait for a place before another connection is told to make room.
const A_MOMENT: Duration = Duration::from_millis(20);

/// How many connections the operating system lets this process have, at most as many as are wanted. Raises the limit of the
/// process as far as it may: what services are started with by default (1024) is for programs of another time.
pub(super) fn room(wanted: usize) -> usize {
    let files = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let needed = files(wanted.saturating_add(OTHER_FILES));
    let may_have = maximum.map_or(needed, |maximum| maximum.min(needed));
    let mut has = current.unwrap_or(u64::MAX);
    if has < may_have && setrlimit(Resource::Nofile, Rlimit { current: Some(may_have), maximum }).is_ok() {
        has = may_have;
    }
    // Half of very few.
    let room = usize::try_from(has.saturating_sub(files(OTHER_FILES)).max(has / 2)).unwrap_or(usize::MAX).clamp(1, wanted.max(1));
    if room < wanted {
        tracing::warn!(
            open_files = has,
            connections = room,
            "fewer connections than limits.connections ({wanted}) fit in the limit of open files: raise it (LimitNOFILE, ulimit -n)"
        );
    }
    room
}

/// Since when a connection waits for its client: for the head of a request, or for the rest of its body.
#[derive(Debug)]
pub(crate) struct Idle {
    began: Instant,
    /// In microseconds since `began`, and one; 0 while the client waits for us.
    since: AtomicU64,
    is_wanted: Notify,
}

impl Idle {
    fn new(began: Instant) -> Self {
        let idle = Self { began, since: AtomicU64::new(0), is_wanted: Notify::new() };
        idle.begin();
        idle
    }

    /// The connection waits for its client from now on.
    pub(crate) fn begin(&self) {
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX - 1);
        self.since.store(micros + 1, Ordering::Relaxed);
    }

    /// And no longer.
    pub(crate) fn end(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// Since when it does, if it does.
    fn since(&self) -> Option<u64> {
        Some(self.since.load(Ordering::Relaxed)).filter(|since| *since > 0)
    }

    /// Whether it does.
    pub(crate) fn is_so(&self) -> bool {
        self.since().is_some()
    }
}

/// All of them. Clones share them.
#[derive(Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    taken: Arc<Mutex<HashMap<u64, Arc<Idle>>>>,
    began: Instant,
    next: Arc<AtomicU64>,
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        let free = Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self { free, taken: Arc::default(), began: Instant::now(), next: Arc::default() }
    }

    /// One of them, as soon as there is one: the connection that waits longest for its client makes room.
    pub(super) async fn one(&self) -> Place {
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                break permit;
            }
            if let Some(idle) = self.longest_idle() {
                idle.is_wanted.notify_one();
            }
            if let Ok(permit) = timeout(A_MOMENT, Arc::clone(&self.free).acquire_owned()).await {
                break permit.expect("the semaphore is never closed");
            }
        };
        let (number, idle) = (self.next.fetch_add(1, Ordering::Relaxed), Arc::new(Idle::new(self.began)));
        self.taken().insert(number, Arc::clone(&idle));
        Place { number, idle, places: self.clone(), _permit: permit }
    }

    fn longest_idle(&self) -> Option<Arc<Idle>> {
        let taken = self.taken();
        let longest = taken.values().filter_map(|idle| Some((idle.since()?, idle))).min_by_key(|(since, _)| *since);
        longest.map(|(_, idle)| Arc::clone(idle))
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<u64, Arc<Idle>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a connection, until dropped.
pub(super) struct Place {
    number: u64,
    idle: Arc<Idle>,
    places: Places,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    pub(super) fn idle(&self) -> &Arc<Idle> {
        &self.idle
    }

    /// When somebody else wants it, and its client still lets us wait.
    pub(super) async fn is_wanted(&self) {
        loop {
            self.idle.is_wanted.notified().await;
            if self.idle.is_so() {
                return;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever waits for a place gets it as soon as `place` is given up for them.
    async fn makes_room(place: Place) {
        place.is_wanted().await;
        drop(place);
    }

    #[tokio::test]
    async fn the_one_that_waits_longest_for_its_client_makes_room() {
        let places = Places::new(3);
        let (busy, first, second) = (places.one().await, places.one().await, places.one().await);
        busy.idle().end();
        // Between two requests, which is later than the other's beginning.
        first.idle().begin();
        let (mut first, mut second) = (Box::pin(makes_room(first)), Box::pin(makes_room(second)));
        let next = tokio::select! {
            next = places.one() => next,
            () = &mut first => panic!("another waits longer"),
            () = async { (&mut second).await; std::future::pending().await } => unreachable!("it is pending"),
        };
        next.idle().end();
        tokio::select! {
            _ = places.one() => {}
            () = async { (&mut first).await; std::future::pending().await } => unreachable!("it is pending"),
        }
    }

    #[tokio::test]
    async fn nobody_who_is_being_answered_makes_room() {
        let places = Places::new(1);
        let busy = places.one().await;
        busy.idle().end();
        let waits = timeout(5 * A_MOMENT, places.one());
        tokio::select! {
            outcome = waits => assert!(outcome.is_err()),
            () = busy.is_wanted() => panic!("it is being answered"),
        }
        drop(busy);
        places.one().await;
    }

    #[test]
    fn there_is_room_for_one_at_least_and_for_no_more_than_wanted() {
        assert_eq!((room(0), room(1), room(20)), (1, 1, 20));
    }
}
