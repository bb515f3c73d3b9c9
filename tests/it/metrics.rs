//! `/metrics`: what is counted, on a listener of its own; what the dashboard and the alert rules ask for is there.

use std::collections::BTreeSet;

use grantor::routes;
use http::Request;
use tower::ServiceExt;

use crate::{
    harness::{
        Backend, TestServer,
        process::{PATIENCE, Process, free_port},
    },
    on_databases, on_every_backend,
};

/// What Prometheus would read.
pub async fn page(server: &TestServer) -> String {
    let request = Request::get("/metrics").body(axum::body::Body::empty()).unwrap();
    let response = routes::for_prometheus(&server.server, || 3).oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(body.into()).unwrap()
}

/// The value of a sample, which must be there.
#[track_caller]
fn value(page: &str, sample: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{sample} is missing:\n{page}")).parse().unwrap()
}

/// The names of the families.
fn names(page: &str) -> BTreeSet<&str> {
    page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

on_every_backend! {
    /// A sign-in, a code, a refresh, its retry, its reuse and refusals, each where it belongs.
    async fn what_happens_is_counted_once(server) {
        let app = server.client("app").await;
        let code = app.code().await;
        let first = app.redeem(&code).await;
        let second = app.refresh(&first.refresh_token()).await;
        app.refresh(&first.refresh_token()).await.assert_status(200);
        app.refresh(&second.refresh_token()).await.assert_status(200);
        app.refresh(&first.refresh_token()).await.assert_error(400, "invalid_grant");
        let mut stranger = server.browser();
        stranger.go("/account").await;
        stranger.sign_in_with("nobody@example.com", "wrong-password").await.assert_status(400);
        server.get("/oauth/jwks").await.assert_status(200);
        server.get("/nothing/here").await.assert_status(404);
        server.run_jobs().await;

        let page = page(server).await;
        for (sample, expected) in [
            (r#"grantor_sign_ins_total{outcome="succeeded"}"#, 1.0),
            (r#"grantor_sign_ins_total{outcome="failed"}"#, 1.0),
            (r#"grantor_grants_total{grant_type="authorization_code"}"#, 1.0),
            (r#"grantor_grants_total{grant_type="refresh_token"}"#, 3.0),
            ("grantor_refresh_token_retries_total", 1.0),
            ("grantor_refresh_token_reuses_total", 1.0),
            ("grantor_authorization_code_reuses_total", 0.0),
            (r#"grantor_http_requests_total{route="/oauth/token",status="200"}"#, 4.0),
            (r#"grantor_http_requests_total{route="/oauth/token",status="400"}"#, 1.0),
            (r#"grantor_http_requests_total{route="/oauth/jwks",status="200"}"#, 1.0),
            (r#"grantor_http_requests_total{route="-",status="404"}"#, 1.0),
            (r#"grantor_http_request_duration_seconds_count{route="/oauth/token"}"#, 5.0),
            (r#"grantor_refusals_total{route="/oauth/token",error="invalid_grant"}"#, 1.0),
            (r#"grantor_job_runs_total{name="purge_expired",outcome="succeeded"}"#, 1.0),
            (r#"grantor_signing_keys{alg="ES256",state="active"}"#, 1.0),
            ("grantor_hashing_queue_length", 0.0),
            ("grantor_database_connections{state=\"in_use\"}", 0.0),
            ("grantor_log_lines_lost_total", 3.0),
        ] {
            assert!((value(&page, sample) - expected).abs() < f64::EPSILON, "{sample}:\n{page}");
        }
        assert!(value(&page, "process_resident_memory_bytes") > 1e6);
        assert_eq!(names(&page).contains("grantor_sqlite_writer_queue_length"), server.database.backend == Backend::Sqlite);
    }

    /// However many paths, parameters and codes strangers try, there are as many lines as there are routes, and none has what they sent.
    async fn no_request_makes_a_label_of_its_own(server) {
        let before = page(server).await.lines().count();
        for number in 0..50 {
            server.get(&format!("/nowhere/{number}?code=secret-{number}")).await;
            server.get(&format!("/oauth/authorize?client_id=nobody-{number}")).await;
            server.post("/oauth/token", &[("grant_type", &format!("made-up-{number}"))]).await;
        }
        let page = page(server).await;
        assert!(page.lines().count() < before + 80, "{page}");
        for sent in ["secret-", "nobody", "made-up", "nowhere"] {
            assert!(!page.contains(sent), "{sent}");
        }
    }

    /// While a key retires, it is told when the last token that it signed has expired.
    async fn a_retiring_key_tells_when_its_tokens_end(server) {
        assert!(!names(&page(server).await).contains("grantor_signing_key_tokens_end_timestamp_seconds"));
        server.advance(91 * 24 * 60 * 60);
        server.run_jobs().await;
        server.advance(12 * 60);
        let page = page(server).await;
        assert!(page.contains(r#"alg="ES256",state="retiring"} "#), "{page}");
        assert!(value(&page, r#"grantor_signing_key_rotation_due_timestamp_seconds{alg="ES256"}"#) > 1.8e9);
    }
}

on_every_backend! {
    /// What the dashboard and the alert rules ask for is told, and what is told has a panel.
    async fn the_dashboard_and_the_alerts_ask_for_what_there_is(server) {
        let app = server.client("app").await;
        app.tokens().await;
        app.redeem("unknown").await.assert_error(400, "invalid_grant");
        server.advance(91 * 24 * 60 * 60);
        server.run_jobs().await;
        server.advance(12 * 60);
        let page = page(server).await;
        let told = names(&page);

        let metric = regex::Regex::new(r"\b(grantor|process)_[a-z0-9_]+\b").unwrap();
        let asked_in = |file: &str| -> BTreeSet<String> {
            let text = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docker").join(file)).unwrap();
            let family = |name: &str| ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name).to_owned();
            metric.find_iter(&text).map(|found| family(found.as_str())).collect()
        };
        let (shown, watched) = (asked_in("grafana/dashboard.json"), asked_in("prometheus/alerts.yml"));
        assert!(shown.len() > 25 && watched.len() > 10, "{shown:?} {watched:?}");
        for name in shown.union(&watched).filter(|name| !name.starts_with("grantor_sqlite") || server.database.backend == Backend::Sqlite) {
            assert!(told.contains(name.as_str()), "{name} is asked for and not told:\n{page}");
        }
        for name in told {
            assert!(shown.contains(name), "{name} has no panel");
        }
    }
}

on_databases! { [Sqlite]
    /// On its own port only, and not at all unless it was asked for; it ends with the server.
    async fn metrics_are_on_a_listener_of_their_own(database) {
        let port = free_port();
        let process = Process::serve(database, &[("GRANTOR_METRICS__LISTEN", &format!("127.0.0.1:{port}"))]);
        let status = |port: u16| reply(port, "/metrics").lines().next().unwrap().to_owned();
        assert_eq!((status(process.port), status(port)), ("HTTP/1.1 404 Not Found".to_owned(), "HTTP/1.1 200 OK".to_owned()));
        assert!(reply(port, "/health/live").starts_with("HTTP/1.1 404"));
        assert_eq!(process.terminate(), Some(0));
        assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok(), "within {PATIENCE:?}");
    }
}

fn reply(port: u16, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
