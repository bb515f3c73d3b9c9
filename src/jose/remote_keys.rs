//! The key sets behind `jwks_uri`, kept as long as they say within bounds, and asked for again at a bounded rate.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use http::{HeaderMap, Response, StatusCode, header::CACHE_CONTROL};
use moka::future::Cache;
use tokio::sync::Mutex;

use super::{ClientKeys, Unverified};
use crate::{
    clock::{Clock, Timestamp},
    outbound::{Outbound, OutboundError},
};

/// How long a set is used without asking again: as its `Cache-Control` says, within these.
const FRESH_LEAST: Duration = Duration::from_mins(1);
const FRESH_MOST: Duration = Duration::from_hours(24);
/// ... and where it says nothing.
const FRESH: Duration = Duration::from_mins(10);
/// How long after that it is still used while its server does not answer: a key that was taken out must end some time.
const STALE: Duration = Duration::from_hours(1);
/// How soon one address is asked again, whoever wants it and however it answered.
const PAUSE: Duration = Duration::from_secs(30);
/// How many sets are in memory: of 32 keys each, 40 KiB at most.
const SETS: u64 = 1_000;

/// The sets by their address. Clients that share an address share the set, and the rate at which it is asked for.
pub(crate) struct RemoteKeys {
    clock: Clock,
    places: Cache<String, Arc<Place>>,
}

#[derive(Default)]
struct Place {
    kept: RwLock<Kept>,
    /// Held by the one who asks; the others wait for it.
    asking: Mutex<()>,
}

/// What is known of one address.
#[derive(Clone, Default)]
struct Kept {
    keys: Option<Arc<ClientKeys>>,
    fresh_until: Option<Timestamp>,
    asked_at: Option<Timestamp>,
}

impl RemoteKeys {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, places: Cache::builder().max_capacity(SETS).build() }
    }

    /// The set at this address, if need be asked for by `outbound`.
    pub(crate) async fn keys(&self, outbound: &Outbound, uri: &str) -> Result<Arc<ClientKeys>, Unverified> {
        let place = self.place(uri).await;
        if let Some(keys) = place.fresh(self.clock.now()) {
            return Ok(keys);
        }
        let _asking = place.asking.lock().await;
        let now = self.clock.now();
        if let Some(keys) = place.fresh(now) {
            return Ok(keys);
        }
        let asked = if place.may_be_asked(now) { self.ask(outbound, uri, &place).await } else { Ok(()) };
        match place.usable(now) {
            Some(keys) => Ok(keys),
            None => asked.and(Err(Unverified::KeySetUnreachable)),
        }
    }

    /// A newer set than `seen`, which lacks a key; `None` if there is none, or it is too soon to ask (`OpenID` Core §10.1.1).
    pub(crate) async fn newer_than(
        &self,
        seen: &Arc<ClientKeys>,
        outbound: &Outbound,
        uri: &str,
    ) -> Result<Option<Arc<ClientKeys>>, Unverified> {
        let place = self.place(uri).await;
        let _asking = place.asking.lock().await;
        let now = self.clock.now();
        let is_newer = |keys: &Arc<ClientKeys>| !Arc::ptr_eq(keys, seen);
        if let Some(keys) = place.usable(now).filter(is_newer) {
            return Ok(Some(keys));
        }
        if place.may_be_asked(now) {
            self.ask(outbound, uri, &place).await?;
        }
        Ok(place.usable(now).filter(is_newer))
    }

    async fn place(&self, uri: &str) -> Arc<Place> {
        self.places.get_with_by_ref(uri, async { Arc::default() }).await
    }

    /// Who found no place did not ask: whoever comes next may at once.
    async fn ask(&self, outbound: &Outbound, uri: &str, place: &Place) -> Result<(), Unverified> {
        let answer = match outbound.get(uri, "application/jwk-set+json, application/json").await {
            Err(OutboundError::Busy) => return Err(Unverified::Busy),
            answer => read(answer),
        };
        let now = self.clock.now();
        let mut kept = place.kept();
        kept.asked_at = Some(now);
        match answer {
            Ok((keys, fresh_for)) => {
                kept.keys = Some(Arc::new(keys));
                kept.fresh_until = Some(now.after(fresh_for));
            }
            Err(reason) => tracing::warn!(reason = format!("{reason:#}"), "the key set of a client could not be read"),
        }
        *place.kept.write().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(())
    }
}

fn read(answer: Result<Response<Vec<u8>>, OutboundError>) -> anyhow::Result<(ClientKeys, Duration)> {
    let answer = answer?;
    anyhow::ensure!(answer.status() == StatusCode::OK, "its server answered {}", answer.status());
    Ok((ClientKeys::read(answer.body())?, fresh_for(answer.headers())))
}

impl Place {
    fn kept(&self) -> Kept {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fresh(&self, now: Timestamp) -> Option<Arc<ClientKeys>> {
        let kept = self.kept();
        kept.keys.filter(|_| kept.fresh_until.is_some_and(|end| now < end))
    }

    fn usable(&self, now: Timestamp) -> Option<Arc<ClientKeys>> {
        let kept = self.kept();
        kept.keys.filter(|_| kept.fresh_until.is_some_and(|end| now < end.after(STALE)))
    }

    fn may_be_asked(&self, now: Timestamp) -> bool {
        self.kept().asked_at.is_none_or(|asked| now.since(asked) >= PAUSE || asked > now)
    }
}

/// `max-age` (RFC 9111 §5.2.2.1) within our bounds.
fn fresh_for(headers: &HeaderMap) -> Duration {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut fresh_for = FRESH;
    for directive in directives.map(|directive| directive.trim().to_ascii_lowercase()) {
        match directive.split_once('=') {
            Some(("max-age", seconds)) => fresh_for = seconds.trim_matches('"').parse().map_or(FRESH, Duration::from_secs),
            None if directive == "no-store" || directive == "no-cache" => return FRESH_LEAST,
            _ => {}
        }
    }
    fresh_for.clamp(FRESH_LEAST, FRESH_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9111 §5.2.2.
    #[test]
    fn a_set_says_how_long_it_is_fresh_within_bounds() {
        for (value, expected) in [
            ("max-age=300", Duration::from_mins(5)),
            ("public, Max-Age=\"300\"", Duration::from_mins(5)),
            ("max-age=0", FRESH_LEAST),
            ("max-age=99999999", FRESH_MOST),
            ("max-age=99999999999999999999", FRESH),
            ("max-age=300, no-cache", FRESH_LEAST),
            ("no-store", FRESH_LEAST),
            ("private", FRESH),
            ("", FRESH),
        ] {
            let headers = HeaderMap::from_iter([(CACHE_CONTROL, value.parse().unwrap())]);
            assert_eq!(fresh_for(&headers), expected, "{value}");
        }
        assert_eq!(fresh_for(&HeaderMap::new()), FRESH);
    }
}
