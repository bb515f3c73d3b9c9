//! The master key over the store: which one seals, and the root key beneath it (decision 0026).

mod given;
pub(crate) mod rewrap;

use anyhow::bail;

use crate::{
    config::Config,
    error::{Error, Result},
    secret::{MasterKey, MasterKeys, RootKey},
    store::{
        Store,
        sealed::KnownMasterKeys,
        settings::{KeepSetting, MASTER_KEY_FINGERPRINT},
    },
};

pub(crate) use given::given;

/// What the root key is called.
pub(crate) const ROOT_KID: &str = "root";

/// The configured master keys, if the database is sealed under one of them; a database that has none yet has this one from now on. Call it
/// while holding its [`FirstStart`](crate::store::FirstStart).
pub(crate) async fn open(config: &Config, store: &Store) -> anyhow::Result<MasterKeys> {
    let known = store.known_master_keys().await?;
    let keys = given(config, known.is_some())?;
    let Some(known) = known else {
        let value = keys.key().fingerprint().to_owned();
        store.write(KeepSetting { name: MASTER_KEY_FINGERPRINT, value }).await?;
        return Ok(keys);
    };
    if let Some(remedy) = remedy(&known, &keys, &config.database_url.to_string()) {
        bail!(remedy);
    }
    tell(&known, &keys);
    Ok(keys)
}

/// Whoever gave two keys learns how far the change is.
fn tell(known: &KnownMasterKeys, keys: &MasterKeys) {
    let (Some(previous), None) = (keys.previous(), &known.replacing) else { return };
    let (key, previous) = (keys.key().fingerprint(), previous.fingerprint());
    if known.in_force == previous {
        tracing::info!(
            "the database is sealed under master_key_previous, {previous}: when every server has both keys, run 'grantor keys rewrap'"
        );
    } else {
        tracing::info!("the database is sealed under master_key, {key}, and needs no master_key_previous");
    }
}

/// The master key that the database has now: what is sealed is sealed under this one.
pub(crate) async fn in_force<'k>(store: &Store, keys: &'k MasterKeys) -> Result<&'k MasterKey> {
    let known = store.setting(MASTER_KEY_FINGERPRINT).await?;
    let known = known.ok_or_else(|| Error::internal("the database has no master key any more: restore its settings from a backup"))?;
    keys.named(&known).ok_or_else(|| {
        let given = keys.names();
        Error::internal(format!(
            "the database is sealed under the master key {known} by now, and this process was started with {given}: restart it with that one"
        ))
    })
}

/// The root key, which the first start made.
pub(crate) async fn root_key(store: &Store, keys: &MasterKeys) -> Result<RootKey> {
    let stored = store.stored_root_key().await?.ok_or_else(|| Error::internal("the root key is missing: restore it from a backup"))?;
    let opened = keys.open_stored_key(&stored.kid, &stored.sealed);
    opened.and_then(|bytes| RootKey::new(&bytes)).ok_or_else(|| Error::internal("the root key cannot be opened with this master key"))
}

/// Why nobody can work with this database by these keys, and what to change; `None` if all is well.
fn remedy(known: &KnownMasterKeys, keys: &MasterKeys, database: &str) -> Option<String> {
    let KnownMasterKeys { in_force, replacing, replaced } = known;
    let (key, previous) = (keys.key().fingerprint(), keys.previous().map(MasterKey::fingerprint));
    let is_given = |fingerprint: &str| key == fingerprint || previous == Some(fingerprint);
    if let Some(before) = replacing {
        if key == in_force && previous == Some(before) {
            return None;
        }
        return Some(format!(
            "the master key of the database {database} is being changed from {before} to {in_force}, and neither alone opens everything; \
             given is {given}. Give {in_force} as GRANTOR_MASTER_KEY and {before} as GRANTOR_MASTER_KEY_PREVIOUS (or their files as \
             GRANTOR_MASTER_KEY_FILE and GRANTOR_MASTER_KEY_PREVIOUS_FILE), and run 'grantor keys rewrap' to the end.",
            given = keys.names(),
        ));
    }
    if is_given(in_force) {
        return None;
    }
    if replaced.as_deref().is_some_and(is_given) {
        return Some(format!(
            "this is not the master key of the database {database} any more: everything was sealed anew, and it has the key {in_force} now; \
             given is {given}. Give that one with GRANTOR_MASTER_KEY or GRANTOR_MASTER_KEY_FILE.",
            given = keys.names(),
        ));
    }
    Some(match previous {
        None => format!(
            "this is not the master key of the database {database}: the database was made with the key {in_force}, this one is {key}. Give \
             the right one with GRANTOR_MASTER_KEY or GRANTOR_MASTER_KEY_FILE. If {key} is to take the place of {in_force}: give {in_force} \
             as GRANTOR_MASTER_KEY_PREVIOUS or GRANTOR_MASTER_KEY_PREVIOUS_FILE, too, and run 'grantor keys rewrap'.",
        ),
        Some(previous) => format!(
            "neither of the two is the master key of the database {database}, which is {in_force}: master_key is {key}, and \
             master_key_previous is {previous}. If {key} is to take its place: give {in_force} with GRANTOR_MASTER_KEY_PREVIOUS or \
             GRANTOR_MASTER_KEY_PREVIOUS_FILE.",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> MasterKey {
        MasterKey::new([byte; 32])
    }

    fn name(byte: u8) -> String {
        key(byte).fingerprint().to_owned()
    }

    /// What is said to whoever has these keys (0: none); `None` if they can work.
    fn told(known: [u8; 3], given: u8, previous: u8) -> Option<String> {
        let some = |byte: u8| (byte != 0).then(|| name(byte));
        let known = KnownMasterKeys { in_force: name(known[0]), replacing: some(known[1]), replaced: some(known[2]) };
        remedy(&known, &MasterKeys::new(key(given), (previous != 0).then(|| key(previous))), "sqlite:x")
    }

    #[test]
    fn with_the_key_in_force_there_is_work() {
        for (known, given, previous) in [([1, 0, 0], 1, 0), ([1, 0, 0], 2, 1), ([2, 1, 0], 2, 1), ([2, 0, 1], 2, 0), ([2, 0, 1], 2, 1)] {
            assert_eq!(told(known, given, previous), None, "{known:?} {given} {previous}");
        }
    }

    #[test]
    fn while_a_key_is_replaced_both_are_demanded_by_name_and_place() {
        for (given, previous) in [(1, 0), (2, 0), (1, 2), (3, 2), (2, 3), (3, 0)] {
            let told = told([2, 1, 0], given, previous).unwrap();
            let both = format!("Give {} as GRANTOR_MASTER_KEY and {} as GRANTOR_MASTER_KEY_PREVIOUS", name(2), name(1));
            assert!(told.contains(&both) && told.contains("'grantor keys rewrap'"), "{given} {previous}: {told}");
        }
    }

    #[test]
    fn the_key_of_before_a_wrong_one_and_a_wrong_previous_one_are_told_apart() {
        assert!(told([2, 0, 1], 1, 0).unwrap().contains("any more"));
        assert!(told([2, 0, 1], 3, 1).unwrap().contains("any more"));
        let new = told([1, 0, 0], 2, 0).unwrap();
        assert!(new.contains(&format!("give {} as GRANTOR_MASTER_KEY_PREVIOUS", name(1))), "{new}");
        let wrong = told([1, 0, 0], 2, 3).unwrap();
        assert!(wrong.contains(&format!("master_key_previous is {}", name(3))), "{wrong}");
    }
}
