//! Traces by OTLP: a span for each request, without anything of a person, and nothing that holds the server up.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};

use crate::{harness::TestServer, on_every_backend};

/// A collector that listens until the test ends, and what it was sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<u8>>>);

impl Collector {
    async fn start() -> (Self, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let collector = Self::default();
        let take = async |State(collector): State<Self>, body: Bytes| {
            collector.0.lock().unwrap().extend_from_slice(&body);
            StatusCode::OK
        };
        let router = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, endpoint)
    }

    fn has(&self, text: &str) -> bool {
        let sent = self.0.lock().unwrap();
        sent.windows(text.len()).any(|part| part == text.as_bytes())
    }
}

on_every_backend! {
    /// The span has route, method, status and request id; no e-mail, code, client, token or query.
    async fn a_span_tells_of_the_request_and_of_nobody(plain) {
        let (collector, endpoint) = Collector::start().await;
        let server = &TestServer::start(plain.database.backend, &[("GRANTOR_TELEMETRY__OTLP_ENDPOINT", &endpoint)]).await;
        let app = server.client("the-app").await;
        let code = app.code().await;
        let tokens = app.redeem(&code).await;
        tokens.assert_status(200);
        server.get("/a-path-of-the-callers-choice").await.assert_status(404);
        server.server.close().await;

        assert!(collector.has("POST /oauth/token") && collector.has("GET /oauth/authorize") && collector.has(tokens.header("x-request-id")));
        for secret in [code.as_str(), &tokens.access_token(), &tokens.refresh_token(), "the-app", "@example.com", "code_challenge", "127.0.0.1", "a-path-of"] {
            assert!(!collector.has(secret), "{secret}");
        }
    }

    /// A collector that is not there is none of the caller's affair.
    async fn a_collector_that_is_gone_holds_nobody_up(server, "GRANTOR_TELEMETRY__OTLP_ENDPOINT" = "http://127.0.0.1:9") {
        let app = server.client("app").await;
        app.client_credentials(&[]).await.assert_status(200);
    }
}
