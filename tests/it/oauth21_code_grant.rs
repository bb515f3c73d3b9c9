//! The authorization code grant (OAuth 2.1 §4.1).

use futures_util::future::join_all;

use crate::{
    harness::{Answer, App},
    on_every_backend,
};

/// How many requests race for one code.
const RACERS: usize = 64;

on_every_backend! {
    /// OAuth 2.1 §4.1: a code obtains tokens for what was asked.
    async fn a_code_is_exchanged_for_tokens(server) {
        let app = server.client("app").await;
        let tokens = app.tokens().await;

        let body = tokens.assert_status(200).json();
        assert_eq!((&body["token_type"], &body["expires_in"], &body["scope"]), (&"Bearer".into(), &600.into(), &"openid read write".into()));
        assert!(server.is_active(&app, &tokens.access_token()).await);
    }

    /// OAuth 2.1 §3.2.3: nobody keeps the answer.
    async fn the_answer_is_json_that_nobody_keeps(server) {
        let tokens = server.client("app").await.tokens().await;

        assert_eq!(tokens.header("content-type"), "application/json");
        assert_eq!((tokens.header("cache-control"), tokens.header("pragma")), ("no-store", "no-cache"));
    }

    /// OAuth 2.1 §4.1.3: the same for a client that has no secret.
    async fn a_public_client_redeems_by_its_client_id(server) {
        let app = server.register("spa", Registration::spa()).await;
        app.tokens().await.assert_status(200);
    }

    /// OAuth 2.1 §4.3: only for clients that are registered for them.
    async fn without_the_grant_type_there_is_no_refresh_token(server) {
        let registration = Registration { grant_types: vec!["authorization_code"], ..Registration::default() };
        let tokens = server.register("app", registration).await.tokens().await;

        assert_eq!(tokens.assert_status(200).json().get("refresh_token"), None);
    }

    /// OAuth 2.1 §4.1.3: a second use is refused, and ends what the first one obtained.
    async fn a_code_used_twice_revokes_its_tokens(server) {
        let app = server.client("app").await;
        let code = app.code().await;
        let first = app.redeem(&code).await;
        server.advance(6);
        app.redeem(&code).await.assert_error(400, "invalid_grant");

        assert!(!server.is_active(&app, &first.access_token()).await);
        app.refresh(&first.refresh_token()).await.assert_error(400, "invalid_grant");
        assert_eq!(server.audited("authorization_code.reused").await, 1);
    }

    /// OAuth 2.1 §4.1.3: a page that runs its effect twice within five seconds is refused, and keeps what it has.
    async fn a_code_used_twice_at_once_keeps_its_tokens(server) {
        let app = server.client("app").await;
        let code = app.code().await;
        let first = app.redeem(&code).await;
        server.advance(4);
        app.redeem(&code).await.assert_error(400, "invalid_grant");

        assert!(server.is_active(&app, &first.access_token()).await);
        app.refresh(&first.refresh_token()).await.assert_status(200);
        assert_eq!(server.audited("authorization_code.reused").await, 1);
    }

    /// OAuth 2.1 §7.5.2: who has the code but not what belongs to it cannot end anything.
    async fn a_second_use_with_wrong_parameters_revokes_nothing(server) {
        let app = server.client("app").await;
        let other = server.client("other").await;
        let code = app.code().await;
        let first = app.redeem(&code).await;
        server.advance(6);
        refuse_every_wrong_use(&app, &other, &code).await;

        assert!(server.is_active(&app, &first.access_token()).await);
        assert_eq!(server.audited("authorization_code.reused").await, 0);
    }

    /// OAuth 2.1 §4.1.3: what does not match is refused, and the code still works for whom it was made.
    async fn a_use_with_wrong_parameters_does_not_spend_the_code(server) {
        let app = server.client("app").await;
        let other = server.client("other").await;
        let code = app.code().await;
        refuse_every_wrong_use(&app, &other, &code).await;

        app.redeem(&code).await.assert_status(200);
    }

    /// OAuth 2.1 §4.1.3: a code is bound to its client, also to one without a secret.
    async fn a_public_client_cannot_use_the_code_of_another(server) {
        let app = server.register("spa", Registration::spa()).await;
        let other = server.register("other", Registration::spa()).await;
        let code = app.code().await;

        let answer = other.redeem(&code).await;
        let unknown = other.redeem("unknown").await;
        assert_eq!((&answer.body, answer.status), (&unknown.body, unknown.status), "it is not told that the code exists");
        app.redeem(&code).await.assert_status(200);
    }

    /// OAuth 2.1 §10.2: the redirect URI may be left out.
    async fn the_redirect_uri_may_be_absent(server) {
        let app = server.client("app").await;
        let code = app.code().await;

        app.redeem_with(&code, &[("redirect_uri", "")]).await.assert_status(200);
    }

    /// OAuth 2.1 §10.2: the only registered URI was meant, and is what may be sent.
    async fn a_redirect_uri_that_was_left_out_before_must_be_the_registered_one(server) {
        let app = server.client("app").await;
        let code = app.code_with(&[("redirect_uri", ""), ("scope", "read")]).await;

        app.redeem_with(&code, &[("redirect_uri", "https://evil.example/")]).await.assert_error(400, "invalid_grant");
        app.redeem(&code).await.assert_status(200);
    }

    /// OAuth 2.1 §3.2.2: what is missing, empty or sent twice is named before the code is looked at.
    async fn malformed_requests_are_refused(server) {
        let app = server.client("app").await;
        let code = app.code().await;

        for missing in ["grant_type", "code", "code_verifier"] {
            let answer = app.redeem_with(&code, &[(missing, "")]).await;
            assert!(answer.assert_error(400, "invalid_request").member("error_description").contains(missing));
        }
        for repeated in ["grant_type", "code", "redirect_uri", "code_verifier", "unknown"] {
            app.redeem_with(&code, &[(repeated, "x"), (repeated, "x")]).await.assert_error(400, "invalid_request");
        }
        app.redeem_with(&code, &[("code", "nul\0")]).await.assert_error(400, "invalid_request");
        app.redeem(&code).await.assert_status(200);
    }

    /// OAuth 2.1 §3.2.4
    async fn an_unknown_code_is_refused(server) {
        let app = server.client("app").await;
        for code in ["unknown", "ü", "' OR 1=1 --"] {
            app.redeem(code).await.assert_error(400, "invalid_grant");
        }
    }

    /// OAuth 2.1 §3.2.4: the client is not registered for codes.
    async fn a_client_without_the_grant_type_is_refused(server) {
        let registration = Registration { grant_types: vec!["client_credentials"], ..Registration::default() };
        let app = server.register("machine", registration).await;

        app.redeem("unknown").await.assert_error(400, "unauthorized_client");
    }

    /// OAuth 2.1 §4.1.2: a code lives for a minute.
    async fn a_code_works_for_a_minute(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let (early, late) = (app.code_at(&mut browser, &[]).await, app.code_at(&mut browser, &[]).await);

        server.advance(59);
        app.redeem(&early).await.assert_status(200);
        server.advance(1);
        app.redeem(&late).await.assert_error(400, "invalid_grant");
        assert_eq!(server.database.count("grants").await, 1);
    }

    /// OAuth 2.1 §4.1.2: as long as the operator says.
    async fn the_lifetime_of_a_code_is_configured(server, "GRANTOR_TOKENS__AUTHORIZATION_CODE_TTL" = "10s") {
        let app = server.client("app").await;
        let code = app.code().await;
        server.advance(10);

        app.redeem(&code).await.assert_error(400, "invalid_grant");
    }

    /// A person who was disabled meanwhile gives nothing.
    async fn a_code_of_a_disabled_person_is_refused(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        let code = app.code_at(&mut browser, &[]).await;
        person.disable(server).await;

        app.redeem(&code).await.assert_error(400, "invalid_grant");
        assert_eq!(server.database.count("grants").await, 0);
    }

    /// What was issued to a person before their password was reset is void.
    async fn a_code_from_before_a_reset_is_refused(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        let code = app.code_at(&mut browser, &[]).await;
        let later = app::timestamp(server.database.backend, START.as_micros() + 30_000_000);
        server.change("people", &format!("email = '{}'", person.email), &format!("tokens_not_before = {later}")).await;
        server.advance(40);

        app.redeem(&code).await.assert_error(400, "invalid_grant");
        assert_eq!(server.database.count("grants").await, 0);
    }

    /// The statement that spends the code looks at the client itself, whatever a node remembers of it.
    async fn a_code_of_a_client_whose_tokens_are_void_is_refused(server) {
        let app = server.client("app").await;
        let code = app.code().await;
        let later = app::timestamp(server.database.backend, START.as_micros() + 30_000_000);
        app.change(&format!("tokens_not_before = {later}")).await;

        app.redeem(&code).await.assert_error(400, "invalid_grant");
        assert_eq!(server.database.count("grants").await, 0);
    }

    /// OAuth 2.1 §3.2.4: a disabled client is no client, at the latest half a second later.
    async fn a_disabled_client_redeems_nothing(server) {
        let app = server.client("app").await;
        let code = app.code().await;
        app.disable().await;

        let node = server.fresh_node().await;
        app.at(&node).redeem(&code).await.assert_error(401, "invalid_client");
        node.stop().await;
        assert_ne!(app.redeem(&code).await.status, 200, "nor at a node that may not know it yet");
        assert_eq!(server.database.count("grants").await, 0);
    }

    /// What ends with a session ends with it also before it began.
    async fn a_code_ends_when_its_person_signs_out(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let code = app.code_at(&mut browser, &[]).await;
        browser.submit("/account/sign-out", &[]).await;

        app.redeem(&code).await.assert_error(400, "invalid_grant");
    }

    /// `OpenID` Core §11: what may outlive the session does.
    async fn a_code_with_offline_access_outlives_the_session(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let code = app.code_at(&mut browser, &[("prompt", "consent")]).await;
        browser.submit("/account/sign-out", &[]).await;

        let tokens = app.redeem(&code).await;
        assert!(tokens.member("scope").contains("offline_access"));
        assert!(server.is_active(&app, &tokens.access_token()).await);
    }

    /// Taking access away counts for what is on its way, too.
    async fn a_code_ends_when_its_person_removes_the_app(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let code = app.code_at(&mut browser, &[("prompt", "consent")]).await;
        browser.submit("/account/apps/end", &[("client_id", "app")]).await.assert_status(200);

        app.redeem(&code).await.assert_error(400, "invalid_grant");
    }

    /// Any node redeems what another issued, once between them.
    async fn a_code_works_at_another_node(server) {
        let app = server.client("app").await;
        let code = app.code().await;
        let node = server.fresh_node().await;

        app.at(&node).redeem(&code).await.assert_status(200);
        app.redeem(&code).await.assert_error(400, "invalid_grant");
        node.stop().await;
    }

    /// OAuth 2.1 §4.1.3: an access token is returned only once for a code, whoever asks at the same time.
    async fn of_racing_redemptions_one_wins(server) {
        let app = server.client("app").await;
        let code = app.code().await;
        let answers = race(&app, &code).await;

        let (winners, losers): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(winners.len(), 1);
        for loser in losers {
            loser.assert_error(400, "invalid_grant");
        }
        // They came at once, so they end nothing; the audit has each of them.
        assert_eq!(server.audited("authorization_code.reused").await, RACERS - 1);
        assert_eq!(server.database.count("grants").await, 1);
        assert!(server.is_active(&app, &winners[0].access_token()).await);
        app.refresh(&winners[0].refresh_token()).await.assert_status(200);
    }

    /// OAuth 2.1 §4.1.3: a grant is ended once, and the audit says so once.
    async fn of_racing_reuses_one_revokes(server) {
        let app = server.client("app").await;
        let code = app.code().await;
        let first = app.redeem(&code).await;
        server.advance(6);
        let answers = race(&app, &code).await;

        for answer in answers {
            answer.assert_error(400, "invalid_grant");
        }
        assert_eq!(server.audited("authorization_code.reused").await, 1);
        assert!(!server.is_active(&app, &first.access_token()).await);
    }

    /// Two nodes hold the race together.
    async fn of_redemptions_racing_at_two_nodes_one_wins(server) {
        let app = server.client("app").await;
        let code = app.code().await;
        let node = server.fresh_node().await;
        let there = app.at(&node);
        let (here, there) = tokio::join!(race(&app, &code), race(&there, &code));
        node.stop().await;

        let statuses: Vec<u16> = here.iter().chain(&there).map(|answer| answer.status.as_u16()).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 2 * RACERS - 1, "{statuses:?}");
    }
}

/// Redeems one code many times at once.
async fn race(app: &App<'_>, code: &str) -> Vec<Answer> {
    join_all((0..RACERS).map(|_| app.redeem(code))).await
}

/// Every way in which one thing does not belong to the code.
async fn refuse_every_wrong_use(app: &App<'_>, other: &App<'_>, code: &str) {
    let wrong_verifier = "x".repeat(43);
    let wrong: [(&str, &str, &str); 5] = [
        ("code_verifier", &wrong_verifier, "invalid_grant"),
        ("code_verifier", "short", "invalid_request"),
        ("redirect_uri", "https://app.example/other", "invalid_grant"),
        ("redirect_uri", "https://app.example/callback/", "invalid_grant"),
        ("resource", "https://api.example", "invalid_target"),
    ];
    for (name, value, error) in wrong {
        app.redeem_with(code, &[(name, value)]).await.assert_error(400, error);
    }
    other.redeem(code).await.assert_error(400, "invalid_grant");
    let impostor = App { secret: Some("guessed".to_owned()), ..app.at(app.server) };
    impostor.redeem(code).await.assert_error(401, "invalid_client");
}
