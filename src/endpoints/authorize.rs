//! The authorization endpoint (OAuth 2.1 §3.1, §4.1.1).

use axum::{
    extract::{RawQuery, Request, State},
    response::Response,
};
use http::StatusCode;

use crate::{
    oauth::Params,
    pages::{self, error::PageError, flow},
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

/// `POST /oauth/authorize` (`OpenID` Core §3.1.2.1): the parameters are the form's; a query of the URL is none of them.
pub(crate) async fn post(State(server): State<Server>, page: Page, request: Request) -> Result<Response, PageError> {
    let params = pages::form(&server, request).await?;
    flow::begin_by_post(&server, &page, &params).await
}

/// `HEAD /oauth/authorize`: asks nothing and issues nothing.
pub(crate) async fn head() -> StatusCode {
    StatusCode::NO_CONTENT
}
