//! Whether the database answers: told once when it no longer does, and once when it does again, however many ask.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::error::{Error, Result};

/// Trouble that comes back this soon is the same trouble.
const QUIET: Duration = Duration::from_secs(1);
/// Trouble that comes and goes is told this often at most.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// How many outages are remembered.
const OUTAGES: usize = 64;

/// What the database is asked for. It may answer those who read, and not those who write: its disk is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// What is known of the database, by those who ask it.
#[derive(Clone, Debug)]
pub(super) struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Whoever asked for a write that takes so long may no longer wait for its answer.
    patience: OnceLock<Duration>,
    /// Whether an answer changes anything. Mostly not, and then nobody waits for the lock.
    is_troubled: AtomicBool,
    trouble: Mutex<Trouble>,
}

impl Health {
    pub(super) fn good() -> Self {
        Self(Arc::new(Inner { patience: OnceLock::new(), is_troubled: AtomicBool::new(false), trouble: Mutex::default() }))
    }

    /// From now on, a write that takes so long is late.
    pub(super) fn wait_for(&self, patience: Duration) {
        let _ = self.0.patience.set(patience);
    }

    /// Notes how the database answered one who asked at this time, and passes the answer on.
    pub(super) fn of<T>(&self, access: Access, asked_at: Instant, answer: Result<T>) -> Result<T> {
        match &answer {
            Err(Error::Unavailable { cause: Some(cause), .. }) => self.failed(access, asked_at, cause),
            // Refused by ourselves: it was not asked.
            Err(Error::Unavailable { cause: None, .. }) => {}
            Ok(_) | Err(_) => self.answered(access, asked_at),
        }
        answer
    }

    /// For how much of this time, until now, it did not answer, or answered a write late.
    pub(super) fn away_within(&self, age: Duration) -> Duration {
        self.trouble().away_within(age, Instant::now())
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self, access: Access, asked_at: Instant) {
        let now = Instant::now();
        let took = now.duration_since(asked_at);
        let is_late = access == Access::Write && self.0.patience.get().is_some_and(|patience| took >= *patience);
        if !is_late && !self.0.is_troubled.load(Ordering::Relaxed) {
            return;
        }
        let mut trouble = self.trouble();
        if is_late {
            trouble.remember(asked_at, now);
        }
        if let Some(past) = trouble.answered(access, now) {
            let away_ms = u64::try_from(past.lasted.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(away_ms, failures = past.failures, "the database answers again");
        }
        self.0.is_troubled.store(!trouble.is_over(), Ordering::Relaxed);
    }

    fn failed(&self, access: Access, asked_at: Instant, cause: &str) {
        let mut trouble = self.trouble();
        let is_news = trouble.failed(access, asked_at, Instant::now());
        self.0.is_troubled.store(true, Ordering::Relaxed);
        match access {
            _ if !is_news => {}
            Access::Read => tracing::warn!(error = cause, "the database cannot be reached or is busy: requests are answered with 503"),
            Access::Write => {
                tracing::warn!(error = cause, "the database cannot be written to: requests that change something are answered with 503");
            }
        }
    }
}

/// What does not work, and what did not.
#[derive(Debug, Default)]
struct Trouble {
    reads_fail: bool,
    writes_fail: bool,
    /// While something fails: when the first who got no answer asked.
    away_since: Option<Instant>,
    /// The beginnings and ends of the latest outages, the last one first. They do not overlap.
    outages: VecDeque<(Instant, Instant)>,
    episode: Option<Episode>,
    told_at: Option<Instant>,
}

/// Failures that follow one another.
#[derive(Debug)]
struct Episode {
    since: Instant,
    last_failure: Instant,
    failures: u64,
    is_told: bool,
}

/// An episode that was told of, and is over.
#[derive(Debug, PartialEq, Eq)]
struct Past {
    lasted: Duration,
    failures: u64,
}

impl Trouble {
    fn is_over(&self) -> bool {
        self.episode.is_none()
    }

    /// Whether this is to be told.
    fn failed(&mut self, access: Access, asked_at: Instant, now: Instant) -> bool {
        match access {
            Access::Read => self.reads_fail = true,
            Access::Write => self.writes_fail = true,
        }
        let since = self.away_since.map_or(asked_at, |since| since.min(asked_at));
        self.away_since = Some(since);
        let episode = self.episode.get_or_insert(Episode { since, last_failure: now, failures: 0, is_told: false });
        episode.failures += 1;
        episode.last_failure = now;
        let is_news = !episode.is_told && self.told_at.is_none_or(|told_at| now.duration_since(told_at) >= TOLD_EVERY);
        if is_news {
            episode.is_told = true;
            self.told_at = Some(now);
        }
        is_news
    }

    /// What is over, if it is and was told of.
    fn answered(&mut self, access: Access, now: Instant) -> Option<Past> {
        self.reads_fail = false;
        self.writes_fail &= access == Access::Read;
        if self.writes_fail {
            return None;
        }
        if let Some(since) = self.away_since.take() {
            self.remember(since, now);
        }
        let episode = self.episode.take_if(|episode| now.duration_since(episode.last_failure) >= QUIET)?;
        episode.is_told.then(|| Past { lasted: now.duration_since(episode.since), failures: episode.failures })
    }

    /// An outage; time that was one already is not counted again.
    fn remember(&mut self, since: Instant, until: Instant) {
        let since = self.outages.front().map_or(since, |(_, known)| since.max(*known));
        if since < until {
            self.outages.truncate(OUTAGES - 1);
            self.outages.push_front((since, until));
        }
    }

    fn away_within(&self, age: Duration, now: Instant) -> Duration {
        let known = self.outages.front().map(|(_, until)| *until);
        let ongoing = self.away_since.map(|since| (since.max(known.unwrap_or(since)), now));
        let outages = self.outages.iter().copied().chain(ongoing);
        let within = |(since, until): (Instant, Instant)| now.duration_since(since).min(age).saturating_sub(now.duration_since(until));
        outages.map(within).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A time that leaves room before it.
    fn start() -> Instant {
        Instant::now() + Duration::from_hours(1)
    }

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn trouble_is_told_once_and_its_end_once() {
        let (mut trouble, start) = (Trouble::default(), start());
        let failures = (0..1_000).map(|number| start + Duration::from_millis(20 * number));
        assert_eq!(failures.filter(|at| trouble.failed(Access::Read, *at, *at)).count(), 1);
        let back = start + secs(20);
        assert_eq!(trouble.answered(Access::Read, back), None, "it may be gone again");
        assert_eq!(trouble.answered(Access::Read, back + QUIET), Some(Past { lasted: secs(21), failures: 1_000 }));
        assert!(trouble.is_over());
        assert_eq!(trouble.answered(Access::Read, back + secs(2)), None);
    }

    /// One who fails now and then among those who are answered, for two minutes: not a line for each.
    #[test]
    fn trouble_that_comes_and_goes_is_told_now_and_then() {
        let (mut trouble, start) = (Trouble::default(), start());
        let (mut told, mut ended) = (0, 0);
        for second in (0..60).map(|number| start + secs(2 * number)) {
            told += usize::from(trouble.failed(Access::Read, second, second));
            ended += usize::from(trouble.answered(Access::Read, second + secs(1)).is_some());
        }
        assert!((2..=12).contains(&told) && told == ended, "{told} {ended}");
    }

    #[test]
    fn trouble_that_lasts_is_told_also_soon_after_other_trouble() {
        let (mut trouble, start) = (Trouble::default(), start());
        assert!(trouble.failed(Access::Read, start, start));
        assert!(trouble.answered(Access::Read, start + secs(2)).is_some());
        assert!(!trouble.failed(Access::Read, start + secs(3), start + secs(4)));
        assert!(trouble.failed(Access::Read, start + secs(3), start + secs(10)));
    }

    /// A full disk: whoever reads is answered, which is no sign that writes are.
    #[test]
    fn an_answer_to_a_reader_ends_no_trouble_of_those_who_write() {
        let (mut trouble, start) = (Trouble::default(), start());
        assert!(trouble.failed(Access::Write, start, start));
        assert_eq!(trouble.answered(Access::Read, start + secs(5)), None);
        assert!(!trouble.failed(Access::Write, start, start + secs(20)));
        assert_eq!(trouble.answered(Access::Write, start + secs(30)), Some(Past { lasted: secs(30), failures: 2 }));
        trouble.failed(Access::Read, start + secs(30), start + secs(40));
        assert!(trouble.answered(Access::Write, start + secs(50)).is_some());
    }

    #[test]
    fn outages_are_added_up_within_an_age() {
        let (mut trouble, start) = (Trouble::default(), start());
        for second in [0, 100] {
            trouble.failed(Access::Read, start + secs(second), start + secs(second + 5));
            trouble.answered(Access::Read, start + secs(second + 10));
        }
        trouble.failed(Access::Write, start + secs(200), start + secs(205));
        let now = start + secs(210);
        let away_within = |age| trouble.away_within(secs(age), now).as_secs();
        assert_eq!((away_within(0), away_within(5), away_within(100), away_within(105), away_within(1_000)), (0, 5, 10, 15, 30));
    }

    /// Of several who wait together each is late, and time passes once.
    #[test]
    fn what_overlaps_is_counted_once() {
        let (mut trouble, start) = (Trouble::default(), start());
        for second in [0, 1, 2] {
            trouble.remember(start + secs(second), start + secs(10));
        }
        trouble.failed(Access::Write, start + secs(4), start + secs(12));
        assert_eq!(trouble.away_within(secs(1_000), start + secs(12)), secs(12));
        trouble.answered(Access::Write, start + secs(13));
        assert_eq!(trouble.away_within(secs(1_000), start + secs(20)), secs(13));
    }

    #[test]
    fn so_many_outages_are_remembered_and_no_more() {
        let (mut trouble, start) = (Trouble::default(), start());
        for second in 0..200 {
            trouble.remember(start + secs(second), start + secs(second + 1));
        }
        assert_eq!(trouble.away_within(secs(1_000), start + secs(200)), secs(OUTAGES as u64));
    }
}
