//! The page for whatever goes wrong: a fixed sentence, an id to ask about, nothing of what was sent.

use axum::body::Body;
use http::{Method, Request};

use crate::{harness::Answer, on_every_backend};

/// Nothing that the server says by itself contains it.
const MARK: &str = "<script>zq7</script>\"'&zq7";

/// The title, without entities.
fn title(page: &Answer) -> String {
    let heading = regex::Regex::new("(?s)<h1>(.*?)</h1>").unwrap();
    heading.captures(&page.body).unwrap_or_else(|| panic!("no heading: {}", page.body))[1].to_owned()
}

/// One page of this kind, whose id is that of the log's lines.
#[track_caller]
fn assert_error_page(page: &Answer, status: u16, expected: &str) {
    page.assert_page_error(status);
    assert_eq!(title(page), expected);
    let id = regex::Regex::new(r#"<code id="error-id">([^<]*)</code>"#).unwrap();
    assert_eq!(&id.captures(&page.body).unwrap()[1], page.header("x-request-id"));
    assert!(uuid::Uuid::try_parse(page.header("x-request-id")).is_ok());
    assert!(!page.body.contains("zq7"), "{}", page.body);
}

on_every_backend! {
    /// OAuth 2.1 §4.1.2.1: without a client or a redirect URI to trust, the person is told and sent nowhere.
    async fn an_untrusted_request_is_a_page(server) {
        let app = server.client("app").await;
        let cases = [
            vec![("client_id", MARK)],
            vec![("client_id", "")],
            vec![("redirect_uri", MARK)],
            vec![("redirect_uri", "https://evil.example/zq7")],
        ];
        for extra in cases {
            let path = app.authorization_path(&[&extra[..], &[("state", MARK), ("scope", MARK), (MARK, MARK)]].concat());
            let page = server.get(&path).await;
            assert_error_page(&page, 400, "This request cannot be used");
            assert!(page.body.contains("id=\"remedy\""), "says what the developer must change");
        }
    }

    /// Nothing is at this address; what was asked for is not repeated.
    async fn an_unknown_address_is_a_page(server) {
        for path in ["/nowhere", "/zq7/%3Cscript%3Ezq7", "/account/zq7?zq7=zq7", "/login/", "//evil.example/zq7", "/admin"] {
            assert_error_page(&server.get(path).await, 404, "There is nothing here");
        }
    }

    /// RFC 9110 §15.5.6: with what would be allowed.
    async fn another_method_is_a_page_that_names_the_right_ones(server) {
        for (method, path, allow) in [
            (Method::PUT, "/login", "GET,HEAD,POST"),
            (Method::DELETE, "/consent", "GET,HEAD,POST"),
            (Method::PATCH, "/account", "GET,HEAD"),
            (Method::GET, "/account/sign-out", "POST"),
        ] {
            let request = Request::builder().method(&method).uri(path).body(Body::empty()).unwrap();
            let page = server.send(request).await;
            assert_error_page(&page, 405, "This cannot be done here");
            let mut allowed: Vec<&str> = page.header("allow").split(',').map(str::trim).collect();
            allowed.sort_unstable();
            assert_eq!(allowed.join(","), allow, "{method} {path}");
        }
    }

    /// A form that is none, or too much of one.
    async fn a_body_that_cannot_be_read_is_a_page(server) {
        let mut browser = server.browser();
        let long = "zq7".repeat(30_000);
        assert_error_page(&browser.post("/login", &[("email", &long)]).await, 413, "That was too much to read");

        let request = Request::post("/login").header("sec-fetch-site", "same-origin").header("content-type", "application/json");
        let page = browser.fetch(request.body(Body::from("{\"zq7\": 1}")).unwrap()).await;
        assert_error_page(&page, 400, "This request cannot be used");
    }

    /// A sealed request that is not ours, that was changed, or that was open for too long.
    async fn an_unusable_sealed_request_is_a_page(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let sealed = browser.authorize(&app, &[]).await.field("request");
        let mut changed = sealed.clone().into_bytes();
        let last = changed.len() - 5;
        changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
        for request in [MARK, "", " ", "zq7", String::from_utf8(changed).unwrap().as_str(), &sealed[..sealed.len() / 2]] {
            for path in ["/login", "/consent"] {
                let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("request", request).finish();
                let page = server.get(&format!("{path}?{query}")).await;
                // An empty parameter is an absent one: then /login is just the sign-in form.
                if !(path == "/login" && request.is_empty()) {
                    assert_error_page(&page, 400, "This page does not work any more");
                }
            }
        }
        server.get(&format!("/login?request={sealed}")).await.assert_status(200);
        server.advance(30 * 60 + 1);
        assert_error_page(&server.get(&format!("/login?request={sealed}")).await, 400, "This page does not work any more");
    }

    /// Of several requests each has an id of its own, and the client cannot choose it.
    async fn ids_are_ours(server) {
        let request = |id: &str| Request::get("/nowhere").header("x-request-id", id).body(Body::empty()).unwrap();
        let (first, second) = (server.send(request("zq7")).await, server.send(request("zq7")).await);
        assert_error_page(&first, 404, "There is nothing here");
        assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    }

    /// The table is gone: the person learns a sentence and an id, not what the database said.
    async fn a_fault_of_ours_tells_nothing_of_itself(server) {
        let mut browser = server.browser();
        browser.go("/login").await;
        server.database.execute("ALTER TABLE people RENAME TO zq7_people").await;
        let page = browser.post("/login", &[("email", "alice@example.com"), ("password", "zq7")]).await;
        assert_error_page(&page, 500, "Something went wrong");
        for word in ["people", "table", "relation", "sqlite", "sqlx", "panicked"] {
            assert!(!page.body.contains(word), "{}", page.body);
        }
        server.database.execute("ALTER TABLE zq7_people RENAME TO people").await;
        assert_eq!(server.get("/login").await.assert_status(200).header("retry-after"), "");
    }
}
