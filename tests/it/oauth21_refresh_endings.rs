//! What ends a grant from the outside, and what does not (OAuth 2.1 §4.3, §7.1.2; `OpenID` Core §11).

use crate::{
    harness::{Answer, App, Browser, TestServer},
    on_every_backend,
};

const DAY: u64 = 24 * 60 * 60;

/// Tokens for someone at this browser.
async fn tokens_at(app: &App<'_>, browser: &mut Browser<'_>, extra: &[(&str, &str)]) -> Answer {
    let code = app.code_at(browser, extra).await;
    app.redeem(&code).await
}

async fn assert_ended(server: &TestServer, app: &App<'_>, tokens: &Answer) {
    app.refresh(&tokens.refresh_token()).await.assert_error(400, "invalid_grant");
    assert!(!server.is_active(app, &tokens.access_token()).await);
    assert!(!server.is_active(app, &tokens.refresh_token()).await);
}

on_every_backend! {
    /// A disabled person is out, at once and everywhere.
    async fn a_disabled_persons_grants_are_refused(server) {
        let app = server.client("app").await;
        let (tokens, code) = (app.tokens().await, app.code().await);
        server.disable_everyone().await;
        assert_ended(server, &app, &tokens).await;
        app.redeem(&code).await.assert_error(400, "invalid_grant");
    }

    /// A retry passes every check of a first use: what has ended meanwhile stays ended.
    async fn a_retry_after_the_end_is_refused(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let (revoked, signed_out) = (app.tokens().await.refresh_token(), tokens_at(&app, &mut browser, &[]).await.refresh_token());
        let of_disabled = app.tokens().await.refresh_token();
        for token in [&revoked, &signed_out, &of_disabled] {
            app.refresh(token).await.assert_status(200);
        }
        app.revoke(&revoked).await.assert_status(200);
        app.refresh(&revoked).await.assert_error(400, "invalid_grant");
        browser.post("/account/sign-out", &[]).await.assert_status(303);
        app.refresh(&signed_out).await.assert_error(400, "invalid_grant");
        server.disable_everyone().await;
        app.refresh(&of_disabled).await.assert_error(400, "invalid_grant");
        assert_eq!(server.audited("refresh_token.retried").await, 0);
    }

    /// After a reset nothing issued before it works, and what is issued later does.
    async fn tokens_not_before_of_a_person_voids_what_is_older(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        let before = tokens_at(&app, &mut browser, &[]).await;
        let code_before = app.code_at(&mut browser, &[]).await;
        server.void_everyones_tokens().await;
        assert_ended(server, &app, &before).await;
        app.redeem(&code_before).await.assert_error(400, "invalid_grant");

        browser.sign_in_at_account(&person).await;
        let after = tokens_at(&app, &mut browser, &[]).await;
        app.refresh(&after.refresh_token()).await.assert_status(200);
    }

    /// The client may still be in memory, but the statement that spends a token asks the database.
    async fn a_disabled_clients_grants_are_refused_at_once(server) {
        let app = server.client("app").await;
        let (tokens, code) = (app.tokens().await, app.code().await);
        app.disable().await;
        for answer in [app.refresh(&tokens.refresh_token()).await, app.redeem(&code).await] {
            assert!([400, 401].contains(&answer.status.as_u16()), "{} {}", answer.status, answer.body);
        }
        assert_eq!(server.grants().await, ["0"]);
        eventually(async || app.refresh(&tokens.refresh_token()).await.status == 401).await;
    }

    /// After a leak nothing issued to the client before works, and what is issued later does.
    async fn tokens_not_before_of_a_client_voids_what_is_older(server) {
        let app = server.client("app").await;
        let (before, own) = (app.tokens().await, app.client_credentials(&[]).await.access_token());
        let code_before = app.code().await;
        server.advance(1);
        app.void_tokens().await;
        assert_ended(server, &app, &before).await;
        assert!(!server.is_active(&app, &own).await);
        app.redeem(&code_before).await.assert_error(400, "invalid_grant");

        server.advance(1);
        let after = app.tokens().await;
        app.refresh(&after.refresh_token()).await.assert_status(200);
        assert!(server.is_active(&app, &app.client_credentials(&[]).await.access_token()).await);
    }

    /// `OpenID` Core §11: without `offline_access` a grant is for while the person is there.
    async fn signing_out_ends_a_grant_without_offline_access(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let (tokens, code) = (tokens_at(&app, &mut browser, &[]).await, app.code_at(&mut browser, &[]).await);
        browser.post("/account/sign-out", &[]).await.assert_status(303);
        assert_ended(server, &app, &tokens).await;
        app.redeem(&code).await.assert_error(400, "invalid_grant");
    }

    /// `OpenID` Core §11: with it, the app goes on when the person is gone.
    async fn signing_out_does_not_end_a_grant_with_offline_access(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let tokens = tokens_at(&app, &mut browser, &[("scope", "read offline_access"), ("prompt", "consent")]).await;
        assert_eq!(tokens.member("scope"), "read offline_access");
        browser.post("/account/sign-out", &[]).await.assert_status(303);
        assert!(server.is_active(&app, &tokens.access_token()).await);
        app.refresh(&tokens.refresh_token()).await.assert_status(200);
    }

    /// Signing out at one browser leaves alone what was obtained at another.
    async fn signing_out_ends_only_what_hangs_on_that_session(server) {
        let app = server.client("app").await;
        let (mut here, mut there) = (server.browser(), server.browser());
        let person = here.sign_in_as_someone().await;
        there.sign_in_at_account(&person).await;
        let (tokens_here, tokens_there) = (tokens_at(&app, &mut here, &[]).await, tokens_at(&app, &mut there, &[]).await);
        here.post("/account/sign-out", &[]).await.assert_status(303);
        assert_ended(server, &app, &tokens_here).await;
        app.refresh(&tokens_there.refresh_token()).await.assert_status(200);
    }

    /// A session that merely expires, as they all do, ends no grant.
    async fn an_expired_session_ends_no_grant(server) {
        let app = server.client("app").await;
        let tokens = app.tokens().await;
        server.advance(20 * DAY);
        app.refresh(&tokens.refresh_token()).await.assert_status(200);
    }

    /// A person who ends an app's access on the account page means all of it, `offline_access` too.
    async fn ending_an_apps_access_ends_its_grants(server) {
        let (app, other) = (server.client("app").await, server.client("other").await);
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let tokens = tokens_at(&app, &mut browser, &[("scope", "read offline_access"), ("prompt", "consent")]).await;
        let others = tokens_at(&other, &mut browser, &[]).await;
        browser.post("/account/apps/end", &[("client_id", "app")]).await.assert_status(303);
        assert_ended(server, &app, &tokens).await;
        other.refresh(&others.refresh_token()).await.assert_status(200);
    }
}
