//! The token endpoint: what every request and every answer has in common (OAuth 2.1 §3.2).

use axum::body::Body;
use http::{Method, Request};
use sqlx::Executor;

use crate::on_every_backend;

const FORM: &str = "application/x-www-form-urlencoded";

fn request_with_body(content_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post("/oauth/token").header("content-type", content_type).body(body.into()).unwrap()
}

on_every_backend! {
    /// OAuth 2.1 §3.2: the client must use POST.
    async fn any_other_method_is_told_to_post(server) {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
            let answer = server.send(Request::builder().method(method).uri("/oauth/token").body(Body::empty()).unwrap()).await;
            answer.assert_error(405, "invalid_request");
            assert_eq!(answer.header("allow"), "POST");
        }
    }

    /// OAuth 2.1 §3.2: parameters are sent as a form in the content of the request.
    async fn what_is_not_a_form_is_refused(server) {
        let app = server.register("app", Registration::spa()).await;
        let form = format!("grant_type=refresh_token&refresh_token=x&client_id={}", app.id);
        for content_type in ["application/json", "text/plain", "multipart/form-data; boundary=x", ""] {
            server.send(request_with_body(content_type, form.clone())).await.assert_error(400, "invalid_request");
        }
        let without = Request::post("/oauth/token").body(Body::from(form)).unwrap();
        server.send(without).await.assert_error(400, "invalid_request");
        server.send(request_with_body(FORM, vec![0xFF, 0xFE])).await.assert_error(400, "invalid_request");
    }

    /// The encoding is always UTF-8, and libraries say so.
    async fn a_charset_behind_the_content_type_is_accepted(server) {
        let app = server.client("app").await;
        for content_type in ["application/x-www-form-urlencoded; charset=UTF-8", "Application/X-WWW-Form-URLEncoded;charset=utf-8"] {
            let mut request = app.request("/oauth/token", &[("grant_type", "client_credentials")], &[]);
            request.headers_mut().insert("content-type", content_type.parse().unwrap());
            server.send(request).await.access_token();
        }
    }

    /// Nobody may fill the memory; the answer is JSON as always.
    async fn a_body_that_is_too_large_is_refused(server, "GRANTOR_LIMITS__REQUEST_BODY" = "4KiB") {
        let form = |padding: usize| format!("grant_type=x&padding={}", "a".repeat(padding));
        let frame = form(0).len();
        server.send(request_with_body(FORM, form(4096 - frame))).await.assert_error(401, "invalid_client");
        server.send(request_with_body(FORM, form(4097 - frame))).await.assert_error(413, "invalid_request");
    }

    /// OAuth 2.1 §3.2.3: nobody keeps a token that passes by.
    async fn answers_are_json_that_no_cache_keeps(server) {
        let app = server.client("app").await;
        for answer in [app.client_credentials(&[]).await, app.redeem("unknown").await, server.get("/oauth/token").await] {
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(answer.header("pragma"), "no-cache");
            assert_eq!(answer.header("content-type"), "application/json");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
        }
    }

    /// OAuth 2.1 §3.2.4: `unsupported_grant_type`. The password grant is gone (§10).
    async fn an_unknown_grant_type_is_refused(server) {
        let app = server.client("app").await;
        for grant_type in ["password", "implicit", "Authorization_Code", "urn:example:grant"] {
            app.post("/oauth/token", &[("grant_type", grant_type)], &[]).await.assert_error(400, "unsupported_grant_type");
        }
    }

    /// OAuth 2.1 §3.2: a parameter without a value is treated as if it were omitted.
    async fn a_missing_or_empty_grant_type_is_an_invalid_request(server) {
        let app = server.client("app").await;
        app.post("/oauth/token", &[], &[]).await.assert_error(400, "invalid_request");
        app.post("/oauth/token", &[("grant_type", "")], &[]).await.assert_error(400, "invalid_request");
    }

    /// OAuth 2.1 §3.2.4: `unauthorized_client`.
    async fn a_client_uses_only_the_grant_types_that_it_is_registered_for(server) {
        let machine = Registration { grant_types: vec!["client_credentials"], ..Default::default() };
        let machine = server.register("machine", machine).await;
        let app = server.register("app", Registration::spa()).await;
        machine.redeem("code").await.assert_error(400, "unauthorized_client");
        machine.refresh("grt_token").await.assert_error(400, "unauthorized_client");
        app.client_credentials(&[]).await.assert_error(400, "unauthorized_client");
    }

    /// OAuth 2.1 §3.2: parameters must not be included more than once; unknown ones are ignored.
    async fn a_repeated_parameter_is_refused(server) {
        let app = server.client("app").await;
        let base = ("grant_type", "client_credentials");
        for name in ["grant_type", "scope", "client_id", "unknown"] {
            let value = if name == "client_id" { "app" } else if name == "scope" { "read" } else { base.1 };
            app.post("/oauth/token", &[base, (name, value), (name, value)], &[]).await.assert_error(400, "invalid_request");
        }
        app.post("/oauth/token", &[base, ("scope", ""), ("scope", "read"), ("unknown", "x")], &[]).await.access_token();
    }

    /// RFC 8707 §2: `resource` may be repeated.
    async fn only_resource_may_be_repeated(server) {
        let resources = vec!["https://a.example", "https://b.example"];
        let app = server.register("app", Registration { resources, ..Default::default() }).await;
        let both = [("grant_type", "client_credentials"), ("resource", "https://a.example"), ("resource", "https://b.example")];
        let claims = app.post("/oauth/token", &both, &[]).await.claims();
        assert_eq!(claims["aud"], serde_json::json!(["https://a.example", "https://b.example"]));
    }

    /// No database keeps a NUL, so no rule gets to see one.
    async fn nul_is_refused_wherever_it_stands(server) {
        let app = server.client("app").await;
        for pair in [("code", "a\0b"), ("code_verifier", "\0"), ("client_id", "app\0"), ("redirect_uri", "\0"), ("na\0me", "x")] {
            app.redeem_with("code", &[pair]).await.assert_error(400, "invalid_request");
        }
        app.client_credentials(&[("scope", "read\0")]).await.assert_error(400, "invalid_request");
        let unauthenticated = [("grant_type", "refresh_token"), ("refresh_token", "\0"), ("client_id", "a")];
        server.post("/oauth/token", &unauthenticated).await.assert_error(400, "invalid_request");
    }

    /// OAuth 2.1 §3.2: nothing is read from the URI, where logs and histories would keep it.
    async fn parameters_in_the_query_are_not_read(server) {
        let app = server.client("app").await;
        app.post("/oauth/token?grant_type=client_credentials", &[], &[]).await.assert_error(400, "invalid_request");
        let credentials = "/oauth/token?client_id=app&client_secret=secret-of-app";
        server.post(credentials, &[("grant_type", "client_credentials")]).await.assert_error(401, "invalid_client");
    }

    /// Descriptions say what to change, in the characters of §3.2.4, and never repeat what was sent.
    async fn an_error_never_echoes_input(server) {
        let app = server.client("app").await;
        let marker = "\"<marker>\\";
        for answer in [
            app.post("/oauth/token", &[("grant_type", marker)], &[]).await,
            app.redeem_with(marker, &[]).await,
            app.redeem_with("code", &[("code_verifier", marker)]).await,
            app.refresh(marker).await,
            app.client_credentials(&[("scope", marker)]).await,
            app.client_credentials(&[("resource", marker)]).await,
            server.post("/oauth/token", &[("client_id", marker), ("client_secret", marker)]).await,
        ] {
            let code = answer.member("error");
            answer.assert_error(answer.status.as_u16(), &code);
            assert!(!answer.body.contains("marker"), "{}", answer.body);
        }
    }

    /// What takes too long is a 503 in JSON that says when to come back; a refresh that it cut short loses no token.
    async fn a_stuck_database_is_a_503_and_nothing_is_lost(server, "GRANTOR_LIMITS__REQUEST_TIMEOUT" = "1s") {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        let stuck = stick(&server.database).await;
        let answer = app.refresh(&token).await;
        answer.assert_error(503, "temporarily_unavailable");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
        assert_eq!(answer.header("access-control-allow-origin"), "*");

        stuck.release().await;
        let successor = app.refresh(&token).await.refresh_token();
        app.refresh(&successor).await.assert_status(200);
    }

    /// A fault of ours is a 500 in JSON that tells nothing but the id under which the log explains it.
    async fn a_fault_is_a_500_that_tells_nothing(server) {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        server.database.execute("ALTER TABLE grants RENAME TO elsewhere").await;
        let answer = app.refresh(&token).await;
        answer.assert_error(500, "server_error");
        assert!(!answer.header("x-request-id").is_empty());
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        for word in ["grants", "table", "SQL", "sql"] {
            assert!(!answer.body.contains(word), "{}", answer.body);
        }
    }
}

/// A connection that holds what a refresh must write.
enum Stuck {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

async fn stick(database: &crate::harness::Database) -> Stuck {
    match database.backend {
        crate::harness::Backend::Sqlite => {
            let mut connection = database.sqlite().await;
            connection.execute("BEGIN IMMEDIATE").await.unwrap();
            Stuck::Sqlite(connection)
        }
        crate::harness::Backend::Postgres => {
            let mut connection = database.postgres().await;
            connection.execute("BEGIN; LOCK TABLE grants IN EXCLUSIVE MODE").await.unwrap();
            Stuck::Postgres(connection)
        }
    }
}

impl Stuck {
    async fn release(self) {
        match self {
            Self::Sqlite(mut connection) => connection.execute("ROLLBACK").await.map(drop).unwrap(),
            Self::Postgres(mut connection) => connection.execute("ROLLBACK").await.map(drop).unwrap(),
        }
    }
}
