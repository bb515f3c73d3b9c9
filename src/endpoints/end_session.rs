//! The logout endpoint (`OpenID` RP-Initiated Logout §2).

use axum::{
    extract::{RawQuery, Request, State},
    response::Response,
};

use crate::{
    oauth::Params,
    pages::{self, error::PageError, sign_out},
    server::Server,
    web::{caller::Caller, page::Page, session::Browser},
};

/// `GET /oauth/logout`
pub(crate) async fn get(
    State(server): State<Server>,
    RawQuery(query): RawQuery,
    caller: Caller,
    page: Page,
    browser: Browser,
) -> Result<Response, PageError> {
    sign_out::begin(&server, &caller, &page, browser, &Params::parse(&query.unwrap_or_default())).await
}

/// `POST /oauth/logout`: the parameters are the form's; a query of the URL is none of them.
pub(crate) async fn post(State(server): State<Server>, request: Request) -> Result<Response, PageError> {
    let params = pages::form(&server, request).await?;
    sign_out::begin_by_post(&server, &params).await
}
