//! The token endpoint (OAuth 2.1 §3.2).

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};

use crate::{
    grants::{self, TokenRequest},
    server::Server,
    web::{
        client_request::ClientRequest,
        json_error::{JsonError, no_store},
    },
};

/// `POST /oauth/token`
pub(crate) async fn post(State(server): State<Server>, request: ClientRequest) -> Result<Response, JsonError> {
    let ClientRequest { client, params, origin } = request;
    let tokens = grants::exchange(&server, &TokenRequest { client, params: &params, origin }).await?;
    Ok(no_store(Json(tokens).into_response()))
}
