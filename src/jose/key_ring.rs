//! The keys in memory: reloaded from the store when half a second old, used by their times.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use serde_json::json;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::{Instant, timeout},
};

use super::{
    Algorithm,
    schedule::Schedule,
    signing_key::{SigningKey, verify_by_jwk},
};
use crate::{
    clock::{Clock, Timestamp},
    error::{Error, Result},
    oauth::Document,
    secret::{MacKey, MasterKeys},
    store::{
        Store,
        keys::{SIGNATURE, StoredKey},
    },
};

/// How the key that refresh tokens are protected with is called, before its number.
const REFRESH_TOKEN_MAC_KID: &str = "refresh-token-";
/// How the key that pairwise subjects are made with is called.
pub(super) const PAIRWISE_SUBJECT_KID: &str = "pairwise-subject";

/// How old the keys in memory may be: other nodes and the command line change them in the store.
const TIME_TO_LIVE: Duration = Duration::from_millis(500);

/// How long those who need keys wait for newer ones. A database that is paused says nothing for much longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// All keys, as of one moment.
struct Keys {
    signing: Vec<Member>,
    macs: Vec<(u16, Arc<MacKey>)>,
    pairwise_subject: Option<Arc<MacKey>>,
    jwks: Document,
    /// As of when the rows were read ...
    known_at: Timestamp,
    /// ... and as of when that was last tried.
    loaded_at: Timestamp,
    loaded: Instant,
}

#[derive(Clone)]
struct Member {
    algorithm: Algorithm,
    key: Arc<SigningKey>,
    stored: StoredKey,
}

/// The keys of this server. Clones share them.
#[derive(Clone)]
pub(crate) struct KeyRing {
    store: Store,
    master_keys: Arc<MasterKeys>,
    clock: Clock,
    schedule: Schedule,
    /// What access tokens are signed with, in this order of preference.
    access_token_algorithms: Arc<[Algorithm]>,
    current: Arc<RwLock<Arc<Keys>>>,
    /// Held by the one who reloads; the others wait for it.
    reloading: Arc<Mutex<()>>,
}

impl KeyRing {
    /// Loads the keys, and signs once with each: the first random number of a process is slow, and a bad key shows.
    pub(crate) async fn load(
        store: Store,
        master_keys: Arc<MasterKeys>,
        clock: Clock,
        schedule: Schedule,
        access_token_algorithms: Vec<Algorithm>,
    ) -> Result<Self> {
        let keys = Keys::load(&store, &master_keys, clock.now(), None).await?;
        for member in &keys.signing {
            member.key.test(member.algorithm)?;
        }
        let (current, access_token_algorithms) = (Arc::new(RwLock::new(Arc::new(keys))), access_token_algorithms.into());
        Ok(Self { store, master_keys, clock, schedule, access_token_algorithms, current, reloading: Arc::default() })
    }

    /// The key that signs access tokens now: of the algorithm that is asked for, else of the selected one, or of the one before
    /// while its key may not sign yet.
    pub(crate) async fn access_token_key(&self, algorithm: Option<Algorithm>) -> Result<Arc<SigningKey>> {
        if let Some(algorithm) = algorithm {
            return self.signing_key(algorithm).await;
        }
        let now = self.clock.now();
        let keys = self.keys().await?;
        let preferred = self.access_token_algorithms.iter().chain(Algorithm::ALL);
        preferred
            .clone()
            .find_map(|algorithm| keys.in_force(*algorithm, now))
            // A clock that is behind puts off every key: the one that was the first to sign is the one that is longest known.
            .or_else(|| preferred.clone().find_map(|algorithm| keys.first_to_sign(*algorithm, now)))
            .map(|member| Arc::clone(&member.key))
            .ok_or_else(|| Error::internal("there is no signing key: run 'grantor keys rotate --now'"))
    }

    /// The key of this algorithm that signs now.
    pub(crate) async fn signing_key(&self, algorithm: Algorithm) -> Result<Arc<SigningKey>> {
        let now = self.clock.now();
        let keys = self.keys().await?;
        let member = keys.in_force(algorithm, now).or_else(|| keys.first_to_sign(algorithm, now));
        member
            .map(|member| Arc::clone(&member.key))
            .ok_or_else(|| Error::internal(format!("there is no signing key of {}: run 'grantor keys rotate --now'", algorithm.as_str())))
    }

    /// The claims of a token that one of our keys signed, and that was not withdrawn since.
    pub(crate) async fn verify<T: serde::de::DeserializeOwned>(&self, kid: &str, token: &str) -> Result<Option<T>> {
        let now = self.clock.now();
        let keys = self.keys().await?;
        let member = keys.signing.iter().find(|member| member.key.kid == kid && member.stored.is_published(now));
        Ok(member.and_then(|member| member.key.verify(member.algorithm, token)))
    }

    /// The claims of a token that one of our keys signed at any time, also one that has left the JWKS since. What a key signed
    /// that an emergency withdrew, anyone may have signed.
    pub(crate) async fn recognise<T: serde::de::DeserializeOwned>(&self, kid: &str, token: &str) -> Result<Option<T>> {
        let keys = self.keys().await?;
        if let Some(member) = keys.signing.iter().find(|member| member.key.kid == kid) {
            return Ok(if member.stored.is_withdrawn() { None } else { member.key.verify(member.algorithm, token) });
        }
        let Some(former) = self.store.former_key(kid).await?.filter(|former| !former.is_withdrawn()) else { return Ok(None) };
        let public_jwk = unseal(&self.master_keys, &former)?;
        Ok(Algorithm::parse(&former.algorithm).and_then(|algorithm| verify_by_jwk(algorithm, &public_jwk, token)))
    }

    /// The published keys (RFC 7517 §5), as of the last load, and how long they may be kept.
    pub(crate) async fn jwks(&self) -> Result<(Document, Duration)> {
        Ok(self.published(&*self.keys().await?))
    }

    /// The same, if the keys in memory are young enough.
    pub(crate) fn jwks_in_memory(&self) -> Option<(Document, Duration)> {
        let keys = self.in_memory();
        self.is_fresh(&keys).then(|| self.published(&keys))
    }

    fn published(&self, keys: &Keys) -> (Document, Duration) {
        (keys.jwks.clone(), self.schedule.max_age(keys.known_at, self.clock.now()))
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

    /// The one key that makes pairwise subjects (`OpenID` Core §8.1).
    pub(crate) async fn pairwise_subject_key(&self) -> Result<Arc<MacKey>> {
        let keys = self.keys().await?;
        keys.pairwise_subject.clone().ok_or_else(|| Error::internal("the key for pairwise subjects is missing"))
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
        let reloaded = async {
            let reloading = Arc::clone(&self.reloading).lock_owned().await;
            let keys = self.in_memory();
            if self.is_fresh(&keys) {
                return Ok(keys);
            }
            // To its end, also if nobody waits for it any more: else keys would stay old where every answer is late.
            let reload = tokio::spawn(self.clone().reload(reloading));
            reload.await.map_err(|fault| Error::Internal(anyhow::Error::new(fault).context("loading the keys panicked")))
        };
        match timeout(PATIENCE, reloaded).await {
            Ok(reloaded) => reloaded,
            Err(_) => Ok(self.keep()),
        }
    }

    async fn reload(self, _reloading: OwnedMutexGuard<()>) -> Arc<Keys> {
        let keys = self.in_memory();
        match Keys::load(&self.store, &self.master_keys, self.clock.now(), Some(&keys)).await {
            Ok(loaded) => {
                let loaded = Arc::new(loaded);
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&loaded);
                loaded
            }
            Err(error) => {
                if let Error::Internal(fault) = error {
                    tracing::error!(fault = format!("{fault:#}"), "the keys cannot be loaded: those in memory stay");
                }
                self.keep()
            }
        }
    }

    /// The keys in memory, until the next try. Resource servers get their keys while the database is away, or holds what only a
    /// newer version knows; the times of these keys still hold.
    fn keep(&self) -> Arc<Keys> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if !self.is_fresh(&current) {
            *current = Arc::new(current.loaded_again(self.clock.now()));
        }
        Arc::clone(&current)
    }
}

impl Keys {
    /// Two may overlap by a clock's difference: the newer one signs.
    fn in_force(&self, algorithm: Algorithm, now: Timestamp) -> Option<&Member> {
        let signing = self.signing.iter().filter(|member| member.algorithm == algorithm && member.stored.signs(now));
        signing.max_by_key(|member| member.stored.signs_from)
    }

    fn first_to_sign(&self, algorithm: Algorithm, now: Timestamp) -> Option<&Member> {
        let published = self.signing.iter().filter(|member| member.algorithm == algorithm && member.stored.is_published(now));
        published.filter(|member| !member.stored.signed_until(now)).min_by_key(|member| member.stored.signs_from)
    }

    /// The same keys, to be used until the next try.
    fn loaded_again(&self, now: Timestamp) -> Self {
        Self {
            signing: self.signing.clone(),
            macs: self.macs.clone(),
            pairwise_subject: self.pairwise_subject.clone(),
            jwks: jwks(&self.signing, now),
            known_at: self.known_at,
            loaded_at: now,
            loaded: Instant::now(),
        }
    }

    /// Reads the rows; what was parsed before is not parsed again.
    async fn load(store: &Store, master_keys: &MasterKeys, now: Timestamp, before: Option<&Self>) -> Result<Self> {
        let (mut signing, mut macs, mut pairwise_subject) = (Vec::new(), Vec::new(), None);
        for stored in store.keys().await? {
            if stored.purpose == SIGNATURE {
                let known = before.and_then(|before| before.signing.iter().find(|member| member.stored.kid == stored.kid));
                let algorithm = Algorithm::parse(&stored.algorithm)
                    .ok_or_else(|| Error::internal(format!("the key {} has an unknown algorithm", stored.kid)))?;
                let key = match known {
                    Some(member) => Arc::clone(&member.key),
                    None => Arc::new(SigningKey::from_pkcs8(algorithm, &unseal(master_keys, &stored)?)?),
                };
                if key.kid != stored.kid {
                    return Err(Error::internal(format!("the key {} is not the one that its row names", stored.kid)));
                }
                signing.push(Member { algorithm, key, stored });
            } else if let Some(number) = stored.kid.strip_prefix(REFRESH_TOKEN_MAC_KID).and_then(|number| number.parse().ok()) {
                macs.push((number, Arc::new(MacKey::new(&unseal(master_keys, &stored)?))));
            } else if stored.kid == PAIRWISE_SUBJECT_KID {
                pairwise_subject = Some(Arc::new(MacKey::new(&unseal(master_keys, &stored)?)));
            }
        }
        let jwks = jwks(&signing, now);
        Ok(Self { signing, macs, pairwise_subject, jwks, known_at: now, loaded_at: now, loaded: Instant::now() })
    }
}

fn jwks(signing: &[Member], now: Timestamp) -> Document {
    let published: Vec<_> = signing.iter().filter(|member| member.stored.is_published(now)).map(|member| &member.key.jwk).collect();
    Document::new(json!({ "keys": published }).to_string())
}

fn unseal(master_keys: &MasterKeys, stored: &StoredKey) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    master_keys.open_stored_key(&stored.kid, &stored.sealed).ok_or_else(|| {
        let (kid, given) = (&stored.kid, master_keys.names());
        Error::internal(format!(
            "the key {kid} cannot be opened with this master key, {given}: if that was changed since this server started, restart it with the new one"
        ))
    })
}

/// The name of the MAC key of this number.
pub(super) fn mac_kid(number: u16) -> String {
    format!("{REFRESH_TOKEN_MAC_KID}{number}")
}
