//! How many requests an address, a person and a client may send: counted in the memory of this process, which is bounded.
//!
//! A budget is a time, as in `accounts/throttle.rs`: until when what was spent counts. It is one atomic number, found by a hash under a
//! key that nobody knows; so counting takes no lock and, but for the first request of someone, no memory (decision 0027).

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use moka::sync::Cache;

use crate::{
    clock::Timestamp,
    config::{Rate, RateLimit},
};

/// How many budgets of each limit are remembered: of a flood from more addresses, those that ask most.
const REMEMBERED: u64 = 50_000;

/// Whose requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Of an address, where anyone may ask.
    Public,
    /// Of a person who is signed in.
    SignedIn,
    /// Of a client that authenticated.
    Client,
}

impl Limit {
    pub(crate) const ALL: [Self; 3] = [Self::Public, Self::SignedIn, Self::Client];

    /// The name of its setting.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::SignedIn => "signed_in",
            Self::Client => "client",
        }
    }
}

/// How someone stands who sent one request more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub limit: Limit,
    /// How many may come at once, and in which time as many are free again.
    pub requests: u32,
    pub window: Duration,
    /// How many are left.
    pub remaining: u32,
    /// How long until nothing is spent; of who is refused, until one is free again.
    pub reset: Duration,
    pub is_refused: bool,
}

/// What came of counting a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Admitted(Standing),
    /// `tells`: of nobody was told within the last window, so the log tells of this one.
    Refused {
        standing: Standing,
        tells: bool,
    },
}

/// Every budget of this process.
pub(crate) struct RateLimits {
    names: RandomState,
    counters: [Option<Counter>; Limit::ALL.len()],
}

impl RateLimits {
    pub(crate) fn new(config: &RateLimit) -> Self {
        let rate = |limit| match limit {
            Limit::Public => config.public,
            Limit::SignedIn => config.signed_in,
            Limit::Client => config.client,
        };
        Self { names: RandomState::new(), counters: Limit::ALL.map(|limit| Counter::new(limit, rate(limit), REMEMBERED)) }
    }

    /// Counts a request of `whom`, which names the endpoint, too. `None` where this limit is off.
    pub(crate) fn count(&self, limit: Limit, whom: impl Hash, now: Timestamp) -> Option<Counted> {
        let counter = self.counters[limit as usize].as_ref()?;
        Some(counter.count(self.names.hash_one(whom), now))
    }

    /// How many requests were refused.
    pub(crate) fn refusals(&self, limit: Limit) -> u64 {
        self.counters[limit as usize].as_ref().map_or(0, |counter| counter.refusals.load(Relaxed))
    }
}

/// The budgets of one limit.
struct Counter {
    limit: Limit,
    requests: u32,
    window: Duration,
    /// What one request spends, in nanoseconds.
    cost: i64,
    /// Until when what each spent counts, in nanoseconds since 1970.
    spent: Cache<u64, Arc<AtomicI64>>,
    refusals: AtomicU64,
    /// Until when the log has been told.
    told_until: AtomicI64,
}

impl Counter {
    fn new(limit: Limit, rate: Rate, remembered: u64) -> Option<Self> {
        let Rate::Of { requests, window } = rate else { return None };
        // Whoever asked nothing for a whole window has spent nothing.
        let spent = Cache::builder().max_capacity(remembered).time_to_idle(window).build();
        let cost = nanos(window) / i64::from(requests);
        Some(Self { limit, requests, window, cost, spent, refusals: AtomicU64::new(0), told_until: AtomicI64::new(i64::MIN) })
    }

    fn count(&self, whom: u64, now: Timestamp) -> Counted {
        let now = now.as_micros().saturating_mul(1_000);
        let until = self.spent.get(&whom).unwrap_or_else(|| self.spent.get_with(whom, Arc::default));
        let (cost, all) = (self.cost, self.cost * i64::from(self.requests));
        // More than there is can only be spent where the clock was set back: what was counted then is forgotten.
        let spent = |until: i64| Some(until.saturating_sub(now)).filter(|spent| (0..=all).contains(spent)).unwrap_or(0);
        let standing = |left: i64, reset: i64, is_refused: bool| Standing {
            limit: self.limit,
            requests: self.requests,
            window: self.window,
            remaining: u32::try_from(left / cost).unwrap_or(0),
            reset: Duration::from_nanos(u64::try_from(reset).unwrap_or(0)),
            is_refused,
        };
        let charge = |until| Some(spent(until) + cost).filter(|spent| *spent <= all).map(|spent| now + spent);
        match until.fetch_update(Relaxed, Relaxed, charge) {
            Ok(before) => {
                let spent = spent(before) + cost;
                Counted::Admitted(standing(all - spent, spent, false))
            }
            Err(before) => {
                self.refusals.fetch_add(1, Relaxed);
                let standing = standing(0, spent(before) + cost - all, true);
                Counted::Refused { standing, tells: self.tells(now) }
            }
        }
    }

    /// Whether a window went by since the log was told.
    fn tells(&self, now: i64) -> bool {
        let until = now.saturating_add(nanos(self.window));
        let told_until = self.told_until.load(Relaxed);
        let is_told = now < told_until && told_until <= until;
        !is_told && self.told_until.compare_exchange(told_until, until, Relaxed, Relaxed).is_ok()
    }
}

fn nanos(window: Duration) -> i64 {
    i64::try_from(window.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn limits(requests: u32, seconds: u64) -> RateLimits {
        let public = Rate::Of { requests, window: Duration::from_secs(seconds) };
        RateLimits::new(&RateLimit { public, signed_in: Rate::Off, client: Rate::Off })
    }

    /// How many of `times` are admitted.
    fn admitted(limits: &RateLimits, whom: &str, times: usize, now: Timestamp) -> usize {
        let count = || limits.count(Limit::Public, whom, now).expect("it is on");
        (0..times).filter(|_| matches!(count(), Counted::Admitted(_))).count()
    }

    #[test]
    fn a_budget_is_spent_at_once_and_comes_back_evenly() {
        for (requests, seconds) in [(1, 1), (7, 60), (600, 60), (1_000, 1), (3, 86_400), (9_973, 1)] {
            let limits = limits(requests, seconds);
            let window = Duration::from_secs(seconds);
            assert_eq!(admitted(&limits, "a", requests as usize + 5, NOW), requests as usize, "{requests}/{seconds}s");
            assert_eq!(admitted(&limits, "b", 1, NOW), 1, "each has a budget");
            let later = NOW.after(window / requests + Duration::from_micros(1));
            assert_eq!(admitted(&limits, "a", 1, NOW.after(window / requests / 2)), 0);
            assert!((1..=2).contains(&admitted(&limits, "a", 3, later)));
            assert_eq!(admitted(&limits, "a", requests as usize + 5, later.after(window)), requests as usize);
        }
    }

    #[test]
    fn whoever_is_counted_learns_what_is_left_and_when() {
        let limits = limits(3, 60);
        let standing = |counted: Option<Counted>| match counted {
            Some(Counted::Admitted(standing) | Counted::Refused { standing, .. }) => (standing.remaining, standing.reset.as_secs()),
            None => panic!("not counted"),
        };
        let count = |now| standing(limits.count(Limit::Public, "a", now));
        assert_eq!([count(NOW), count(NOW), count(NOW), count(NOW)], [(2, 20), (1, 40), (0, 60), (0, 20)]);
        assert_eq!(count(NOW.after(Duration::from_secs(15))), (0, 5), "the next one is free");
        assert_eq!(count(NOW.after(Duration::from_secs(20))), (0, 60));
        assert_eq!(limits.refusals(Limit::Public), 2);
    }

    #[test]
    fn what_is_off_counts_nothing() {
        assert_eq!(limits(3, 60).count(Limit::Client, "a", NOW), None);
        assert_eq!(limits(3, 60).refusals(Limit::Client), 0);
    }

    #[test]
    fn a_clock_that_is_set_back_refuses_nobody() {
        let limits = limits(3, 60);
        assert_eq!(admitted(&limits, "a", 5, NOW.after(Duration::from_hours(24))), 3);
        assert_eq!(admitted(&limits, "a", 5, NOW), 3);
        assert_eq!(admitted(&limits, "a", 5, NOW.after(Duration::from_mins(1))), 3);
    }

    #[test]
    fn the_log_is_told_once_in_a_window() {
        let limits = limits(1, 60);
        let told = |whom: &str, now| {
            let count = || limits.count(Limit::Public, whom, now);
            (0..50).filter(|_| matches!(count(), Some(Counted::Refused { tells: true, .. }))).count()
        };
        assert_eq!((told("a", NOW), told("b", NOW)), (1, 0), "of all who are refused");
        assert_eq!(told("b", NOW.after(Duration::from_secs(59))), 0);
        assert_eq!(told("c", NOW.after(Duration::from_mins(1))), 1);
        assert_eq!(told("c", NOW), 1, "and anew where the clock was set back");
    }

    /// Whoever comes from ever other addresses fills no memory.
    #[test]
    fn the_number_of_budgets_is_bounded() {
        let rate = Rate::Of { requests: 3, window: Duration::from_mins(1) };
        let counter = Counter::new(Limit::Public, rate, 1_000).expect("it is on");
        for address in 0..5_000 {
            counter.count(address, NOW);
        }
        counter.spent.run_pending_tasks();
        assert!((1..=1_000).contains(&counter.spent.entry_count()), "{}", counter.spent.entry_count());
    }

    #[test]
    fn of_many_at_once_no_more_are_admitted() {
        let limits = limits(100, 60);
        let counted = || admitted(&limits, "a", 50, NOW);
        let sum: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(counted)).collect();
            threads.into_iter().map(|thread| thread.join().expect("a count")).sum()
        });
        assert_eq!(sum, 100);
    }
}
