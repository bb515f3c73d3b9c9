//! What restoring an old backup does not bring back to life (decision 0025): refresh tokens that were rotated away, what was revoked,
//! sessions that ended, codes, registration tokens.

use crate::{
    harness::{Database, TestServer, process::run},
    on_databases,
};

/// Restores the backup in place, as after an accident, and starts again.
async fn restored(database: &Database, flags: &[&str]) -> TestServer {
    run(database, &[&["restore", "a.backup", "--replace"], flags].concat()).assert_code(0);
    TestServer::beside(database, &[]).await
}

on_databases! { [Sqlite, Postgres]
    /// OAuth 2.1 §4.3.1: neither the token that was rotated away after the backup, nor the one that the client has, obtains anything.
    async fn no_refresh_token_of_before_a_restore_works(database) {
        let server = TestServer::beside(database, &[]).await;
        let app = server.client("app").await;
        let in_backup = app.tokens().await;
        database.back_up("a.backup");
        let rotated = app.refresh(&in_backup.refresh_token()).await;
        let later = app.tokens().await;
        server.close().await;

        let server = restored(database, &[]).await;
        let app = server.registered("app");
        for token in [in_backup.refresh_token(), rotated.refresh_token(), later.refresh_token()] {
            app.refresh(&token).await.assert_error(400, "invalid_grant");
        }
        for token in [in_backup.access_token(), rotated.access_token(), later.access_token()] {
            assert!(!server.is_active(&app, &token).await);
        }
        assert_eq!(server.audited("refresh_token.reused").await, 0, "nobody is accused of it");
        assert_eq!(server.audited("database.restored").await, 1);
        server.close().await;
    }

    /// RFC 7009 §2.1: what a client revoked after the backup stays revoked, its own tokens included.
    async fn what_was_revoked_after_the_backup_stays_revoked(database) {
        let server = TestServer::beside(database, &[]).await;
        let app = server.client("app").await;
        let (tokens, own) = (app.tokens().await, app.client_credentials(&[]).await);
        database.back_up("a.backup");
        app.revoke(&tokens.refresh_token()).await.assert_status(200);
        app.revoke(&own.access_token()).await.assert_status(200);
        server.close().await;

        let server = restored(database, &[]).await;
        let app = server.registered("app");
        app.refresh(&tokens.refresh_token()).await.assert_error(400, "invalid_grant");
        assert!(!server.is_active(&app, &own.access_token()).await);
        server.advance(1);
        let fresh = app.client_credentials(&[]).await;
        assert!(server.is_active(&app, &fresh.access_token()).await, "the client itself goes on");
        server.close().await;
    }

    /// OpenID Back-Channel Logout §2.5: sessions end as by a sign-out, and codes and registration tokens are gone.
    async fn sessions_codes_and_registration_tokens_end(database) {
        let server = TestServer::beside(database, &[]).await;
        let code = server.client("app").await.code().await;
        run(database, &["registration-token", "create"]).assert_code(0);
        assert_eq!((database.count("browser_sessions").await, database.count("registration_tokens").await), (1, 1));
        database.back_up("a.backup");
        server.registered("app").redeem(&code).await.assert_status(200);
        server.close().await;

        let server = restored(database, &[]).await;
        let app = server.registered("app");
        app.redeem(&code).await.assert_error(400, "invalid_grant");
        assert_eq!((database.count("browser_sessions").await, database.count("registration_tokens").await), (0, 0));
        server.close().await;
    }

    /// With `--keep-grants` a token from after the backup is no proof of anything but that time went back: the grant ends.
    async fn kept_grants_go_on_unless_a_token_of_the_future_shows_up(database) {
        let server = TestServer::beside(database, &[]).await;
        let app = server.client("app").await;
        let (one, two) = (app.tokens().await, app.tokens().await);
        database.back_up("a.backup");
        let rotated = app.refresh(&two.refresh_token()).await;
        server.close().await;

        let server = restored(database, &["--keep-grants"]).await;
        let app = server.registered("app");
        app.refresh(&one.refresh_token()).await.assert_status(200);
        app.refresh(&rotated.refresh_token()).await.assert_error(400, "invalid_grant");
        app.refresh(&two.refresh_token()).await.assert_error(400, "invalid_grant");
        assert_eq!(server.audited("refresh_token.reused").await, 1);
        server.close().await;
    }
}
