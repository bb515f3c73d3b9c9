//! Commands while the server runs: both use one database, and the server sees what they did within a second.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    harness::{
        browser::PASSWORD,
        over_http::{RemoteApp, RemoteBrowser, create_person, until, within_a_second},
        process::{Process, run, run_json, run_with_input},
    },
    on_databases,
};

on_databases! { [Sqlite, Postgres]
    /// A client is there, changed, disabled, enabled and gone within a second; of two secrets the newest two are valid.
    async fn what_happens_to_a_client_is_seen(database) {
        let server = Process::serve(database, &[]);
        let base = server.base();
        let app = RemoteApp::create(database, "app");
        app.client_credentials(&base).await.assert_status(200);

        let rotate = || run_json(database, &["client", "rotate-secret", "app", "--json"])["client_secret"].as_str().unwrap().to_owned();
        let second = RemoteApp { secret: rotate(), ..app.clone() };
        within_a_second("the new secret is valid", async || second.client_credentials(&base).await.status == 200).await;
        app.client_credentials(&base).await.assert_status(200);
        let third = RemoteApp { secret: rotate(), ..app.clone() };
        within_a_second("the newest secret is valid", async || third.client_credentials(&base).await.status == 200).await;
        second.client_credentials(&base).await.assert_status(200);
        app.client_credentials(&base).await.assert_error(401, "invalid_client");

        let token = third.client_credentials(&base).await.access_token();
        run(database, &["client", "disable", "app"]).assert_code(0);
        within_a_second("disabled", async || third.client_credentials(&base).await.status == 401).await;
        run(database, &["client", "enable", "app"]).assert_code(0);
        within_a_second("enabled", async || third.client_credentials(&base).await.status == 200).await;
        assert!(!third.is_active(&base, &token).await, "what was issued before stays void");
        run(database, &["client", "update", "app", "--scope", "write"]).assert_code(0);
        within_a_second("updated", async || third.client_credentials(&base).await.status == 400).await;
        third.client_credentials(&base).await.assert_error(400, "invalid_scope");
        run(database, &["client", "delete", "app"]).assert_code(0);
        within_a_second("deleted", async || third.client_credentials(&base).await.status == 401).await;
    }

    /// What ends a person's sign-in ends it at once: sessions, refresh tokens, introspection.
    async fn what_happens_to_a_person_is_seen_at_once(database) {
        let server = Process::serve(database, &[]);
        let base = server.base();
        let app = RemoteApp::create(database, "app");
        let email = "alice@example.com";
        create_person(database, email);
        let signed_out = async |browser: &mut RemoteBrowser| {
            browser.go(&format!("{base}/account")).await.assert_status(200).body.contains("id=\"sign-in\"")
        };
        for (verb, password) in [("revoke-sessions", PASSWORD), ("set-password", "another-one"), ("disable", "another-one")] {
            let mut browser = RemoteBrowser::new(&[&base]);
            assert!(signed_out(&mut browser).await);
            browser.sign_in(email, if verb == "disable" { password } else { PASSWORD }).await.assert_status(200);
            assert!(!signed_out(&mut browser).await, "{verb}");
            let tokens = app.tokens(&mut browser).await;
            assert!(app.is_active(&base, &tokens.access_token()).await, "{verb}");

            match verb {
                "set-password" => run_with_input(database, &["user", verb, email, "--password-stdin"], password),
                _ => run(database, &["user", verb, email]),
            }
            .assert_code(0);
            assert!(!app.is_active(&base, &tokens.access_token()).await, "{verb}");
            app.refresh(&base, &tokens.refresh_token()).await.assert_error(400, "invalid_grant");
            assert!(signed_out(&mut browser).await, "{verb}");
        }
        let mut browser = RemoteBrowser::new(&[&base]);
        browser.go(&format!("{base}/account")).await;
        assert!(browser.sign_in(email, "another-one").await.body.contains("id=\"problem\""), "disabled");
        run(database, &["user", "enable", email]).assert_code(0);
        assert!(browser.sign_in(email, PASSWORD).await.body.contains("id=\"problem\""), "the password of before");
        browser.sign_in(email, "another-one").await;
        assert!(!signed_out(&mut browser).await);
        run(database, &["user", "delete", email]).assert_code(0);
        assert!(signed_out(&mut browser).await);
        assert_eq!(database.count("grants").await, 0);
    }

    /// The rows themselves end, so that the clocks of several machines need not agree.
    async fn what_ends_access_ends_rows(database) {
        let server = Process::serve(database, &[]);
        let base = server.base();
        let app = RemoteApp::create(database, "app");
        let email = "alice@example.com";
        create_person(database, email);
        for ending in [&["user", "set-password", email, "--password-stdin"][..], &["user", "disable", email], &["client", "disable", "app"]] {
            database.execute("DELETE FROM grants").await;
            let mut browser = RemoteBrowser::signed_in(&base, email).await;
            app.tokens(&mut browser).await.assert_status(200);
            app.code(&mut browser).await;
            run_with_input(database, ending, PASSWORD).assert_code(0);

            let rows = ["grants", "grants WHERE revoked_at IS NOT NULL", "authorization_codes"];
            let [grants, revoked, codes] = [database.count(rows[0]).await, database.count(rows[1]).await, database.count(rows[2]).await];
            assert_eq!((grants, revoked, codes), (1, 1, 0), "{ending:?}");
            if ending[0] == "user" {
                assert_eq!(database.count("browser_sessions").await, 0, "{ending:?}");
                run(database, &["user", "enable", email]).assert_code(0);
            }
        }
    }

    /// Nobody waits long: commands write while the server does, and the server while they do.
    async fn commands_work_while_the_server_writes(database) {
        let server = Process::serve(database, &[]);
        let app = RemoteApp::create(database, "app");
        create_person(database, "alice@example.com");
        let mut browser = RemoteBrowser::signed_in(&server.base(), "alice@example.com").await;
        let is_over = Arc::new(AtomicBool::new(false));
        let mut chains = Vec::new();
        for _ in 0..4 {
            let (app, base, is_over) = (app.clone(), server.base(), Arc::clone(&is_over));
            let mut token = app.tokens(&mut browser).await.refresh_token();
            chains.push(tokio::spawn(async move {
                let mut refreshes = 0;
                while !is_over.load(Ordering::Relaxed) {
                    token = app.refresh(&base, &token).await.refresh_token();
                    refreshes += 1;
                }
                refreshes
            }));
        }
        for number in 0..3 {
            let (database, email) = (database.clone(), format!("person{number}@example.com"));
            let created = tokio::task::spawn_blocking(move || run(&database, &["user", "create", "--email", &email, "--json"]).json());
            assert!(created.await.unwrap()["id"].is_string());
        }
        until("the commands are done", async || database.count("people").await == 4).await;
        is_over.store(true, Ordering::Relaxed);
        for chain in chains {
            assert!(chain.await.unwrap() > 0);
        }
    }
}
