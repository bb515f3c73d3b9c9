//! What is said of a whole group of routes.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tower::ServiceExt;

use super::*;
use crate::{
    clock::Clock,
    config::{Config, Sources},
};

async fn server(dir: &tempfile::TempDir, issuer: &str) -> Server {
    let settings = [("GRANTOR_DATA_DIR", dir.path().display().to_string()), ("GRANTOR_ISSUER", issuer.to_owned())];
    let environment = settings.map(|(name, value)| (name.to_owned(), value)).into();
    let mut config = Config::from_sources(Sources { environment, ..Sources::default() }).expect("a configuration");
    config.limits.request_timeout = Duration::from_millis(50);
    Server::start(config, Clock::system()).await.expect("a server")
}

/// Fetch: what goes wrong around a handler is told to apps of other origins as what goes wrong in it.
#[tokio::test]
async fn a_panic_and_a_time_out_can_be_read_from_any_origin() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = server(&dir, "http://localhost:8080").await;
    let handlers = Router::new()
        .route("/panics", get(async || -> StatusCode { panic!("it went wrong") }))
        .route("/hangs", get(async || std::future::pending::<StatusCode>().await));
    let router = for_any_origin(&server, handlers, Logged::All, Limited::ByAddress).with_state(server.clone());

    for (path, status) in [("/panics", StatusCode::INTERNAL_SERVER_ERROR), ("/hangs", StatusCode::SERVICE_UNAVAILABLE)] {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let answer = router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
    }
    server.close().await;
}

/// Status, headers and body, without the request's id, and the length, which is the HTTP library's to write.
async fn told(routes: impl Service<Request, Response = Response, Error = Infallible>, request: Request) -> (StatusCode, HeaderMap, Bytes) {
    let (mut parts, body) = routes.oneshot(request).await.expect("an answer").into_parts();
    for name in ["x-request-id", "content-length"] {
        parts.headers.remove(name);
    }
    (parts.status, parts.headers, axum::body::to_bytes(body, usize::MAX).await.expect("a body"))
}

/// Decision 0016: what is answered before routing is what the route answers.
#[tokio::test]
async fn a_document_is_the_same_before_and_behind_the_router() {
    let dir = tempfile::tempdir().expect("a directory");
    for issuer in ["https://auth.example.com", "https://auth.example.com/tenant"] {
        let server = server(&dir, issuer).await;
        let documents = Documents::new(&server);
        let mut paths: Vec<String> = places(&server.config().issuer).into_iter().collect();
        paths.push(format!("{}{}", server.config().issuer.path(), paths::JWKS));
        for path in paths {
            let request =
                |etag: &HeaderValue| Request::get(&path).header(header::IF_NONE_MATCH, etag).body(Body::empty()).expect("a request");
            let none = HeaderValue::from_static("\"none\"");
            let known = documents.answer(&request(&none)).expect("an answer").headers()[header::ETAG].clone();
            for (etag, status) in [(none, StatusCode::OK), (known, StatusCode::NOT_MODIFIED)] {
                let at_once = told(Routes::new(&server), request(&etag)).await;
                assert_eq!(at_once, told(router(&server), request(&etag)).await, "{path}");
                assert_eq!((at_once.0, at_once.1.contains_key(header::STRICT_TRANSPORT_SECURITY)), (status, true));
            }
        }
        assert!(documents.answer(&Request::post(paths::JWKS).body(Body::empty()).expect("a request")).is_none());
        assert!(documents.answer(&Request::get("/login").body(Body::empty()).expect("a request")).is_none());
        server.close().await;
    }
}
