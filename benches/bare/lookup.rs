//! `lookup`: the least an introspection can cost. One ES256 verification, one SELECT.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::chains;
use super::rotate::{Bench, current, fault};
use super::token::Claims;

#[derive(Deserialize)]
struct Params {
    token: String,
}

/// An introspection response (RFC 7662 §2.2).
#[derive(Serialize)]
struct Introspection {
    active: bool,
    iss: String,
    sub: Uuid,
    aud: String,
    client_id: String,
    scope: String,
    jti: Uuid,
    iat: u64,
    exp: u64,
}

/// `POST /` looks a token up; `GET /chain/{number}` gives one to look up.
pub async fn router(database_url: &str) -> anyhow::Result<Router> {
    let bench = Bench::open(database_url).await?;
    Ok(Router::new().route("/", post(lookup)).route("/chain/{number}", get(current)).with_state(Arc::new(bench)))
}

async fn lookup(State(bench): State<Arc<Bench>>, Form(params): Form<Params>) -> Result<Json<Introspection>, (StatusCode, String)> {
    let claims = bench.key.verify(&params.token).map_err(|_| (StatusCode::BAD_REQUEST, "forged".to_owned()))?;
    let claims: Claims<'_> = serde_json::from_slice(&claims).map_err(fault)?;
    let chain = bench.chains.chain(claims.gid).await.map_err(fault)?;
    let live = chain.is_some_and(|chain| chain.revoked_at.is_none());
    Ok(Json(Introspection {
        active: live && claims.exp > u64::try_from(chains::now()).map_err(fault)?,
        iss: claims.iss.to_owned(),
        sub: claims.sub,
        aud: claims.aud.to_owned(),
        client_id: claims.client_id.to_owned(),
        scope: claims.scope.to_owned(),
        jti: claims.jti,
        iat: claims.iat,
        exp: claims.exp,
    }))
}
