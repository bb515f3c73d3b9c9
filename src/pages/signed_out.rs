//! What a person sees after signing out.

use axum::{extract::RawQuery, response::Response};

use super::{error::PageError, render, views::SignedOut};
use crate::{
    oauth::Params,
    web::{
        headers::{ContentPolicy, see_other},
        page::Page,
        session::Browser,
    },
};

/// `GET /signed-out`
pub(crate) async fn get(RawQuery(query): RawQuery, page: Page, browser: Browser) -> Result<Response, PageError> {
    // Whoever links here must not make people believe it.
    if browser.session.is_some() {
        return Ok(see_other("/account")?);
    }
    let everywhere = Params::parse(&query.unwrap_or_default()).get("everywhere").is_some();
    Ok(render(&SignedOut { page: &page, everywhere }, ContentPolicy::Flow)?)
}
