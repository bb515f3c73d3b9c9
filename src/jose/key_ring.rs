//! The keys in memory: reloaded from the store when half a second old, used by their times.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use serde_json::json;
use tokio::{sync::Mutex, time::Instant};

use super::signing_key::{Algorithm, SigningKey};
use crate::{
    clock::{Clock, Timestamp},
    error::{Error, Result},
    oauth::Document,
    secret::{MacKey, MasterKey},
    store::{Store, keys::StoredKey},
};

/// `keys.purpose` of a signing key.
pub(crate) const SIGNATURE: &str = "signature";
/// `keys.purpose` of the key that refresh tokens are protected with; its `kid` ends with its number.
pub(crate) const REFRESH_TOKEN_MAC: &str = "refresh_token_mac";
const REFRESH_TOKEN_MAC_KID: &str = "refresh-token-";

/// How old the keys in memory may be: other nodes and the command line change them in the store.
const TIME_TO_LIVE: Duration = Duration::from_millis(500);

/// All keys, as of one moment.
struct Keys {
    signing: Vec<Member>,
    macs: Vec<(u16, Arc<MacKey>)>,
    jwks: Document,
    loaded_at: Timestamp,
    loaded: Instant,
}

#[derive(Clone)]
struct Member {
    algorithm: Algorithm,
    key: Arc<SigningKey>,
    stored: StoredKey,
}

impl Member {
    fn is_published(&self, now: Timestamp) -> bool {
        self.stored.published_at <= now && self.stored.removed_at.is_none_or(|removed_at| now < removed_at)
    }

    fn signs(&self, now: Timestamp) -> bool {
        self.stored.signs_from <= now && self.stored.signs_until.is_none_or(|until| now < until)
    }
}

/// The keys of this server.
pub(crate) struct KeyRing {
    store: Store,
    master_key: Arc<MasterKey>,
    clock: Clock,
    current: RwLock<Arc<Keys>>,
    /// Held by the one who reloads; the others wait for it.
    reloading: Mutex<()>,
}

impl KeyRing {
    /// Loads the keys, and signs once with each: the first random number of a process is slow, and a bad key shows.
    pub(crate) async fn load(store: Store, master_key: Arc<MasterKey>, clock: Clock) -> Result<Self> {
        let keys = Keys::load(&store, &master_key, clock.now(), None).await?;
        for member in &keys.signing {
            let token = member.key.sign_access_token(&json!({}))?;
            if member.key.verify::<serde_json::Value>(member.algorithm, &token).is_none() {
                return Err(Error::internal("a signing key does not verify what it signed"));
            }
        }
        Ok(Self { store, master_key, clock, current: RwLock::new(Arc::new(keys)), reloading: Mutex::default() })
    }

    /// The key that signs with `algorithm` now.
    pub(crate) async fn signing_key(&self, algorithm: Algorithm) -> Result<Arc<SigningKey>> {
        let now = self.clock.now();
        let keys = self.keys().await?;
        let signing = keys.signing.iter().filter(|member| member.algorithm == algorithm && member.signs(now));
        // Two may overlap by a clock's difference: the newer one signs.
        let member = signing.max_by_key(|member| member.stored.signs_from);
        member
            .map(|member| Arc::clone(&member.key))
            .ok_or_else(|| Error::internal("no signing key is in force: run 'grantor keys rotate --now'"))
    }

    /// The claims of a token that one of our keys signed, and that was not withdrawn since.
    pub(crate) async fn verify<T: serde::de::DeserializeOwned>(&self, kid: &str, token: &str) -> Result<Option<T>> {
        let now = self.clock.now();
        let keys = self.keys().await?;
        let member = keys.signing.iter().find(|member| member.key.kid == kid && member.is_published(now));
        Ok(member.and_then(|member| member.key.verify(member.algorithm, token)))
    }

    /// The published keys (RFC 7517 §5), as of the last load.
    pub(crate) async fn jwks(&self) -> Result<Document> {
        Ok(self.keys().await?.jwks.clone())
    }

    /// The key that protects new refresh tokens, with its number.
    pub(crate) async fn newest_mac_key(&self) -> Result<(u16, Arc<MacKey>)> {
        let keys = self.keys().await?;
        keys.macs.iter().max_by_key(|(number, _)| *number).cloned().ok_or_else(|| Error::internal("the key for refresh tokens is missing"))
    }

    /// The key of this number for refresh tokens.
    pub(crate) async fn mac_key(&self, number: u16) -> Result<Option<Arc<MacKey>>> {
        let keys = self.keys().await?;
        Ok(keys.macs.iter().find(|(known, _)| *known == number).map(|(_, key)| Arc::clone(key)))
    }

    fn in_memory(&self) -> Arc<Keys> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// By both clocks: the machine's may be set back, and that of tests is moved.
    fn is_fresh(&self, keys: &Keys) -> bool {
        keys.loaded.elapsed() < TIME_TO_LIVE && self.clock.now().since(keys.loaded_at) < TIME_TO_LIVE
    }

    async fn keys(&self) -> Result<Arc<Keys>> {
        let keys = self.in_memory();
        if self.is_fresh(&keys) {
            return Ok(keys);
        }
        let _reloading = self.reloading.lock().await;
        let keys = self.in_memory();
        if self.is_fresh(&keys) {
            return Ok(keys);
        }
        match Keys::load(&self.store, &self.master_key, self.clock.now(), Some(&keys)).await {
            Ok(loaded) => {
                let loaded = Arc::new(loaded);
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&loaded);
                Ok(loaded)
            }
            // Resource servers get their keys while the database is away, or holds what only a newer version knows;
            // the times of these keys still hold.
            Err(error) => {
                if let Error::Internal(fault) = error {
                    tracing::error!(fault = format!("{fault:#}"), "the keys cannot be loaded: those in memory stay");
                }
                let again = Arc::new(keys.loaded_again(self.clock.now()));
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&again);
                Ok(again)
            }
        }
    }
}

impl Keys {
    /// The same keys, to be used until the next try.
    fn loaded_again(&self, now: Timestamp) -> Self {
        Self {
            signing: self.signing.clone(),
            macs: self.macs.clone(),
            jwks: jwks(&self.signing, now),
            loaded_at: now,
            loaded: Instant::now(),
        }
    }

    /// Reads the rows; what was parsed before is not parsed again.
    async fn load(store: &Store, master_key: &MasterKey, now: Timestamp, before: Option<&Self>) -> Result<Self> {
        let (mut signing, mut macs) = (Vec::new(), Vec::new());
        for stored in store.keys().await? {
            if stored.purpose == SIGNATURE {
                let known = before.and_then(|before| before.signing.iter().find(|member| member.stored.kid == stored.kid));
                let algorithm = Algorithm::parse(&stored.algorithm)
                    .ok_or_else(|| Error::internal(format!("the key {} has an unknown algorithm", stored.kid)))?;
                let key = match known {
                    Some(member) => Arc::clone(&member.key),
                    None => Arc::new(SigningKey::from_pkcs8(algorithm, &unseal(master_key, &stored)?)?),
                };
                if key.kid != stored.kid {
                    return Err(Error::internal(format!("the key {} is not the one that its row names", stored.kid)));
                }
                signing.push(Member { algorithm, key, stored });
            } else if let Some(number) = stored.kid.strip_prefix(REFRESH_TOKEN_MAC_KID).and_then(|number| number.parse().ok()) {
                macs.push((number, Arc::new(MacKey::new(&unseal(master_key, &stored)?))));
            }
        }
        let jwks = jwks(&signing, now);
        Ok(Self { signing, macs, jwks, loaded_at: now, loaded: Instant::now() })
    }
}

fn jwks(signing: &[Member], now: Timestamp) -> Document {
    let published: Vec<_> = signing.iter().filter(|member| member.is_published(now)).map(|member| &member.key.jwk).collect();
    Document::new(json!({ "keys": published }).to_string())
}

fn unseal(master_key: &MasterKey, stored: &StoredKey) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    master_key
        .open_stored_key(&stored.kid, &stored.sealed)
        .ok_or_else(|| Error::internal(format!("the key {} cannot be opened with this master key", stored.kid)))
}

/// The name of the MAC key of this number.
pub(super) fn mac_kid(number: u16) -> String {
    format!("{REFRESH_TOKEN_MAC_KID}{number}")
}
