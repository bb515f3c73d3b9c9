//! `keys`: private keys, sealed under the master key, with the times by which every node uses them.

use sqlx::{FromRow, types::Json};

use super::{
    Store, audit_events,
    backend::{Conn, Extent, Verb, read, run},
};
use crate::{audit::AuditEvent, clock::Timestamp, error::Result};

/// A key as stored.
#[derive(Clone, FromRow)]
pub(crate) struct StoredKey {
    pub kid: String,
    /// `signature` or `refresh_token_mac`.
    pub purpose: String,
    /// The JWS algorithm, or `HS256` for the MAC key.
    pub algorithm: String,
    #[sqlx(json(nullable))]
    pub public_jwk: Option<serde_json::Value>,
    pub sealed: Vec<u8>,
    pub created_at: Timestamp,
    /// In the JWKS from here ...
    pub published_at: Timestamp,
    /// ... signing from here ...
    pub signs_from: Timestamp,
    /// ... to here, ...
    pub signs_until: Option<Timestamp>,
    /// ... and in the JWKS to here.
    pub removed_at: Option<Timestamp>,
}

impl Store {
    /// Every key, by age.
    pub(crate) async fn keys(&self) -> Result<Vec<StoredKey>> {
        const SELECT: &str = "SELECT kid, purpose, algorithm, public_jwk, sealed, created_at, published_at, signs_from, signs_until, removed_at \
             FROM keys ORDER BY created_at, kid";
        Ok(read!(self, db => sqlx::query_as(SELECT).fetch_all(db).await?))
    }
}

/// Adds the first keys.
pub(crate) struct InsertKeys(pub Vec<StoredKey>);

impl Verb for InsertKeys {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        for key in &self.0 {
            insert(conn, key).await?;
        }
        Ok(())
    }
}

/// Which keys of the same algorithms a rotation retires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retire {
    /// Those that have no end yet.
    InForce,
    /// Those, too, that were to sign or to be published for longer.
    All,
}

/// Brings in new signing keys and tells those of the same algorithms when to stop.
pub(crate) struct RotateKeys {
    pub new: Vec<StoredKey>,
    pub retire: Retire,
    /// When the retired keys stop signing ...
    pub signs_until: Timestamp,
    /// ... and leave the JWKS.
    pub removed_at: Timestamp,
    pub event: AuditEvent,
}

impl Verb for RotateKeys {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const IN_FORCE: &str = "UPDATE keys SET signs_until = $2, removed_at = $3 WHERE purpose = 'signature' AND algorithm = $1 \
             AND signs_until IS NULL";
        const ALL: &str = "UPDATE keys SET signs_until = $2, removed_at = $3 WHERE purpose = 'signature' AND algorithm = $1 \
             AND (signs_until IS NULL OR signs_until > $2 OR removed_at > $3)";
        let retire = match self.retire {
            Retire::InForce => IN_FORCE,
            Retire::All => ALL,
        };
        for key in &self.new {
            run!(conn, db => sqlx::query(retire)
                .bind(&key.algorithm)
                .bind(self.signs_until)
                .bind(self.removed_at)
                .execute(db).await.map(drop)?);
            insert(conn, key).await?;
        }
        audit_events::insert(conn, &self.event).await
    }
}

async fn insert(conn: &mut Conn<'_>, key: &StoredKey) -> Result<()> {
    const INSERT: &str = "INSERT INTO keys (kid, purpose, algorithm, public_jwk, sealed, created_at, published_at, signs_from, signs_until, removed_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    run!(conn, db => sqlx::query(INSERT)
        .bind(&key.kid)
        .bind(&key.purpose)
        .bind(&key.algorithm)
        .bind(key.public_jwk.as_ref().map(Json))
        .bind(&key.sealed)
        .bind(key.created_at)
        .bind(key.published_at)
        .bind(key.signs_from)
        .bind(key.signs_until)
        .bind(key.removed_at)
        .execute(db).await.map(drop)?);
    Ok(())
}
