//! For whoever runs the server: is it alive, can it answer.

use axum::extract::State;
use http::StatusCode;

use crate::server::Server;

/// `GET /health/live`: the process answers.
pub(crate) async fn live() -> &'static str {
    "live\n"
}

/// `GET /health/ready`: the database answers, too.
pub(crate) async fn ready(State(server): State<Server>) -> (StatusCode, &'static str) {
    match server.store().ping().await {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n"),
    }
}
