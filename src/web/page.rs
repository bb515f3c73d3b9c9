//! What every page is told about itself.

use std::{borrow::Cow, convert::Infallible, sync::Arc};

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, request::Parts};
use rust_i18n::t;

use super::language::Language;
use crate::server::Server;

tokio::task_local! {
    static CURRENT: Page;
}

/// The language of a page, and where the pages live. Handlers receive it as an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// BCP 47 tag: the `lang` attribute, and the file in `locales/`.
    pub(crate) lang: &'static str,
    /// `ltr` or `rtl`.
    pub(crate) dir: Cow<'static, str>,
    /// The path of the issuer without a trailing slash, before every address of ours; mostly empty.
    pub(crate) base: Arc<str>,
}

impl Page {
    pub(crate) fn new(language: Language, base: &str) -> Self {
        Self { lang: language.tag(), dir: t!("language.dir", locale = language.tag()), base: base.into() }
    }

    /// The same in the first of these languages that is here.
    #[must_use]
    pub(crate) fn in_one_of<'a>(&self, tags: impl Iterator<Item = &'a str>) -> Self {
        Language::preferred(tags).map_or_else(|| self.clone(), |language| Self::new(language, &self.base))
    }

    fn asked_for(headers: &HeaderMap, server: &Server) -> Self {
        Self::new(Language::asked_for(headers), server.config().issuer.path())
    }

    /// The one of the request that this task answers, for errors, which are told where the request is no longer at hand.
    pub(crate) fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_else(|_| Self::new(Language::ENGLISH, ""))
    }
}

impl FromRequestParts<Server> for Page {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, Infallible> {
        Ok(Self::asked_for(&parts.headers, server))
    }
}

/// Around every route that people visit, outside of whatever may fail.
pub(crate) async fn around(State(server): State<Server>, request: Request, next: Next) -> Response {
    let page = Page::asked_for(request.headers(), &server);
    CURRENT.scope(page, next.run(request)).await
}
