//! The keys of the authorization server: its JWKS (RFC 7517 §5), found through its metadata and kept as `Cache-Control` says.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::{HeaderMap, Request, Response, StatusCode, header};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use tokio::sync::{Mutex, OnceCell};

use crate::clock::{Clock, Timestamp};
use crate::demo::discovery::{DiscoveryError, Metadata};
use crate::outbound::Outbound;

/// Whatever asks for an unknown key, the server is not asked more often than this.
pub const PAUSE: Duration = Duration::from_secs(10);
/// How long keys that should have been fetched again stay in use while the server does not answer.
pub const GRACE: Duration = Duration::from_hours(1);
/// How long keys are fresh if the answer does not say.
const FRESH: Duration = Duration::from_mins(5);
/// Keys are never believed for longer than this, whatever the answer says.
const FRESH_AT_MOST: Duration = Duration::from_hours(24);

/// A public key, and the only algorithm that it verifies (RFC 8725 §3.1): the token does not choose.
pub struct Key {
    kid: String,
    pub algorithm: Algorithm,
    pub verifies: DecodingKey,
}

/// There is no key to judge a token by.
#[derive(Debug)]
pub struct Unavailable;

pub struct KeySet {
    issuer: String,
    outbound: Outbound,
    clock: Clock,
    jwks_uri: OnceCell<String>,
    cache: RwLock<Cache>,
    /// Held by the one who fetches. Whoever finds its key in the cache does not wait.
    fetching: Mutex<()>,
}

#[derive(Clone, Default)]
struct Cache {
    keys: Arc<[Arc<Key>]>,
    asked_at: Option<Timestamp>,
    fresh_until: Option<Timestamp>,
}

impl Cache {
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.fresh_until.is_some_and(|until| now < until)
    }

    fn is_usable(&self, now: Timestamp) -> bool {
        self.fresh_until.is_some_and(|until| now < until.after(GRACE))
    }

    fn was_asked_just_now(&self, now: Timestamp) -> bool {
        self.asked_at.is_some_and(|asked_at| now.since(asked_at) < PAUSE)
    }

    fn key(&self, kid: &str) -> Option<Arc<Key>> {
        self.keys.iter().find(|key| key.kid == kid).cloned()
    }
}

impl KeySet {
    pub fn new(issuer: String, outbound: Outbound, clock: Clock) -> Self {
        Self { issuer, outbound, clock, jwks_uri: OnceCell::new(), cache: RwLock::default(), fetching: Mutex::default() }
    }

    /// The key of this id, if the server has it.
    pub async fn key(&self, kid: &str) -> Result<Option<Arc<Key>>, Unavailable> {
        let cache = self.cache();
        if let Some(key) = cache.key(kid).filter(|_| cache.is_fresh(self.clock.now())) {
            return Ok(Some(key));
        }
        let _fetching = self.fetching.lock().await;
        // While this request waited, another may have fetched.
        let cache = self.cache();
        if cache.was_asked_just_now(self.clock.now()) { self.answer(&cache, kid) } else { self.answer(&self.fetch(cache).await, kid) }
    }

    fn answer(&self, cache: &Cache, kid: &str) -> Result<Option<Arc<Key>>, Unavailable> {
        if cache.is_usable(self.clock.now()) { Ok(cache.key(kid)) } else { Err(Unavailable) }
    }

    fn cache(&self) -> Cache {
        self.cache.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the server. If it does not answer, the keys stay what they were.
    async fn fetch(&self, mut cache: Cache) -> Cache {
        cache.asked_at = Some(self.clock.now());
        match self.download().await {
            Ok((keys, fresh_for)) => {
                cache.keys = keys;
                cache.fresh_until = Some(self.clock.now().after(fresh_for));
            }
            Err(error) => tracing::warn!(error = ?error, "the sample API cannot fetch the keys of the authorization server"),
        }
        *self.cache.write().unwrap_or_else(PoisonError::into_inner) = cache.clone();
        cache
    }

    async fn download(&self) -> Result<(Arc<[Arc<Key>]>, Duration), DiscoveryError> {
        let discover = async || Ok(Metadata::fetch(&self.issuer, &self.outbound).await?.jwks_uri.into());
        let jwks_uri: &String = self.jwks_uri.get_or_try_init(discover).await.map_err(|error: DiscoveryError| error)?;
        let request = Request::get(jwks_uri).header(header::ACCEPT, "application/json").body(Vec::new())?;
        let response: Response<Vec<u8>> = self.outbound.send(request).await?;
        if response.status() != StatusCode::OK {
            return Err(DiscoveryError::Status(response.status()));
        }
        let jwks: JwkSet = serde_json::from_slice(response.body())?;
        Ok((jwks.keys.iter().filter_map(Key::from_jwk).map(Arc::new).collect(), fresh_for(response.headers())))
    }
}

impl Key {
    /// `None` for a key that is of no use here: a set may hold others (RFC 7517 §5).
    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let is_for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let algorithm = Algorithm::try_from(jwk.common.key_algorithm?).ok()?;
        // A "public" key that is a shared secret would let anyone sign.
        let is_public = algorithm.family() != AlgorithmFamily::Hmac;
        let verifies = DecodingKey::from_jwk(jwk).ok().filter(|key| key.family() == algorithm.family())?;
        (is_for_signatures && is_public).then_some(Self { kid: jwk.common.key_id.clone()?, algorithm, verifies })
    }
}

/// `max-age` (RFC 9111 §5.2.2.1), within reason.
fn fresh_for(headers: &HeaderMap) -> Duration {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut directives = values.flat_map(|value| value.split(',')).map(|directive| directive.trim().to_ascii_lowercase());
    let max_age = directives.find_map(|directive| directive.strip_prefix("max-age=")?.trim_matches('"').parse().ok());
    max_age.map_or(FRESH, Duration::from_secs).min(FRESH_AT_MOST)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_fresh_for_as_long_as_the_answer_says_within_reason() {
        let fresh = |value: &str| fresh_for(&HeaderMap::from_iter([(header::CACHE_CONTROL, value.parse().unwrap())])).as_secs();
        assert_eq!(fresh("public, max-age=300"), 300);
        assert_eq!(fresh("Max-Age=\"60\",must-revalidate"), 60);
        assert_eq!(fresh("no-cache, max-age=0"), 0);
        assert_eq!(fresh("max-age=99999999"), FRESH_AT_MOST.as_secs());
        assert_eq!(fresh("max-age=soon"), FRESH.as_secs());
        assert_eq!(fresh_for(&HeaderMap::new()), FRESH);
    }

    /// RFC 8725 §3.1: a key verifies the algorithm that its owner names, and a shared secret is no key of a server.
    #[test]
    fn a_key_without_an_algorithm_of_its_kind_is_left_out() {
        let ec = json!({ "kty": "EC", "crv": "P-256", "kid": "1", "alg": "ES256", "use": "sig",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
        let key = |name: &str, value: &str| {
            let mut jwk = ec.clone();
            jwk[name] = value.into();
            Key::from_jwk(&serde_json::from_value(jwk).unwrap())
        };
        assert_eq!(key("use", "sig").unwrap().algorithm, Algorithm::ES256);
        for (name, value) in [("use", "enc"), ("alg", "RS256"), ("alg", "HS256"), ("alg", "new")] {
            assert!(key(name, value).is_none(), "{name}={value}");
        }
        let secret = json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "2", "alg": "HS256" });
        assert!(Key::from_jwk(&serde_json::from_value(secret).unwrap()).is_none());
    }
}
