//! What `clients` keeps of those that register themselves, and `registration_tokens`, with which an operator lets them.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Saved, Store, Swapped, audit_events,
    backend::{Conn, Extent, Verb, read, run},
    client_secrets::insert_secret,
    clients::{UpdateClient, insert_client},
};
use crate::{
    audit::AuditEvent,
    clock::Timestamp,
    error::{Error, Result},
    oauth::{Client, ClientId, client_secret::ClientSecret},
    secret::{SecretHash, ThrottleKey},
};

/// How many unused clients one look finds.
const LOOKED_AT: i64 = 100;

/// A token with which clients may be registered (RFC 7591 §3: an initial access token).
#[derive(Clone, Debug, FromRow)]
pub(crate) struct RegistrationToken {
    pub id: Uuid,
    pub uses_left: i64,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

impl Store {
    /// The hash of the token with which a client manages its own registration (RFC 7592 §1.2).
    pub(crate) async fn registration_access_token(&self, id: &ClientId) -> Result<Option<SecretHash>> {
        const SELECT: &str = "SELECT registration_token_hash FROM clients WHERE id = $1 AND registration_token_hash IS NOT NULL";
        let hash: Option<Vec<u8>> = read!(self, db => sqlx::query_scalar(SELECT).bind(id.as_str()).fetch_optional(db).await?);
        hash.map(|hash| {
            SecretHash::from_bytes(&hash)
                .ok_or_else(|| Error::internal(format!("the row of client '{id}' makes no sense: registration_token_hash")))
        })
        .transpose()
    }

    /// The clients that could have obtained a token until `now`, and did not: some of them, if there are many.
    pub(crate) async fn unused_clients(&self, now: Timestamp) -> Result<Vec<ClientId>> {
        const SELECT: &str = "SELECT id FROM clients WHERE unused_until < $1 AND declared_in IS NULL ORDER BY unused_until LIMIT $2";
        let ids: Vec<String> = read!(self, db => sqlx::query_scalar(SELECT).bind(now).bind(LOOKED_AT).fetch_all(db).await?);
        let parsed = |id: String| ClientId::parse(&id).map_err(|_| Error::internal(format!("the row of client '{id}' makes no sense: id")));
        ids.into_iter().map(parsed).collect()
    }

    /// The token that was presented, if it still lets someone register.
    pub(crate) async fn registration_token(&self, hash: &SecretHash, now: Timestamp) -> Result<Option<RegistrationToken>> {
        const SELECT: &str = "SELECT id, uses_left, created_at, expires_at FROM registration_tokens \
             WHERE hash = $1 AND uses_left > 0 AND expires_at > $2";
        Ok(read!(self, db => sqlx::query_as(SELECT).bind(hash.as_bytes()).bind(now).fetch_optional(db).await?))
    }

    /// Every registration token that has not been purged, the newest last.
    pub(crate) async fn registration_tokens(&self) -> Result<Vec<RegistrationToken>> {
        const SELECT: &str = "SELECT id, uses_left, created_at, expires_at FROM registration_tokens ORDER BY created_at, id";
        Ok(read!(self, db => sqlx::query_as(SELECT).fetch_all(db).await?))
    }
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registered {
    Done,
    /// The registration token was used up meanwhile.
    TokenSpent,
    /// So many clients wait for their first token that one more is too many.
    TooMany,
    /// So many of this network do.
    TooManyOfNetwork,
}

/// Registers a client that registers itself, and counts the use of the token that let it.
pub(crate) struct RegisterClient {
    pub client: Client,
    pub registration_access_token: SecretHash,
    pub let_by: Option<Uuid>,
    /// How many may be there without a token.
    pub most_unused: u32,
    /// The network that it comes from, where that bounds it, and how many of the network's may be there without a token.
    pub network: Option<(ThrottleKey, u32)>,
    pub event: AuditEvent,
}

impl Verb for RegisterClient {
    type Told = Registered;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Registered> {
        const UNUSED: &str = "SELECT COUNT(*) FROM clients WHERE unused_until IS NOT NULL";
        const USE: &str = "UPDATE registration_tokens SET uses_left = uses_left - 1 WHERE id = $1 AND uses_left > 0 AND expires_at > $2";
        const OF_NETWORK: &str = "SELECT COUNT(*) FROM clients WHERE unused_until IS NOT NULL AND unused_from = $1";
        const OWN: &str = "UPDATE clients SET registration_token_hash = $2, unused_until = $3, unused_from = $4 WHERE id = $1";
        let client = &self.client;
        let unused: i64 = run!(conn, db => sqlx::query_scalar(UNUSED).fetch_one(db).await?);
        if unused >= i64::from(self.most_unused) {
            return Ok(Registered::TooMany);
        }
        if let Some((network, most)) = self.network {
            let unused: i64 = run!(conn, db => sqlx::query_scalar(OF_NETWORK).bind(network.as_bytes()).fetch_one(db).await?);
            if unused >= i64::from(most) {
                return Ok(Registered::TooManyOfNetwork);
            }
        }
        if let Some(token) = self.let_by {
            let used = run!(conn, db => sqlx::query(USE).bind(token).bind(self.event.at).execute(db).await?.rows_affected());
            if used == 0 {
                return Ok(Registered::TokenSpent);
            }
        }
        if insert_client(conn, client).await? == Saved::Conflict {
            return Err(Error::internal("a random client id was taken"));
        }
        run!(conn, db => sqlx::query(OWN)
            .bind(client.id.as_str())
            .bind(self.registration_access_token.as_bytes())
            .bind(client.unused_until)
            .bind(self.network.as_ref().map(|(network, _)| network.as_bytes()))
            .execute(db).await.map(drop)?);
        audit_events::insert(conn, &self.event).await?;
        Ok(Registered::Done)
    }
}

/// Replaces what a client registered (RFC 7592 §2.2), unless anything of it changed since it was read; with other `secrets` than before, these are the only ones.
pub(crate) struct ReplaceRegistration {
    pub update: UpdateClient,
    /// None, if the client keeps those that it has.
    pub secrets: Option<Vec<ClientSecret>>,
}

impl Verb for ReplaceRegistration {
    type Told = Swapped;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Swapped> {
        // Locks the row, too, until all of it is written.
        const REVISE: &str = "UPDATE clients SET revision = revision + 1 \
             WHERE id = $1 AND revision = $2 AND declared_in IS NULL AND disabled_at IS NULL AND trust = 'self_registered'";
        const FORGET: &str = "DELETE FROM client_secrets WHERE client_id = $1";
        let (id, revision) = (&self.update.client.id, self.update.client.revision);
        let revised = run!(conn, db => sqlx::query(REVISE).bind(id.as_str()).bind(revision).execute(db).await?.rows_affected());
        if revised == 0 || self.update.run(conn).await? == Saved::Conflict {
            return Ok(Swapped::Missed);
        }
        if let Some(secrets) = &self.secrets {
            run!(conn, db => sqlx::query(FORGET).bind(id.as_str()).execute(db).await.map(drop)?);
            for secret in secrets {
                insert_secret(conn, id, secret).await?;
            }
        }
        Ok(Swapped::Done)
    }
}

/// Notes that a client obtained its first token: it stays.
pub(crate) struct KeepClient {
    pub client_id: ClientId,
}

impl Verb for KeepClient {
    type Told = Swapped;
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Swapped> {
        const KEEP: &str = "UPDATE clients SET unused_until = NULL, unused_from = NULL WHERE id = $1 AND unused_until IS NOT NULL";
        let kept = run!(conn, db => sqlx::query(KEEP).bind(self.client_id.as_str()).execute(db).await?.rows_affected());
        Ok(Swapped::from_rows(kept))
    }
}

/// Deletes a client that is still without a token, with the codes that it did not redeem.
pub(crate) struct DeleteUnusedClient {
    pub client_id: ClientId,
    pub event: AuditEvent,
}

impl Verb for DeleteUnusedClient {
    type Told = Swapped;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Swapped> {
        const DELETE: &str = "DELETE FROM clients WHERE id = $1 AND unused_until < $2 AND declared_in IS NULL";
        const CODES: &str = "DELETE FROM authorization_codes WHERE client_id = $1";
        let id = self.client_id.as_str();
        let deleted = run!(conn, db => sqlx::query(DELETE).bind(id).bind(self.event.at).execute(db).await?.rows_affected());
        if deleted > 0 {
            run!(conn, db => sqlx::query(CODES).bind(id).execute(db).await.map(drop)?);
            audit_events::insert(conn, &self.event).await?;
        }
        Ok(Swapped::from_rows(deleted))
    }
}

/// Makes a token with which clients may be registered.
pub(crate) struct InsertRegistrationToken {
    pub token: RegistrationToken,
    pub hash: SecretHash,
    pub event: AuditEvent,
}

impl Verb for InsertRegistrationToken {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const INSERT: &str = "INSERT INTO registration_tokens (id, hash, uses_left, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)";
        let RegistrationToken { id, uses_left, created_at, expires_at } = self.token;
        run!(conn, db => sqlx::query(INSERT)
            .bind(id)
            .bind(self.hash.as_bytes())
            .bind(uses_left)
            .bind(created_at)
            .bind(expires_at)
            .execute(db).await.map(drop)?);
        audit_events::insert(conn, &self.event).await
    }
}

/// Ends a token with which clients may be registered. What it let register stays.
pub(crate) struct RevokeRegistrationToken {
    pub id: Uuid,
    pub event: AuditEvent,
}

impl Verb for RevokeRegistrationToken {
    type Told = Saved;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Saved> {
        const DELETE: &str = "DELETE FROM registration_tokens WHERE id = $1";
        let deleted = run!(conn, db => sqlx::query(DELETE).bind(self.id).execute(db).await?.rows_affected());
        if deleted > 0 {
            audit_events::insert(conn, &self.event).await?;
        }
        Ok(Saved::from_rows(deleted))
    }
}
