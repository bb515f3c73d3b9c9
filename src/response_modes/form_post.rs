//! The page that posts an authorization response (OAuth 2.0 Form Post Response Mode §2).

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use rust_i18n::t;

use crate::{
    error::{Error, Result},
    oauth::ReturnAddress,
    web::{
        assets::asset,
        headers::{ContentPolicy, protect_page},
        page::Page,
    },
};

pub(super) fn send(page: &Page, return_address: &ReturnAddress, params: &[(&'static str, &str)]) -> Result<Response> {
    let html = FormPost { page, action: return_address.as_str(), fields: params }.render().map_err(Error::internal)?;
    Ok(protect_page(Html(html).into_response(), ContentPolicy::FormPost))
}

/// Posts `fields` to `action` by itself, or by its button where scripts are off.
/// Its one script needs `script-src 'self'` in the page's policy.
#[derive(Template)]
#[template(path = "form_post.html")]
struct FormPost<'a> {
    page: &'a Page,
    /// The redirect URI, exactly.
    action: &'a str,
    fields: &'a [(&'a str, &'a str)],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::language::Language;

    #[test]
    fn values_cannot_leave_their_attributes() {
        let page = Page::new(Language::ENGLISH, "");
        let html = FormPost { page: &page, action: "https://app.example/?a=\"b&c='d'", fields: &[("state", "\"><script>")] }
            .render()
            .expect("a page");

        assert!(html.contains(r#"action="https://app.example/?a=&#34;b&#38;c=&#39;d&#39;""#), "{html}");
        assert!(html.contains(r#"name="state" value="&#34;&#62;&#60;script&#62;""#), "{html}");
        assert_eq!(html.matches("<script").count(), 1);
    }
}
