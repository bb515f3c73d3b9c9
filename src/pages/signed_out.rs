//! What a person sees after signing out.

use axum::response::Response;

use super::{error::PageError, render, views::SignedOut};
use crate::web::{headers::ContentPolicy, page::Page};

/// `GET /signed-out`
pub(crate) async fn get(page: Page) -> Result<Response, PageError> {
    Ok(render(&SignedOut { page: &page }, ContentPolicy::Flow)?)
}
