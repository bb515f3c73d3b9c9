//! The authorization code grant (OAuth 2.1 §4.1).

use crate::on_every_backend;

on_every_backend! {
    /// OAuth 2.1 §4.1: a code obtains tokens for what was asked.
    async fn a_code_is_exchanged_for_tokens(server) {
        let app = server.client("app").await;
        let tokens = app.tokens().await;

        let body = tokens.assert_status(200).json();
        assert_eq!((&body["token_type"], &body["expires_in"], &body["scope"]), (&"Bearer".into(), &600.into(), &"openid read write".into()));
        assert!(server.is_active(&app, &tokens.access_token()).await);
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
}
