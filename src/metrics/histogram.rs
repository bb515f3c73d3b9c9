//! How long something took, in buckets of atomics: the crate's own histogram takes a lock for every observation.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::{micros, seconds_of};

/// The upper bounds in microseconds: from a document in memory to a request that takes too long.
const BOUNDS: [u64; 15] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000];

#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// The last one is of whatever took longer.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// A histogram at a moment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Observed {
    pub sum: f64,
    pub count: u64,
    /// Each with its upper bound, and what is in it alone.
    pub buckets: Vec<(f64, u64)>,
}

impl Histogram {
    pub(crate) fn observe(&self, duration: Duration) {
        let micros = micros(duration);
        self.buckets[BOUNDS.partition_point(|bound| *bound < micros)].fetch_add(1, Relaxed);
        self.micros.fetch_add(micros, Relaxed);
    }

    pub(super) fn observed(&self) -> Observed {
        let bounds = BOUNDS.iter().map(|bound| seconds_of(*bound)).chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.buckets.iter().map(|bucket| bucket.load(Relaxed))).collect();
        Observed { sum: seconds_of(self.micros.load(Relaxed)), count: buckets.iter().map(|(_, count)| count).sum(), buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_as_long_as_a_bound_is_within_it_and_nothing_is_lost() {
        let histogram = Histogram::default();
        for micros in [0, 250, 251, 10_000_000, 10_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let observed = histogram.observed();
        assert_eq!(observed.count, 5);
        assert_eq!((observed.buckets[0], observed.buckets[1]), ((0.000_25, 2), (0.000_5, 1)));
        assert_eq!((observed.buckets[14], observed.buckets[15]), ((10.0, 1), (f64::MAX, 1)));
        assert!((observed.sum - 20.000_502).abs() < 1e-9);
    }
}
