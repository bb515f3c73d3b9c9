//! Client secrets (OAuth 2.1 §2.4.1) are changed without an outage: two are valid at once, and the one of before has an end.

use serde_json::{Value, json};

use crate::{
    declared::{declare, write},
    harness::{
        App, Database, TestServer, eventually,
        process::{run, run_json},
        signing::ClientKey,
    },
    on_databases,
};

const CREATE: &[&str] =
    &["client", "create", "--name", "App", "--client-id", "app", "--grant-type", "client_credentials", "--scope", "read", "--json"];
const WORKER: &str = "[[clients]]\nclient_id = \"app\"\nclient_name = \"App\"\ngrant_types = [\"client_credentials\"]\nscope = \"read\"\n";

fn secret_of(shown: &Value) -> String {
    shown["client_secret"].as_str().unwrap().to_owned()
}

fn create(database: &Database, more: &[&str]) -> String {
    secret_of(&run_json(database, &[CREATE, more].concat()))
}

fn rotate(database: &Database, more: &[&str]) -> Value {
    run_json(database, &[&["client", "rotate-secret", "app", "--json"], more].concat())
}

/// The status with which a secret is answered.
async fn status(server: &TestServer, secret: &str) -> u16 {
    let app = App { server, id: "app".to_owned(), secret: Some(secret.to_owned()), redirect_uri: String::new() };
    app.client_credentials(&[]).await.status.as_u16()
}

async fn statuses(server: &TestServer, secrets: &[String]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for secret in secrets {
        statuses.push(status(server, secret).await);
    }
    statuses
}

fn seconds_between(shown: &Value) -> i64 {
    let at = |text: &Value| time::OffsetDateTime::parse(text.as_str().unwrap(), &time::format_description::well_known::Rfc3339).unwrap();
    (at(&shown["client_secrets"][1]["ends_at"]) - at(&shown["client_secrets"][0]["created_at"])).whole_seconds()
}

on_databases! { [Sqlite, Postgres]
    /// Both work until the time that was said; then the clock alone ends the older one, also where it is in memory, and the job takes it away.
    async fn the_secret_of_before_ends_by_itself(database) {
        let first = create(database, &[]);
        let shown = rotate(database, &["--overlap", "1h"]);
        assert_eq!(seconds_between(&shown), 3_600, "{shown}");
        let secrets = [first, secret_of(&shown)];
        let server = TestServer::on(database.clone()).await;
        server.advance(3_500);
        assert_eq!(statuses(&server, &secrets).await, [200, 200]);
        server.advance(100);
        assert_eq!(statuses(&server, &secrets).await, [401, 200]);
        assert_eq!(database.count("client_secrets").await, 2);
        server.advance(700);
        server.run_jobs().await;
        assert_eq!(database.count("client_secrets").await, 1);
        assert_eq!(statuses(&server, &secrets).await, [401, 200]);
        server.close().await;
    }

    /// Without a word it is a week; what is said is checked, and told by `show`.
    async fn an_overlap_is_a_week_unless_it_is_said(database) {
        create(database, &[]);
        assert_eq!(seconds_between(&rotate(database, &[])), 604_800);
        let shown = run_json(database, &["client", "show", "app", "--json"]);
        assert!(shown.get("client_secret").is_none() && seconds_between(&shown) == 604_800, "{shown}");
        assert_eq!(shown["client_secrets"][0]["ends_at"], json!(null));
        let told = run(database, &["client", "show", "app"]).stdout;
        assert!(told.contains(", without an end\n") && told.contains(", ends "), "{told}");
        for wrong in ["0s", "366d", "soon"] {
            run(database, &["client", "rotate-secret", "app", "--overlap", wrong]).assert_refused(2, "a duration from 1s to 365d");
        }
        run(database, &["client", "rotate-secret", "app", "--overlap", "1h", "--now"]).assert_refused(2, "cannot be used with");
        assert_eq!(database.count("client_secrets").await, 2);
    }

    /// A later rotation never lengthens what has an end; of three secrets the oldest ends.
    async fn of_three_secrets_the_oldest_ends_and_no_end_moves_later(database) {
        let first = create(database, &[]);
        let second = secret_of(&rotate(database, &["--overlap", "30d"]));
        let third = rotate(database, &["--overlap", "1h"]);
        assert_eq!(seconds_between(&third), 3_600);
        let server = TestServer::on(database.clone()).await;
        assert_eq!(statuses(&server, &[first, second, secret_of(&third)]).await, [401, 200, 200]);
        server.close().await;
    }

    /// One that leaked is refused as soon as no memory has it, however long the overlap of an earlier rotation was.
    async fn a_leaked_secret_is_ended_at_once(database) {
        let first = create(database, &[]);
        let second = secret_of(&rotate(database, &[]));
        let server = TestServer::on(database.clone()).await;
        assert_eq!(statuses(&server, &[first.clone(), second.clone()]).await, [200, 200]);
        let third = secret_of(&rotate(database, &["--now"]));
        let secrets = [first, second, third];
        eventually(async || statuses(&server, &secrets).await == [401, 401, 200]).await;
        server.close().await;
    }

    /// `client_secret_jwt`: the secret that keys a MAC ends in the same way.
    async fn a_secret_that_keys_a_mac_ends_too(database) {
        let first = create(database, &["--token-endpoint-auth-method", "client_secret_jwt"]);
        let second = secret_of(&rotate(database, &["--overlap", "1h"]));
        assert_eq!(database.count("client_secrets WHERE sealed IS NOT NULL").await, 2);
        let server = TestServer::on(database.clone()).await;
        let apps = [first, second].map(|secret| server.signing_app("app", ClientKey::of_secret(jsonwebtoken::Algorithm::HS256, &secret)));
        for app in &apps {
            app.present(&app.assertion()).await.assert_status(200);
        }
        server.advance(3_600);
        apps[0].present(&apps[0].assertion()).await.assert_error(401, "invalid_client");
        apps[1].present(&apps[1].assertion()).await.assert_status(200);
        server.close().await;
    }

    /// A file that gives another secret says how long the one of before stays; applying again changes nothing of it.
    async fn a_secret_of_a_file_outlives_it_for_its_overlap(database) {
        let secrets = ["0".repeat(32), "1".repeat(32)];
        write(database, "secret", &secrets[0]);
        declare(database, &format!("{WORKER}client_secret_file = \"secret\"\nclient_secret_overlap = \"1h\"\n"));
        run(database, &["apply"]).assert_code(0);
        write(database, "secret", &secrets[1]);
        let told = run(database, &["apply"]);
        assert!(told.assert_code(0).stdout.contains("the secret of before stays valid for client_secret_overlap"), "{}", told.stdout);
        assert!(run(database, &["apply"]).stdout.starts_with("= 1 unchanged"));
        assert_eq!(seconds_between(&run_json(database, &["client", "show", "app", "--json"])), 3_600);
        run(database, &["client", "rotate-secret", "app"]).assert_refused(1, "change the file of its secret");

        let server = TestServer::on(database.clone()).await;
        assert_eq!(statuses(&server, &secrets).await, [200, 200]);
        server.advance(3_600);
        assert_eq!(statuses(&server, &secrets).await, [401, 200]);
        server.close().await;
        // Back to the first within its time: it is one without an end again.
        write(database, "secret", &secrets[0]);
        run(database, &["apply"]).assert_code(0);
        assert!(run(database, &["apply"]).stdout.starts_with("= 1 unchanged"));
        let server = TestServer::on(database.clone()).await;
        assert_eq!(statuses(&server, &secrets).await, [200, 200]);
        server.advance(3_600);
        assert_eq!(statuses(&server, &secrets).await, [200, 401]);
        server.close().await;
    }

    /// Without an overlap the secrets of the file are the only ones, as they are declared.
    async fn without_an_overlap_a_secret_ends_with_its_declaration(database) {
        let secrets = ["0".repeat(32), "1".repeat(32)];
        for secret in &secrets {
            write(database, "secret", secret);
            declare(database, &format!("{WORKER}client_secret_file = \"secret\"\n"));
            run(database, &["apply"]).assert_code(0);
        }
        assert_eq!(database.count("client_secrets").await, 1);
        let server = TestServer::on(database.clone()).await;
        assert_eq!(statuses(&server, &secrets).await, [401, 200]);
        server.close().await;
    }
}
