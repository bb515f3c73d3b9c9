//! What a person sees after signing out.

use axum::response::Response;

use super::{PAGE, error::PageError, render, views::SignedOut};
use crate::web::headers::ContentPolicy;

/// `GET /signed-out`
pub(crate) async fn get() -> Result<Response, PageError> {
    Ok(render(&SignedOut { page: PAGE }, ContentPolicy::Flow)?)
}
