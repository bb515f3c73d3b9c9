//! Making keys and replacing them without an outage: publish first, sign later, remove last.

use std::time::Duration;

use super::{
    Algorithm,
    key_ring::{PAIRWISE_SUBJECT_KID, mac_kid},
    schedule::{Next, Schedule, newest},
    signing_key::SigningKey,
};
use crate::{
    audit::{Actor, AuditEvent, AuditName, Origin},
    clock::{Clock, Timestamp},
    config::Config,
    error::{Error, Result},
    sealing,
    secret::{self, MasterKey, MasterKeys, Sealed},
    store::{
        Store, Swapped,
        keys::{
            DropPrivateKey, ForgetKeys, InsertKeys, Lengthen, PAIRWISE_SUBJECT_MAC, REFRESH_TOKEN_MAC, ROOT, RotateKeys, SIGNATURE,
            StoredKey, Succession, WithdrawKeys,
        },
        settings::{ACCESS_TOKEN_ALGS, ChangeSetting, LONGEST_ACCESS_TOKEN_TTL, REGISTERED_ALGS},
    },
};

/// What it takes to change the keys.
#[derive(Clone, Copy)]
pub(crate) struct Rotation<'a> {
    pub store: &'a Store,
    pub master_keys: &'a MasterKeys,
    pub config: &'a Config,
    pub clock: &'a Clock,
}

/// What a rotation did.
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

impl<'a> Rotation<'a> {
    fn schedule(self) -> Schedule {
        Schedule::of(self.config)
    }

    /// The schedule for keys that sign access tokens also of the resource whose tokens live longest, or ever did.
    async fn schedule_with_resources(self) -> Result<Schedule> {
        let longest = self.store.setting(LONGEST_ACCESS_TOKEN_TTL).await?.and_then(|seconds| seconds.parse().ok());
        Ok(self.schedule().for_tokens_of(Duration::from_secs(longest.unwrap_or_default())))
    }

    /// The algorithms that this configuration, a client or a resource wants keys of.
    pub(crate) async fn in_use(self) -> Result<Vec<Algorithm>> {
        let registered = self.store.setting(REGISTERED_ALGS).await?.unwrap_or_default();
        let is_registered = |algorithm: Algorithm| registered.split(' ').any(|name| name == algorithm.as_str());
        Ok(Algorithm::ALL.iter().copied().filter(|algorithm| algorithm.is_in_use(self.config) || is_registered(*algorithm)).collect())
    }

    /// After a client or resource was registered: its algorithm gets a key, and no key leaves before the last token that it may sign.
    pub(crate) async fn provide_for(self, algorithm: Option<Algorithm>) -> Result<()> {
        if let Some(algorithm) = algorithm.filter(|algorithm| !Algorithm::OF_ID_TOKENS.contains(algorithm)) {
            let known = self.store.setting(REGISTERED_ALGS).await?.unwrap_or_default();
            if !known.split(' ').any(|name| name == algorithm.as_str()) {
                let value = format!("{known} {}", algorithm.as_str()).trim().to_owned();
                self.store.write(ChangeSetting { name: REGISTERED_ALGS, value }).await?;
            }
            self.ensure_keys().await?;
        }
        self.lengthen(&self.store.keys_ever().await?).await
    }

    /// The keys that are needed, made unless they are there. On a first start they sign at once; where a JWKS
    /// may be in caches already, a key of a newly selected algorithm waits as every new key does.
    pub(crate) async fn ensure_keys(self) -> Result<()> {
        let present = self.store.keys().await?;
        let is_first_start = !present.iter().any(|key| key.purpose == SIGNATURE);
        let algorithms: Vec<Algorithm> =
            self.in_use().await?.into_iter().filter(|algorithm| newest(&present, *algorithm).is_none()).collect();
        let is_missing = |purpose: &str| !present.iter().any(|key| key.purpose == purpose);
        if algorithms.is_empty() && ![REFRESH_TOKEN_MAC, PAIRWISE_SUBJECT_MAC, ROOT].into_iter().any(is_missing) {
            return Ok(());
        }
        let generated = generate(algorithms).await?;
        let master_key = self.sealing_key().await?;
        let now = self.clock.now();
        let signs_from = if is_first_start { now } else { self.schedule().signs_from(now) };
        let mut missing = generated.into_iter().map(|key| stored(master_key, key, now, signs_from)).collect::<Result<Vec<StoredKey>>>()?;
        for (purpose, kid) in [(REFRESH_TOKEN_MAC, mac_kid(1)), (PAIRWISE_SUBJECT_MAC, PAIRWISE_SUBJECT_KID.to_owned())] {
            if is_missing(purpose) {
                let sealed = master_key.seal_stored_key(&kid, &secret::random::<32>());
                missing.push(unpublished(purpose, kid, "HS256", sealed, now));
            }
        }
        if is_missing(ROOT) {
            // What an earlier version derived from the master key stays as it was (decision 0026).
            let root = if is_first_start { secret::random::<32>() } else { *master_key.inherited_root() };
            let sealed = master_key.seal_stored_key(sealing::ROOT_KID, &root);
            missing.push(unpublished(ROOT, sealing::ROOT_KID.to_owned(), "HKDF-SHA256", sealed, now));
        }
        let kids: Vec<&str> = missing.iter().map(|key| key.kid.as_str()).collect();
        let event = AuditEvent::new(now, AuditName::KeysCreated, Actor::Server, Origin::default()).with("kids", kids);
        self.store.write(InsertKeys { keys: missing, event }).await
    }

    /// Asked for when something is to be sealed: it may change while the server runs.
    async fn sealing_key(self) -> Result<&'a MasterKey> {
        sealing::in_force(self.store, self.master_keys).await
    }

    /// Notes which algorithm this server signs access tokens with. Answers with all that ever were, the latest first: one
    /// whose key may not sign yet gives way to the one before it.
    pub(crate) async fn select_algorithm(self) -> Result<Vec<Algorithm>> {
        let selected = self.config.tokens.access_token_alg;
        let known = self.store.setting(ACCESS_TOKEN_ALGS).await?.unwrap_or_default();
        let known: Vec<Algorithm> = known.split(' ').filter_map(Algorithm::parse).collect();
        if known.first() == Some(&selected) {
            return Ok(known);
        }
        let algorithms: Vec<Algorithm> =
            std::iter::once(selected).chain(known.into_iter().filter(|algorithm| *algorithm != selected)).collect();
        let value = algorithms.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>().join(" ");
        self.store.write(ChangeSetting { name: ACCESS_TOKEN_ALGS, value }).await?;
        Ok(algorithms)
    }

    /// Replaces the key of every algorithm unless its successor waits already: the new ones are published now, and sign once
    /// every cache has them.
    pub(crate) async fn rotate(self) -> Result<Rotated> {
        let present = self.store.keys().await?;
        let now = self.clock.now();
        // What a clock that was ahead has planned for later than a rotation of now does not count.
        let soon = self.schedule().signs_from(now).after(self.config.keys.clock_margin);
        let waits = |key: &&StoredKey| key.signs_from > now && key.signs_from <= soon;
        let newest = |algorithm| newest(&present, algorithm);
        let (waiting, others): (Vec<_>, Vec<_>) =
            self.algorithms(&present).await?.into_iter().partition(|algorithm| newest(*algorithm).as_ref().is_some_and(waits));
        if let Some(signs_from) = waiting.into_iter().filter_map(newest).map(|key| key.signs_from).max().filter(|_| others.is_empty()) {
            return Ok(Rotated::AlreadyScheduled { signs_from });
        }
        let planned = others.into_iter().map(|algorithm| Planned { algorithm, predecessor: newest(algorithm), goes_on: true });
        match self.replace(planned.collect(), Actor::Operator).await? {
            Some(signs_from) => Ok(Rotated::Done { signs_from }),
            None => Err(Error::unavailable("somebody else rotates the keys")),
        }
    }

    /// A key leaked: the new keys sign now, and the old ones leave the JWKS at once.
    pub(crate) async fn withdraw(self) -> Result<Timestamp> {
        let present = self.store.keys().await?;
        let generated = generate(self.algorithms(&present).await?).await?;
        let master_key = self.sealing_key().await?;
        let now = self.clock.now();
        let new = generated.into_iter().map(|key| stored(master_key, key, now, now)).collect::<Result<Vec<_>>>()?;
        let withdrawn = present.iter().filter(|key| key.is_published(now)).map(|key| key.kid.clone()).collect::<Vec<_>>();
        let event = AuditEvent::new(now, AuditName::KeysRotated, Actor::Operator, Origin::default())
            .with("signs_from", now.to_string())
            .with("algorithms", new.iter().map(|key| key.algorithm.clone()).collect::<Vec<_>>())
            .with("kids", new.iter().map(|key| key.kid.clone()).collect::<Vec<_>>())
            .with("withdrawn", withdrawn);
        self.store.write(WithdrawKeys { new, now, event }).await?;
        Ok(now)
    }

    /// What is to be done with these keys now, by their times alone.
    pub(crate) async fn due(self, keys: &[StoredKey]) -> Result<Due<'_>> {
        let in_use = self.in_use().await?;
        let now = self.clock.now();
        let schedule = self.schedule();
        let mut due = Due::default();
        for &algorithm in Algorithm::ALL {
            let Some(newest) = newest(keys, algorithm) else { continue };
            let next = schedule.next(newest, in_use.contains(&algorithm), now);
            if next.is_due(now) {
                due.rotate.push(Planned { algorithm, predecessor: Some(newest), goes_on: matches!(next, Next::Rotates(_)) });
            }
            due.waits_for_the_clock |= next == Next::WaitsForTheClock;
        }
        due.drop_private = keys.iter().filter(|key| Schedule::is_spent(key, now) && !key.is_withdrawn()).collect();
        let forgotten_before = schedule.forgotten_before(now);
        due.forget = keys
            .iter()
            .any(|key| key.is_withdrawn() || (key.purpose != SIGNATURE && key.removed_at.is_some_and(|at| at <= forgotten_before)));
        Ok(due)
    }

    /// Does what is due.
    pub(crate) async fn carry_out(self, due: Due<'_>) -> Result<()> {
        if !due.rotate.is_empty()
            && let Some(signs_from) = self.replace(due.rotate, Actor::Server).await?
        {
            tracing::info!(%signs_from, "signing keys rotated, after keys.rotation_interval");
        }
        for key in due.drop_private {
            let public_jwk = serde_json::to_vec(&key.public_jwk).map_err(Error::internal)?;
            let sealed_public_jwk = self.sealing_key().await?.seal_stored_key(&key.kid, &public_jwk);
            self.store.write(DropPrivateKey { kid: key.kid.clone(), sealed_public_jwk }).await?;
        }
        if due.forget {
            self.store.write(ForgetKeys { removed_before: self.schedule().forgotten_before(self.clock.now()) }).await?;
        }
        Ok(())
    }

    /// Other nodes may run with shorter settings, while a change of them is under way: no key signs before the caches of this
    /// node's JWKS have it, and none that this node may sign with leaves before its last token has expired.
    pub(crate) async fn lengthen(self, keys: &[StoredKey]) -> Result<()> {
        let schedule = self.schedule_with_resources().await?;
        let now = self.clock.now();
        for key in keys.iter().filter(|key| key.is_published(now) && key.published_at <= now) {
            let (published, stays) =
                (schedule.signs_from(key.published_at), key.signs_until.map(|until| (until, schedule.removed_at(until))));
            if key.signs_from > now && key.signs_from < published {
                let (kid, algorithm, was) = (key.kid.clone(), key.algorithm.clone(), key.signs_from);
                let removed_at = schedule.removed_at(published);
                self.store.write(Lengthen::SignsFrom { kid, algorithm, was, at: published, removed_at }).await?;
            } else if let Some((until, at)) = stays
                && until > now
                && key.removed_at.is_some_and(|removed_at| removed_at < at)
            {
                self.store.write(Lengthen::RemovedAt { kid: key.kid.clone(), at }).await?;
            }
        }
        Ok(())
    }

    /// The algorithms that have a key or should have one.
    async fn algorithms(self, keys: &[StoredKey]) -> Result<Vec<Algorithm>> {
        let in_use = self.in_use().await?;
        let has_a_key = |algorithm: Algorithm| newest(keys, algorithm).is_some();
        Ok(Algorithm::ALL.iter().copied().filter(|algorithm| in_use.contains(algorithm) || has_a_key(*algorithm)).collect())
    }

    /// When the successors sign; `None` if somebody else replaced all of these keys meanwhile.
    async fn replace(self, planned: Vec<Planned<'_>>, actor: Actor) -> Result<Option<Timestamp>> {
        let schedule = self.schedule_with_resources().await?;
        let generated = generate(planned.iter().filter(|plan| plan.goes_on).map(|plan| plan.algorithm).collect()).await?;
        let master_key = self.sealing_key().await?;
        // Generating took its time: caches are given theirs from when the keys are there.
        let now = self.clock.now();
        let signs_from = schedule.signs_from(now);
        let mut successors = generated.into_iter().map(|key| stored(master_key, key, now, signs_from));
        let mut successions = Vec::new();
        for plan in planned {
            let successor = if plan.goes_on { successors.next().transpose()? } else { None };
            let predecessor = plan.predecessor.map(|key| key.kid.clone());
            successions.push(Succession { predecessor, algorithm: plan.algorithm.as_str().to_owned(), successor });
        }
        let event = AuditEvent::new(now, AuditName::KeysRotated, actor, Origin::default()).with("signs_from", signs_from.to_string());
        let removed_at = schedule.removed_at(signs_from);
        match self.store.write(RotateKeys { successions, signs_until: signs_from, removed_at, event }).await? {
            Swapped::Done => Ok(Some(signs_from)),
            Swapped::Missed => Ok(None),
        }
    }
}

/// A signing key as it is kept.
fn stored(master_key: &MasterKey, generated: Generated, now: Timestamp, signs_from: Timestamp) -> Result<StoredKey> {
    let Generated { algorithm, pkcs8, key } = generated;
    let public_jwk = serde_json::to_value(&key.jwk).map_err(Error::internal)?;
    let sealed = master_key.seal_stored_key(&key.kid, &pkcs8);
    Ok(StoredKey { public_jwk: Some(public_jwk), signs_from, ..unpublished(SIGNATURE, key.kid, algorithm.as_str(), sealed, now) })
}

/// A key that is this server's alone.
fn unpublished(purpose: &str, kid: String, algorithm: &str, sealed: Sealed, now: Timestamp) -> StoredKey {
    StoredKey {
        kid,
        purpose: purpose.to_owned(),
        algorithm: algorithm.to_owned(),
        public_jwk: None,
        sealed,
        created_at: now,
        published_at: now,
        signs_from: now,
        signs_until: None,
        removed_at: None,
    }
}

/// What is to be done with keys.
#[derive(Default)]
pub(crate) struct Due<'k> {
    rotate: Vec<Planned<'k>>,
    /// Those that left the JWKS: nobody needs their private halves.
    drop_private: Vec<&'k StoredKey>,
    forget: bool,
    /// The newest key is of a time that is yet to come.
    pub(crate) waits_for_the_clock: bool,
}

impl Due<'_> {
    pub(crate) fn is_nothing(&self) -> bool {
        self.rotate.is_empty() && self.drop_private.is_empty() && !self.forget
    }
}

/// What is planned for one algorithm.
struct Planned<'k> {
    algorithm: Algorithm,
    predecessor: Option<&'k StoredKey>,
    /// Whether a successor follows.
    goes_on: bool,
}

struct Generated {
    algorithm: Algorithm,
    pkcs8: zeroize::Zeroizing<Vec<u8>>,
    key: SigningKey,
}

/// New keys in this order, tried once, made where it keeps nobody waiting.
async fn generate(algorithms: Vec<Algorithm>) -> Result<Vec<Generated>> {
    if algorithms.is_empty() {
        return Ok(Vec::new());
    }
    let generate = |algorithm| {
        let pkcs8 = SigningKey::generate(algorithm)?;
        let key = SigningKey::from_pkcs8(algorithm, &pkcs8)?;
        key.test(algorithm)?;
        Ok(Generated { algorithm, pkcs8, key })
    };
    tokio::task::spawn_blocking(move || algorithms.into_iter().map(generate).collect()).await.map_err(Error::internal)?
}
