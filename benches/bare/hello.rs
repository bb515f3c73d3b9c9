//! `hello`: what the HTTP stack alone costs.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Form, Router};

const SMALL: &str = r#"{"hello":"world"}"#;

/// `GET /` and `POST /`, the latter answering with `size` bytes.
pub fn router(size: usize) -> Router {
    let frame = r#"{"hello":""}"#.len();
    let document = format!(r#"{{"hello":"{}"}}"#, "x".repeat(size.saturating_sub(frame)));
    Router::new().route("/", get(small).post(sized)).with_state(Arc::from(document))
}

async fn small() -> Response {
    ([(CONTENT_TYPE, "application/json")], SMALL).into_response()
}

async fn sized(State(document): State<Arc<str>>, Form(params): Form<Vec<(String, String)>>) -> Response {
    // What was parsed is looked at, as every token endpoint does first.
    if !params.iter().any(|(name, _)| name == "grant_type") {
        return StatusCode::BAD_REQUEST.into_response();
    }
    ([(CONTENT_TYPE, "application/json")], document.to_string()).into_response()
}
