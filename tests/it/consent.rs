//! Consent (OAuth 2.1 §3.1, §7.3.1, §7.9, RFC 8252 §8.6, OpenID Core §3.1.2.4).

use crate::{
    harness::{Browser, Registration, TestServer},
    on_every_backend,
};

on_every_backend! {
    /// OpenID Core §3.1.2.4: a person is asked once for the same, and it is remembered for everything that they do later.
    async fn a_person_is_asked_once(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        browser.authorize(&app, &[]).await;
        assert!(browser.is_asked_for_consent());
        browser.allow().await.code();
        browser.authorize(&app, &[]).await.code();

        let mut elsewhere = server.browser();
        elsewhere.sign_in_at_account(&person).await;
        elsewhere.authorize(&app, &[]).await.code();
        assert_eq!(server.audited("consent.given").await, 1);
    }

    /// OAuth 2.1 §7.9: the form says who asks, where the answer goes, who is signed in, and for what.
    async fn the_form_says_who_asks_for_what(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let page = browser.authorize(&app, &[("scope", "openid read")]).await;

        for text in ["The app", "app.example", "person0@example.com", "Know who you are here", "read", "until you sign out"] {
            assert!(page.body.contains(text), "{text}");
        }
        assert!(!page.body.contains("write"));
    }

    /// A consent is one person's and one client's.
    async fn another_person_or_client_is_asked_anew(server) {
        let (app, other) = (server.client("app").await, server.client("other").await);
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        app.code_at(&mut browser, &[]).await;
        browser.authorize(&other, &[]).await;
        assert!(browser.is_asked_for_consent());

        let mut elsewhere = server.browser();
        elsewhere.sign_in_as_someone().await;
        elsewhere.authorize(&app, &[]).await;
        assert!(elsewhere.is_asked_for_consent());
    }

    /// More than was allowed is asked for; less, or the same in two steps, is not.
    async fn more_scopes_ask_again(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for scope in ["read", "openid write"] {
            browser.authorize(&app, &[("scope", scope)]).await;
            assert!(browser.is_asked_for_consent(), "{scope}");
            browser.allow().await.code();
        }

        for scope in ["read", "write read", "openid read write"] {
            let code = browser.authorize(&app, &[("scope", scope)]).await.code();
            assert_eq!(app.redeem(&code).await.member("scope"), scope);
        }
    }

    /// OpenID Core §3.1.2.1: asked again although it is on record, and the first-party client, too.
    async fn prompt_consent_asks_again(server) {
        let app = server.client("app").await;
        let ours = server.register("ours", Registration { first_party: true, ..Registration::default() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        app.code_at(&mut browser, &[]).await;

        for app in [&app, &ours] {
            browser.authorize(app, &[("prompt", "consent")]).await;
            assert!(browser.is_asked_for_consent(), "{}", app.id);
            browser.allow().await.code();
        }
    }

    /// The operator vouches for its own clients.
    async fn a_first_party_client_is_not_asked_for(server) {
        let confidential = server.register("ours", Registration { first_party: true, ..Registration::default() }).await;
        let at_https = server.register("our-spa", Registration { first_party: true, ..Registration::spa() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;

        for app in [confidential, at_https] {
            browser.authorize(&app, &[]).await.code();
            browser.authorize(&app, &[("prompt", "none")]).await.code();
        }
        assert_eq!(server.database.count("consents").await, 0);
    }

    /// OAuth 2.1 §7.3.1, RFC 8252 §8.6: any program could be behind it, so nothing is remembered or skipped.
    async fn a_public_client_on_the_device_is_asked_for_each_time(server) {
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for (id, first_party, application_type, uri) in [
            ("loopback", false, "native", "http://127.0.0.1/callback"),
            ("localhost", false, "web", "http://localhost:3000/"),
            ("private-use", false, "native", "com.example.app:/callback"),
            ("our-own", true, "native", "http://[::1]/callback"),
        ] {
            let registration = Registration { first_party, application_type, redirect_uris: vec![uri], ..Registration::native() };
            let app = server.register(id, registration).await;
            for _ in 0..2 {
                browser.authorize(&app, &[]).await;
                assert!(browser.is_asked_for_consent(), "{id}");
                browser.allow().await.code();
                browser.authorize(&app, &[("prompt", "none")]).await.assert_redirected_error("consent_required");
            }
        }
    }

    /// RFC 8252 §8.6: a claimed `https` URI and a secret are proof enough.
    async fn a_client_that_proves_itself_is_remembered(server) {
        let spa = server.register("spa", Registration::spa()).await;
        let on_loopback = Registration { redirect_uris: vec!["http://127.0.0.1:3000/"], ..Registration::default() };
        let confidential = server.register("confidential", on_loopback).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;

        for app in [spa, confidential] {
            app.code_at(&mut browser, &[]).await;
            browser.authorize(&app, &[]).await.code();
        }
    }

    /// OAuth 2.1 §4.1.2.1: the person says no; the client learns it, and next time they are asked again.
    async fn deny_is_access_denied(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[]).await;
        let answer = browser.deny().await;

        answer.assert_redirected_error("access_denied");
        assert_eq!(answer.param("state").as_deref(), Some("af0ifjsldkj"));
        assert_eq!(server.audited("consent.denied").await, 1);
        assert_nothing_happened(server).await;
        browser.authorize(&app, &[]).await;
        assert!(browser.is_asked_for_consent());
    }

    /// A No to more does not take back the earlier Yes.
    async fn deny_keeps_what_was_allowed_before(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        app.code_at(&mut browser, &[("scope", "read")]).await;
        browser.authorize(&app, &[("scope", "read write")]).await;
        browser.deny().await.assert_redirected_error("access_denied");

        browser.authorize(&app, &[("scope", "read")]).await.code();
    }

    /// A consent can be taken back, and with it everything that it gave.
    async fn a_removed_app_asks_again(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let code = app.code_at(&mut browser, &[("prompt", "consent")]).await;
        let tokens = app.redeem(&code).await;
        browser.submit("/account/apps/end", &[("client_id", "app")]).await.assert_status(200);

        assert!(!server.is_active(&app, &tokens.access_token()).await);
        app.refresh(&tokens.refresh_token()).await.assert_error(400, "invalid_grant");
        browser.authorize(&app, &[("prompt", "none")]).await.assert_redirected_error("consent_required");
        browser.authorize(&app, &[]).await;
        assert!(browser.is_asked_for_consent());
        // `offline_access` is forgotten with the rest.
        let code = browser.allow().await.code();
        assert_eq!(app.redeem(&code).await.member("scope"), "openid read write");
    }

    /// A form that was open while the app was removed is a new decision.
    async fn allow_after_removal_counts_as_a_new_consent(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        app.code_at(&mut browser, &[("scope", "read")]).await;
        browser.authorize(&app, &[("scope", "read write")]).await;
        let form = form(&browser);
        browser.submit("/account/apps/end", &[("client_id", "app")]).await;

        let code = browser.submit("/consent", &pairs(&form)).await.code();
        assert_eq!(app.redeem(&code).await.member("scope"), "read write");
    }

    /// A form counts for the session for which it was shown, not for another of the same person.
    async fn a_form_of_another_session_is_refused(server) {
        let app = server.client("app").await;
        let (mut browser, mut other) = (server.browser(), server.browser());
        let person = browser.sign_in_as_someone().await;
        other.sign_in_at_account(&person).await;
        browser.authorize(&app, &[]).await;
        let form = form(&browser);

        other.submit("/consent", &pairs(&form)).await.assert_page_error(403);
        assert_nothing_happened(server).await;
        browser.submit("/consent", &pairs(&form)).await.code();
    }

    /// A form that one person left open is nothing that the next one at the browser can send.
    async fn a_form_of_another_person_is_refused(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let bob = server.person("bob").await;
        browser.authorize(&app, &[]).await;
        let form = form(&browser);
        browser.go("/login?another=1").await;
        browser.sign_in(&bob).await.assert_status(200);

        browser.submit("/consent", &pairs(&form)).await.assert_page_error(403);
        assert_nothing_happened(server).await;
    }

    /// Allowing one request does not allow another: an attacker's, or one for more.
    async fn a_form_of_another_request_is_refused(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("scope", "read")]).await;
        let narrow = form(&browser);
        browser.authorize(&app, &[("scope", "read write")]).await;
        let wide = form(&browser);

        let mixed = [pairs(&wide)[0], pairs(&narrow)[1], ("decision", "allow")];
        browser.submit("/consent", &mixed).await.assert_page_error(403);
        for bound in ["", "x", &narrow[1].1[1..], &narrow[1].1.to_lowercase()] {
            browser.submit("/consent", &[pairs(&narrow)[0], ("bound", bound), ("decision", "allow")]).await.assert_page_error(403);
        }
        assert_nothing_happened(server).await;
    }

    /// The client was registered for more since the form was shown: nobody allows what they did not see.
    async fn a_form_that_showed_less_than_is_asked_for_is_shown_again(server) {
        let app = server.register("app", Registration { scope: "openid read", ..Registration::default() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[]).await;
        assert!(!browser.page().body.contains("write"));
        app.limit_to("openid read write").await;
        let node = server.fresh_node().await;
        let app = app.at(&node);
        let mut browser = browser.moved_to(&node);

        browser.allow().await;
        assert!(browser.is_asked_for_consent());
        assert!(browser.page().body.contains("write"));
        assert_nothing_happened(server).await;
        let code = browser.allow().await.code();
        assert_eq!(app.redeem(&code).await.member("scope"), "openid read write");
        node.stop().await;
    }

    /// Deny is a decision, too: it needs the same form.
    async fn a_no_of_another_request_is_refused(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[]).await;
        let request = browser.page().field("request");

        browser.submit("/consent", &[("request", &request), ("bound", "x"), ("decision", "deny")]).await.assert_page_error(403);
        assert_eq!(server.audited("consent.denied").await, 0);
    }

    /// Neither Allow nor Deny is neither.
    async fn a_form_without_a_decision_is_refused(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[]).await;
        let form = form(&browser);

        for decision in ["", "ALLOW", "maybe"] {
            browser.submit("/consent", &[pairs(&form)[0], pairs(&form)[1], ("decision", decision)]).await.assert_page_error(400);
        }
        assert_nothing_happened(server).await;
    }

    /// OAuth 2.1 §7.11: nobody presses Allow from another site.
    async fn a_form_from_another_site_is_refused(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[]).await;
        let form = form(&browser);

        for (name, value) in [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example"), ("x", "y")] {
            let mut request = form_request("/consent", &pairs(&form));
            request.headers_mut().insert(name, value.parse().unwrap());
            browser.fetch(request).await.assert_page_error(403);
        }
        assert_nothing_happened(server).await;
    }

    /// The form is of no use to whoever is not signed in any more: they sign in and are asked anew.
    async fn a_form_after_sign_out_leads_to_sign_in(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        browser.authorize(&app, &[]).await;
        let form = form(&browser);
        browser.submit("/account/sign-out", &[]).await;

        browser.submit("/consent", &pairs(&form)).await;
        assert!(browser.is_asked_to_sign_in());
        assert_nothing_happened(server).await;
        browser.sign_in(&person).await;
        assert!(browser.is_asked_for_consent());
        browser.allow().await.code();
    }

    /// A person who was disabled meanwhile allows nothing.
    async fn a_disabled_person_allows_nothing(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        browser.authorize(&app, &[]).await;
        let form = form(&browser);
        person.disable(server).await;

        browser.submit("/consent", &pairs(&form)).await;
        assert!(browser.is_asked_to_sign_in());
        browser.sign_in(&person).await.assert_status(400);
        assert_nothing_happened(server).await;
    }

    /// Allow does not replace a sign-in that the client asked for.
    async fn allow_does_not_stand_in_for_a_new_sign_in(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let person = server.person("alice").await;
        browser.authorize(&app, &[("prompt", "login")]).await;
        browser.sign_in(&person).await;
        assert!(browser.is_asked_for_consent());
        browser.allow().await.code();
    }
}

/// Refused forms leave nothing behind.
async fn assert_nothing_happened(server: &TestServer) {
    for table in ["authorization_codes", "consents"] {
        assert_eq!(server.database.count(table).await, 0, "{table}");
    }
    assert_eq!(server.audited("consent.given").await, 0);
}

/// What Allow sends.
fn form(browser: &Browser<'_>) -> [(&'static str, String); 3] {
    let page = browser.page();
    [("request", page.field("request")), ("bound", page.field("bound")), ("decision", "allow".to_owned())]
}

/// As a slice of pairs.
fn pairs<'a>(form: &'a [(&'static str, String); 3]) -> [(&'a str, &'a str); 3] {
    form.each_ref().map(|(name, value)| (*name, value.as_str()))
}
