//! `client_secrets`: at most two of a client are valid at once, to change one without an outage.

use uuid::Uuid;

use super::{
    Store, audit_events,
    backend::{Conn, Extent, Verb, read, run},
};
use crate::{
    audit::AuditEvent,
    clock::Timestamp,
    error::{Error, Result},
    oauth::ClientId,
    secret::SecretHash,
};

/// How many secrets of a client are valid at once: the old one and the new one.
const SECRETS_KEPT: i64 = 2;

/// A secret of a client, and whether a file gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptSecret {
    pub hash: SecretHash,
    pub is_declared: bool,
}

impl Store {
    /// The secrets of a client, the newest first.
    pub(crate) async fn client_secrets(&self, id: &ClientId) -> Result<Vec<KeptSecret>> {
        const SECRETS: &str = "SELECT hash, declared_at FROM client_secrets WHERE client_id = $1 ORDER BY created_at DESC, id DESC";
        let rows: Vec<(Vec<u8>, Option<Timestamp>)> = read!(self, db => sqlx::query_as(SECRETS).bind(id.as_str()).fetch_all(db).await?);
        let kept = |(hash, declared_at): (Vec<u8>, Option<Timestamp>)| {
            let hash = SecretHash::from_bytes(&hash)
                .ok_or_else(|| Error::internal(format!("the row of client '{id}' makes no sense: client_secrets.hash")))?;
            Ok(KeptSecret { hash, is_declared: declared_at.is_some() })
        };
        rows.into_iter().map(kept).collect()
    }
}

/// Leaves the secrets of a client to the command line.
pub(super) async fn release_secrets(conn: &mut Conn<'_>, client_id: &ClientId) -> Result<()> {
    const RELEASE: &str = "UPDATE client_secrets SET declared_at = NULL WHERE client_id = $1 AND declared_at IS NOT NULL";
    run!(conn, db => sqlx::query(RELEASE).bind(client_id.as_str()).execute(db).await.map(drop)?);
    Ok(())
}

/// Adds a secret; of the older ones only the newest stays valid.
pub(crate) struct RotateClientSecret {
    pub client_id: ClientId,
    pub hash: SecretHash,
    /// Where the client keys a MAC with it.
    pub sealed: Option<Vec<u8>>,
    pub event: AuditEvent,
}

impl Verb for RotateClientSecret {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const TRIM: &str = "DELETE FROM client_secrets WHERE client_id = $1 AND id NOT IN \
             (SELECT id FROM client_secrets WHERE client_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2)";
        const REVISE: &str = "UPDATE clients SET revision = revision + 1 WHERE id = $1";
        run!(conn, db => sqlx::query(REVISE).bind(self.client_id.as_str()).execute(db).await.map(drop)?);
        insert_secret(conn, &self.client_id, (&self.hash, self.sealed.as_deref()), self.event.at, None).await?;
        run!(conn, db => sqlx::query(TRIM).bind(self.client_id.as_str()).bind(SECRETS_KEPT).execute(db).await.map(drop)?);
        audit_events::insert(conn, &self.event).await
    }
}

pub(super) async fn insert_secret(
    conn: &mut Conn<'_>,
    client_id: &ClientId,
    (hash, sealed): (&SecretHash, Option<&[u8]>),
    now: Timestamp,
    declared_at: Option<Timestamp>,
) -> Result<()> {
    const INSERT: &str =
        "INSERT INTO client_secrets (id, client_id, hash, created_at, declared_at, sealed) VALUES ($1, $2, $3, $4, $5, $6)";
    let id: Uuid = crate::secret::new_id(now);
    run!(conn, db => sqlx::query(INSERT)
        .bind(id)
        .bind(client_id.as_str())
        .bind(hash.as_bytes())
        .bind(now)
        .bind(declared_at)
        .bind(sealed)
        .execute(db).await.map(drop)?);
    Ok(())
}

/// Makes the secrets that a file gives the only ones of a client, or, where it gives none any more, leaves them to the
/// command line.
pub(crate) struct DeclareClientSecrets {
    pub client_id: ClientId,
    pub hashes: Vec<SecretHash>,
    pub event: AuditEvent,
}

impl Verb for DeclareClientSecrets {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const DELETE: &str = "DELETE FROM client_secrets WHERE client_id = $1";
        if self.hashes.is_empty() {
            release_secrets(conn, &self.client_id).await?;
        } else {
            run!(conn, db => sqlx::query(DELETE).bind(self.client_id.as_str()).execute(db).await.map(drop)?);
        }
        for hash in &self.hashes {
            insert_secret(conn, &self.client_id, (hash, None), self.event.at, Some(self.event.at)).await?;
        }
        audit_events::insert(conn, &self.event).await
    }
}
