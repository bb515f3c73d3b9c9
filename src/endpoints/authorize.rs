//! The authorization endpoint (OAuth 2.1 §3.1, §4.1.1).

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use http::StatusCode;

use crate::{
    oauth::Params,
    pages::{error::PageError, flow},
    server::Server,
    web::{page::Page, session::Browser},
};

/// `GET /oauth/authorize`
pub(crate) async fn get(
    State(server): State<Server>,
    RawQuery(query): RawQuery,
    page: Page,
    browser: Browser,
) -> Result<Response, PageError> {
    flow::begin(&server, &page, &Params::parse(&query.unwrap_or_default()), &browser).await
}

/// `HEAD /oauth/authorize`: asks nothing and issues nothing.
pub(crate) async fn head() -> StatusCode {
    StatusCode::NO_CONTENT
}
