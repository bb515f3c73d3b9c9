//! `clients`.

use std::time::Duration;

use sqlx::{FromRow, types::Json};

use super::{
    Saved, Store, audit_events,
    backend::{Conn, Extent, Verb, read, run},
    client_secrets::{SecretRow, insert_secret, release_secrets, select_secrets},
};
use crate::{
    audit::AuditEvent,
    clock::Timestamp,
    error::{Error, Result},
    oauth::{Client, ClientId, ClientMetadata, GrantType, RedirectUri, Resource, Scope, client::RefreshRotation},
};

#[derive(FromRow)]
pub(super) struct ClientRow {
    id: String,
    name: String,
    client_type: String,
    application_type: String,
    redirect_uris: Json<Vec<RedirectUri>>,
    grant_types: Json<Vec<GrantType>>,
    scope: String,
    resources: Json<Vec<Resource>>,
    introspects: Json<Vec<Resource>>,
    first_party_at: Option<Timestamp>,
    trust: String,
    refresh_rotation: String,
    created_at: Timestamp,
    disabled_at: Option<Timestamp>,
    tokens_not_before: Option<Timestamp>,
    declared_in: Option<String>,
    metadata: Json<ClientMetadata>,
    unused_until: Option<Timestamp>,
    revision: i64,
}

impl ClientRow {
    /// Refuses a row that makes no sense.
    pub(super) fn into_client(self, secrets: Vec<SecretRow>) -> Result<Client> {
        let nonsense = |column: &str| Error::internal(format!("the row of client '{}' makes no sense: {column}", self.id));
        let mut client = Client {
            id: ClientId::parse(&self.id).map_err(|_| nonsense("id"))?,
            client_type: word(&self.client_type).ok_or_else(|| nonsense("client_type"))?,
            application_type: word(&self.application_type).ok_or_else(|| nonsense("application_type"))?,
            scope: Scope::parse(&self.scope).map_err(|_| nonsense("scope"))?,
            trust: word(&self.trust).ok_or_else(|| nonsense("trust"))?,
            refresh_rotation: word(&self.refresh_rotation).ok_or_else(|| nonsense("refresh_rotation"))?,
            name: self.name,
            redirect_uris: self.redirect_uris.0,
            grant_types: self.grant_types.0,
            resources: self.resources.0,
            introspects: self.introspects.0,
            first_party: self.first_party_at.is_some(),
            created_at: self.created_at,
            disabled_at: self.disabled_at,
            tokens_not_before: self.tokens_not_before,
            declared_in: self.declared_in,
            metadata: self.metadata.0,
            unused_until: self.unused_until,
            revision: self.revision,
            secrets: Vec::with_capacity(secrets.len()),
            secret_overlap: Duration::ZERO,
        };
        for row in secrets {
            client.secrets.push(row.into_secret(&client.id)?);
        }
        Ok(client)
    }
}

/// A unit variant by its serde name.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(text.into()).ok()
}

impl RefreshRotation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Rotate => "rotate",
            Self::Keep => "keep",
        }
    }
}

/// Columns by name: a statement prepared before a migration added one must go on working.
macro_rules! client_columns {
    () => {
        "id, name, client_type, application_type, redirect_uris, grant_types, scope, resources, introspects, first_party_at, \
         trust, refresh_rotation, created_at, disabled_at, tokens_not_before, declared_in, metadata, unused_until, revision"
    };
}
pub(super) use client_columns;

macro_rules! select_client {
    ($which:literal) => {
        concat!("SELECT ", client_columns!(), " FROM clients ", $which)
    };
}

impl Store {
    /// A client with its secrets, enabled or not.
    pub(crate) async fn client(&self, id: &ClientId) -> Result<Option<Client>> {
        const CLIENT: &str = select_client!("WHERE id = $1");
        let row: Option<ClientRow> = read!(self, db => sqlx::query_as(CLIENT).bind(id.as_str()).fetch_optional(db).await?);
        let Some(row) = row else { return Ok(None) };
        let secrets: Vec<SecretRow> = read!(self, db => sqlx::query_as(select_secrets!()).bind(id.as_str()).fetch_all(db).await?);
        row.into_client(secrets).map(Some)
    }

    /// Every client without its secrets, by age.
    pub(crate) async fn clients(&self) -> Result<Vec<Client>> {
        const CLIENTS: &str = select_client!("ORDER BY created_at, id");
        let rows: Vec<ClientRow> = read!(self, db => sqlx::query_as(CLIENTS).fetch_all(db).await?);
        rows.into_iter().map(|row| row.into_client(Vec::new())).collect()
    }
}

impl Store {
    /// The clients that a file declares, without their secrets.
    pub(crate) async fn declared_clients(&self) -> Result<Vec<Client>> {
        const CLIENTS: &str = select_client!("WHERE declared_in IS NOT NULL ORDER BY id");
        let rows: Vec<ClientRow> = read!(self, db => sqlx::query_as(CLIENTS).fetch_all(db).await?);
        rows.into_iter().map(|row| row.into_client(Vec::new())).collect()
    }
}

/// Registers a client with its secrets.
pub(crate) struct InsertClient {
    pub client: Client,
    pub event: AuditEvent,
}

impl Verb for InsertClient {
    type Told = Saved;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Saved> {
        let saved = insert_client(conn, &self.client).await?;
        if saved == Saved::Done {
            audit_events::insert(conn, &self.event).await?;
        }
        Ok(saved)
    }
}

/// Writes a client with its secrets, unless there is one of this id.
pub(super) async fn insert_client(conn: &mut Conn<'_>, client: &Client) -> Result<Saved> {
    const INSERT: &str = "INSERT INTO clients (id, name, client_type, application_type, redirect_uris, grant_types, scope, resources, introspects, \
         first_party_at, trust, refresh_rotation, created_at, disabled_at, tokens_not_before, declared_in, metadata) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT (id) DO NOTHING";
    let inserted = run!(conn, db => sqlx::query(INSERT)
        .bind(client.id.as_str())
        .bind(&client.name)
        .bind(client.client_type.as_str())
        .bind(client.application_type.as_str())
        .bind(Json(&client.redirect_uris))
        .bind(Json(&client.grant_types))
        .bind(client.scope.to_string())
        .bind(Json(&client.resources))
        .bind(Json(&client.introspects))
        .bind(client.first_party.then_some(client.created_at))
        .bind(client.trust.as_str())
        .bind(client.refresh_rotation.as_str())
        .bind(client.created_at)
        .bind(client.disabled_at)
        .bind(client.tokens_not_before)
        .bind(&client.declared_in)
        .bind(Json(&client.metadata))
        .execute(db).await?.rows_affected());
    if inserted == 0 {
        return Ok(Saved::Conflict);
    }
    for secret in &client.secrets {
        insert_secret(conn, &client.id, secret).await?;
    }
    Ok(Saved::Done)
}

/// Replaces what an operator can change of a client: everything but its id, type, secrets and state. Secrets of a client that no
/// file declares are no file's either.
pub(crate) struct UpdateClient {
    pub client: Client,
    pub event: AuditEvent,
}

impl Verb for UpdateClient {
    type Told = Saved;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Saved> {
        const UPDATE: &str = "UPDATE clients SET name = $2, application_type = $3, redirect_uris = $4, grant_types = $5, scope = $6, resources = $7, \
             introspects = $8, first_party_at = $9, refresh_rotation = $10, declared_in = $11, metadata = $12, \
             revision = revision + 1 WHERE id = $1";
        let client = &self.client;
        let updated = run!(conn, db => sqlx::query(UPDATE)
            .bind(client.id.as_str())
            .bind(&client.name)
            .bind(client.application_type.as_str())
            .bind(Json(&client.redirect_uris))
            .bind(Json(&client.grant_types))
            .bind(client.scope.to_string())
            .bind(Json(&client.resources))
            .bind(Json(&client.introspects))
            .bind(client.first_party.then_some(self.event.at))
            .bind(client.refresh_rotation.as_str())
            .bind(&client.declared_in)
            .bind(Json(&client.metadata))
            .execute(db).await?.rows_affected());
        if client.declared_in.is_none() {
            release_secrets(conn, &client.id).await?;
        }
        if updated > 0 {
            audit_events::insert(conn, &self.event).await?;
        }
        Ok(Saved::from_rows(updated))
    }
}

/// Disables a client, which ends what was issued to it, or enables it again.
pub(crate) struct SetClientDisabled {
    pub client_id: ClientId,
    pub disabled: bool,
    pub event: AuditEvent,
}

impl Verb for SetClientDisabled {
    type Told = Saved;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Saved> {
        const DISABLE: &str = "UPDATE clients SET disabled_at = $2, tokens_not_before = $2, revision = revision + 1 WHERE id = $1";
        const ENABLE: &str = "UPDATE clients SET disabled_at = NULL, revision = revision + 1 WHERE id = $1";
        // `tokens_not_before` alone would trust that the clocks of all machines agree.
        const DELETE_CODES: &str = "DELETE FROM authorization_codes WHERE client_id = $1";
        const REVOKE: &str = "UPDATE grants SET revoked_at = $2 WHERE client_id = $1 AND revoked_at IS NULL";
        let id = self.client_id.as_str();
        let updated = if self.disabled {
            let updated = run!(conn, db => sqlx::query(DISABLE).bind(id).bind(self.event.at).execute(db).await?.rows_affected());
            run!(conn, db => sqlx::query(DELETE_CODES).bind(id).execute(db).await.map(drop)?);
            run!(conn, db => sqlx::query(REVOKE).bind(id).bind(self.event.at).execute(db).await.map(drop)?);
            updated
        } else {
            run!(conn, db => sqlx::query(ENABLE).bind(id).execute(db).await?.rows_affected())
        };
        if updated > 0 {
            audit_events::insert(conn, &self.event).await?;
        }
        Ok(Saved::from_rows(updated))
    }
}

/// Deletes a client and everything that was issued to it. Its audit events stay.
pub(crate) struct DeleteClient {
    pub client_id: ClientId,
    pub event: AuditEvent,
}

impl Verb for DeleteClient {
    type Told = Saved;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Saved> {
        const DELETES: [&str; 3] = [
            "DELETE FROM authorization_codes WHERE client_id = $1",
            "DELETE FROM grants WHERE client_id = $1",
            "DELETE FROM session_clients WHERE client_id = $1",
        ];
        let id = self.client_id.as_str();
        for delete in DELETES {
            run!(conn, db => sqlx::query(delete).bind(id).execute(db).await.map(drop)?);
        }
        let deleted = run!(conn, db => sqlx::query("DELETE FROM clients WHERE id = $1").bind(id).execute(db).await?.rows_affected());
        if deleted > 0 {
            audit_events::insert(conn, &self.event).await?;
        }
        Ok(Saved::from_rows(deleted))
    }
}

#[cfg(test)]
mod tests;
