//! The machine's clock jumps by an hour, forward and back (docs/operations.md, Faults). In process, where the clock can be moved;
//! `keys_over_time` has what becomes of keys, by months.

use std::time::Duration;

use jsonwebtoken::decode_header;

use crate::{
    harness::{App, TestServer},
    on_every_backend,
};

const HOUR: Duration = Duration::from_hours(1);

/// The key that signs now, and how many are published.
async fn keys(server: &TestServer, app: &App<'_>) -> (String, usize) {
    let published = server.get("/oauth/jwks").await.assert_status(200).json()["keys"].as_array().unwrap().len();
    let token = app.client_credentials(&[]).await.access_token();
    (decode_header(token).unwrap().kid.unwrap(), published)
}

/// When a job ran last, as the database keeps it.
async fn last_purge(server: &TestServer) -> String {
    let last = "SELECT CAST(last_run_at AS TEXT) FROM jobs WHERE name = 'purge_expired' AND leased_by IS NULL";
    server.database.strings(last).await.concat()
}

on_every_backend! {
    /// What lives for an hour or less is over; sessions, grants and keys go on, and the jobs run at once.
    async fn a_clock_that_jumps_forward_ends_what_is_short_lived(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let (unused, code) = (app.code_at(&mut browser, &[]).await, app.code_at(&mut browser, &[]).await);
        let tokens = app.redeem(&code).await;
        server.run_jobs().await;
        let (before, purged) = (keys(server, &app).await, last_purge(server).await);

        server.clock.advance(HOUR);
        server.run_jobs().await;
        assert_ne!(last_purge(server).await, purged);
        assert!(!server.is_active(&app, &tokens.access_token()).await);
        app.redeem(&unused).await.assert_error(400, "invalid_grant");
        let refreshed = app.refresh(&tokens.refresh_token()).await;
        assert!(server.is_active(&app, &refreshed.access_token()).await);
        browser.go("/account").await.assert_status(200);
        let code = app.code_at(&mut browser, &[]).await;
        app.redeem(&code).await.assert_status(200);
        assert_eq!(keys(server, &app).await, before);
        assert_eq!((server.audited("refresh_token.reused").await, server.audited("authorization_code.reused").await), (0, 0));
    }

    /// Everything here is of a time that is yet to come, and works: a retry is one, a code and a session are good, people sign in,
    /// jobs run and delete nothing.
    async fn a_clock_that_jumps_back_ends_nothing(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        let (unused, code) = (app.code_at(&mut browser, &[]).await, app.code_at(&mut browser, &[]).await);
        let tokens = app.redeem(&code).await;
        let lost = app.refresh(&tokens.refresh_token()).await.refresh_token();
        let mut slips = server.browser();
        slips.go("/account").await;
        slips.sign_in_with(&person.email, "not her password").await;
        server.run_jobs().await;
        let (before, purged) = (keys(server, &app).await, last_purge(server).await);

        server.clock.set_back(HOUR);
        server.run_jobs().await;
        assert_ne!(last_purge(server).await, purged);
        assert!(server.is_active(&app, &tokens.access_token()).await);
        assert_eq!(app.refresh(&tokens.refresh_token()).await.refresh_token(), lost);
        let mut token = lost;
        for _ in 0..3 {
            let refreshed = app.refresh(&token).await;
            assert!(server.is_active(&app, &refreshed.access_token()).await);
            token = refreshed.refresh_token();
        }
        app.redeem(&unused).await.assert_status(200);
        browser.go("/account").await.assert_status(200);
        server.browser().sign_in_at_account(&person).await.assert_status(200);
        assert_eq!(keys(server, &app).await, before);
        assert_eq!((server.audited("refresh_token.reused").await, server.audited("refresh_token.retried").await), (0, 1));
        assert!(server.grants().await.iter().all(|grant| !grant.contains("revoked")));
    }

    /// OpenID Core §3.1.2.1: a sign-in of a time that is yet to come proves neither that it came after the request, nor that it is
    /// recent; one that follows does.
    async fn a_clock_that_jumps_back_lets_nobody_skip_a_sign_in(server) {
        let app = server.client("app").await;
        let mut browsers = [server.browser(), server.browser()];
        let mut people = Vec::new();
        for browser in &mut browsers {
            people.push(browser.sign_in_as_someone().await);
            app.code_at(browser, &[]).await;
        }
        server.clock.set_back(HOUR);
        for ((mut browser, person), again) in browsers.into_iter().zip(people).zip([("prompt", "login"), ("max_age", "10000")]) {
            browser.go("/account").await.assert_status(200);
            browser.authorize(&app, &[again]).await;
            assert!(browser.is_asked_to_sign_in(), "{again:?}");
            browser.sign_in(&person).await;
            let code = browser.allow_if_asked().await.code();
            app.redeem(&code).await.assert_status(200);
        }
    }

    /// A request that waited for its person when the clock was set back is begun anew: no sign-in would be later than it.
    async fn a_request_of_a_time_that_is_yet_to_come_is_begun_anew(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("prompt", "login")]).await;
        server.clock.set_back(HOUR);
        browser.sign_in(&person).await.assert_page_error(400);
        browser.authorize(&app, &[("prompt", "login")]).await;
        browser.sign_in(&person).await;
        browser.allow_if_asked().await.code();
    }

    /// A clock that was wrong is corrected: what was issued by it still holds, and so does what was issued before.
    async fn a_clock_that_jumps_forward_and_back_loses_no_grant(server) {
        let app = server.client("app").await;
        let first = app.tokens().await.refresh_token();
        server.clock.advance(HOUR);
        let second = app.tokens().await;
        let first = app.refresh(&first).await.refresh_token();
        server.run_jobs().await;
        server.clock.set_back(HOUR);
        server.run_jobs().await;
        assert!(server.is_active(&app, &second.access_token()).await);
        for token in [first, second.refresh_token()] {
            let refreshed = app.refresh(&token).await;
            assert!(server.is_active(&app, &refreshed.access_token()).await);
            app.refresh(&refreshed.refresh_token()).await.assert_status(200);
        }
        assert_eq!(server.audited("refresh_token.reused").await, 0);
    }
}
