//! Refreshing (OAuth 2.1 §4.3): rotation, retries, reuse, lifetimes, and what ends a grant.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};

use crate::on_every_backend;

const DAY: u64 = 24 * 60 * 60;

/// The token with one byte changed.
fn forged(token: &str, at: usize) -> String {
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(token.strip_prefix("grt_").unwrap()).unwrap();
    bytes[at] ^= 1;
    format!("grt_{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

on_every_backend! {
    /// OAuth 2.1 §4.3.1: the authorization server issues a new refresh token with each access token.
    async fn each_refresh_makes_a_successor(server) {
        let app = server.client("app").await;
        let first = app.tokens().await;
        let second = app.refresh(&first.refresh_token()).await;
        let third = app.refresh(&second.refresh_token()).await;

        let tokens = [first.refresh_token(), second.refresh_token(), third.refresh_token()];
        assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2] && tokens[2] != tokens[0]);
        let body = third.json();
        assert_eq!((&body["token_type"], &body["expires_in"]), (&"Bearer".into(), &600.into()));
        assert_eq!(body["scope"], "openid read write");
        assert!(server.is_active(&app, &third.access_token()).await);
        assert_eq!(third.claims()["sub"], first.claims()["sub"]);
        assert_eq!(third.claims()["gid"], first.claims()["gid"]);
        assert_eq!(third.claims()["auth_time"], first.claims()["auth_time"]);
    }

    /// A public client refreshes with its `client_id` alone; rotation is what protects it (§4.3.1).
    async fn a_public_client_rotates_too(server) {
        let app = server.register("app", Registration::spa()).await;
        let first = app.tokens().await;
        let second = app.refresh(&first.refresh_token()).await;
        assert_ne!(first.refresh_token(), second.refresh_token());
        assert_eq!(server.grants().await, ["1"]);
    }

    /// A refresh in good order is no news.
    async fn a_plain_refresh_writes_no_audit_event(server) {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        let before = server.audit().await;
        app.refresh(&token).await.assert_status(200);
        assert_eq!(server.audit().await, before);
    }

    /// A client without the grant type gets no refresh token, and one with it gets one without asking for `offline_access`.
    async fn only_a_client_with_the_grant_type_gets_a_refresh_token(server) {
        let without = Registration { grant_types: vec!["authorization_code"], ..Default::default() };
        let without = server.register("without", without).await;
        assert!(without.tokens().await.json().get("refresh_token").is_none());
        without.refresh("grt_x").await.assert_error(400, "unauthorized_client");
    }

    /// An answer that was lost is repeated: the same successor, a fresh access token, and the audit knows.
    async fn a_retry_within_the_window_gets_the_same_successor(server) {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        let first = app.refresh(&token).await;
        server.advance(29);
        let retry = app.refresh(&token).await;

        assert_eq!(retry.refresh_token(), first.refresh_token());
        assert_ne!(retry.access_token(), first.access_token());
        assert_eq!(retry.claims()["iat"].as_i64().unwrap(), first.claims()["iat"].as_i64().unwrap() + 29);
        assert_eq!(server.audited("refresh_token.retried").await, 1);
        assert_eq!(server.grants().await, ["1"]);
        assert!(server.is_active(&app, &retry.access_token()).await);
        app.refresh(&retry.refresh_token()).await.assert_status(200);
    }

    /// A retry passes every check of a first use.
    async fn a_retry_may_narrow_but_not_broaden(server) {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        let first = app.refresh(&token).await;
        app.refresh_with(&token, &[("scope", "read admin")]).await.assert_error(400, "invalid_scope");
        let narrower = app.refresh_with(&token, &[("scope", "read")]).await;
        assert_eq!((narrower.refresh_token(), narrower.member("scope")), (first.refresh_token(), "read".to_owned()));
    }

    /// The window does not outlive the grant: the absolute end is the end for a retry, too.
    async fn a_retry_after_the_absolute_end_is_refused(server) {
        let app = server.client("app").await;
        let mut token = app.tokens().await.refresh_token();
        for days in [29, 29, 29] {
            server.advance(days * DAY);
            token = app.refresh(&token).await.refresh_token();
        }
        server.advance(3 * DAY - 10);
        app.refresh(&token).await.assert_status(200);
        server.advance(11);
        app.refresh(&token).await.assert_error(400, "invalid_grant");
        assert_eq!(server.grants().await, ["4"]);
    }

    /// Nor does the window outlive idling.
    async fn a_retry_after_idling_out_is_refused(server, "GRANTOR_TOKENS__REFRESH_TOKEN_IDLE_TTL" = "5s") {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        app.refresh(&token).await.assert_status(200);
        server.advance(5);
        app.refresh(&token).await.assert_error(400, "invalid_grant");
    }

    /// The window is that of the first rotation: retries do not move it.
    async fn the_window_never_slides(server) {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        app.refresh(&token).await.assert_status(200);
        for _ in 0..2 {
            server.advance(14);
            app.refresh(&token).await.assert_status(200);
        }
        server.advance(3);
        app.refresh(&token).await.assert_error(400, "invalid_grant");
        assert_eq!(server.grants().await, ["1 revoked"]);
    }

    /// Who uses the successor got the answer: the token before it is then reuse, however soon.
    async fn using_the_successor_closes_the_window(server) {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        let second = app.refresh(&token).await.refresh_token();
        let third = app.refresh(&second).await;
        app.refresh(&token).await.assert_error(400, "invalid_grant");

        app.refresh(&third.refresh_token()).await.assert_error(400, "invalid_grant");
        assert!(!server.is_active(&app, &third.access_token()).await);
        assert_eq!(server.grants().await, ["2 revoked"]);
    }

    /// OAuth 2.1 §4.3.1: an older token in use means that one of two holders stole it; everything ends, and is told once.
    async fn an_older_token_is_reuse_and_ends_the_grant(server) {
        let app = server.client("app").await;
        let first = app.tokens().await;
        let second = app.refresh(&first.refresh_token()).await;
        server.advance(31);
        for _ in 0..3 {
            app.refresh(&first.refresh_token()).await.assert_error(400, "invalid_grant");
        }

        app.refresh(&second.refresh_token()).await.assert_error(400, "invalid_grant");
        for token in [first.access_token(), second.access_token(), second.refresh_token()] {
            assert!(!server.is_active(&app, &token).await);
        }
        assert_eq!(server.audited("refresh_token.reused").await, 1);
        assert_eq!(server.audited("refresh_token.retried").await, 0);
    }

    /// A thief who asks for too much is found out like any other.
    async fn reuse_is_noticed_whatever_else_the_request_says(server) {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        app.refresh(&token).await.assert_status(200);
        server.advance(31);
        app.refresh_with(&token, &[("scope", "admin"), ("resource", "https://nowhere.example")]).await.assert_error(400, "invalid_grant");
        assert_eq!(server.grants().await, ["1 revoked"]);
    }

    /// Reuse ends the one chain, not another of the same person and client.
    async fn other_grants_of_the_same_person_live_on(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let code = app.code_at(&mut browser, &[]).await;
        let first = app.redeem(&code).await;
        let code = app.code_at(&mut browser, &[]).await;
        let second = app.redeem(&code).await;
        app.refresh(&first.refresh_token()).await.assert_status(200);
        server.advance(31);
        app.refresh(&first.refresh_token()).await.assert_error(400, "invalid_grant");
        app.refresh(&second.refresh_token()).await.assert_status(200);
    }

    /// With a window of zero every second use is reuse.
    async fn without_a_window_a_second_use_is_reuse(server, "GRANTOR_TOKENS__REFRESH_RETRY_WINDOW" = "0s") {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        app.refresh(&token).await.assert_status(200);
        app.refresh(&token).await.assert_error(400, "invalid_grant");
        assert_eq!(server.grants().await, ["1 revoked"]);
    }

    /// OAuth 2.1 §4.3.1: integrity. What we did not make is refused, and changes nothing.
    async fn a_forged_token_is_refused_and_changes_nothing(server) {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        let current = app.refresh(&token).await.refresh_token();
        server.advance(31);
        // Key number, grant, generation, MAC: an older generation would be reuse, if it were genuine.
        for at in [0, 1, 2, 17, 18, 25, 26, 57] {
            app.refresh(&forged(&current, at)).await.assert_error(400, "invalid_grant");
        }
        let cut = &current[..current.len() - 1];
        for garbled in [cut, &format!("{current}A"), &current.replace("grt_", "GRT_"), "grt_", "grt_!", "x", &"A".repeat(5000)] {
            app.refresh(garbled).await.assert_error(400, "invalid_grant");
        }
        assert_eq!(server.grants().await, ["1"]);
        assert_eq!(server.audited("refresh_token.reused").await, 0);
        app.refresh(&current).await.assert_status(200);
    }

    /// One token has one spelling: the unused bits of base64's last character are checked, too.
    async fn another_spelling_of_a_token_is_refused(server) {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        let last = token.chars().last().unwrap();
        let next = char::from_u32(u32::from(last) + 1).unwrap();
        for spelling in [format!("{}{next}", &token[..token.len() - 1]), format!("{token}=="), format!(" {token}")] {
            app.refresh(&spelling).await.assert_error(400, "invalid_grant");
        }
        app.refresh(&token).await.assert_status(200);
    }

    /// OAuth 2.1 §4.3: a refresh token is bound to the client that it was issued to.
    async fn another_clients_token_is_refused_and_changes_nothing(server) {
        let (app, other) = (server.client("app").await, server.client("other").await);
        let token = app.tokens().await.refresh_token();
        app.refresh(&token).await.assert_status(200);
        server.advance(31);
        other.refresh(&token).await.assert_error(400, "invalid_grant");
        assert_eq!(server.grants().await, ["1"]);
        assert_eq!(server.audited("refresh_token.reused").await, 0);
    }

    /// OAuth 2.1 §4.3: `refresh_token` is required.
    async fn a_missing_token_is_an_invalid_request(server) {
        let app = server.client("app").await;
        app.refresh("").await.assert_error(400, "invalid_request");
        app.refresh_with("", &[("refresh_token", "")]).await.assert_error(400, "invalid_request");
    }

    /// OAuth 2.1 §4.3.1: a token that lies unused expires.
    async fn an_unused_token_idles_out(server) {
        let app = server.client("app").await;
        let first = app.tokens().await.refresh_token();
        server.advance(30 * DAY - 1);
        let second = app.refresh(&first).await.refresh_token();
        server.advance(30 * DAY);
        app.refresh(&second).await.assert_error(400, "invalid_grant");
    }

    /// The absolute end never moves, however often the token is used.
    async fn the_absolute_end_never_moves(server) {
        let app = server.client("app").await;
        let ends = "SELECT CAST(expires_at AS TEXT) FROM grants";
        let mut token = app.tokens().await.refresh_token();
        let end = server.database.strings(ends).await;
        for _ in 0..4 {
            server.advance(22 * DAY);
            token = app.refresh(&token).await.refresh_token();
        }
        assert_eq!(server.database.strings(ends).await, end);
        server.advance(2 * DAY);
        app.refresh(&token).await.assert_error(400, "invalid_grant");
    }

    /// Both lifetimes are the operator's to choose.
    async fn lifetimes_are_configured(
        server, "GRANTOR_TOKENS__REFRESH_TOKEN_IDLE_TTL" = "1h", "GRANTOR_TOKENS__REFRESH_TOKEN_TTL" = "90m"
    ) {
        let app = server.client("app").await;
        let (idle, used) = (app.tokens().await.refresh_token(), app.tokens().await.refresh_token());
        server.advance(50 * 60);
        let used = app.refresh(&used).await.refresh_token();
        server.advance(11 * 60);
        app.refresh(&idle).await.assert_error(400, "invalid_grant");
        let used = app.refresh(&used).await.refresh_token();
        server.advance(30 * 60);
        app.refresh(&used).await.assert_error(400, "invalid_grant");
    }

    /// OAuth 2.1 §4.3: a narrower scope is for this access token; the grant keeps its own.
    async fn a_narrower_scope_applies_to_one_access_token(server) {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        let narrower = app.refresh_with(&token, &[("scope", "read")]).await;
        assert_eq!((narrower.member("scope"), &narrower.claims()["scope"]), ("read".to_owned(), &"read".into()));
        let whole = app.refresh(&narrower.refresh_token()).await;
        assert_eq!(whole.member("scope"), "openid read write");
    }

    /// RFC 8707 §2.2: the same for resources.
    async fn a_narrower_resource_applies_to_one_access_token(server) {
        let resources = vec!["https://a.example", "https://b.example"];
        let app = server.register("app", Registration { resources, ..Default::default() }).await;
        let code = app.code_with(&[("resource", "https://a.example"), ("resource", "https://b.example")]).await;
        let first = app.redeem(&code).await;
        let narrower = app.refresh_with(&first.refresh_token(), &[("resource", "https://b.example")]).await;
        assert_eq!(narrower.claims()["aud"], "https://b.example");
        let whole = app.refresh(&narrower.refresh_token()).await;
        assert_eq!(whole.claims()["aud"], first.claims()["aud"]);
    }

    /// OAuth 2.1 §4.3: nothing beyond what was granted; and a refusal uses up nothing.
    async fn broader_is_refused_without_rotation(server) {
        let app = server.register("app", Registration { scope: "read write admin", ..Default::default() }).await;
        let code = app.code_with(&[("scope", "read write")]).await;
        let token = app.redeem(&code).await.refresh_token();
        for scope in ["read admin", "openid", "\u{e9}", "read\"", " "] {
            app.refresh_with(&token, &[("scope", scope)]).await.assert_error(400, "invalid_scope");
        }
        for resource in ["https://api.example", "relative", "https://a.example/#fragment"] {
            app.refresh_with(&token, &[("resource", resource)]).await.assert_error(400, "invalid_target");
        }
        assert_eq!(server.grants().await, ["0"]);
        app.refresh(&token).await.assert_status(200);
    }

    /// What the client is not registered for any more, no new access token has.
    async fn a_refresh_gives_only_what_the_client_is_still_registered_for(server) {
        let app = server.client("app").await;
        let tokens = app.tokens().await;
        app.limit_to("openid read offline_access").await;
        let node = server.fresh_node().await;
        let app = app.at(&node);
        let refreshed = app.refresh(&tokens.refresh_token()).await;
        assert_eq!((refreshed.member("scope"), refreshed.claims()["scope"].as_str()), ("openid read".to_owned(), Some("openid read")));
        app.refresh_with(&refreshed.refresh_token(), &[("scope", "write")]).await.assert_error(400, "invalid_scope");
        app.refresh_with(&refreshed.refresh_token(), &[("scope", "read")]).await.assert_status(200);
        node.stop().await;
    }

    /// A lost answer is made good although rotation was switched off meanwhile.
    async fn a_retry_after_rotation_was_switched_off_gets_the_current_token(server) {
        let app = server.client("app").await;
        let first = app.tokens().await.refresh_token();
        let second = app.refresh(&first).await.refresh_token();
        app.change("refresh_rotation = 'keep'").await;
        let node = server.fresh_node().await;
        let app = app.at(&node);
        assert_eq!(app.refresh(&first).await.refresh_token(), second);
        assert_eq!(app.refresh(&second).await.refresh_token(), second);
        assert_eq!(server.grants().await, ["1"]);
        node.stop().await;
    }

    /// `refresh_rotation = false`: one token for the life of the grant, for clients that keep it well.
    async fn without_rotation_the_token_stays(server) {
        let app = server.register("app", Registration { rotates: false, ..Default::default() }).await;
        let token = app.tokens().await.refresh_token();
        for _ in 0..3 {
            // Each use counts against idling.
            server.advance(29 * DAY);
            assert_eq!(app.refresh(&token).await.refresh_token(), token);
        }
        assert_eq!(server.grants().await, ["0"]);
        server.advance(3 * DAY);
        app.refresh(&token).await.assert_error(400, "invalid_grant");
    }
}
