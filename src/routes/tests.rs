//! What is said of a whole group of routes.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode, header};
use tower::ServiceExt;

use super::*;
use crate::{
    clock::Clock,
    config::{Config, Sources},
};

/// Fetch: what goes wrong around a handler is told to apps of other origins as what goes wrong in it.
#[tokio::test]
async fn a_panic_and_a_time_out_can_be_read_from_any_origin() {
    let dir = tempfile::tempdir().expect("a directory");
    let environment = [("GRANTOR_DATA_DIR".to_owned(), dir.path().display().to_string())].into();
    let mut config = Config::from_sources(Sources { environment, ..Sources::default() }).expect("a configuration");
    config.limits.request_timeout = Duration::from_millis(50);
    let server = Server::start(config, Clock::system()).await.expect("a server");
    let handlers = Router::new()
        .route("/panics", get(async || -> StatusCode { panic!("it went wrong") }))
        .route("/hangs", get(async || std::future::pending::<StatusCode>().await));
    let router = for_any_origin(&server, handlers, Logged::All).with_state(server.clone());

    for (path, status) in [("/panics", StatusCode::INTERNAL_SERVER_ERROR), ("/hangs", StatusCode::SERVICE_UNAVAILABLE)] {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let answer = router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
    }
    server.close().await;
}
