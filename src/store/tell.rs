//! Says once, not a thousand times, that the database is in trouble.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
static NEXT_AT: AtomicU64 = AtomicU64::new(0);
const PAUSE_SECONDS: u64 = 10;

/// Logs `error` unless one was logged in the last ten seconds.
pub(super) fn of_unavailability(error: &sqlx::Error) {
    let now = STARTED.elapsed().as_secs();
    let next_at = NEXT_AT.load(Ordering::Relaxed);
    if now >= next_at && NEXT_AT.compare_exchange(next_at, now + PAUSE_SECONDS, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        tracing::warn!(error = %error, "the database cannot be reached or is busy: requests are answered with 503");
    }
}
