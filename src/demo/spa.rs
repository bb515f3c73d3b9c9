//! The sample single-page app: one static page with its script, on an origin of its own. All that it does, it does in the browser.

use std::sync::Arc;

use anyhow::Context as _;
use askama::Template;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use rust_i18n::t;
use url::Url;

use super::api::READ;
use super::guard::{self, HEADERS};
use super::pages::STYLE;

const SCRIPT: &str = include_str!("../../static/demo_spa.js");

/// What the app must be told; its script discovers the rest.
pub struct SinglePageApp {
    /// The authorization server, exactly as it calls itself.
    pub issuer: String,
    /// A public client: whatever is in a page, whoever opens it can read.
    pub client_id: String,
    /// Where browsers find the app, such as `http://127.0.0.1:8082`.
    pub base_url: String,
    /// Where the API is that it calls.
    pub api_url: String,
}

#[derive(Template)]
#[template(path = "demo/spa.html")]
struct Page<'a> {
    issuer: &'a str,
    client_id: &'a str,
    api_url: &'a str,
}

struct Site {
    base_url: Url,
    policy: HeaderValue,
}

impl SinglePageApp {
    /// The redirect URI to register for an app at `base_url`: the page itself.
    pub fn redirect_uri(base_url: &str) -> String {
        format!("{}/", base_url.trim_end_matches('/'))
    }

    /// # Errors
    ///
    /// If one of the URLs is none, or the page cannot be rendered.
    pub fn router(self) -> anyhow::Result<Router> {
        let page = Page { issuer: &self.issuer, client_id: &self.client_id, api_url: &self.api_url }.render()?;
        let site = Site { base_url: self.base_url.parse().context("the SPA's base URL is not a URL")?, policy: self.policy()? };
        let site = Arc::new(site);
        Ok(Router::new()
            .route("/", get(|| async { Html(page) }))
            .route("/app.js", get(|| async { file("text/javascript; charset=utf-8", SCRIPT) }))
            .route("/style.css", get(|| async { file("text/css; charset=utf-8", STYLE) }))
            .layer(middleware::from_fn_with_state(site, guard_site)))
    }

    /// Scripts of this origin only, which may ask these two servers only: what gets in has no way to send a token out.
    fn policy(&self) -> anyhow::Result<HeaderValue> {
        let origin = |url: &str| Ok::<_, url::ParseError>(Url::parse(url)?.origin().ascii_serialization());
        let (server, api) = (origin(&self.issuer)?, origin(&self.api_url)?);
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src {server} {api}; form-action 'none'; \
             base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
        );
        Ok(HeaderValue::try_from(policy)?)
    }
}

fn file(content_type: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

async fn guard_site(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let mut response = if guard::names_this_host(&site.base_url, request.headers()) {
        next.run(request).await
    } else {
        guard::elsewhere(&site.base_url, &request)
    };
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, site.policy.clone());
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use tower::ServiceExt as _;

    use super::*;

    async fn get(host: &str, path: &str) -> Response {
        let app = SinglePageApp {
            issuer: "http://127.0.0.1:8080/a".to_owned(),
            client_id: "sample-spa".to_owned(),
            base_url: "http://127.0.0.1:8082".to_owned(),
            api_url: "http://127.0.0.1:8083".to_owned(),
        };
        let request = Request::get(path).header("host", host).body(Body::empty()).unwrap();
        app.router().unwrap().oneshot(request).await.unwrap()
    }

    /// Whatever script gets into the page, there is nowhere to send a token to.
    #[tokio::test]
    async fn the_page_may_ask_the_server_and_the_api_and_nobody_else() {
        for path in ["/", "/app.js", "/nowhere"] {
            let response = get("127.0.0.1:8082", path).await;
            let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.contains("connect-src http://127.0.0.1:8080 http://127.0.0.1:8083;"), "{policy}");
            assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
            assert_eq!(response.headers()["referrer-policy"], "same-origin");
        }
    }

    /// The redirect URI is registered for one host, and `localhost` is another.
    #[tokio::test]
    async fn another_name_of_this_machine_leads_to_the_registered_one() {
        let response = get("localhost:8082", "/").await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()[header::LOCATION], "http://127.0.0.1:8082/");
    }

    #[test]
    fn the_script_is_one_that_a_person_reads_in_one_go() {
        assert!(SCRIPT.lines().count() < 100);
        for forbidden in ["innerHTML", "localStorage", "eval", "import"] {
            assert!(!SCRIPT.contains(forbidden), "{forbidden}");
        }
    }
}
