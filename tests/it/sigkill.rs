//! The only node ends as in a power failure, while clients refresh: whatever it had acknowledged holds.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::{
    harness::{
        over_http::{RemoteApp, RemoteBrowser, create_person, until},
        process::Process,
    },
    on_databases,
};

on_databases! { [Sqlite, Postgres]
    /// OAuth 2.1 §4.3.1: after the restart each client repeats the last token that it was given, and its chain goes on.
    async fn a_killed_server_comes_back_with_every_token(database) {
        const CHAINS: usize = 8;
        const ROUNDS: usize = 2;
        let mut server = Process::serve(database, &[]);
        let base = server.base();
        let app = RemoteApp::create(database, "app");
        create_person(database, "alice@example.com");
        let mut browser = RemoteBrowser::signed_in(&base, "alice@example.com").await;
        let mut tokens = Vec::new();
        for _ in 0..CHAINS {
            tokens.push(app.tokens(&mut browser).await.refresh_token());
        }

        for round in 0..ROUNDS {
            let acknowledged = Arc::new(AtomicUsize::new(0));
            let chains: Vec<_> = tokens
                .drain(..)
                .map(|mut token| {
                    let (app, base, acknowledged) = (app.clone(), base.clone(), Arc::clone(&acknowledged));
                    tokio::spawn(async move {
                        while let Ok(answer) = app.try_refresh(&base, &token).await {
                            token = answer.refresh_token();
                            acknowledged.fetch_add(1, Ordering::Relaxed);
                        }
                        token
                    })
                })
                .collect();
            until("every chain is busy", async || acknowledged.load(Ordering::Relaxed) >= CHAINS * (4 + round)).await;
            server.kill();
            for chain in chains {
                tokens.push(chain.await.unwrap());
            }

            server = Process::serve_on(database, server.port, &base, &[]);
            for token in &mut tokens {
                let retried = app.refresh(&base, token).await;
                assert!(app.is_active(&base, &retried.access_token()).await);
                *token = app.refresh(&base, &retried.refresh_token()).await.refresh_token();
            }
        }
        assert_eq!(database.count("grants WHERE revoked_at IS NOT NULL").await, 0);
        assert_eq!(database.count("audit_events WHERE name = 'refresh_token.reused'").await, 0);
        // The browser's session was acknowledged, too.
        browser.go(&server.url("/account")).await.assert_status(200);
        assert!(browser.page().body.contains("alice@example.com"));
    }
}
