//! Sealing everything anew under another master key, while servers run. The new key seals from the first step on; then row by row
//! follows what the one before sealed, each by compare-and-set, so that it can be interrupted, repeated and done by several at once.

use uuid::Uuid;

use crate::{
    audit::{Actor, AuditEvent, AuditName, Origin},
    clock::Clock,
    error::{Error, Result},
    secret::{MasterKey, MasterKeys},
    store::{
        Store, Swapped,
        sealed::{BeginRewrap, FinishRewrap, ResealClientSecrets, ResealKey, Resealed},
    },
};

/// So many secrets of clients are sealed anew in one transaction.
const BATCH: usize = 100;

/// What it takes.
#[derive(Clone, Copy)]
pub(crate) struct Rewrap<'a> {
    pub store: &'a Store,
    pub master_keys: &'a MasterKeys,
    pub clock: &'a Clock,
}

/// What is sealed, and how much of it this run sealed anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub keys: u64,
    pub client_secrets: u64,
    pub resealed: u64,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Rewrapped {
    /// Everything was opened with the new key alone.
    Done(Counted),
    /// These open with neither key; what was the key of before is needed until they are gone.
    Stuck(Vec<Unopened>),
}

/// What no key opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unopened {
    Key { kid: String },
    ClientSecret { client_id: String },
}

/// One look at everything.
#[derive(Default)]
struct Pass {
    counted: Counted,
    /// Rows that changed under the hands of this one: they are to be looked at again.
    missed: u64,
    unopened: Vec<Unopened>,
}

impl Rewrap<'_> {
    /// Seals everything under the configured key that the one before sealed, and then opens all of it. Tells now and then how many
    /// rows were sealed anew so far.
    pub(crate) async fn run(self, tell: &mut impl FnMut(Counted)) -> Result<Rewrapped> {
        let (key, previous) = (self.master_keys.key(), self.master_keys.previous());
        self.begin(key, previous).await?;
        let mut resealed = 0;
        loop {
            let pass = self.pass(key, previous, resealed, tell).await?;
            let is_all = pass.counted.resealed == 0 && pass.missed == 0;
            resealed += pass.counted.resealed;
            if !pass.unopened.is_empty() {
                return Ok(Rewrapped::Stuck(pass.unopened));
            }
            // The pass that changed nothing is the one that opened everything with the new key.
            if is_all {
                let counted = Counted { resealed, ..pass.counted };
                self.finish(key, previous, counted).await?;
                return Ok(Rewrapped::Done(counted));
            }
        }
    }

    /// From here on every process that has both keys seals under the new one; what another process sealed under the old one and
    /// had not stored yet, the store refuses.
    async fn begin(self, key: &MasterKey, previous: Option<&MasterKey>) -> Result<()> {
        let known = self.store.known_master_keys().await?;
        let in_force = known.map(|known| known.in_force).unwrap_or_default();
        if in_force == key.fingerprint() {
            return Ok(());
        }
        let Some(previous) = previous else { return Err(changed_meanwhile()) };
        let (from, to) = (previous.fingerprint().to_owned(), key.fingerprint().to_owned());
        if self.store.write(BeginRewrap { from, to }).await? == Swapped::Done {
            return Ok(());
        }
        // Another of this kind may have been quicker, with the same keys or with others.
        match self.store.known_master_keys().await? {
            Some(known) if known.in_force == key.fingerprint() => Ok(()),
            _ => Err(changed_meanwhile()),
        }
    }

    async fn pass(self, key: &MasterKey, previous: Option<&MasterKey>, before: u64, tell: &mut impl FnMut(Counted)) -> Result<Pass> {
        let mut pass = Pass::default();
        self.keys(key, previous, &mut pass).await?;
        let mut behind = Uuid::nil();
        loop {
            let Some(last) = self.client_secrets(key, previous, behind, &mut pass).await? else { return Ok(pass) };
            behind = last;
            if pass.counted.resealed > 0 {
                tell(Counted { resealed: before + pass.counted.resealed, ..pass.counted });
            }
        }
    }

    async fn keys(self, key: &MasterKey, previous: Option<&MasterKey>, pass: &mut Pass) -> Result<()> {
        for stored in self.store.keys_ever().await? {
            let (kid, before) = (stored.kid, stored.sealed);
            pass.counted.keys += 1;
            if key.open_stored_key(&kid, &before).is_some() {
                continue;
            }
            let Some(opened) = previous.and_then(|previous| previous.open_stored_key(&kid, &before)) else {
                pass.unopened.push(Unopened::Key { kid });
                continue;
            };
            let sealed = key.seal_stored_key(&kid, &opened);
            match self.store.write(ResealKey { kid, before, sealed }).await? {
                Swapped::Done => pass.counted.resealed += 1,
                Swapped::Missed => pass.missed += 1,
            }
        }
        Ok(())
    }

    /// The next batch; tells the last id of it, or nothing when there is none.
    async fn client_secrets(self, key: &MasterKey, previous: Option<&MasterKey>, behind: Uuid, pass: &mut Pass) -> Result<Option<Uuid>> {
        let most = i64::try_from(BATCH).map_err(Error::internal)?;
        let batch = self.store.sealed_client_secrets(behind, most).await?;
        let last = batch.last().map(|secret| secret.id);
        let mut again = Vec::new();
        for secret in batch {
            pass.counted.client_secrets += 1;
            if key.open_client_secret(&secret.client_id, &secret.sealed).is_some() {
                continue;
            }
            match previous.and_then(|previous| previous.open_client_secret(&secret.client_id, &secret.sealed)) {
                Some(opened) => {
                    let sealed = key.seal_client_secret(&secret.client_id, &opened);
                    again.push(Resealed { id: secret.id, before: secret.sealed, sealed });
                }
                None => pass.unopened.push(Unopened::ClientSecret { client_id: secret.client_id }),
            }
        }
        if !again.is_empty() {
            let wanted = again.len() as u64;
            let resealed = self.store.write(ResealClientSecrets(again)).await?;
            pass.counted.resealed += resealed;
            pass.missed += wanted - resealed;
        }
        Ok(last)
    }

    /// Of several who finish, one says so in the audit.
    async fn finish(self, key: &MasterKey, previous: Option<&MasterKey>, counted: Counted) -> Result<()> {
        let Some(previous) = previous else { return Ok(()) };
        let from = previous.fingerprint().to_owned();
        let event = AuditEvent::new(self.clock.now(), AuditName::MasterKeyReplaced, Actor::Operator, Origin::default())
            .with("from", from.clone())
            .with("to", key.fingerprint())
            .with("keys", counted.keys)
            .with("client_secrets", counted.client_secrets);
        self.store.write(FinishRewrap { from, event }).await?;
        Ok(())
    }
}

fn changed_meanwhile() -> Error {
    Error::unavailable("the master key of the database was changed meanwhile")
}
