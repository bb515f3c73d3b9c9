//! Headers that protect pages and every other answer (OAuth 2.1 §7.11, RFC 6797).

use axum::body::Body;
use http::Request;

use crate::{
    harness::{Answer, Registration, browser::PASSWORD},
    on_every_backend,
};

const FLOW: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'";
const FORM_POST: &str =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'";
const ACCOUNT: &str =
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every page has, and the policy of its kind.
#[track_caller]
fn assert_protected(page: &Answer, policy: &str) {
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("content-security-policy"), policy);
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("referrer-policy"), "same-origin");
    // Apps that sign in by a popup wait for its opener.
    let opener = if policy == ACCOUNT { "same-origin" } else { "" };
    assert_eq!(page.header("cross-origin-opener-policy"), opener);
    assert_eq!(page.header("cache-control"), "no-store");
    assert_on_everything(page);
}

#[track_caller]
fn assert_on_everything(answer: &Answer) {
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
    for name in ["content-security-policy", "cache-control", "x-frame-options", "referrer-policy", "strict-transport-security"] {
        assert!(answer.headers.get_all(name).iter().count() <= 1, "{name} twice");
    }
    assert_eq!((answer.header("server"), answer.header("x-powered-by")), ("", ""));
}

on_every_backend! {
    /// Not framed, not kept, nothing loaded from elsewhere; and no `form-action`, which Chromium applies to every hop behind a form.
    async fn pages_of_the_flow_are_protected(server) {
        let app = server.client("app").await;
        let person = server.person("alice").await;
        let mut browser = server.browser();
        assert_protected(browser.go("/login").await.assert_status(200), FLOW);
        assert_protected(&browser.post("/login", &[("email", &person.email), ("password", "wrong")]).await, FLOW);
        assert_protected(browser.authorize(&app, &[]).await.assert_status(200), FLOW);
        browser.sign_in(&person).await;
        assert!(browser.page().body.contains("id=\"allow\""));
        assert_protected(browser.page(), FLOW);
        assert_protected(browser.submit("/account/sign-out", &[]).await.assert_status(200), FLOW);
    }

    /// Its forms stay here.
    async fn the_account_page_posts_only_to_this_server(server) {
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        assert_protected(browser.go("/account").await.assert_status(200), ACCOUNT);
    }

    /// Its one script is a file of ours; the policy allows no other.
    async fn the_form_post_page_runs_one_script_of_ours(server) {
        let app = server.register("app", Registration { first_party: true, ..Registration::default() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let page = browser.authorize(&app, &[("response_mode", "form_post")]).await.assert_status(200);
        assert_protected(page, FORM_POST);
        assert_eq!(page.body.matches("<script").count(), 1);
        let src = regex::Regex::new(r#"<script src="(/assets/[^"]+)" defer></script>"#).unwrap();
        let script = server.get(&src.captures(&page.body).expect("a script of ours")[1]).await;
        assert_eq!(script.assert_status(200).header("content-type"), "text/javascript; charset=utf-8");
    }

    /// Errors are pages like any other.
    async fn error_pages_are_protected(server) {
        let mut browser = server.browser();
        for (path, status) in [("/nowhere", 404), ("/oauth/authorize", 400), ("/login?request=x", 400)] {
            let page = server.get(path).await;
            assert_protected(page.assert_page_error(status), FLOW);
        }
        let refused = server.post("/login", &[("email", "a@b"), ("password", PASSWORD)]).await;
        assert_protected(refused.assert_page_error(403), FLOW);
        let wrong = browser.fetch(Request::delete("/login").body(Body::empty()).unwrap()).await;
        assert_protected(wrong.assert_page_error(405), FLOW);
    }

    /// A redirect may carry a code: nobody keeps it, and where it leads does not learn where it came from (OAuth 2.1 §7.5.3: never 307).
    async fn redirects_are_303_and_are_not_kept(server) {
        let app = server.register("app", Registration { first_party: true, ..Registration::default() }).await;
        let mut browser = server.browser();
        for path in [app.authorization_path(&[]), "/account".to_owned()] {
            let redirect = browser.fetch(Request::get(path.as_str()).body(Body::empty()).unwrap()).await;
            assert!(redirect.location().starts_with("/login"));
            assert_eq!((redirect.header("cache-control"), redirect.header("referrer-policy")), ("no-store", "no-referrer"));
            assert_on_everything(&redirect);
        }
        browser.sign_in_as_someone().await;
        let redirect = browser.authorize(&app, &[]).await;
        assert!(!redirect.code().is_empty());
        assert_eq!((redirect.header("cache-control"), redirect.header("referrer-policy")), ("no-store", "no-referrer"));
        assert_on_everything(redirect);
    }

    /// Also what is no page.
    async fn every_answer_says_what_it_is_and_over_what_to_come_back(server) {
        let app = server.client("app").await;
        for path in ["/.well-known/oauth-authorization-server", "/oauth/jwks", "/health/live", "/health/ready", "/assets/nothing", "/oauth/token"] {
            assert_on_everything(&server.get(path).await);
        }
        assert_on_everything(&app.client_credentials(&[("scope", "read")]).await);
    }

    /// RFC 6797 §7.2: not over plain HTTP.
    async fn without_tls_nothing_is_said_of_it(server, "GRANTOR_ISSUER" = "http://localhost:8080") {
        for path in ["/login", "/oauth/jwks", "/nowhere", "/account"] {
            let answer = server.get(path).await;
            assert_eq!(answer.header("strict-transport-security"), "");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
        }
    }
}
