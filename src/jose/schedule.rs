//! When a key is published, signs, retires, leaves and is replaced: arithmetic on the times of its row, without I/O.

use std::time::Duration;

use super::Algorithm;
use crate::{
    clock::Timestamp,
    config::Config,
    store::keys::{FORMER_SIGNATURE, SIGNATURE, StoredKey},
};

/// For how long the private half of a key outlasts its publication: longer than clocks are ever wrong by mistake of a zone.
const PRIVATE_HALF_KEPT_FOR: Duration = Duration::from_hours(24);

/// The spans of time that a configuration asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    jwks_max_age: Duration,
    clock_margin: Duration,
    access_token_ttl: Duration,
    /// `None`: nothing is rotated by itself.
    interval: Option<Duration>,
    former_kept_for: Duration,
}

/// What becomes of the newest key of an algorithm by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A successor is published at this time.
    Rotates(Timestamp),
    /// It ends at this time without one: its algorithm is selected no more.
    Ends(Timestamp),
    /// It was made at a time that is yet to come: the clock was set back, or was ahead. Until it is clear which, nothing is
    /// done: new keys with times of the past would end the others at once.
    WaitsForTheClock,
    /// Nothing: rotation is off.
    Stays,
}

impl Next {
    /// Whether it is time.
    pub(crate) fn is_due(self, now: Timestamp) -> bool {
        matches!(self, Self::Rotates(at) | Self::Ends(at) if at <= now)
    }
}

impl Schedule {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            jwks_max_age: config.keys.jwks_max_age,
            clock_margin: config.keys.clock_margin,
            access_token_ttl: config.tokens.access_token_ttl,
            interval: Some(config.keys.rotation_interval).filter(|interval| !interval.is_zero()),
            former_kept_for: config.session.ttl.max(config.tokens.refresh_token_ttl),
        }
    }

    /// The same where access tokens may live for so long.
    #[must_use]
    pub(crate) fn for_tokens_of(self, lifetime: Duration) -> Self {
        Self { access_token_ttl: self.access_token_ttl.max(lifetime), ..self }
    }

    /// When a key that is published at this time is in every cache, and may sign.
    pub(crate) fn signs_from(self, published_at: Timestamp) -> Timestamp {
        published_at.after(self.jwks_max_age + self.clock_margin)
    }

    /// When nobody needs a key any more that signs until this time: its last token has expired, also by clocks that differ and
    /// for resource servers that allow a leeway (RFC 9068 §4).
    pub(crate) fn removed_at(self, signs_until: Timestamp) -> Timestamp {
        signs_until.after(self.access_token_ttl + self.jwks_max_age + self.clock_margin)
    }

    /// Whether the private half of a key may go. Nothing signs with it once it has left the JWKS, but a clock that is ahead
    /// must not destroy what others sign with.
    pub(crate) fn is_spent(key: &StoredKey, now: Timestamp) -> bool {
        key.purpose == SIGNATURE && key.removed_at.is_some_and(|removed_at| removed_at.after(PRIVATE_HALF_KEPT_FOR) <= now)
    }

    /// How long from `now` a JWKS may be kept that holds what was published at `known_at`: whatever is published later
    /// signs no sooner than every copy has expired, also the copies of a node that lost its database.
    pub(crate) fn max_age(self, known_at: Timestamp, now: Timestamp) -> Duration {
        self.signs_from(known_at.min(now)).since(now).min(self.jwks_max_age)
    }

    /// Former keys that left the JWKS before this time are forgotten: no session or refresh token is as old as what they signed.
    pub(crate) fn forgotten_before(self, now: Timestamp) -> Timestamp {
        now.before(self.former_kept_for)
    }

    /// When a former key is forgotten.
    pub(crate) fn forgotten_at(self, removed_at: Timestamp) -> Timestamp {
        removed_at.after(self.former_kept_for)
    }

    /// What becomes of the newest key of an algorithm.
    pub(crate) fn next(self, newest: &StoredKey, is_in_use: bool, now: Timestamp) -> Next {
        let Some(interval) = self.interval else { return Next::Stays };
        if newest.published_at > now.after(self.clock_margin) {
            return Next::WaitsForTheClock;
        }
        // A key signs before it is replaced, also if it was published by longer settings.
        let at = newest.published_at.after(interval).max(newest.signs_from);
        if is_in_use { Next::Rotates(at) } else { Next::Ends(at) }
    }
}

/// The newest key of an algorithm that was not told to stop.
pub(crate) fn newest(keys: &[StoredKey], algorithm: Algorithm) -> Option<&StoredKey> {
    let without_end = keys.iter().filter(|key| key.purpose == SIGNATURE && key.signs_until.is_none());
    without_end.filter(|key| key.algorithm == algorithm.as_str()).max_by_key(|key| key.signs_from)
}

/// What a signing key is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Published, and signs later.
    Next,
    Active,
    /// Published, and signs no more.
    Retiring,
    /// Published no more.
    Retired,
}

impl State {
    pub(crate) fn of(key: &StoredKey, now: Timestamp) -> Self {
        match () {
            () if !key.is_published(now) => Self::Retired,
            () if key.signed_until(now) => Self::Retiring,
            () if key.signs_from > now => Self::Next,
            () => Self::Active,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        }
    }

    /// What a key in this state becomes.
    pub(crate) const fn followed_by(self) -> &'static str {
        match self {
            Self::Next => "active",
            Self::Active => "retiring",
            Self::Retiring => "retired",
            Self::Retired => "forgotten",
        }
    }

    /// When a key in this state leaves it, as far as that is known.
    pub(crate) fn changes_at(self, key: &StoredKey, schedule: Schedule) -> Option<Timestamp> {
        match self {
            Self::Next => Some(key.signs_from),
            Self::Active => key.signs_until,
            Self::Retiring => key.removed_at,
            Self::Retired => key.removed_at.filter(|_| key.purpose == FORMER_SIGNATURE).map(|at| schedule.forgotten_at(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const DAY: Duration = Duration::from_hours(24);

    fn schedule() -> Schedule {
        Schedule {
            jwks_max_age: Duration::from_mins(10),
            clock_margin: Duration::from_mins(1),
            access_token_ttl: Duration::from_mins(10),
            interval: Some(90 * DAY),
            former_kept_for: 90 * DAY,
        }
    }

    fn key(published_at: Timestamp, signs_from: Timestamp) -> StoredKey {
        StoredKey {
            kid: "kid".to_owned(),
            purpose: SIGNATURE.to_owned(),
            algorithm: "ES256".to_owned(),
            public_jwk: None,
            sealed: Vec::new().into(),
            created_at: published_at,
            published_at,
            signs_from,
            signs_until: None,
            removed_at: None,
        }
    }

    #[test]
    fn the_age_of_the_newest_key_decides() {
        let published = |days| key(NOW.before(days * DAY), NOW.before(days * DAY));
        let next = |key: &StoredKey| schedule().next(key, true, NOW);
        assert_eq!(next(&published(89)), Next::Rotates(NOW.after(DAY)));
        assert!(!next(&published(89)).is_due(NOW) && next(&published(90)).is_due(NOW) && next(&published(3_650)).is_due(NOW));
        assert_eq!(schedule().next(&published(90), false, NOW), Next::Ends(NOW));
        assert_eq!(Schedule { interval: None, ..schedule() }.next(&published(3_650), true, NOW), Next::Stays);
    }

    #[test]
    fn a_key_that_waits_to_sign_is_not_replaced() {
        let waiting = key(NOW.before(100 * DAY), NOW.after(DAY));
        assert_eq!(schedule().next(&waiting, true, NOW), Next::Rotates(NOW.after(DAY)));
    }

    #[test]
    fn a_clock_that_was_set_back_replaces_nothing() {
        let later = |by| key(NOW.after(by), NOW.after(by));
        assert_eq!(schedule().next(&later(400 * DAY), true, NOW), Next::WaitsForTheClock);
        let a_little = Duration::from_secs(59);
        assert_eq!(schedule().next(&later(a_little), true, NOW), Next::Rotates(NOW.after(90 * DAY + a_little)));
    }

    #[test]
    fn a_jwks_is_kept_for_less_the_longer_ago_the_keys_were_read() {
        let ago = |secs| schedule().max_age(NOW.before(Duration::from_secs(secs)), NOW).as_secs();
        assert_eq!((ago(0), ago(60), ago(61), ago(659), ago(660), ago(6_000)), (600, 600, 599, 1, 0, 0));
    }

    #[test]
    fn a_withdrawn_key_stays_withdrawn_whatever_the_clock_says() {
        let mut withdrawn = key(NOW.before(DAY), NOW.before(DAY));
        (withdrawn.signs_until, withdrawn.removed_at) = (Some(NOW), Some(NOW));
        for now in [NOW.before(DAY), NOW.before(Duration::from_secs(1)), NOW, NOW.after(DAY)] {
            assert!(!withdrawn.is_published(now) && !withdrawn.signs(now));
            assert_eq!(State::of(&withdrawn, now), State::Retired);
        }
    }
}
