//! "Sign out everywhere" on the account page: every session of the person, and what ends with a session.

use axum::body::Body;
use http::Request;

use crate::{harness::Browser, on_every_backend};

async fn is_signed_in(browser: &mut Browser<'_>) -> bool {
    browser.fetch(Request::get("/account").body(Body::empty()).unwrap()).await.status == 200
}

on_every_backend! {
    /// All browsers are out at once, this one too, and nobody else's.
    async fn every_browser_is_signed_out(server) {
        let (mut here, mut there, mut other) = (server.browser(), server.browser(), server.browser());
        let person = here.sign_in_as_someone().await;
        there.sign_in_at_account(&person).await;
        other.sign_in_as_someone().await;
        server.more_sessions(200).await;

        let page = here.submit("/account/sign-out-everywhere", &[]).await.assert_status(200);
        assert!(page.body.contains("You are signed out everywhere"), "{}", page.body);
        assert!(here.cookies.is_empty());
        assert!(!is_signed_in(&mut here).await && !is_signed_in(&mut there).await);
        assert!(is_signed_in(&mut other).await);
    }

    /// What lasts until sign-out ends, also where its session merely expired; what was to outlive it goes on.
    async fn what_ends_with_a_session_ends(server) {
        let app = server.client("app").await;
        let (mut here, mut there) = (server.browser(), server.browser());
        let person = here.sign_in_as_someone().await;
        there.sign_in_at_account(&person).await;
        let bound = app.redeem(&app.code_at(&mut there, &[("scope", "read")]).await).await;
        let offline = [("scope", "read offline_access"), ("prompt", "consent")];
        let kept = app.redeem(&app.code_at(&mut there, &offline).await).await;
        let code = app.code_at(&mut there, &[("scope", "read")]).await;
        let kept_code = app.code_at(&mut there, &offline).await;
        let expired = app.redeem(&app.code_at(&mut there, &[("scope", "write")]).await).await;
        server.database.execute("DELETE FROM browser_sessions WHERE id IN (SELECT session_id FROM grants WHERE scope = 'write')").await;

        here.submit("/account/sign-out-everywhere", &[]).await.assert_status(200);
        for tokens in [bound, expired] {
            assert!(!server.is_active(&app, &tokens.access_token()).await);
            app.refresh(&tokens.refresh_token()).await.assert_error(400, "invalid_grant");
        }
        app.redeem(&code).await.assert_error(400, "invalid_grant");
        app.refresh(&kept.refresh_token()).await.assert_status(200);
        app.redeem(&kept_code).await.assert_status(200);
    }

    /// It is the person who did it, once.
    async fn it_is_an_act_of_the_person(server) {
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for _ in 0..2 {
            browser.submit("/account/sign-out-everywhere", &[]).await.assert_status(200);
        }
        let actors = server.database.strings("SELECT actor FROM audit_events WHERE name = 'sessions.revoked'").await;
        assert!(actors.len() == 1 && actors[0].starts_with("person:"), "{actors:?}");
        assert_eq!(server.audited("session.ended").await, 0);
    }

    /// Neither a link nor another site's form does it.
    async fn only_our_own_form_does_it(server) {
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.go("/account/sign-out-everywhere").await.assert_page_error(405);
        for site in ["cross-site", "same-site"] {
            let request = Request::post("/account/sign-out-everywhere").header("sec-fetch-site", site).body(Body::empty()).unwrap();
            browser.fetch(request).await.assert_page_error(403);
        }
        assert!(is_signed_in(&mut browser).await);
    }

    /// A stranger has nothing to end, and a link cannot make anyone believe that they are out.
    async fn nobody_is_told_so_who_is_not(server) {
        let mut browser = server.browser();
        assert_eq!(browser.post("/account/sign-out-everywhere", &[]).await.location(), "/login");
        browser.sign_in_as_someone().await;
        for path in ["/signed-out", "/signed-out?everywhere=1"] {
            assert_eq!(browser.fetch(Request::get(path).body(Body::empty()).unwrap()).await.location(), "/account");
        }
    }
}
