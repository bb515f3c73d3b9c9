//! `resources`: what is registered of them.

use std::time::Duration;

use sqlx::{FromRow, types::Json};

use super::{
    Saved, Store, audit_events,
    backend::{Conn, Extent, Verb, read, run},
    settings::{LONGEST_ACCESS_TOKEN_TTL, raise_setting},
};
use crate::{
    audit::AuditEvent,
    clock::Timestamp,
    error::{Error, Result},
    oauth::{Algorithm, ProtectedResource, Resource, Scope},
};

#[derive(FromRow)]
struct ResourceRow {
    uri: String,
    name: String,
    scope: Option<String>,
    access_token_ttl: Option<i64>,
    access_token_signing_alg: Option<String>,
    claims: Json<Vec<String>>,
    created_at: Timestamp,
    disabled_at: Option<Timestamp>,
    declared_in: Option<String>,
}

impl TryFrom<ResourceRow> for ProtectedResource {
    type Error = Error;

    /// Refuses a row that makes no sense.
    fn try_from(row: ResourceRow) -> Result<Self> {
        let nonsense = |column: &str| Error::internal(format!("the row of resource '{}' makes no sense: {column}", row.uri));
        let seconds = |seconds| u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs);
        Ok(Self {
            uri: Resource::parse(&row.uri).map_err(|_| nonsense("uri"))?,
            scope: row.scope.as_deref().map(Scope::parse).transpose().map_err(|_| nonsense("scope"))?,
            access_token_ttl: row.access_token_ttl.map(|ttl| seconds(ttl).ok_or_else(|| nonsense("access_token_ttl"))).transpose()?,
            access_token_signing_alg: row
                .access_token_signing_alg
                .as_deref()
                .map(|name| Algorithm::parse(name).ok_or_else(|| nonsense("access_token_signing_alg")))
                .transpose()?,
            name: row.name,
            claims: row.claims.0,
            created_at: row.created_at,
            disabled_at: row.disabled_at,
            declared_in: row.declared_in,
        })
    }
}

/// Columns by name: a statement prepared before a migration added one must go on working.
macro_rules! select_resource {
    ($which:literal) => {
        concat!(
            "SELECT uri, name, scope, access_token_ttl, access_token_signing_alg, claims, created_at, disabled_at, declared_in FROM resources ",
            $which
        )
    };
}

impl Store {
    /// What is registered of a resource.
    pub(crate) async fn resource(&self, uri: &Resource) -> Result<Option<ProtectedResource>> {
        const RESOURCE: &str = select_resource!("WHERE uri = $1");
        let row: Option<ResourceRow> = read!(self, db => sqlx::query_as(RESOURCE).bind(uri.as_str()).fetch_optional(db).await?);
        row.map(ProtectedResource::try_from).transpose()
    }

    /// Every registered resource, by age.
    pub(crate) async fn resources(&self) -> Result<Vec<ProtectedResource>> {
        const RESOURCES: &str = select_resource!("ORDER BY created_at, uri");
        let rows: Vec<ResourceRow> = read!(self, db => sqlx::query_as(RESOURCES).fetch_all(db).await?);
        rows.into_iter().map(ProtectedResource::try_from).collect()
    }
}

/// Binds the eight values that can change after the URI.
macro_rules! bind_resource {
    ($query:expr, $resource:expr) => {
        $query
            .bind($resource.uri.as_str())
            .bind(&$resource.name)
            .bind($resource.scope.as_ref().map(Scope::to_string))
            .bind(ttl($resource))
            .bind($resource.access_token_signing_alg.map(Algorithm::as_str))
            .bind(Json(&$resource.claims))
            .bind($resource.disabled_at)
            .bind(&$resource.declared_in)
    };
}

/// Registers a resource.
pub(crate) struct InsertResource {
    pub resource: ProtectedResource,
    pub event: AuditEvent,
}

impl Verb for InsertResource {
    type Told = Saved;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Saved> {
        const INSERT: &str = "INSERT INTO resources (uri, name, scope, access_token_ttl, access_token_signing_alg, claims, disabled_at, \
             declared_in, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (uri) DO NOTHING";
        let resource = &self.resource;
        let inserted = run!(conn, db => bind_resource!(sqlx::query(INSERT), resource)
            .bind(resource.created_at)
            .execute(db).await?.rows_affected());
        saved(conn, inserted, resource, &self.event).await
    }
}

/// Replaces everything about a resource but its URI and age.
pub(crate) struct UpdateResource {
    pub resource: ProtectedResource,
    pub event: AuditEvent,
}

impl Verb for UpdateResource {
    type Told = Saved;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Saved> {
        const UPDATE: &str = "UPDATE resources SET name = $2, scope = $3, access_token_ttl = $4, access_token_signing_alg = $5, claims = $6, \
             disabled_at = $7, declared_in = $8 WHERE uri = $1";
        let updated = run!(conn, db => bind_resource!(sqlx::query(UPDATE), &self.resource).execute(db).await?.rows_affected());
        saved(conn, updated, &self.resource, &self.event).await
    }
}

fn ttl(resource: &ProtectedResource) -> Option<i64> {
    resource.access_token_ttl.and_then(|ttl| i64::try_from(ttl.as_secs()).ok())
}

/// Notes the lifetime, for the keys that sign such tokens, and what happened.
async fn saved(conn: &mut Conn<'_>, rows: u64, resource: &ProtectedResource, event: &AuditEvent) -> Result<Saved> {
    if rows > 0 {
        if let Some(ttl) = ttl(resource) {
            raise_setting(conn, LONGEST_ACCESS_TOKEN_TTL, ttl).await?;
        }
        audit_events::insert(conn, event).await?;
    }
    Ok(Saved::from_rows(rows))
}

/// Forgets a resource. Clients that have it keep it, as one of which nothing is known.
pub(crate) struct DeleteResource {
    pub uri: Resource,
    pub event: AuditEvent,
}

impl Verb for DeleteResource {
    type Told = Saved;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Saved> {
        const DELETE: &str = "DELETE FROM resources WHERE uri = $1";
        let deleted = run!(conn, db => sqlx::query(DELETE).bind(self.uri.as_str()).execute(db).await?.rows_affected());
        if deleted > 0 {
            audit_events::insert(conn, &self.event).await?;
        }
        Ok(Saved::from_rows(deleted))
    }
}
