//! The pages that people see: one file per page, named like its template.

pub(crate) mod account;
pub(crate) mod consent;
pub(crate) mod error;
pub(crate) mod flow;
pub(crate) mod login;
pub(crate) mod signed_out;

mod browser_name;
mod sentence;
mod views;

use askama::Template;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use http::Method;

use crate::{
    error::{Error, Result},
    oauth::Params,
    server::Server,
    web::{
        cross_site,
        form::{self, NoForm},
        headers::{ContentPolicy, protect_page},
        page::Page,
    },
};
use error::PageError;
use views::ErrorKind;

/// The language of every page so far.
pub(crate) const PAGE: Page<'static> = Page::english("");

/// Renders a page with the headers that protect it.
fn render(template: &impl Template, policy: ContentPolicy) -> Result<Response> {
    let html = template.render().map_err(Error::internal)?;
    Ok(protect_page(Html(html).into_response(), policy))
}

/// Reads the form that a page of ours posts.
async fn form(server: &Server, request: Request) -> Result<Params, PageError> {
    form::read(server, request).await.map_err(|no_form| match no_form {
        NoForm::TooLarge => PageError::of(ErrorKind::TooLarge),
        NoForm::NotAForm | NoForm::Cut => PageError::of(ErrorKind::BadRequest),
    })
}

/// Refuses every form that was not posted from our own pages.
pub(crate) async fn refuse_cross_site(State(server): State<Server>, request: Request, next: Next) -> Response {
    if request.method() == Method::POST && !cross_site::is_same_site(request.headers(), &server.config().issuer) {
        return PageError::of(ErrorKind::CrossSite).into_response();
    }
    next.run(request).await
}
