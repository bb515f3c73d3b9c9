//! Clients that registered themselves: anyone could be behind them, so people are told, and nothing redirects to them by itself
//! but what a person allowed (OAuth 2.1 §7.12.2).

use serde_json::json;

use crate::{
    declared::declare,
    harness::{App, ISSUER, Registration, TestServer, encode, process::run},
    on_every_backend,
};

on_every_backend! {
    /// OAuth 2.1 §7.12.2: an error is a page that names where the way leads; the person may go there.
    async fn an_error_is_a_page_with_a_link(server) {
        let app = by_itself(server).await;
        for extra in [("response_type", "token"), ("scope", "admin"), ("code_challenge_method", "plain"), ("max_age", "x")] {
            let page = server.get(&app.authorization_path(&[extra])).await;
            assert!(page.assert_status(400).body.contains("the app at <bdi>app.example</bdi>"), "{extra:?}: {}", page.body);
            assert_eq!(page.header("location"), "");
            let link = page.body.split("href=\"").find(|link| link.starts_with("https://app.example/callback?error=")).unwrap();
            assert!(link.contains("state=af0ifjsldkj") && link.contains("iss=https%3A%2F%2Fauth.example.com"), "{link}");
        }
    }

    /// OAuth 2.1 §7.12.2, Form Post Response Mode §2: nothing is posted there by itself either.
    async fn a_posted_error_waits_for_the_person(server) {
        let app = by_itself(server).await;
        let page = server.get(&app.authorization_path(&[("response_mode", "form_post"), ("scope", "admin")])).await;
        assert!(page.assert_status(400).body.contains("action=\"https://app.example/callback\"") && !page.body.contains("<script"));
        assert_eq!((page.field("error"), page.field("iss")), ("invalid_scope".to_owned(), ISSUER.to_owned()));
    }

    /// OAuth 2.1 §7.12.2: so is Deny, after which the person need not go there at all.
    async fn deny_is_a_page_with_a_link(server) {
        let app = by_itself(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[]).await;
        let page = browser.deny().await;
        assert!(page.assert_status(200).body.contains("You did not allow it"));
        assert!(page.body.contains("href=\"https://app.example/callback?error=access_denied"));
        assert_eq!(server.audited("consent.denied").await, 1);
    }

    /// OpenID Core §3.1.2.1: `none` shows nothing, so its errors are redirected; and a consent on record answers it.
    async fn prompt_none_redirects(server) {
        let app = by_itself(server).await;
        let mut browser = server.browser();
        browser.authorize(&app, &[("prompt", "none")]).await.assert_redirected_error("login_required");
        browser.authorize(&app, &[("prompt", "none ")]).await.assert_redirected_error("login_required");
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("prompt", "none")]).await.assert_redirected_error("consent_required");
        app.code_at(&mut browser, &[]).await;
        browser.authorize(&app, &[("prompt", "none")]).await.code();
        assert_eq!(browser.authorize(&app, &[("prompt", "none login")]).await.header("location"), "");
    }

    /// RP-Initiated Logout §3, OAuth 2.1 §7.12.2: where nobody is signed in, a hint of such a client makes a link, not a redirect. Who
    /// does sign out goes back.
    async fn a_logout_of_nobody_waits_for_the_person(server) {
        let metadata = json!({ "post_logout_redirect_uris": ["https://app.example/out"] });
        let app = server.register("app", Registration { metadata, ..Registration::by_itself() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let code = app.code_at(&mut browser, &[("scope", "openid")]).await;
        let hint = app.redeem(&code).await.member("id_token");
        let link = format!("/oauth/logout?{}", encode(&[("id_token_hint", &hint), ("post_logout_redirect_uri", "https://app.example/out")]));
        let mut stranger = server.browser();
        let page = stranger.go(&link).await.assert_status(200);
        assert!(page.body.contains(r#"id="continue" href="https://app.example/out""#), "{}", page.body);
        assert!(page.body.contains("app.example</bdi>") && page.header("refresh").is_empty(), "{page:?}");
        assert_eq!(browser.go(&link).await.location(), "https://app.example/out");
    }

    /// A person is told each time who asks, whatever is on record.
    async fn consent_is_always_asked_with_a_word_of_caution(server) {
        let app = by_itself(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for _ in 0..2 {
            browser.authorize(&app, &[]).await;
            assert!(browser.is_asked_for_consent() && browser.page().body.contains("id=\"self-registered\""));
            browser.allow().await.code();
        }
        let known = server.client("known").await;
        assert!(!browser.authorize(&known, &[]).await.body.contains("id=\"self-registered\""));
    }

    /// OAuth 2.1 §7.12.2: nobody vouches for it, whatever its row, a command or a file says.
    async fn it_is_never_first_party(server) {
        let app = server.register("app", Registration { first_party: true, ..Registration::by_itself() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("prompt", "none")]).await.assert_redirected_error("consent_required");

        server.register("other", Registration::by_itself()).await;
        let refused = run(&server.database, &["client", "update", "other", "--first-party"]);
        assert!(refused.assert_code(2).stderr.contains("never first-party"), "{}", refused.stderr);
        let file = "[[clients]]\nclient_id = \"other\"\nclient_name = \"O\"\nredirect_uris = [\"https://o.example/\"]\nfirst_party = true\n";
        declare(&server.database, file);
        let applied = run(&server.database, &["apply"]);
        assert!(applied.stdout.contains("never first-party"), "{}{}", applied.stdout, applied.stderr);
    }

    /// RFC 7591 §2, §2.2: what an app tells of itself is linked to, in the person's language, and nothing of it is loaded.
    async fn the_links_of_an_app_are_links(server) {
        let metadata = json!({
            "client_uri": "https://app.example/about",
            "policy_uri": "https://app.example/policy",
            "tos_uri": "javascript:alert(1)",
            "logo_uri": "https://app.example/logo.png",
            "localized": {"policy_uri#de-AT": "https://app.example/datenschutz", "client_name#de": "Die App"},
        });
        let app = server.register("app", Registration { metadata, ..Registration::by_itself() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let page = browser.authorize(&app, &[]).await;
        for url in ["https://app.example/about", "https://app.example/policy", "https://app.example/logo.png"] {
            assert!(page.body.contains(&format!("rel=\"noreferrer\" href=\"{url}\"")), "{url}: {}", page.body);
        }
        assert!(!page.body.contains("javascript:") && !page.body.contains("src=\"https:"));
        let page = browser.authorize(&app, &[("ui_locales", "de")]).await;
        assert!(page.body.contains("https://app.example/datenschutz") && page.body.contains("<bdi>Die App</bdi>"));
    }

    /// OpenID Core §4: the account page leads to where an app begins a sign-in, with our name.
    async fn an_app_with_access_can_be_opened(server) {
        let metadata = json!({"initiate_login_uri": "https://start.example/login?from=op"});
        let app = server.register("app", Registration { metadata, first_party: true, ..Registration::default() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let code = app.code_at(&mut browser, &[]).await;
        app.redeem(&code).await.assert_status(200);
        let opens = "href=\"https://start.example/login?from=op&#38;iss=https%3A%2F%2Fauth.example.com\"";
        assert!(browser.go("/account").await.body.contains(opens), "{}", browser.page().body);
    }

    /// One that registered itself leads only to the host that is shown beside it.
    async fn an_app_that_registered_itself_opens_only_where_it_returns_to(server) {
        let start = |id: &'static str, uri: &str| (id, json!({"initiate_login_uri": uri}));
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for (id, metadata) in [start("here", "https://app.example/start"), start("elsewhere", "https://phish.example/start")] {
            let app = server.register(id, Registration { metadata, ..Registration::by_itself() }).await;
            app.code_at(&mut browser, &[]).await;
        }
        let page = browser.go("/account").await;
        assert!(page.body.contains("https://app.example/start?iss=") && !page.body.contains("phish.example"), "{}", page.body);
    }
}

async fn by_itself(server: &TestServer) -> App<'_> {
    server.register("app", Registration::by_itself()).await
}
