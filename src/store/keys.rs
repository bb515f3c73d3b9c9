//! `keys`: private keys, sealed under the master key, with the times by which every node uses them.

use sqlx::{FromRow, types::Json};

use super::{
    Store, Swapped, audit_events,
    backend::{Conn, Extent, Verb, read, run},
    sealed::hold_master_key,
};
use crate::{audit::AuditEvent, clock::Timestamp, error::Result, secret::Sealed};

/// A key as stored.
#[derive(Clone, FromRow)]
pub(crate) struct StoredKey {
    pub kid: String,
    /// `signature`, `former_signature`, `refresh_token_mac`, `pairwise_subject_mac` or `root`.
    pub purpose: String,
    /// The JWS algorithm, `HS256` for the MAC keys, or `HKDF-SHA256` for the root key.
    pub algorithm: String,
    #[sqlx(json(nullable))]
    pub public_jwk: Option<serde_json::Value>,
    /// The private key; of a former signing key, its public JWK.
    #[sqlx(try_from = "Vec<u8>")]
    pub sealed: Sealed,
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

/// `keys.purpose` of a signing key that is, or will be, published.
pub(crate) const SIGNATURE: &str = "signature";
/// `keys.purpose` of a signing key whose private half is gone.
pub(crate) const FORMER_SIGNATURE: &str = "former_signature";
/// `keys.purpose` of the key that refresh tokens are protected with; its `kid` ends with its number.
pub(crate) const REFRESH_TOKEN_MAC: &str = "refresh_token_mac";
/// `keys.purpose` of the key that pairwise subjects are made with. There is one, for ever: with another, every person would be
/// a new one to every pairwise client.
pub(crate) const PAIRWISE_SUBJECT_MAC: &str = "pairwise_subject_mac";
/// `keys.purpose` of the key from which those for requests, forms and throttles are derived. There is one, for ever.
pub(crate) const ROOT: &str = "root";

impl StoredKey {
    /// Whether it signs what others verify, now or once.
    pub(crate) fn is_of_signatures(&self) -> bool {
        [SIGNATURE, FORMER_SIGNATURE].contains(&self.purpose.as_str())
    }

    /// Whether an emergency ended it, which holds at once, also by a clock that is behind that of who ended it.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.signs_until.zip(self.removed_at).is_some_and(|(signs_until, removed_at)| removed_at <= signs_until)
    }

    /// Whether it belongs in the JWKS. A row is there because someone published it: a `published_at` that is yet to come
    /// only means that a clock is behind, and then publishing early harms nobody.
    pub(crate) fn is_published(&self, now: Timestamp) -> bool {
        self.purpose == SIGNATURE && !self.is_withdrawn() && self.removed_at.is_none_or(|removed_at| now < removed_at)
    }

    /// Whether its times let it sign.
    pub(crate) fn signs(&self, now: Timestamp) -> bool {
        self.is_published(now) && self.signs_from <= now && !self.signed_until(now)
    }

    /// Whether it has stopped signing.
    pub(crate) fn signed_until(&self, now: Timestamp) -> bool {
        self.signs_until.is_some_and(|until| until <= now)
    }
}

impl Store {
    /// Every key that is used, by age.
    pub(crate) async fn keys(&self) -> Result<Vec<StoredKey>> {
        const SELECT: &str = "SELECT kid, purpose, algorithm, public_jwk, sealed, created_at, published_at, signs_from, signs_until, removed_at \
             FROM keys WHERE purpose <> 'former_signature' ORDER BY created_at, kid";
        Ok(read!(self, db => sqlx::query_as(SELECT).fetch_all(db).await?))
    }

    /// Every key, former ones too, by age.
    pub(crate) async fn keys_ever(&self) -> Result<Vec<StoredKey>> {
        const SELECT: &str = "SELECT kid, purpose, algorithm, public_jwk, sealed, created_at, published_at, signs_from, signs_until, removed_at \
             FROM keys ORDER BY created_at, kid";
        Ok(read!(self, db => sqlx::query_as(SELECT).fetch_all(db).await?))
    }
}

impl Store {
    /// The root key, once it was made.
    pub(crate) async fn stored_root_key(&self) -> Result<Option<StoredKey>> {
        const SELECT: &str = "SELECT kid, purpose, algorithm, public_jwk, sealed, created_at, published_at, signs_from, signs_until, removed_at \
             FROM keys WHERE purpose = 'root'";
        Ok(read!(self, db => sqlx::query_as(SELECT).fetch_optional(db).await?))
    }

    /// A signing key whose private half is gone.
    pub(crate) async fn former_key(&self, kid: &str) -> Result<Option<StoredKey>> {
        const SELECT: &str = "SELECT kid, purpose, algorithm, public_jwk, sealed, created_at, published_at, signs_from, signs_until, removed_at \
             FROM keys WHERE kid = $1 AND purpose = 'former_signature'";
        Ok(read!(self, db => sqlx::query_as(SELECT).bind(kid).fetch_optional(db).await?))
    }
}

/// Adds keys of algorithms that have none.
pub(crate) struct InsertKeys {
    pub keys: Vec<StoredKey>,
    pub event: AuditEvent,
}

impl Verb for InsertKeys {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        for key in &self.keys {
            insert(conn, key).await?;
        }
        audit_events::insert(conn, &self.event).await
    }
}

/// What follows the newest key of an algorithm.
#[derive(Clone)]
pub(crate) struct Succession {
    pub predecessor: Option<String>,
    pub algorithm: String,
    /// `None`: the algorithm is given up.
    pub successor: Option<StoredKey>,
}

/// Tells the keys of some algorithms when to stop, and brings in those that follow. Of several who would replace the same
/// key one does; an algorithm whose newest key is another by now is left alone.
pub(crate) struct RotateKeys {
    pub successions: Vec<Succession>,
    /// When the retired keys stop signing ...
    pub signs_until: Timestamp,
    /// ... and leave the JWKS.
    pub removed_at: Timestamp,
    pub event: AuditEvent,
}

impl Verb for RotateKeys {
    type Told = Swapped;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Swapped> {
        let (mut algorithms, mut kids) = (Vec::new(), Vec::new());
        for Succession { predecessor, algorithm, successor } in &self.successions {
            if let Some(predecessor) = predecessor
                && self.retire(conn, predecessor, algorithm).await? == Swapped::Missed
            {
                continue;
            }
            if let Some(successor) = successor {
                insert(conn, successor).await?;
                kids.push(successor.kid.clone());
            }
            algorithms.push(algorithm.clone());
        }
        if algorithms.is_empty() {
            return Ok(Swapped::Missed);
        }
        audit_events::insert(conn, &self.event.clone().with("algorithms", algorithms).with("kids", kids)).await?;
        Ok(Swapped::Done)
    }
}

impl RotateKeys {
    async fn retire(&self, conn: &mut Conn<'_>, predecessor: &str, algorithm: &str) -> Result<Swapped> {
        const NEWEST: &str =
            "UPDATE keys SET signs_until = $2, removed_at = $3 WHERE kid = $1 AND purpose = 'signature' AND signs_until IS NULL";
        // What a clock that was ahead had planned for later ends now, too. What it withdrew stays so.
        const OTHERS: &str = "UPDATE keys SET signs_until = $2, removed_at = $3 WHERE purpose = 'signature' AND algorithm = $1 \
             AND (signs_until IS NULL OR signs_until > $2) AND (removed_at IS NULL OR removed_at > signs_until)";
        let retired = run!(conn, db => sqlx::query(NEWEST)
            .bind(predecessor)
            .bind(self.signs_until)
            .bind(self.removed_at)
            .execute(db).await?.rows_affected());
        if retired > 0 {
            run!(conn, db => sqlx::query(OTHERS)
                .bind(algorithm)
                .bind(self.signs_until)
                .bind(self.removed_at)
                .execute(db).await.map(drop)?);
        }
        Ok(Swapped::from_rows(retired))
    }
}

/// Ends every signing key at once, and brings in others.
pub(crate) struct WithdrawKeys {
    pub new: Vec<StoredKey>,
    pub now: Timestamp,
    pub event: AuditEvent,
}

impl Verb for WithdrawKeys {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        // Whatever their times: by the clocks of others, what is past here may still be to come.
        const WITHDRAW: &str = "UPDATE keys SET signs_until = $1, removed_at = $1 WHERE purpose = 'signature'";
        run!(conn, db => sqlx::query(WITHDRAW).bind(self.now).execute(db).await.map(drop)?);
        for key in &self.new {
            insert(conn, key).await?;
        }
        audit_events::insert(conn, &self.event).await
    }
}

/// Times that are too early for a node with longer settings; they only ever move later.
pub(crate) enum Lengthen {
    /// A key that does not sign yet signs later, and those that it follows sign until then.
    SignsFrom { kid: String, algorithm: String, was: Timestamp, at: Timestamp, removed_at: Timestamp },
    /// A key that will stop signing stays in the JWKS for longer.
    RemovedAt { kid: String, at: Timestamp },
}

impl Verb for Lengthen {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const SIGNS_FROM: &str = "UPDATE keys SET signs_from = $2 WHERE kid = $1 AND signs_from = $3";
        const SIGN_UNTIL: &str = "UPDATE keys SET signs_until = $2, removed_at = $3 \
             WHERE purpose = 'signature' AND algorithm = $1 AND signs_until = $4 AND removed_at > signs_until";
        const REMOVED_AT: &str =
            "UPDATE keys SET removed_at = $2 WHERE kid = $1 AND purpose = 'signature' AND removed_at < $2 AND removed_at > signs_until";
        match self {
            Self::SignsFrom { kid, algorithm, was, at, removed_at } => {
                let moved = run!(conn, db => sqlx::query(SIGNS_FROM).bind(kid).bind(at).bind(was).execute(db).await?.rows_affected());
                if moved > 0 {
                    run!(conn, db => sqlx::query(SIGN_UNTIL)
                        .bind(algorithm)
                        .bind(at)
                        .bind(removed_at)
                        .bind(was)
                        .execute(db).await.map(drop)?);
                }
            }
            Self::RemovedAt { kid, at } => {
                run!(conn, db => sqlx::query(REMOVED_AT).bind(kid).bind(at).execute(db).await.map(drop)?);
            }
        }
        Ok(())
    }
}

/// Makes a signing key a former one: what was sealed of it gives way to its public half.
pub(crate) struct DropPrivateKey {
    pub kid: String,
    pub sealed_public_jwk: Sealed,
}

impl Verb for DropPrivateKey {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const DROP: &str = "UPDATE keys SET sealed = $2, purpose = 'former_signature' WHERE kid = $1 AND purpose = 'signature'";
        hold_master_key(conn, &self.sealed_public_jwk).await?;
        run!(conn, db => sqlx::query(DROP).bind(&self.kid).bind(self.sealed_public_jwk.bytes()).execute(db).await.map(drop)?);
        Ok(())
    }
}

/// Deletes what an emergency withdrew, and former keys that left the JWKS before a time.
pub(crate) struct ForgetKeys {
    pub removed_before: Timestamp,
}

impl Verb for ForgetKeys {
    type Told = ();
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const FORGET: &str = "DELETE FROM keys WHERE (purpose = 'signature' AND removed_at <= signs_until) \
             OR (purpose = 'former_signature' AND removed_at <= $1)";
        run!(conn, db => sqlx::query(FORGET).bind(self.removed_before).execute(db).await.map(drop)?);
        Ok(())
    }
}

async fn insert(conn: &mut Conn<'_>, key: &StoredKey) -> Result<()> {
    const INSERT: &str = "INSERT INTO keys (kid, purpose, algorithm, public_jwk, sealed, created_at, published_at, signs_from, signs_until, removed_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    hold_master_key(conn, &key.sealed).await?;
    run!(conn, db => sqlx::query(INSERT)
        .bind(&key.kid)
        .bind(&key.purpose)
        .bind(&key.algorithm)
        .bind(key.public_jwk.as_ref().map(Json))
        .bind(key.sealed.bytes())
        .bind(key.created_at)
        .bind(key.published_at)
        .bind(key.signs_from)
        .bind(key.signs_until)
        .bind(key.removed_at)
        .execute(db).await.map(drop)?);
    Ok(())
}
