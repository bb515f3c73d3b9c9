//! The pages that people see: one file per page, named like its template.

pub(crate) mod account;
pub(crate) mod consent;
pub(crate) mod error;
pub(crate) mod flow;
pub(crate) mod login;
pub(crate) mod select_account;
pub(crate) mod sign_out;
pub(crate) mod signed_out;
pub(crate) mod signup;

mod browser_name;
mod sentence;
mod views;
mod words;

use askama::Template;
use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use http::{HeaderMap, Method};

use crate::{
    error::{Error, Result},
    oauth::Params,
    server::Server,
    web::{
        assets, cross_site,
        form::{self, NoForm},
        headers::{ContentPolicy, protect_page, see_other},
    },
};
use error::PageError;
use views::ErrorKind;

/// `GET /`: whoever comes without being sent by an app wants to see their account.
pub(crate) async fn home() -> Result<Response, PageError> {
    Ok(see_other("/account")?)
}

/// Renders a page with the headers that protect it.
fn render(template: &impl Template, policy: ContentPolicy) -> Result<Response> {
    let html = template.render().map_err(Error::internal)?;
    Ok(protect_page(Html(html).into_response(), policy))
}

/// `GET /assets/{name}`
pub(crate) async fn asset(name: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Result<Response, PageError> {
    name.ok().and_then(|Path(name)| assets::get(&name, &headers)).ok_or_else(PageError::not_found)
}

/// Reads the form that a page posts.
pub(crate) async fn form(server: &Server, request: Request) -> Result<Params, PageError> {
    form::read(server, request).await.map_err(|no_form| match no_form {
        NoForm::TooLarge => PageError::of(ErrorKind::TooLarge),
        NoForm::NotAForm | NoForm::Cut => PageError::for_developer(NoForm::remedy()),
    })
}

/// Refuses every form that was not posted from our own pages.
pub(crate) async fn refuse_cross_site(State(server): State<Server>, request: Request, next: Next) -> Response {
    if request.method() == Method::POST && !cross_site::is_same_site(request.headers(), &server.config().issuer) {
        return PageError::of(ErrorKind::CrossSite).into_response();
    }
    next.run(request).await
}
