//! Token revocation (RFC 7009).

use crate::{harness::Answer, on_every_backend};

fn assert_done(answer: &Answer) {
    answer.assert_status(200);
    assert_eq!((answer.body.as_str(), answer.header("content-type"), answer.header("cache-control")), ("", "", "no-store"));
}

on_every_backend! {
    /// RFC 7009 §2.1: with the refresh token goes everything based on the same grant.
    async fn revoking_a_refresh_token_ends_the_grant(server) {
        let app = server.client("app").await;
        let first = app.tokens().await;
        let second = app.refresh(&first.refresh_token()).await;
        assert_done(&app.revoke(&second.refresh_token()).await);

        app.refresh(&second.refresh_token()).await.assert_error(400, "invalid_grant");
        for token in [first.access_token(), second.access_token(), second.refresh_token()] {
            assert!(!server.is_active(&app, &token).await);
        }
        assert_eq!(server.audited("token.revoked").await, 1);
    }

    /// An app that lost an answer holds the token before: it can sign out all the same.
    async fn revoking_a_superseded_refresh_token_ends_the_grant(server) {
        let app = server.client("app").await;
        let first = app.tokens().await;
        app.refresh(&first.refresh_token()).await.assert_status(200);
        server.advance(60);
        assert_done(&app.revoke(&first.refresh_token()).await);
        assert_eq!(server.grants().await, ["1 revoked"]);
        assert_eq!(server.audited("refresh_token.reused").await, 0);
    }

    /// RFC 7009 §2.1: an access token goes alone.
    async fn revoking_an_access_token_ends_it_alone(server) {
        let app = server.client("app").await;
        let first = app.tokens().await;
        let second = app.refresh(&first.refresh_token()).await;
        assert_done(&app.revoke(&first.access_token()).await);

        assert!(!server.is_active(&app, &first.access_token()).await);
        assert!(server.is_active(&app, &second.access_token()).await);
        app.refresh(&second.refresh_token()).await.assert_status(200);
        assert_eq!(server.audited("token.revoked").await, 1);
    }

    /// A token without a grant can be revoked, too.
    async fn a_clients_own_token_is_revoked(server) {
        let app = server.client("app").await;
        let tokens = [app.client_credentials(&[]).await.access_token(), app.client_credentials(&[]).await.access_token()];
        assert_done(&app.revoke(&tokens[0]).await);
        assert!(!server.is_active(&app, &tokens[0]).await);
        assert!(server.is_active(&app, &tokens[1]).await);
    }

    /// A public client signs out with its `client_id` alone.
    async fn a_public_client_revokes_its_tokens(server) {
        let app = server.register("app", Registration::spa()).await;
        let tokens = app.tokens().await;
        assert_done(&app.revoke(&tokens.access_token()).await);
        assert_done(&app.revoke(&tokens.refresh_token()).await);
        app.refresh(&tokens.refresh_token()).await.assert_error(400, "invalid_grant");
    }

    /// RFC 7009 §2.2: an invalid token needs no error: what the client wanted is so.
    async fn an_unknown_token_is_fine(server) {
        let app = server.client("app").await;
        let token = app.tokens().await.access_token();
        let (signed, _) = token.rsplit_once('.').unwrap();
        for unknown in ["unknown", "a.b.c", "grt_unknown", "grt_", "\u{e9}", signed, &format!("{signed}.AAAA"), &"x".repeat(4000)] {
            assert_done(&app.revoke(unknown).await);
        }
        assert!(server.is_active(&app, &token).await);
        assert_eq!(server.audited("token.revoked").await, 0);
    }

    /// RFC 7009 §2.2: a second time, and too late.
    async fn a_revoked_or_expired_token_is_fine(server) {
        let app = server.client("app").await;
        let (tokens, expired) = (app.tokens().await, app.client_credentials(&[]).await.access_token());
        for _ in 0..2 {
            assert_done(&app.revoke(&tokens.access_token()).await);
            assert_done(&app.revoke(&tokens.refresh_token()).await);
        }
        assert_eq!(server.audited("token.revoked").await, 2);
        server.advance(600);
        assert_done(&app.revoke(&expired).await);
    }

    /// RFC 7009 §2.1: a token that was issued to another client is refused, and lives on.
    async fn another_clients_token_is_refused(server) {
        let (app, other) = (server.client("app").await, server.register("other", Registration::spa()).await);
        let tokens = app.tokens().await;
        other.revoke(&tokens.access_token()).await.assert_error(400, "invalid_grant");
        other.revoke(&tokens.refresh_token()).await.assert_error(400, "invalid_grant");
        assert!(server.is_active(&app, &tokens.access_token()).await);
        app.refresh(&tokens.refresh_token()).await.assert_status(200);
        assert_eq!(server.audited("token.revoked").await, 0);
    }

    /// RFC 7009 §2.1: the hint only helps to search; a wrong or unknown one changes nothing.
    async fn the_hint_is_only_a_hint(server) {
        let app = server.client("app").await;
        let tokens = app.tokens().await;
        let (access_token, refresh_token) = (tokens.access_token(), tokens.refresh_token());
        for (token, hint) in [(access_token.as_str(), "refresh_token"), (&refresh_token, "access_token"), ("x", "unheard_of")] {
            assert_done(&app.post("/oauth/revoke", &[("token", token), ("token_type_hint", hint)], &[]).await);
        }
        app.refresh(&tokens.refresh_token()).await.assert_error(400, "invalid_grant");
        assert!(!server.is_active(&app, &tokens.access_token()).await);
    }

    /// RFC 7009 §2.1: `token` is required, once.
    async fn a_missing_or_repeated_token_is_an_invalid_request(server) {
        let app = server.client("app").await;
        app.revoke("").await.assert_error(400, "invalid_request");
        app.post("/oauth/revoke", &[("token", "a"), ("token", "b")], &[]).await.assert_error(400, "invalid_request");
        app.revoke("a\0").await.assert_error(400, "invalid_request");
    }

    /// RFC 7009 §2: by POST only, so that no link revokes.
    async fn get_is_refused(server) {
        let answer = server.get("/oauth/revoke?token=x&client_id=app").await;
        answer.assert_error(405, "invalid_request");
        assert_eq!(answer.header("allow"), "POST");
    }
}
