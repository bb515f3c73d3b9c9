//! Response modes (OAuth 2.0 Multiple Response Types §2.1, OAuth 2.0 Form Post Response Mode).

use crate::{
    harness::{Answer, ISSUER},
    on_every_backend,
};

const POSTED: (&str, &str) = ("response_mode", "form_post");

on_every_backend! {
    /// Form Post Response Mode §2: a page that posts code and state to the redirect URI.
    async fn a_code_is_posted(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[POSTED]).await;
        let answer = browser.allow().await;

        assert_posts_to(answer, &app.redirect_uri);
        let names: Vec<String> = answer.fields().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["code", "state", "iss"]);
        assert_eq!(answer.field("state"), "af0ifjsldkj");
        app.redeem(&answer.field("code")).await.assert_status(200);
    }

    /// Form Post Response Mode §2: errors, too, whether they are found at once or later.
    async fn an_error_is_posted(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        for (extra, error) in [(("prompt", "none"), "login_required"), (("response_type", "token"), "unsupported_response_type")] {
            assert_posts_error(browser.authorize(&app, &[POSTED, extra]).await, &app.redirect_uri, error);
        }
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[POSTED]).await;
        assert_posts_error(browser.deny().await, &app.redirect_uri, "access_denied");
    }

    /// Form Post Response Mode §2: the redirect URI as it is, with a query of its own.
    async fn the_query_of_the_redirect_uri_stays_in_the_action(server) {
        let registration = Registration { redirect_uris: vec!["https://app.example/callback?a=1&b=2"], ..Registration::default() };
        let app = server.register("app", registration).await;

        let answer = server.get(&app.authorization_path(&[POSTED, ("prompt", "none")])).await;
        assert_posts_to(&answer, "https://app.example/callback?a=1&#38;b=2");
    }

    /// Form Post Response Mode §5: what the client sends cannot become markup.
    async fn the_state_cannot_leave_its_field(server) {
        let app = server.client("app").await;
        let state = "\"><script>alert(1)</script>'&amp;";
        let answer = server.get(&app.authorization_path(&[POSTED, ("prompt", "none"), ("state", state)])).await;

        assert_eq!(answer.field("state"), state);
        assert!(!answer.body.contains("<script>"));
    }

    /// Form Post Response Mode §5: nobody keeps the page, nobody frames it, and it runs our script alone.
    async fn the_page_is_protected(server) {
        let app = server.client("app").await;
        let answer = server.get(&app.authorization_path(&[POSTED, ("prompt", "none")])).await;

        assert_eq!((answer.header("cache-control"), answer.header("x-frame-options")), ("no-store", "DENY"));
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
        // Chromium would apply it to every hop behind the post.
        assert!(!policy.contains("form-action") && !policy.contains("unsafe"), "{policy}");
    }

    /// Multiple Response Types §2.1: the default for a code is the query, and it can be asked for by name.
    async fn the_query_is_the_default(server) {
        let app = server.register("ours", Registration { first_party: true, ..Registration::default() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;

        for mode in ["", "query"] {
            let answer = browser.authorize(&app, &[("response_mode", mode)]).await;
            assert!(answer.location().starts_with("https://app.example/callback?code="), "{}", answer.location());
        }
    }

    /// OAuth 2.1 §7.5: never in a fragment; the refusal travels in the default mode.
    async fn other_modes_are_refused(server) {
        let app = server.client("app").await;
        for mode in ["fragment", "web_message", "jwt", "query.jwt", "QUERY", "form_post query"] {
            let answer = server.get(&app.authorization_path(&[("response_mode", mode)])).await;
            answer.assert_redirected_error("invalid_request");
            assert!(!answer.location().contains('#'), "{}", answer.location());
        }
        let twice = server.get(&app.authorization_path(&[("response_mode", "query"), POSTED])).await;
        twice.assert_redirected_error("invalid_request");
    }

    /// RFC 8414 §2
    async fn both_are_announced(server) {
        let metadata = server.get("/.well-known/oauth-authorization-server").await.json();
        assert_eq!(metadata["response_modes_supported"], serde_json::json!(["query", "form_post"]));
        assert_eq!(metadata["response_types_supported"], serde_json::json!(["code"]));
    }
}

#[track_caller]
fn assert_posts_to(answer: &Answer, action: &str) {
    answer.assert_status(200);
    assert_eq!(answer.header("location"), "");
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(answer.body.contains(&format!("method=\"post\" action=\"{action}\"")), "{}", answer.body);
}

#[track_caller]
fn assert_posts_error(answer: &Answer, action: &str, error: &str) {
    assert_posts_to(answer, action);
    assert_eq!((answer.field("error").as_str(), answer.field("iss").as_str()), (error, ISSUER));
    assert_eq!(answer.field("state"), "af0ifjsldkj");
    assert!(!answer.field("error_description").is_empty());
    assert!(answer.fields().iter().all(|(name, _)| name != "code"));
}
