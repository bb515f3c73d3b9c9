//! The token endpoint (OAuth 2.1 §3.2).

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::HeaderMap;

use crate::{
    client_auth,
    grants::{self, TokenRequest},
    oauth::metadata::paths,
    server::Server,
    web::{
        caller::Caller,
        form::Form,
        json_error::{JsonError, no_store},
        rate_limit,
    },
};

/// `POST /oauth/token`
pub(crate) async fn post(
    State(server): State<Server>,
    caller: Caller,
    headers: HeaderMap,
    Form(params): Form,
) -> Result<Response, JsonError> {
    let client = client_auth::authenticate(&server, &headers, &params).await?;
    rate_limit::count_client(&server, paths::TOKEN, &client, caller.origin.address)?;
    let tokens = grants::exchange(&server, &TokenRequest { client, params: &params, origin: caller.origin }).await?;
    Ok(no_store(Json(tokens).into_response()))
}
