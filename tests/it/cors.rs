//! Cross-origin requests by browser-based apps (Fetch; draft-ietf-oauth-browser-based-apps): where no cookie counts, from any origin.

use axum::body::Body;
use http::{Method, Request, header::CONTENT_TYPE};
use tower::ServiceExt;

use crate::{
    harness::{Answer, TestServer, form_request},
    on_every_backend,
};

const DOCUMENTS: [&str; 3] = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/oauth/jwks"];
const FORMS: [&str; 2] = ["/oauth/token", "/oauth/revoke"];
/// Where clients look for documents that are not here: they may read that, too.
const NOT_HERE: [&str; 3] = [
    "/.well-known/openid-configuration/elsewhere",
    "/.well-known/oauth-authorization-server/elsewhere",
    "/.well-known/oauth-protected-resource",
];
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

fn every_shared_path() -> impl Iterator<Item = &'static str> {
    DOCUMENTS.into_iter().chain(FORMS).chain(["/oauth/userinfo"]).chain(NOT_HERE)
}

fn request(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).header("origin", "https://spa.example").body(Body::empty()).unwrap()
}

async fn send(server: &TestServer, method: &str, path: &str) -> Answer {
    server.send(request(method, path)).await
}

async fn preflight(server: &TestServer, path: &str, method: &str) -> Answer {
    let mut request = request("OPTIONS", path);
    request.headers_mut().insert("access-control-request-method", method.parse().unwrap());
    request.headers_mut().insert("access-control-request-headers", "authorization,content-type,dpop,mcp-protocol-version".parse().unwrap());
    server.send(request).await
}

#[track_caller]
fn assert_shared(answer: &Answer, status: u16) {
    assert_eq!(answer.assert_status(status).header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("access-control-expose-headers"), "WWW-Authenticate, DPoP-Nonce, Retry-After, RateLimit, RateLimit-Policy");
    assert_eq!(answer.headers.get("access-control-allow-credentials"), None);
    for (name, _) in &answer.headers {
        assert_eq!(answer.headers.get_all(name).iter().count(), 1, "{name} twice");
    }
}

#[track_caller]
fn assert_not_shared(answer: &Answer) {
    let names: Vec<&str> = answer.headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("access-control-")).collect();
    assert!(names.is_empty(), "{names:?}");
}

on_every_backend! {
    /// The public documents: there, unchanged, and by another method.
    async fn documents_can_be_read(server) {
        for path in DOCUMENTS {
            assert_shared(&send(server, "GET", path).await, 200);
            assert_shared(&send(server, "HEAD", path).await, 200);
            let mut known = request("GET", path);
            known.headers_mut().insert("if-none-match", "*".parse().unwrap());
            assert_shared(&server.send(known).await, 304);
            for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                assert_shared(&send(server, method, path).await, 405);
            }
        }
    }

    /// What is not there, so that a client that tries several places can tell an answer from an outage.
    async fn what_is_not_here_can_be_read(server) {
        for path in NOT_HERE {
            for method in METHODS.into_iter().chain(["OPTIONS"]) {
                assert_shared(&send(server, method, path).await, 404);
            }
            send(server, "GET", path).await.assert_error(404, "invalid_request");
        }
    }

    /// An app in a browser can read every answer, the errors above all.
    async fn every_answer_to_a_form_can_be_read(server) {
        let app = server.client("app").await;
        assert_shared(&app.client_credentials(&[]).await, 200);
        assert_shared(&app.revoke("unknown").await, 200);
        for path in FORMS {
            assert_shared(&app.post(path, &[], &[]).await, 400);
            let mut text = form_request(path, &[]);
            text.headers_mut().insert(CONTENT_TYPE, "text/plain".parse().unwrap());
            assert_shared(&server.send(text).await, 400);
            let stranger = server.post(path, &[("grant_type", "client_credentials")]).await;
            assert_shared(&stranger, 401);
            assert!(!stranger.header("www-authenticate").is_empty());
            for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                assert_shared(&send(server, method, path).await, 405);
            }
            assert_shared(&server.send(form_request(path, &[("x", &"x".repeat(70_000))])).await, 413);
        }
    }

    /// OpenID Core §5.3: an app in a browser can ask who signed in, and read why not.
    async fn userinfo_can_be_read(server) {
        let app = server.client("app").await;
        let tokens = app.tokens().await;
        assert_shared(&app.userinfo(&tokens.access_token()).await, 200);
        assert_shared(&app.userinfo("x").await, 401);
        assert_shared(&app.userinfo(&app.client_credentials(&[]).await.access_token()).await, 403);
        assert_shared(&send(server, "GET", "/oauth/userinfo").await, 401);
        assert_shared(&send(server, "GET", "/oauth/userinfo?access_token=x").await, 400);
        for method in ["PUT", "PATCH", "DELETE", "OPTIONS"] {
            assert_shared(&send(server, method, "/oauth/userinfo").await, 405);
        }
        assert_shared(&server.send(form_request("/oauth/userinfo", &[("x", &"x".repeat(70_000))])).await, 413);
    }

    /// A fault of ours is no network error to the app.
    async fn faults_can_be_read(server) {
        server.database.execute("ALTER TABLE clients RENAME TO elsewhere").await;
        for path in FORMS {
            assert_shared(&server.post(path, &[("client_id", "app"), ("client_secret", "x")]).await, 500);
        }
        assert_not_shared(server.post("/oauth/introspect", &[("client_id", "app"), ("client_secret", "x")]).await.assert_status(500));
        server.database.execute("ALTER TABLE elsewhere RENAME TO clients").await;
    }

    /// Nor is a database that is away: the app learns when to try again.
    async fn an_outage_can_be_read(server) {
        let node = server.fresh_node().await;
        let router = node.routes.clone();
        node.stop().await;
        for path in FORMS {
            let request = form_request(path, &[("client_id", "app"), ("client_secret", "x")]);
            let answer = Answer::read(router.clone().oneshot(request).await.unwrap()).await;
            assert_shared(&answer, 503);
            assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
        }
    }

    /// Fetch: the preflight asks what may be sent. It is answered alike for every method, so that the refusal can be read.
    async fn a_preflight_is_answered(server) {
        for path in every_shared_path() {
            for method in METHODS {
                let answer = preflight(server, path, method).await;
                assert_shared(&answer, 204);
                assert_eq!(answer.header("access-control-allow-headers"), "Authorization, Content-Type, DPoP, MCP-Protocol-Version");
                assert_eq!(answer.header("access-control-allow-methods"), "GET, POST, PUT, DELETE");
                assert_eq!(answer.header("access-control-max-age"), "86400");
                assert_eq!((answer.body.as_str(), answer.header("content-type")), ("", ""), "{method} {path}");
            }
        }
    }

    /// `*` stands on the answers to everybody, so that a cache may give an answer for one origin to another.
    async fn the_answer_does_not_depend_on_the_origin(server) {
        for path in every_shared_path() {
            let without = server.send(Request::get(path).body(Body::empty()).unwrap()).await;
            assert_shared(&without, without.status.as_u16());
            assert!(!without.header("vary").to_ascii_lowercase().contains("origin"));
        }
    }

    /// Introspection is for servers, pages are for people (OAuth 2.1 §3.1): no other origin reads them.
    async fn introspection_authorization_and_pages_are_not_shared(server) {
        let app = server.client("app").await;
        assert_not_shared(&app.introspect("unknown").await);
        assert_not_shared(&server.post("/oauth/introspect", &[("token", "x")]).await);
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for path in ["/oauth/introspect", "/oauth/authorize", "/oauth/logout", "/", "/login", "/consent", "/account", "/account/sign-out", "/signed-out", "/nowhere", "/health/live", "/health/ready", "/assets/x"] {
            for method in METHODS.into_iter().chain(["OPTIONS"]) {
                assert_not_shared(&send(server, method, path).await);
                assert_not_shared(&preflight(server, path, method).await);
            }
        }
        for request in [request("GET", &app.authorization_path(&[])), request("GET", "/account")] {
            assert_not_shared(&browser.fetch(request).await);
        }
        let form = app.authorization_path(&[]).split_once('?').unwrap().1.to_owned();
        let posted = Request::builder().method(Method::POST).uri("/oauth/authorize").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        assert_not_shared(browser.fetch(posted.body(Body::from(form)).unwrap()).await.assert_status(303));
    }
}
