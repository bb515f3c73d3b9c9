//! What the client may ask of the sign-in: `prompt`, `max_age`, `login_hint`, scopes (OpenID Core §3.1.2.1, §3.1.2.3, §11).

use crate::{
    harness::{App, Browser, Registration, START, TestServer},
    on_every_backend,
};

on_every_backend! {
    /// OpenID Core §3.1.2.6: nothing may be shown, and something would have to be.
    async fn prompt_none_says_what_is_missing(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.authorize(&app, &[("prompt", "none")]).await.assert_redirected_error("login_required");
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("prompt", "none")]).await.assert_redirected_error("consent_required");

        app.code_at(&mut browser, &[]).await;
        let code = browser.authorize(&app, &[("prompt", "none")]).await.code();
        app.redeem(&code).await.assert_status(200);
    }

    /// OpenID Core §3.1.2.1: `none` shows nothing also when the sign-in is too old, or more is asked.
    async fn prompt_none_asks_for_nothing_more(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        app.code_at(&mut browser, &[("scope", "read")]).await;
        server.advance(100);

        let ask = |name, value| [("scope", "read"), ("prompt", "none"), (name, value)];
        browser.authorize(&app, &ask("max_age", "99")).await.assert_redirected_error("login_required");
        browser.authorize(&app, &ask("max_age", "0")).await.assert_redirected_error("login_required");
        browser.authorize(&app, &ask("max_age", "1000")).await.code();
        browser.authorize(&app, &[("scope", "read write"), ("prompt", "none")]).await.assert_redirected_error("consent_required");
    }

    /// OpenID Core §3.1.2.1: `none` stands alone.
    async fn prompt_none_with_another_value_is_refused(server) {
        let app = server.client("app").await;
        for prompt in ["none login", "consent none", "none unknown", "none none"] {
            server.get(&app.authorization_path(&[("prompt", prompt)])).await.assert_redirected_error("invalid_request");
        }
    }

    /// OpenID Core §3.1.2.1: who is signed in signs in again, and tokens tell the new time.
    async fn prompt_login_signs_in_again(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        server.advance(100);
        browser.authorize(&app, &[("prompt", "login")]).await;
        assert!(browser.is_asked_to_sign_in());

        server.advance(7);
        let code = browser.sign_in(&person).await.code();
        assert_eq!(auth_time(&app, &code).await, 107);
    }

    /// The sealed request remembers that a new sign-in was asked for: going past the form leads back to it.
    async fn prompt_login_cannot_be_walked_around(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("prompt", "login")]).await;
        let request = browser.page().field("request");

        for path in ["/consent", "/login"] {
            browser.go(&format!("{path}?request={request}")).await;
            assert!(browser.is_asked_to_sign_in(), "{path}");
        }
        browser.sign_in_with("person0@example.com", "wrong").await.assert_status(400);
        browser.go(&format!("/consent?request={request}")).await;
        assert!(browser.is_asked_to_sign_in());
        assert_eq!(server.database.count("authorization_codes").await, 0);
    }

    /// A new sign-in answers the request that asked for it, once: the next request asks again.
    async fn prompt_login_asks_each_time(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        for _ in 0..2 {
            browser.authorize(&app, &[("prompt", "login")]).await;
            browser.sign_in(&person).await.code();
        }
    }

    /// OpenID Core §3.1.2.1: both, one after the other.
    async fn prompt_login_and_consent_asks_for_both(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        app.code_at(&mut browser, &[]).await;
        browser.authorize(&app, &[("prompt", "login consent")]).await;
        assert!(browser.is_asked_to_sign_in());
        browser.sign_in(&person).await;
        assert!(browser.is_asked_for_consent());
        browser.allow().await.code();
    }

    /// OpenID Core §3.1.2.1: someone else may sign in.
    async fn prompt_login_lets_someone_else_sign_in(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let bob = server.person("bob").await;
        let before = browser.authorize(&app, &[]).await.code();
        let before = app.redeem(&before).await.claims();

        browser.authorize(&app, &[("prompt", "login")]).await;
        let code = browser.sign_in(&bob).await.code();
        assert_ne!(app.redeem(&code).await.claims()["sub"], before["sub"]);
    }

    /// OpenID Core §3.1.2.1: values that are not known to us do nothing.
    async fn an_unknown_prompt_is_ignored(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for prompt in ["sparkle", "create", "NONE", "Select_Account", " "] {
            browser.authorize(&app, &[("prompt", prompt)]).await.code();
        }
    }

    /// OpenID Core §3.1.2.1: a sign-in that is older than `max_age` is not enough.
    async fn max_age_limits_how_old_a_sign_in_may_be(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        server.advance(59);
        let code = browser.authorize(&app, &[("max_age", "60")]).await.code();
        assert_eq!(auth_time(&app, &code).await, 0);

        server.advance(2);
        browser.authorize(&app, &[("max_age", "60")]).await;
        assert!(browser.is_asked_to_sign_in());
        let code = browser.sign_in(&person).await.code();
        assert_eq!(auth_time(&app, &code).await, 61);
    }

    /// OpenID Core §3.1.2.1: `max_age=0` is `prompt=login`.
    async fn a_max_age_of_nothing_signs_in_again(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("max_age", "0")]).await;
        assert!(browser.is_asked_to_sign_in());
        // Whoever takes long over the consent need not sign in a third time.
        server.advance(300);
        browser.sign_in(&person).await.code();
    }

    /// A person who signed in for this very request may take longer than `max_age` to decide.
    async fn max_age_does_not_run_out_while_the_person_decides(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let person = server.person("alice").await;
        browser.authorize(&app, &[("max_age", "10")]).await;
        browser.sign_in(&person).await;
        server.advance(600);

        browser.allow().await.code();
    }

    /// OpenID Core §3.1.2.1: a number of seconds.
    async fn a_max_age_that_is_no_number_is_refused(server) {
        let app = server.client("app").await;
        for max_age in ["-1", "+1", "1.5", "1e3", "soon", " 1", "0x10"] {
            server.get(&app.authorization_path(&[("max_age", max_age)])).await.assert_redirected_error("invalid_request");
        }
    }

    /// Nobody is signed in for longer than the largest number: it asks for nothing.
    async fn a_max_age_of_any_size_is_a_number(server) {
        let app = server.client("app").await;
        for max_age in ["4294967296", "99999999999999999999"] {
            assert!(server.get(&app.authorization_path(&[("max_age", max_age)])).await.location().starts_with("/login"));
        }
    }

    /// OpenID Core §3.1.2.1: `login_hint` fills the field in, as text and nothing else.
    async fn login_hint_fills_the_field_in(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        let page = browser.authorize(&app, &[("login_hint", "alice@example.com")]).await;
        assert!(page.body.contains("value=\"alice@example.com\""));

        let page = browser.authorize(&app, &[("login_hint", "\"><script>alert(1)</script>")]).await;
        assert!(page.body.contains("value=\"&#34;&#62;&#60;script&#62;"), "{}", page.body);
    }

    /// `login_hint` decides nothing: whoever is signed in stays, and anyone may sign in.
    async fn login_hint_only_fills_the_field_in(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        let alice = browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("login_hint", "bob@example.com")]).await.code();
        browser.authorize(&app, &[("login_hint", "bob@example.com"), ("prompt", "none")]).await.code();

        browser.authorize(&app, &[("login_hint", "bob@example.com"), ("prompt", "login")]).await;
        browser.sign_in(&alice).await.code();
    }

    /// OAuth 2.1 §1.4.1: asking for nothing gives what the client is registered for.
    async fn without_a_scope_the_registered_one_is_meant(server) {
        let app = server.register("app", Registration { scope: "read write", ..Registration::default() }).await;
        assert_eq!(app.tokens().await.member("scope"), "read write");
    }

    /// OAuth 2.1 §1.4.1: less can be asked for.
    async fn a_part_of_the_scope_can_be_asked_for(server) {
        let app = server.client("app").await;
        let code = app.code_with(&[("scope", "write")]).await;
        let tokens = app.redeem(&code).await;
        assert_eq!((tokens.member("scope").as_str(), &tokens.claims()["scope"]), ("write", &"write".into()));
    }

    /// OAuth 2.1 §4.1.2.1: what is not allowed is refused.
    async fn without_openid_a_scope_that_is_not_allowed_is_refused(server) {
        let app = server.client("app").await;
        for scope in ["admin", "read admin", "READ", "re\"ad", "re\\ad", "réad", "read\twrite", " "] {
            server.get(&app.authorization_path(&[("scope", scope)])).await.assert_redirected_error("invalid_scope");
        }
    }

    /// OpenID Core §3.1.2.1: scopes that are not understood are ignored in an authentication request.
    async fn with_openid_a_scope_that_is_not_allowed_is_dropped(server) {
        let app = server.client("app").await;
        let code = app.code_with(&[("scope", "openid admin read phone")]).await;
        assert_eq!(app.redeem(&code).await.member("scope"), "openid read");
    }

    /// Nothing left is nothing to ask for.
    async fn with_openid_and_nothing_allowed_the_scope_is_refused(server) {
        let app = server.register("app", Registration { scope: "read", ..Registration::default() }).await;
        server.get(&app.authorization_path(&[("scope", "openid admin")])).await.assert_redirected_error("invalid_scope");
    }

    /// OpenID Core §11: without `prompt=consent` it is ignored.
    async fn offline_access_needs_consent_to_it(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let ask = [("scope", "read offline_access")];
        assert_eq!(scope_at(&app, &mut browser, &ask).await, "read");
        assert_eq!(scope_at(&app, &mut browser, &[ask[0], ("prompt", "consent")]).await, "read offline_access");
        // Consent to it is on record now.
        assert_eq!(scope_at(&app, &mut browser, &ask).await, "read offline_access");
    }

    /// OpenID Core §11: the form names it when it is granted, and only then.
    async fn the_form_names_offline_access_only_when_it_is_granted(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let ask = [("scope", "read offline_access")];
        assert!(!browser.authorize(&app, &ask).await.body.contains("even after you sign out"));
        assert!(browser.authorize(&app, &[ask[0], ("prompt", "consent")]).await.body.contains("even after you sign out"));
    }

    /// OpenID Core §11: another condition for offline access is the operator's trust.
    async fn a_first_party_client_has_offline_access(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        assert_eq!(scope_at(&app, &mut browser, &[("scope", "read offline_access")]).await, "read offline_access");
    }

    /// OpenID Core §11: ignoring it leaves nothing to grant.
    async fn offline_access_alone_needs_prompt_consent(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("scope", "offline_access")]).await.assert_redirected_error("invalid_scope");
        assert_eq!(scope_at(&app, &mut browser, &[("scope", "offline_access"), ("prompt", "consent")]).await, "offline_access");
    }
}

/// A client that need not ask for consent.
async fn ours(server: &TestServer) -> App<'_> {
    server.register("ours", Registration { first_party: true, ..Registration::default() }).await
}

/// The `auth_time` behind a code, in seconds since the test began.
async fn auth_time(app: &App<'_>, code: &str) -> i64 {
    app.redeem(code).await.claims()["auth_time"].as_i64().unwrap() - START.as_micros() / 1_000_000
}

/// The scope that a request obtains.
async fn scope_at(app: &App<'_>, browser: &mut Browser<'_>, extra: &[(&str, &str)]) -> String {
    let code = app.code_at(browser, extra).await;
    app.redeem(&code).await.member("scope")
}
