//! Making keys and replacing them without an outage: publish first, sign later, remove last.

use std::time::Duration;

use super::{
    key_ring::{REFRESH_TOKEN_MAC, SIGNATURE, mac_kid},
    signing_key::{Algorithm, SigningKey},
};
use crate::{
    audit::{Actor, AuditEvent, AuditName, Origin},
    clock::Timestamp,
    config::Config,
    error::Result,
    secret::{self, MasterKey},
    store::{
        Store,
        keys::{InsertKeys, Retire, RotateKeys, StoredKey},
    },
};

/// Beyond the `max-age` of the JWKS: what clocks of several machines may differ.
const CLOCK_MARGIN: Duration = Duration::from_mins(1);

/// How urgent a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// The new keys are published now and sign once every cache has them.
    Scheduled,
    /// A key leaked: the new keys sign now, and the old ones leave the JWKS at once.
    Now,
}

/// What [`rotate`] did.
#[derive(Debug)]
pub(crate) enum Rotated {
    Done {
        signs_from: Timestamp,
    },
    /// A scheduled rotation waits for the one before it.
    AlreadyScheduled {
        signs_from: Timestamp,
    },
}

/// The first start: one signing key of each algorithm and the MAC key, unless they are there.
pub(crate) async fn ensure_keys(store: &Store, master_key: &MasterKey, now: Timestamp) -> Result<()> {
    let present = store.keys().await?;
    let mut missing = Vec::new();
    for &algorithm in Algorithm::ALL {
        if !present.iter().any(|key| key.purpose == SIGNATURE && key.algorithm == algorithm.as_str()) {
            missing.push(new_signing_key(master_key, algorithm, now, now)?);
        }
    }
    if !present.iter().any(|key| key.purpose == REFRESH_TOKEN_MAC) {
        missing.push(new_mac_key(master_key, 1, now));
    }
    if !missing.is_empty() {
        store.write(InsertKeys(missing)).await?;
    }
    Ok(())
}

/// Replaces the signing key of every algorithm.
pub(crate) async fn rotate(store: &Store, master_key: &MasterKey, config: &Config, urgency: Urgency, now: Timestamp) -> Result<Rotated> {
    let present = store.keys().await?;
    let waiting = present.iter().filter(|key| key.purpose == SIGNATURE && key.signs_from > now).map(|key| key.signs_from).max();
    let longest_token = config.tokens.access_token_ttl;
    let (retire, signs_from, removed_at) = match (urgency, waiting) {
        (Urgency::Scheduled, Some(signs_from)) => return Ok(Rotated::AlreadyScheduled { signs_from }),
        (Urgency::Scheduled, None) => {
            let signs_from = now.after(config.keys.jwks_max_age + CLOCK_MARGIN);
            (Retire::InForce, signs_from, signs_from.after(longest_token + config.keys.jwks_max_age + CLOCK_MARGIN))
        }
        (Urgency::Now, _) => (Retire::All, now, now),
    };
    let new =
        Algorithm::ALL.iter().map(|&algorithm| new_signing_key(master_key, algorithm, now, signs_from)).collect::<Result<Vec<_>>>()?;
    let event = AuditEvent::new(now, AuditName::KeysRotated, Actor::Operator, Origin::default())
        .with("signs_from", signs_from.to_string())
        .with("kids", new.iter().map(|key| key.kid.clone()).collect::<Vec<_>>());
    store.write(RotateKeys { new, retire, signs_until: signs_from, removed_at, event }).await?;
    Ok(Rotated::Done { signs_from })
}

fn new_signing_key(master_key: &MasterKey, algorithm: Algorithm, now: Timestamp, signs_from: Timestamp) -> Result<StoredKey> {
    let pkcs8 = SigningKey::generate(algorithm)?;
    let key = SigningKey::from_pkcs8(algorithm, &pkcs8)?;
    let public_jwk = serde_json::to_value(&key.jwk).map_err(crate::error::Error::internal)?;
    Ok(StoredKey {
        sealed: master_key.seal_stored_key(&key.kid, &pkcs8),
        kid: key.kid,
        purpose: SIGNATURE.to_owned(),
        algorithm: algorithm.as_str().to_owned(),
        public_jwk: Some(public_jwk),
        created_at: now,
        published_at: now,
        signs_from,
        signs_until: None,
        removed_at: None,
    })
}

fn new_mac_key(master_key: &MasterKey, number: u16, now: Timestamp) -> StoredKey {
    let kid = mac_kid(number);
    StoredKey {
        sealed: master_key.seal_stored_key(&kid, &secret::random::<32>()),
        kid,
        purpose: REFRESH_TOKEN_MAC.to_owned(),
        algorithm: "HS256".to_owned(),
        public_jwk: None,
        created_at: now,
        published_at: now,
        signs_from: now,
        signs_until: None,
        removed_at: None,
    }
}
