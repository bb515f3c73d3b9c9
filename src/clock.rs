//! Time: the only reader of the wall clock, and a clock that tests can move.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A point in time, in whole microseconds since 1970-01-01T00:00:00Z: what both databases keep exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Seconds since the epoch, as in a `NumericDate` (RFC 7519 §2).
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down: a `NumericDate` (RFC 7519 §2).
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time and `duration` more; stops at the end of the representable range.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// This time less `duration`.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 with microseconds, UTC: where the order of events matters, which is that of the texts, too.
    pub fn in_full(self) -> String {
        format!("{}.{:06}Z", self.to_string().trim_end_matches('Z'), self.0.rem_euclid(1_000_000))
    }

    /// A time as RFC 3339 writes it, or a date, which begins at midnight UTC.
    pub fn parse(text: &str) -> Option<Self> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok();
        let parsed = time.or_else(|| OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339).ok())?;
        i64::try_from(parsed.unix_timestamp_nanos() / 1_000).ok().map(Self)
    }

    /// The same point as the `time` crate's type, for formatting. Out of its range (the year 9999): the epoch.
    pub fn to_date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339, in whole seconds, UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole_seconds = Self::from_seconds(self.as_seconds()).to_date_time();
        f.write_str(&whole_seconds.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Where the time comes from. Clones tell the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Moved(Arc<AtomicI64>),
}

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that goes on by a microsecond at each look, so that what came later is later, until [`Clock::advance`] moves it.
    pub fn moved_from(start: Timestamp) -> Self {
        Self(Source::Moved(Arc::new(AtomicI64::new(start.0))))
    }

    /// The time now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp(micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())),
            Source::Moved(now) => Timestamp(now.fetch_add(1, Ordering::SeqCst)),
        }
    }

    /// Moves a clock that is moved forward. The clock of the machine cannot be moved: then this does nothing.
    pub fn advance(&self, by: Duration) {
        if let Source::Moved(now) = &self.0 {
            now.fetch_add(micros(by), Ordering::SeqCst);
        }
    }

    /// Moves such a clock back, as when a machine's clock was wrong.
    pub fn set_back(&self, by: Duration) {
        if let Source::Moved(now) = &self.0 {
            now.fetch_sub(micros(by), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_down_also_before_the_epoch() {
        assert_eq!(Timestamp::from_micros(1_999_999).as_seconds(), 1);
        assert_eq!(Timestamp::from_micros(-1).as_seconds(), -1);
    }

    #[test]
    fn arithmetic_stops_at_the_ends_of_time() {
        let end = Timestamp::from_micros(i64::MAX);
        assert_eq!(end.after(Duration::MAX), end);
        assert_eq!(Timestamp::from_seconds(0).since(end), Duration::ZERO);
    }

    #[test]
    fn a_timestamp_reads_as_rfc_3339() {
        assert_eq!(Timestamp::from_micros(1_700_000_000_999_999).to_string(), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn a_time_and_a_date_are_read() {
        let noon = Timestamp::from_micros(1_700_049_600_500_000);
        assert_eq!(Timestamp::parse(&noon.in_full()), Some(noon));
        let texts = [0, 354_960, 900_000, 1_000_000].map(|micros| Timestamp(noon.0 + micros).in_full());
        assert!(texts.is_sorted() && texts.iter().all(|text| text.len() == "2026-11-01T12:00:00.354960Z".len()), "{texts:?}");
        assert_eq!(Timestamp::parse("2023-11-15T13:00:00+01:00"), Some(Timestamp::from_seconds(1_700_049_600)));
        assert_eq!(Timestamp::parse("2023-11-15"), Some(Timestamp::from_seconds(1_700_006_400)));
        for not_a_time in ["", "yesterday", "2023-11-15 12:00", "2023-13-01", "15.11.2023"] {
            assert_eq!(Timestamp::parse(not_a_time), None, "{not_a_time}");
        }
    }

    #[test]
    fn clones_of_a_stopped_clock_move_together() {
        let clock = Clock::moved_from(Timestamp::from_seconds(100));
        let other = clock.clone();
        clock.advance(Duration::from_secs(5));
        assert_eq!(other.now(), Timestamp::from_seconds(105));
        assert!(clock.now() > Timestamp::from_seconds(105));
    }
}
