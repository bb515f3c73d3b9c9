//! Cross-site request forgery: what changes something is posted from our own pages, or refused.

use axum::body::Body;
use http::Request;

use crate::{
    harness::{Answer, Browser, browser::PASSWORD, encode},
    on_every_backend,
};

/// What browsers, proxies and attackers' pages send; none of it comes from our own pages.
const FOREIGN: &[&[(&str, &str)]] = &[
    &[],
    &[("sec-fetch-site", "cross-site")],
    &[("sec-fetch-site", "same-site")],
    &[("sec-fetch-site", "cross-site"), ("origin", ISSUER_ORIGIN)],
    &[("sec-fetch-site", ""), ("origin", ISSUER_ORIGIN)],
    &[("origin", "null")],
    &[("origin", "")],
    &[("origin", "https://evil.example")],
    &[("origin", "http://auth.example.com")],
    &[("origin", "https://auth.example.com:8443")],
    &[("origin", "https://auth.example.com.evil.example")],
    &[("referer", "https://auth.example.com/login")],
];
const ISSUER_ORIGIN: &str = "https://auth.example.com";

/// Every address that pages post to, from the one page that lists them.
fn posted_to() -> Vec<String> {
    let routes = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/routes.rs")).unwrap();
    let (_, pages) = routes.split_once("fn for_people").unwrap();
    let post = regex::Regex::new(r#"\.route\("([^"]+)", [^\n]*\bpost\("#).unwrap();
    let found: Vec<String> = post.captures_iter(pages).map(|found| found[1].to_owned()).collect();
    assert!(found.len() >= 5, "{found:?}");
    found
}

async fn post(browser: &mut Browser<'_>, path: &str, form: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    browser.fetch(request.body(Body::from(encode(form))).unwrap()).await
}

on_every_backend! {
    /// RFC 9700 §4.7: signing in is a change of state, too.
    async fn every_form_of_a_page_is_refused_from_elsewhere(server) {
        let person = server.person("alice").await;
        let mut browser = server.browser();
        browser.sign_in_at_account(&person).await;
        let session = browser.page().field("session");
        let form = [("email", person.email.as_str()), ("password", PASSWORD), ("session", session.as_str()), ("decision", "allow")];
        let cookies = browser.cookies.clone();
        for path in posted_to() {
            for headers in FOREIGN {
                let answer = post(&mut browser, &path, &form, headers).await;
                answer.assert_page_error(403);
                assert_eq!(answer.header("set-cookie"), "", "{path} {headers:?}");
            }
        }
        assert_eq!(browser.cookies, cookies);
        browser.go("/account").await.assert_status(200);
        assert_eq!(server.audited("person.signed_in").await, 1);
        assert_eq!(server.audited("session.ended").await, 0);
    }

    /// Login CSRF: someone else's page signs nobody in as its own author.
    async fn nobody_is_signed_in_from_elsewhere(server) {
        let person = server.person("mallory").await;
        let mut browser = server.browser();
        for headers in FOREIGN {
            post(&mut browser, "/login", &[("email", &person.email), ("password", PASSWORD)], headers).await.assert_page_error(403);
        }
        assert!(browser.cookies.is_empty());
        assert_eq!(server.database.count("browser_sessions").await, 0);
    }

    /// `Sec-Fetch-Site: none` is the person's own doing; browsers without fetch metadata send `Origin`.
    async fn our_own_forms_are_accepted_from_old_and_new_browsers(server) {
        let person = server.person("alice").await;
        let own: &[&[(&str, &str)]] = &[&[("sec-fetch-site", "same-origin")], &[("sec-fetch-site", "none")], &[("origin", ISSUER_ORIGIN)]];
        for headers in own {
            let mut browser = server.browser();
            let form = [("email", person.email.as_str()), ("password", PASSWORD)];
            assert_eq!(post(&mut browser, "/login", &form, headers).await.location(), "/account");
            assert_eq!(post(&mut browser, "/account/sign-out", &[], headers).await.location(), "/signed-out");
        }
    }

    /// Links from everywhere lead here: that is what an authorization request is.
    async fn reading_is_not_refused(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for (path, status) in [("/account", 200), ("/login", 303), ("/signed-out", 303), (&app.authorization_path(&[]), 303)] {
            for headers in FOREIGN {
                let mut request = Request::get(path);
                for (name, value) in *headers {
                    request = request.header(*name, *value);
                }
                browser.fetch(request.body(Body::empty()).unwrap()).await.assert_status(status);
            }
        }
    }

    /// Programs have no cookies to be abused: what they post is decided by its credentials.
    async fn endpoints_for_programs_are_called_from_anywhere(server) {
        let app = server.client("app").await;
        let mut request = app.request("/oauth/token", &[("grant_type", "client_credentials")], &[("scope", "read")]);
        request.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
        request.headers_mut().insert("origin", "https://spa.example".parse().unwrap());
        server.send(request).await.assert_status(200);
    }
}
