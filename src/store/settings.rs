//! `settings`: what the database knows about itself.

use super::{
    Store,
    backend::{Conn, Extent, Verb, read, run},
};
use crate::error::Result;

/// Names the master key under which secrets were sealed.
pub(crate) const MASTER_KEY_FINGERPRINT: &str = "master_key_fingerprint";
/// The algorithms that access tokens were signed with, the latest first.
pub(crate) const ACCESS_TOKEN_ALGS: &str = "access_token_algs";
/// The algorithms that clients and resources were registered with, beside those that always have a key.
pub(crate) const REGISTERED_ALGS: &str = "registered_algs";
/// The longest lifetime, in seconds, that a resource ever gave its access tokens: one of them may still live.
pub(crate) const LONGEST_ACCESS_TOKEN_TTL: &str = "longest_access_token_ttl";

impl Store {
    /// The value of a setting.
    pub(crate) async fn setting(&self, name: &str) -> Result<Option<String>> {
        Ok(read!(self, db => sqlx::query_scalar("SELECT value FROM settings WHERE name = $1").bind(name).fetch_optional(db).await?))
    }
}

/// Sets a value once; a value that is there stays.
pub(crate) struct KeepSetting {
    pub name: &'static str,
    pub value: String,
}

impl Verb for KeepSetting {
    type Told = ();
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const INSERT: &str = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        run!(conn, db => sqlx::query(INSERT).bind(self.name).bind(&self.value).execute(db).await.map(drop)?);
        Ok(())
    }
}

/// Sets a number, unless it is as high already.
pub(super) async fn raise_setting(conn: &mut Conn<'_>, name: &str, value: i64) -> Result<()> {
    const RAISE: &str = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value \
         WHERE CAST(settings.value AS BIGINT) < $3";
    run!(conn, db => sqlx::query(RAISE).bind(name).bind(value.to_string()).bind(value).execute(db).await.map(drop)?);
    Ok(())
}

/// Sets a value.
pub(crate) struct ChangeSetting {
    pub name: &'static str,
    pub value: String,
}

impl Verb for ChangeSetting {
    type Told = ();
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const UPSERT: &str = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        run!(conn, db => sqlx::query(UPSERT).bind(self.name).bind(&self.value).execute(db).await.map(drop)?);
        Ok(())
    }
}
