//! What holds for every request of the sample app: its own host, its own origin, strict headers.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use url::{Position, Url};

use super::{App, pages};

pub const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Middleware around all routes.
pub async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = if !names_this_host(&app.base_url, request.headers()) {
        elsewhere(&app.base_url, &request)
    } else if request.method().is_safe() || is_same_origin(&app, request.headers()) {
        next.run(request).await
    } else {
        pages::foreign_form()
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// The session cookie belongs to one host: `localhost` and `127.0.0.1` are two.
pub fn names_this_host(base_url: &Url, headers: &HeaderMap) -> bool {
    let host = &base_url[Position::BeforeHost..Position::AfterPort];
    headers.get(header::HOST).is_some_and(|value| value == host)
}

/// Leads to the same page at the host that it belongs to.
pub fn elsewhere(base_url: &Url, request: &Request) -> Response {
    if request.method() != Method::GET {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    }
    let mut url = base_url.clone();
    url.set_path(request.uri().path());
    url.set_query(request.uri().query());
    Redirect::to(url.as_str()).into_response()
}

/// Browsers say where a form comes from; what does not say so is refused.
fn is_same_origin(app: &App, headers: &HeaderMap) -> bool {
    match (headers.get("sec-fetch-site"), headers.get(header::ORIGIN)) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => *origin == *app.base_url.origin().ascii_serialization(),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use tower::ServiceExt as _;

    use super::*;
    use crate::demo::SampleApp;

    fn app() -> Router {
        let app = SampleApp {
            issuer: "http://127.0.0.1:8080".to_owned(),
            client_id: "sample-app".to_owned(),
            client_secret: "secret".to_owned(),
            base_url: "http://127.0.0.1:8081".to_owned(),
            scopes: Vec::new(),
            api_url: "http://127.0.0.1:8083".to_owned(),
            spa_url: "http://127.0.0.1:8082/".to_owned(),
            machine: ("sample-machine".to_owned(), "secret".to_owned()),
        };
        app.router().unwrap()
    }

    async fn ask(method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        app().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:8081");

    #[tokio::test]
    async fn every_page_carries_the_security_headers() {
        for path in ["/", "/signed-out", "/style.css", "/no-such-page"] {
            let response = ask(Method::GET, path, &[HOST]).await;
            for (name, value) in HEADERS {
                assert_eq!(response.headers()[&name], value, "{path} {name}");
            }
        }
    }

    #[tokio::test]
    async fn another_name_of_this_machine_leads_to_the_one_that_the_cookie_belongs_to() {
        let response = ask(Method::GET, "/signed-out?a=b", &[("host", "localhost:8081")]).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()[header::LOCATION], "http://127.0.0.1:8081/signed-out?a=b");
        let response = ask(Method::POST, "/sign-out", &[("host", "evil.example")]).await;
        assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);
    }

    #[tokio::test]
    async fn a_form_is_taken_from_the_apps_own_pages_only() {
        for (foreign, header) in [
            (false, ("sec-fetch-site", "same-origin")),
            (true, ("sec-fetch-site", "same-site")),
            (true, ("sec-fetch-site", "cross-site")),
            (true, ("sec-fetch-site", "none")),
            (false, ("origin", "http://127.0.0.1:8081")),
            (true, ("origin", "http://127.0.0.1:8080")),
            (true, ("origin", "null")),
            (true, ("accept", "*/*")),
        ] {
            let response = ask(Method::POST, "/sign-out", &[HOST, header]).await;
            assert_eq!(response.status() == StatusCode::FORBIDDEN, foreign, "{header:?}");
        }
    }

    #[tokio::test]
    async fn sign_out_removes_the_cookie() {
        let response = ask(Method::POST, "/sign-out", &[HOST, ("sec-fetch-site", "same-origin")]).await;
        let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
        assert!(cookie.starts_with("sample_app_8081=; ") && cookie.contains("Max-Age=0"), "{cookie}");
    }

    #[tokio::test]
    async fn without_a_session_there_are_no_tokens_to_see() {
        let response = ask(Method::GET, "/session", &[HOST]).await;
        assert_eq!(response.headers()[header::LOCATION], "/");
        let cookie = ("cookie", "sample_app_8081=4f8b6f6e-9f3b-4b5f-8f9f-2a1c7d1e9b10");
        let response = ask(Method::GET, "/session", &[HOST, cookie]).await;
        assert_eq!(response.headers()[header::LOCATION], "/");
    }
}
