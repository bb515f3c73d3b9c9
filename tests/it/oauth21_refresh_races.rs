//! Many uses of one refresh token at once (OAuth 2.1 §4.3.1): one rotation, one successor, never a 500.

use std::collections::BTreeSet;

use futures_util::future::{join, join_all};

use crate::{
    harness::{Answer, App},
    on_every_backend,
};

/// As many answers to the same token at once.
async fn refresh_at_once(app: &App<'_>, times: usize, token: &str) -> Vec<Answer> {
    join_all((0..times).map(|_| app.refresh(token))).await
}

on_every_backend! {
    /// Whoever loses the race is a retry within the window.
    async fn of_64_uses_at_once_all_get_the_one_successor(server) {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        let answers = refresh_at_once(&app, 64, &token).await;

        let successors: BTreeSet<String> = answers.iter().map(Answer::refresh_token).collect();
        let access_tokens: BTreeSet<String> = answers.iter().map(Answer::access_token).collect();
        assert_eq!((successors.len(), access_tokens.len()), (1, 64));
        assert_eq!(server.grants().await, ["1"]);
        assert_eq!(server.audited("refresh_token.retried").await, 63);
        assert_eq!(server.audited("refresh_token.reused").await, 0);
        app.refresh(successors.first().unwrap()).await.assert_status(200);
    }

    /// Without rotation nobody loses.
    async fn of_64_uses_at_once_without_rotation_all_succeed(server) {
        let app = server.register("app", Registration { rotates: false, ..Default::default() }).await;
        let token = app.tokens().await.refresh_token();
        for answer in refresh_at_once(&app, 64, &token).await {
            assert_eq!(answer.refresh_token(), token);
        }
        assert_eq!(server.grants().await, ["0"]);
    }

    /// Without a window one wins; the others are reuse, and that ends the grant, once.
    async fn without_a_window_one_use_wins_and_the_grant_ends(server, "GRANTOR_TOKENS__REFRESH_RETRY_WINDOW" = "0s") {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        let answers = refresh_at_once(&app, 64, &token).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        for refused in answers.iter().filter(|answer| answer.status != 200) {
            refused.assert_error(400, "invalid_grant");
        }
        assert_eq!(server.grants().await, ["1 revoked"]);
        assert_eq!(server.audited("refresh_token.reused").await, 1);
    }

    /// A revocation beats every refresh that comes with it: what they obtain ends, too.
    async fn a_revocation_among_refreshes_ends_the_grant(server) {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        let revocations = join_all((0..8).map(|_| app.revoke(&token)));
        let (refreshes, revocations) = join(refresh_at_once(&app, 32, &token), revocations).await;

        for revocation in revocations {
            revocation.assert_status(200);
        }
        for refresh in refreshes {
            if refresh.status == 200 {
                assert!(!server.is_active(&app, &refresh.access_token()).await);
                app.refresh(&refresh.refresh_token()).await.assert_error(400, "invalid_grant");
            } else {
                refresh.assert_error(400, "invalid_grant");
            }
        }
        assert!(server.grants().await[0].ends_with(" revoked"));
        assert_eq!(server.audited("token.revoked").await, 1);
    }

    /// Of many who find the reuse one revokes, and one tells.
    async fn reuse_found_64_times_is_told_once(server) {
        let app = server.client("app").await;
        let token = app.tokens().await.refresh_token();
        app.refresh(&token).await.assert_status(200);
        server.advance(31);
        for answer in refresh_at_once(&app, 64, &token).await {
            answer.assert_error(400, "invalid_grant");
        }
        assert_eq!(server.grants().await, ["1 revoked"]);
        assert_eq!(server.audited("refresh_token.reused").await, 1);
    }
}
