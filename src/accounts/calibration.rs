//! How long hashing a password takes on this machine, by the same means as at sign-in.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::password::{self, Password};
use crate::{config::Passwords, error::Result, server::HashingMemory};

/// Memory in KiB and passes, from the least that is safe (OWASP Password Storage Cheat Sheet; RFC 9106 §4 recommends 64 MiB with 3)
/// to what only large machines afford, by the work that they are.
pub(crate) const LADDER: &[(u32, u32)] =
    &[(19_456, 2), (32_768, 2), (47_104, 2), (65_536, 2), (65_536, 3), (98_304, 3), (131_072, 3), (196_608, 3), (262_144, 3), (262_144, 4)];

/// How long each step of the ladder is measured.
const WINDOW: Duration = Duration::from_millis(300);

/// What hashing with some parameters costs when every thread is busy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    pub memory_kib: u32,
    pub iterations: u32,
    /// The mean time of one hash.
    pub each: Duration,
    /// How many all threads together make in a second.
    pub per_second: f64,
}

/// Measures one step with as many threads as sign-in has, all at once: they compete for memory and cores.
pub(crate) fn measure(config: &Passwords, (memory_kib, iterations): (u32, u32)) -> Result<Cost> {
    let config = Passwords { argon2_memory_kib: memory_kib, argon2_iterations: iterations, ..config.clone() };
    let threads = config.hashing_threads;
    let runs: Vec<Result<(u32, Duration)>> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| hash_for(&config, WINDOW))).collect();
        running.into_iter().map(|thread| thread.join().map_err(|_| crate::error::Error::internal("a measurement panicked"))?).collect()
    });
    let mut total = (0, Duration::ZERO);
    for run in runs {
        let (hashes, time) = run?;
        total = (total.0 + hashes, total.1 + time);
    }
    let each = total.1 / total.0.max(1);
    let threads = u32::try_from(threads).unwrap_or(u32::MAX);
    Ok(Cost { memory_kib, iterations, each, per_second: f64::from(threads) / each.as_secs_f64().max(1e-9) })
}

/// Hashes until the window is over; the first one, for which memory is fetched, does not count.
fn hash_for(config: &Passwords, window: Duration) -> Result<(u32, Duration)> {
    let mut memory = HashingMemory::default();
    password::hash_now(config, &Password::nobodys(), &mut memory)?;
    let begin = Instant::now();
    let mut hashes = 0;
    while hashes == 0 || begin.elapsed() < window {
        password::hash_now(config, &Password::nobodys(), &mut memory)?;
        hashes += 1;
    }
    Ok((hashes, begin.elapsed()))
}

/// Of what takes no longer than `target` the most work; the least that is safe, if nothing does.
pub(crate) fn suggestion(costs: &[Cost], target: Duration) -> Option<Cost> {
    let work = |cost: &Cost| u64::from(cost.memory_kib) * u64::from(cost.iterations);
    costs
        .iter()
        .filter(|cost| cost.each <= target)
        .max_by_key(|cost| work(cost))
        .or_else(|| costs.iter().min_by_key(|cost| work(cost)))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(memory_kib: u32, iterations: u32, millis: u64) -> Cost {
        Cost { memory_kib, iterations, each: Duration::from_millis(millis), per_second: 1.0 }
    }

    #[test]
    fn the_most_work_within_the_time_is_suggested_and_never_less_than_is_safe() {
        let costs = [cost(19_456, 2, 20), cost(65_536, 2, 90), cost(65_536, 3, 130)];
        let suggested = |millis| suggestion(&costs, Duration::from_millis(millis)).map(|cost| (cost.memory_kib, cost.iterations));
        assert_eq!(suggested(100), Some((65_536, 2)));
        assert_eq!(suggested(130), Some((65_536, 3)));
        assert_eq!(suggested(5), Some((19_456, 2)), "too slow a machine gets the floor");
    }

    #[test]
    fn the_ladder_rises_from_the_floor() {
        assert_eq!(LADDER[0], (19_456, 2));
        assert!(LADDER.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1 && pair[0] != pair[1]));
    }
}
