//! What is sealed, in whichever table, and the `settings` that name the master key (decision 0026).
//!
//! `master_key_fingerprint` names the key that seals. While everything is sealed anew, `master_key_replacing` names the one before,
//! under which some may still be; afterwards `master_key_replaced` does.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Store, Swapped, audit_events,
    backend::{Conn, Extent, Verb, read, run},
    settings::MASTER_KEY_FINGERPRINT,
};
use crate::{
    audit::AuditEvent,
    error::{Error, Result},
    secret::Sealed,
};

const REPLACING: &str = "master_key_replacing";
const REPLACED: &str = "master_key_replaced";

/// Which master keys the database knows, by their fingerprints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownMasterKeys {
    /// The one that seals.
    pub in_force: String,
    /// The one before, while it is being replaced.
    pub replacing: Option<String>,
    /// The one before, once nothing is sealed under it.
    pub replaced: Option<String>,
}

/// A client's secret that is sealed.
#[derive(FromRow)]
pub(crate) struct SealedClientSecret {
    pub id: Uuid,
    pub client_id: String,
    #[sqlx(try_from = "Vec<u8>")]
    pub sealed: Sealed,
}

impl Store {
    /// What the database says of its master key; `None` if it has none yet.
    pub(crate) async fn known_master_keys(&self) -> Result<Option<KnownMasterKeys>> {
        const SELECT: &str = "SELECT name, value FROM settings WHERE name IN ($1, $2, $3)";
        let rows: Vec<(String, String)> = read!(self, db => sqlx::query_as(SELECT)
            .bind(MASTER_KEY_FINGERPRINT)
            .bind(REPLACING)
            .bind(REPLACED)
            .fetch_all(db).await?);
        let value = |name| rows.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let known = |in_force| KnownMasterKeys { in_force, replacing: value(REPLACING), replaced: value(REPLACED) };
        Ok(value(MASTER_KEY_FINGERPRINT).map(known))
    }

    /// So many sealed secrets of clients, by their ids, behind this one.
    pub(crate) async fn sealed_client_secrets(&self, behind: Uuid, most: i64) -> Result<Vec<SealedClientSecret>> {
        const SELECT: &str = "SELECT id, client_id, sealed FROM client_secrets WHERE sealed IS NOT NULL AND id > $1 ORDER BY id LIMIT $2";
        Ok(read!(self, db => sqlx::query_as(SELECT).bind(behind).bind(most).fetch_all(db).await?))
    }
}

/// Refuses to store what was sealed under another master key than the database has by now: who changes that would miss it. On
/// Postgres whoever changes it meanwhile waits until this is stored.
pub(super) async fn hold_master_key(conn: &mut Conn<'_>, sealed: &Sealed) -> Result<()> {
    macro_rules! select {
        ($lock:literal) => {
            concat!("SELECT value FROM settings WHERE name = $1", $lock)
        };
    }
    let Some(under) = sealed.under() else { return Ok(()) };
    let select = match conn {
        Conn::Sqlite(_) => select!(""),
        Conn::Postgres(_) => select!(" FOR SHARE"),
    };
    let known: Option<String> = run!(conn, db => sqlx::query_scalar(select).bind(MASTER_KEY_FINGERPRINT).fetch_optional(db).await?);
    if known.as_deref() != Some(under) {
        return Err(Error::unavailable("the master key of the database was changed meanwhile"));
    }
    Ok(())
}

/// Makes another master key the one that seals from now on. What the one before sealed is yet to follow.
pub(crate) struct BeginRewrap {
    pub from: String,
    pub to: String,
}

impl Verb for BeginRewrap {
    type Told = Swapped;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Swapped> {
        const ANNOUNCE: &str = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        const REPLACE: &str = "UPDATE settings SET value = $3 WHERE name = $1 AND value = $2";
        const WITHDRAW: &str = "DELETE FROM settings WHERE name = $1";
        let announced = run!(conn, db => sqlx::query(ANNOUNCE).bind(REPLACING).bind(&self.from).execute(db).await?.rows_affected());
        if announced == 0 {
            return Ok(Swapped::Missed);
        }
        let replaced = run!(conn, db => sqlx::query(REPLACE)
            .bind(MASTER_KEY_FINGERPRINT)
            .bind(&self.from)
            .bind(&self.to)
            .execute(db).await?.rows_affected());
        if replaced == 0 {
            run!(conn, db => sqlx::query(WITHDRAW).bind(REPLACING).execute(db).await.map(drop)?);
        }
        Ok(Swapped::from_rows(replaced))
    }
}

/// Seals a key anew, unless it changed since it was read.
pub(crate) struct ResealKey {
    pub kid: String,
    pub before: Sealed,
    pub sealed: Sealed,
}

impl Verb for ResealKey {
    type Told = Swapped;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Swapped> {
        const RESEAL: &str = "UPDATE keys SET sealed = $3 WHERE kid = $1 AND sealed = $2";
        hold_master_key(conn, &self.sealed).await?;
        let resealed = run!(conn, db => sqlx::query(RESEAL)
            .bind(&self.kid)
            .bind(self.before.bytes())
            .bind(self.sealed.bytes())
            .execute(db).await?.rows_affected());
        Ok(Swapped::from_rows(resealed))
    }
}

/// A client's secret to be sealed anew.
pub(crate) struct Resealed {
    pub id: Uuid,
    pub before: Sealed,
    pub sealed: Sealed,
}

/// Seals secrets of clients anew, but those that changed since they were read. Tells how many.
pub(crate) struct ResealClientSecrets(pub Vec<Resealed>);

impl Verb for ResealClientSecrets {
    type Told = u64;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<u64> {
        const RESEAL: &str = "UPDATE client_secrets SET sealed = $3 WHERE id = $1 AND sealed = $2";
        let mut resealed = 0;
        if let Some(any) = self.0.first() {
            hold_master_key(conn, &any.sealed).await?;
        }
        for secret in &self.0 {
            resealed += run!(conn, db => sqlx::query(RESEAL)
                .bind(secret.id)
                .bind(secret.before.bytes())
                .bind(secret.sealed.bytes())
                .execute(db).await?.rows_affected());
        }
        Ok(resealed)
    }
}

/// Notes that nothing is sealed under the master key of before any more.
pub(crate) struct FinishRewrap {
    pub from: String,
    pub event: AuditEvent,
}

impl Verb for FinishRewrap {
    type Told = Swapped;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Swapped> {
        const FINISH: &str = "DELETE FROM settings WHERE name = $1 AND value = $2";
        const REMEMBER: &str = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        let finished = run!(conn, db => sqlx::query(FINISH).bind(REPLACING).bind(&self.from).execute(db).await?.rows_affected());
        if finished > 0 {
            run!(conn, db => sqlx::query(REMEMBER).bind(REPLACED).bind(&self.from).execute(db).await.map(drop)?);
            audit_events::insert(conn, &self.event).await?;
        }
        Ok(Swapped::from_rows(finished))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{Actor, AuditName, Origin},
        clock::Timestamp,
        config::{Config, Sources},
        secret::MasterKey,
        store::{
            Migrations,
            keys::{InsertKeys, REFRESH_TOKEN_MAC, StoredKey},
            settings::KeepSetting,
        },
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn insert(sealed: Sealed, kid: &str) -> InsertKeys {
        let (created_at, published_at, signs_from) = (NOW, NOW, NOW);
        let (purpose, algorithm) = (REFRESH_TOKEN_MAC.to_owned(), "HS256".to_owned());
        let (public_jwk, signs_until, removed_at, kid) = (None, None, None, kid.to_owned());
        let key = StoredKey { kid, purpose, algorithm, public_jwk, sealed, created_at, published_at, signs_from, signs_until, removed_at };
        InsertKeys { keys: vec![key], event: AuditEvent::new(NOW, AuditName::KeysCreated, Actor::Server, Origin::default()) }
    }

    /// Sealed before another master key came into force, and stored after: nothing would ever find it.
    #[tokio::test]
    async fn what_is_sealed_under_a_key_that_was_replaced_meanwhile_is_not_stored() {
        let dir = tempfile::tempdir().expect("a directory");
        let database_url = ("GRANTOR_DATABASE_URL".to_owned(), format!("sqlite:{}", dir.path().join("grantor.db").display()));
        let config = Config::from_sources(Sources { environment: [database_url].into(), ..Sources::default() }).expect("a configuration");
        let store = Store::open(&config, Migrations::Apply).await.expect("a store");
        let [before, after] = [1, 2].map(|byte| MasterKey::new([byte; 32]));
        let value = before.fingerprint().to_owned();
        store.write(KeepSetting { name: MASTER_KEY_FINGERPRINT, value }).await.expect("kept");
        let late = before.seal_stored_key("late", b"key");
        store.write(insert(before.seal_stored_key("early", b"key"), "early")).await.expect("stored");

        let begin = || BeginRewrap { from: before.fingerprint().to_owned(), to: after.fingerprint().to_owned() };
        assert_eq!(store.write(begin()).await.expect("told"), Swapped::Done);
        assert_eq!(store.write(begin()).await.expect("told"), Swapped::Missed, "once");
        let refused = store.write(insert(late, "late")).await.expect_err("a refusal");
        assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
        store.write(insert(after.seal_stored_key("new", b"key"), "new")).await.expect("stored");
        let kids: Vec<String> = store.keys_ever().await.expect("read").into_iter().map(|key| key.kid).collect();
        assert_eq!(kids, ["early", "new"]);
        store.close().await;
    }
}
