//! `rotate`: the least a refresh can cost. One SELECT, one compare-and-set, one signature.

use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::chains::{self, Chain, Chains};
use super::token::{Claims, Key};

/// What both bare servers with a database hold.
pub struct Bench {
    pub chains: Chains,
    pub key: Key,
}

#[derive(Deserialize)]
struct Params {
    grant_type: String,
    refresh_token: String,
}

/// A token response (OAuth 2.1 §3.2.3).
#[derive(Serialize)]
pub struct Tokens {
    access_token: String,
    token_type: &'static str,
    expires_in: u32,
    refresh_token: String,
    scope: String,
}

/// `POST /` rotates; `GET /chain/{number}` gives a chain's current tokens, to begin with.
pub async fn router(database_url: &str) -> anyhow::Result<Router> {
    let bench = Bench::open(database_url).await?;
    Ok(Router::new().route("/", post(rotate)).route("/chain/{number}", get(current)).with_state(Arc::new(bench)))
}

impl Bench {
    pub async fn open(database_url: &str) -> anyhow::Result<Self> {
        Ok(Self { chains: Chains::open(database_url).await?, key: Key::generate()? })
    }

    fn tokens(&self, id: Uuid, chain: Chain, generation: i64) -> anyhow::Result<Tokens> {
        let now = u64::try_from(chains::now())?;
        let access_token = self.key.sign(&Claims {
            iss: "http://127.0.0.1:8080",
            sub: chain.person_id,
            aud: "http://127.0.0.1:8080",
            client_id: &chain.client_id,
            scope: &chain.scope,
            jti: Uuid::new_v4(),
            gid: id,
            iat: now,
            exp: now + 3600,
        })?;
        Ok(Tokens {
            access_token,
            token_type: "Bearer",
            expires_in: 600,
            refresh_token: format!("{}.{generation}", id.simple()),
            scope: chain.scope,
        })
    }
}

pub async fn current(State(bench): State<Arc<Bench>>, Path(number): Path<u32>) -> Result<Json<Tokens>, (StatusCode, String)> {
    let id = chains::id(number);
    let chain = bench.chains.chain(id).await.map_err(fault)?;
    let chain = chain.ok_or((StatusCode::NOT_FOUND, format!("there are {} chains", chains::CHAINS)))?;
    let generation = chain.generation;
    bench.tokens(id, chain, generation).map(Json).map_err(fault)
}

async fn rotate(State(bench): State<Arc<Bench>>, Form(params): Form<Params>) -> Result<Json<Tokens>, (StatusCode, String)> {
    let refused = |why: &str| (StatusCode::BAD_REQUEST, why.to_owned());
    if params.grant_type != "refresh_token" {
        return Err(refused("unsupported_grant_type"));
    }
    let (id, generation) = parse(&params.refresh_token).map_err(|_| refused("malformed"))?;
    let chain = bench.chains.chain(id).await.map_err(fault)?.ok_or_else(|| refused("unknown"))?;
    if chain.generation != generation || chain.revoked_at.is_some() {
        return Err(refused("not the current token"));
    }
    if !bench.chains.rotate(id, generation).await.map_err(fault)? {
        return Err(refused("rotated meanwhile"));
    }
    bench.tokens(id, chain, generation + 1).map(Json).map_err(fault)
}

fn parse(refresh_token: &str) -> anyhow::Result<(Uuid, i64)> {
    let (id, generation) = refresh_token.split_once('.').context("two parts")?;
    Ok((Uuid::try_parse(id)?, generation.parse()?))
}

pub fn fault(error: impl Into<anyhow::Error>) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{:#}", error.into()))
}
