//! `authorization_requests`: those too large to travel sealed in a URL.

use sqlx::types::Json;
use uuid::Uuid;

use super::{
    Store,
    backend::{Conn, Extent, Verb, read, run},
};
use crate::{clock::Timestamp, error::Result};

impl Store {
    /// The parameters kept under `id`, unless they expired.
    pub(crate) async fn authorization_request(&self, id: Uuid, now: Timestamp) -> Result<Option<Vec<(String, String)>>> {
        const SELECT: &str = "SELECT params FROM authorization_requests WHERE id = $1 AND expires_at > $2";
        let params: Option<Json<_>> = read!(self, db => sqlx::query_scalar(SELECT).bind(id).bind(now).fetch_optional(db).await?);
        Ok(params.map(|Json(params)| params))
    }
}

/// Keeps the parameters of a request.
pub(crate) struct InsertAuthorizationRequest {
    pub id: Uuid,
    pub params: Vec<(String, String)>,
    pub expires_at: Timestamp,
}

impl Verb for InsertAuthorizationRequest {
    type Told = ();
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const INSERT: &str = "INSERT INTO authorization_requests (id, params, expires_at) VALUES ($1, $2, $3)";
        run!(conn, db => sqlx::query(INSERT).bind(self.id).bind(Json(&self.params)).bind(self.expires_at).execute(db).await.map(drop)?);
        Ok(())
    }
}
