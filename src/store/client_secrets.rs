//! `client_secrets`: at most two of a client are valid at once, to change one without an outage.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Store, audit_events,
    backend::{Conn, Extent, Verb, read, run},
    purge::{BATCH, Purged},
    sealed::hold_master_key,
};
use crate::{
    audit::AuditEvent,
    clock::Timestamp,
    error::{Error, Result},
    oauth::{ClientId, client_secret::ClientSecret},
    secret::{Sealed, SecretHash},
};

/// How many secrets of a client are valid at once: the old one and the new one.
const SECRETS_KEPT: i64 = 2;

/// A secret as it is kept.
#[derive(FromRow)]
pub(super) struct SecretRow {
    pub hash: Vec<u8>,
    pub sealed: Option<Vec<u8>>,
    pub created_at: Timestamp,
    pub ends_at: Option<Timestamp>,
    pub declared_at: Option<Timestamp>,
}

impl SecretRow {
    /// Refuses a row that makes no sense.
    pub(super) fn into_secret(self, id: &ClientId) -> Result<ClientSecret> {
        let hash = SecretHash::from_bytes(&self.hash)
            .ok_or_else(|| Error::internal(format!("the row of client '{id}' makes no sense: client_secrets.hash")))?;
        let sealed = self.sealed.map(Sealed::from);
        Ok(ClientSecret { hash, sealed, created_at: self.created_at, ends_at: self.ends_at, is_declared: self.declared_at.is_some() })
    }
}

/// The secrets of a client, the newest first.
macro_rules! select_secrets {
    () => {
        "SELECT hash, sealed, created_at, ends_at, declared_at FROM client_secrets WHERE client_id = $1 ORDER BY created_at DESC, id DESC"
    };
}
pub(super) use select_secrets;

impl Store {
    /// The secrets of a client, the newest first, those that ended a short while ago included.
    pub(crate) async fn client_secrets(&self, id: &ClientId) -> Result<Vec<ClientSecret>> {
        let rows: Vec<SecretRow> = read!(self, db => sqlx::query_as(select_secrets!()).bind(id.as_str()).fetch_all(db).await?);
        rows.into_iter().map(|row| row.into_secret(id)).collect()
    }
}

/// Leaves the secrets of a client to the command line.
pub(super) async fn release_secrets(conn: &mut Conn<'_>, client_id: &ClientId) -> Result<()> {
    const RELEASE: &str = "UPDATE client_secrets SET declared_at = NULL WHERE client_id = $1 AND declared_at IS NOT NULL";
    run!(conn, db => sqlx::query(RELEASE).bind(client_id.as_str()).execute(db).await.map(drop)?);
    Ok(())
}

/// What becomes of the secrets that others take the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Former {
    EndNow,
    /// Those that end earlier still do.
    EndAt(Timestamp),
}

async fn end_former(conn: &mut Conn<'_>, client_id: &ClientId, former: Former) -> Result<()> {
    const DELETE: &str = "DELETE FROM client_secrets WHERE client_id = $1";
    const END: &str = "UPDATE client_secrets SET ends_at = $2 WHERE client_id = $1 AND (ends_at IS NULL OR ends_at > $2)";
    let id = client_id.as_str();
    match former {
        Former::EndNow => run!(conn, db => sqlx::query(DELETE).bind(id).execute(db).await.map(drop)?),
        Former::EndAt(at) => run!(conn, db => sqlx::query(END).bind(id).bind(at).execute(db).await.map(drop)?),
    }
    Ok(())
}

/// Of more than may be valid at once the oldest go.
async fn trim_secrets(conn: &mut Conn<'_>, client_id: &ClientId) -> Result<()> {
    const TRIM: &str = "DELETE FROM client_secrets WHERE client_id = $1 AND id NOT IN \
         (SELECT id FROM client_secrets WHERE client_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2)";
    run!(conn, db => sqlx::query(TRIM).bind(client_id.as_str()).bind(SECRETS_KEPT).execute(db).await.map(drop)?);
    Ok(())
}

/// Adds a secret; of the older ones only the newest stays valid, until its end.
pub(crate) struct RotateClientSecret {
    pub client_id: ClientId,
    pub secret: ClientSecret,
    pub former: Former,
    pub event: AuditEvent,
}

impl Verb for RotateClientSecret {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const REVISE: &str = "UPDATE clients SET revision = revision + 1 WHERE id = $1";
        run!(conn, db => sqlx::query(REVISE).bind(self.client_id.as_str()).execute(db).await.map(drop)?);
        end_former(conn, &self.client_id, self.former).await?;
        insert_secret(conn, &self.client_id, &self.secret).await?;
        trim_secrets(conn, &self.client_id).await?;
        audit_events::insert(conn, &self.event).await
    }
}

pub(super) async fn insert_secret(conn: &mut Conn<'_>, client_id: &ClientId, secret: &ClientSecret) -> Result<()> {
    const INSERT: &str =
        "INSERT INTO client_secrets (id, client_id, hash, created_at, declared_at, sealed, ends_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let id: Uuid = crate::secret::new_id(secret.created_at);
    if let Some(sealed) = &secret.sealed {
        hold_master_key(conn, sealed).await?;
    }
    run!(conn, db => sqlx::query(INSERT)
        .bind(id)
        .bind(client_id.as_str())
        .bind(secret.hash.as_bytes())
        .bind(secret.created_at)
        .bind(secret.is_declared.then_some(secret.created_at))
        .bind(secret.sealed.as_ref().map(Sealed::bytes))
        .bind(secret.ends_at)
        .execute(db).await.map(drop)?);
    Ok(())
}

/// Makes the secrets that a file gives those of a client, which those of before outlive at most until their end; or, where it gives
/// none any more, leaves them to the command line.
pub(crate) struct DeclareClientSecrets {
    pub client_id: ClientId,
    pub hashes: Vec<SecretHash>,
    pub former: Former,
    pub event: AuditEvent,
}

impl Verb for DeclareClientSecrets {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const TAKE_OVER: &str = "DELETE FROM client_secrets WHERE client_id = $1 AND hash = $2";
        if self.hashes.is_empty() {
            release_secrets(conn, &self.client_id).await?;
            return audit_events::insert(conn, &self.event).await;
        }
        for hash in &self.hashes {
            run!(conn, db => sqlx::query(TAKE_OVER).bind(self.client_id.as_str()).bind(hash.as_bytes()).execute(db).await.map(drop)?);
        }
        end_former(conn, &self.client_id, self.former).await?;
        for hash in &self.hashes {
            let secret = ClientSecret { is_declared: true, ..ClientSecret::new(hash.clone(), None, self.event.at) };
            insert_secret(conn, &self.client_id, &secret).await?;
        }
        trim_secrets(conn, &self.client_id).await?;
        audit_events::insert(conn, &self.event).await
    }
}

/// Deletes one batch of the secrets that ended before a time.
pub(crate) struct ForgetEndedSecrets {
    pub ended_before: Timestamp,
}

impl Verb for ForgetEndedSecrets {
    type Told = Purged;
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Purged> {
        const FORGET: &str = "DELETE FROM client_secrets WHERE id IN (SELECT id FROM client_secrets WHERE ends_at < $1 LIMIT $2)";
        let deleted = run!(conn, db => sqlx::query(FORGET).bind(self.ended_before).bind(BATCH).execute(db).await?.rows_affected());
        Ok(Purged::from_rows(deleted))
    }
}
