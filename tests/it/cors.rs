//! Cross-origin requests by browser-based apps (Fetch; draft-ietf-oauth-browser-based-apps): where no cookie counts, from any origin.

use axum::body::Body;
use http::{Method, Request};

use crate::{
    harness::{Answer, TestServer, form_request},
    on_every_backend,
};

const SHARED: [&str; 4] = ["/.well-known/oauth-authorization-server", "/oauth/jwks", "/oauth/token", "/oauth/revoke"];

async fn send(server: &TestServer, method: Method, path: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header("origin", "https://spa.example");
    server.send(request.body(Body::empty()).unwrap()).await
}

async fn preflight(server: &TestServer, path: &str) -> Answer {
    let request = Request::options(path).header("origin", "https://spa.example").header("access-control-request-method", "POST");
    server.send(request.header("access-control-request-headers", "authorization").body(Body::empty()).unwrap()).await
}

#[track_caller]
fn assert_shared(answer: &Answer, status: u16) {
    assert_eq!(answer.assert_status(status).header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("access-control-expose-headers"), "WWW-Authenticate, DPoP-Nonce, Retry-After");
    assert_eq!(answer.headers.get("access-control-allow-credentials"), None);
}

#[track_caller]
fn assert_not_shared(answer: &Answer) {
    let names: Vec<&str> = answer.headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("access-control-")).collect();
    assert!(names.is_empty(), "{names:?}");
}

on_every_backend! {
    /// An app in a browser can read every answer, the errors above all.
    async fn every_status_can_be_read(server) {
        let app = server.client("app").await;
        let token = [("grant_type", "client_credentials")];
        assert_shared(&app.client_credentials(&[]).await, 200);
        assert_shared(&app.post("/oauth/token", &[], &[]).await, 400);
        assert_shared(&server.post("/oauth/token", &token).await, 401);
        assert_shared(&send(server, Method::GET, "/oauth/token").await, 405);
        assert_shared(&server.send(form_request("/oauth/token", &[("x", &"x".repeat(70_000))])).await, 413);
        assert_shared(&app.revoke("unknown").await, 200);
        assert_shared(&app.revoke("").await, 400);
        assert_shared(&server.post("/oauth/revoke", &[]).await, 401);
        assert_shared(&send(server, Method::GET, "/oauth/revoke").await, 405);
        for path in &SHARED[..2] {
            assert_shared(&server.get(path).await, 200);
            assert_shared(&send(server, Method::DELETE, path).await, 405);
            let known = Request::get(*path).header("if-none-match", "*").body(Body::empty()).unwrap();
            assert_shared(&server.send(known).await, 304);
        }
    }

    /// Fetch: the preflight asks whether an `Authorization` header may be sent.
    async fn a_preflight_is_answered(server) {
        for path in SHARED {
            let answer = preflight(server, path).await;
            assert_shared(&answer, 204);
            assert_eq!(answer.header("access-control-allow-headers"), "Authorization, Content-Type, DPoP, MCP-Protocol-Version");
            assert_eq!(answer.header("access-control-allow-methods"), "GET, POST");
            assert_eq!(answer.header("access-control-max-age"), "86400");
            assert_eq!(answer.body, "");
        }
    }

    /// `OPTIONS` that is no preflight is a method like others.
    async fn options_without_a_preflight_is_not_a_method_of_ours(server) {
        assert_shared(&send(server, Method::OPTIONS, "/oauth/token").await, 405);
    }

    /// Introspection is for servers, pages are for people: no other origin reads them.
    async fn introspection_and_pages_are_not_shared(server) {
        let app = server.client("app").await;
        assert_not_shared(&app.introspect("unknown").await);
        assert_not_shared(&server.post("/oauth/introspect", &[("token", "x")]).await);
        assert_not_shared(&send(server, Method::GET, "/oauth/introspect").await);
        for path in ["/oauth/authorize", "/login", "/consent", "/account", "/signed-out", "/nowhere", "/oauth/introspect", "/health/live"] {
            assert_not_shared(&send(server, Method::GET, path).await);
            assert_not_shared(&preflight(server, path).await);
        }
        assert_not_shared(&send(server, Method::GET, &app.authorization_path(&[])).await);
    }
}
