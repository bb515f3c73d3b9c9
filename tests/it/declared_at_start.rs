//! Declared set-up: what a server makes of it at its start, and what a running one sees of a change.

use std::{
    fs,
    process::{Child, Stdio},
};

use crate::{
    declared::{audited, declare, write},
    harness::{
        Database,
        over_http::{RemoteApp, RemoteBrowser, http_client, until, within_a_second},
        process::{Process, free_port, grantor, run, run_json},
    },
    on_databases,
};

const WORKER: &str =
    "[[clients]]\nclient_id = \"worker\"\nclient_name = \"Worker\"\ngrant_types = [\"client_credentials\"]\nscope = \"read\"\n";
const ALICE: &str = "[[people]]\nemail = \"alice@example.com\"\npassword_file = \"password\"\n";

/// A client whose secret the operator made.
fn worker(secret: &str) -> RemoteApp {
    RemoteApp { http: http_client(), id: "worker".to_owned(), secret: secret.to_owned() }
}

async fn is_let_in(server: &Process, secret: &str) -> bool {
    worker(secret).client_credentials(&server.base()).await.status == 200
}

on_databases! { [Sqlite, Postgres]
    /// The whole set-up from files: the client authenticates and the person signs in, without a command.
    async fn a_server_begins_with_what_is_declared(database) {
        let secret = "a secret of the operator".replace(' ', "-").repeat(2);
        write(database, "secret", &format!("{secret}\n"));
        write(database, "password", &format!("{}\n", crate::harness::browser::PASSWORD));
        declare(database, &format!("{WORKER}client_secret_file = \"secret\"\n{ALICE}"));
        let server = Process::serve(database, &[]);
        assert!(is_let_in(&server, &secret).await);
        let browser = RemoteBrowser::signed_in(&server.base(), "alice@example.com").await;
        assert!(browser.page().body.contains("alice@example.com"));

        let log = server.log_text();
        assert!(log.contains("applied what is declared") && log.contains("worker"), "{log}");
        assert!(!log.contains(&secret) && !log.contains(crate::harness::browser::PASSWORD), "{log}");
        let events = audited(database).await;
        assert_eq!(events[..2], ["client.created configuration", "person.created configuration"]);
        assert_eq!(server.terminate(), Some(0));
    }

    /// A restart writes nothing, without its file it keeps everything, and it never enables what a command disabled.
    async fn a_restart_changes_nothing_also_without_the_file(database) {
        declare(database, WORKER);
        assert_eq!(Process::serve(database, &[]).terminate(), Some(0));
        run(database, &["client", "disable", "worker"]).assert_code(0);
        let known = run_json(database, &["client", "show", "worker", "--json"]);
        let events = audited(database).await;
        assert_eq!(Process::serve(database, &[]).terminate(), Some(0));
        fs::remove_file(database.dir.join("grantor.toml")).unwrap();
        let server = Process::serve(database, &[]);
        let log = server.log_text();
        assert!(log.contains("no longer declared, and kept: 'grantor apply --prune' disables it"), "{log}");
        assert_eq!(server.terminate(), Some(0));
        assert_eq!(run_json(database, &["client", "show", "worker", "--json"]), known);
        assert_eq!(audited(database).await, events);
    }

    /// What does not fit the database is logged and left out; the server starts, because others depend on it.
    async fn a_declaration_that_cannot_be_applied_does_not_stop_the_server(database) {
        declare(database, WORKER);
        run(database, &["apply"]).assert_code(0);
        let public = "[[clients]]\nclient_id = \"worker\"\nclient_name = \"W\"\nclient_type = \"public\"\nredirect_uris = [\"https://w.example/\"]\n";
        declare(database, public);
        let server = Process::serve(database, &[]);
        assert!(server.log_text().contains("a declaration cannot be applied"), "{}", server.log_text());
        assert_eq!(server.terminate(), Some(0));
        assert_eq!(run_json(database, &["client", "show", "worker", "--json"])["client_type"], "confidential");
    }

    /// Two secrets at once, to move a client over; then the one that was taken away ends.
    async fn the_secrets_of_the_file_are_the_only_ones(database) {
        let (old, new) = ("0".repeat(32), "n".repeat(32));
        write(database, "old", &old);
        write(database, "new", &new);
        declare(database, WORKER);
        run(database, &["apply"]).assert_code(0);
        let made = run_json(database, &["client", "rotate-secret", "worker", "--json"])["client_secret"].as_str().unwrap().to_owned();
        assert!(run(database, &["apply"]).stdout.starts_with("= 1 unchanged"), "a secret of the command line is kept");
        let server = Process::serve(database, &[]);
        assert!(is_let_in(&server, &made).await);

        declare(database, &format!("{WORKER}client_secret_file = \"old\"\n"));
        assert!(run(database, &["apply"]).stdout.contains("    client_secret  - one\n                   + one\n"));
        within_a_second("the secret of the file is the only one", async || is_let_in(&server, &old).await && !is_let_in(&server, &made).await).await;
        run(database, &["client", "rotate-secret", "worker"]).assert_refused(1, "change the file of its secret and run 'grantor apply'");

        declare(database, &format!("{WORKER}client_secret_file = [\"old\", \"new\"]\n"));
        run(database, &["apply"]).assert_code(0);
        within_a_second("both are valid", async || is_let_in(&server, &old).await && is_let_in(&server, &new).await).await;
        declare(database, &format!("{WORKER}client_secret_file = \"new\"\n"));
        run(database, &["apply"]).assert_code(0);
        within_a_second("the old one ended", async || !is_let_in(&server, &old).await && is_let_in(&server, &new).await).await;

        declare(database, WORKER);
        assert!(run(database, &["apply"]).stdout.contains("its secret is no longer declared, and stays valid"));
        assert!(run(database, &["apply"]).stdout.starts_with("= 1 unchanged"));
        run(database, &["client", "rotate-secret", "worker"]).assert_code(0);
        assert!(is_let_in(&server, &new).await);
    }

    /// What a client may no longer ask for, a running server refuses within a second.
    async fn a_running_server_sees_a_change_within_a_second(database) {
        write(database, "secret", &"s".repeat(32));
        let text = format!("{WORKER}client_secret_file = \"secret\"\n");
        declare(database, &text);
        let server = Process::serve(database, &[]);
        assert!(is_let_in(&server, &"s".repeat(32)).await);
        declare(database, &text.replace("\"read\"", "\"write\""));
        run(database, &["apply"]).assert_code(0);
        within_a_second("the scope is refused", async || !is_let_in(&server, &"s".repeat(32)).await).await;
        worker(&"s".repeat(32)).client_credentials(&server.base()).await.assert_error(400, "invalid_scope");
        declare(database, "[[clients]]\nclient_id = \"other\"\nclient_name = \"O\"\ngrant_types = [\"client_credentials\"]\n");
        run(database, &["apply", "--prune"]).assert_code(0);
        within_a_second("the client is refused", async || worker(&"s".repeat(32)).client_credentials(&server.base()).await.status == 401).await;
    }

    /// Of commands that run at once one makes each change, and none fails.
    async fn commands_at_once_apply_each_change_once(database) {
        write(database, "password", "open-sesame-123");
        let clients: String = (0..8).map(|n| WORKER.replace("\"worker\"", &format!("\"worker-{n}\""))).collect();
        declare(database, &format!("{clients}{ALICE}"));
        let start = || grantor(database).arg("apply").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let running: Vec<Child> = (0..4).map(|_| start()).collect();
        for child in running {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let mut events = audited(database).await;
        events.sort();
        let expected: Vec<String> = ["client.created operator"; 8].into_iter().chain(["person.created operator"]).map(str::to_owned).collect();
        assert_eq!(events, expected);
    }
}

on_databases! { [Postgres]
    /// Nodes that start together with one file, on a database without a table.
    async fn nodes_that_start_together_apply_each_change_once(copy) {
        let database = &Database::empty(copy.backend).await;
        write(database, "password", "open-sesame-123");
        declare(database, &format!("{WORKER}{ALICE}"));
        let ports = [free_port(), free_port(), free_port()];
        let issuer = format!("http://127.0.0.1:{}", ports[0]);
        let mut nodes = ports.map(|port| Process::start_on(database, port, &issuer, &[]));
        nodes.iter_mut().for_each(Process::wait_until_ready);
        assert_eq!(audited(database).await, ["keys.created server", "client.created configuration", "person.created configuration"]);
        drop(nodes);
        database.remove().await;
    }

    /// Whoever sets a password while the declared one is being set keeps it.
    async fn a_password_that_is_set_meanwhile_is_kept(database) {
        let known = "[[people]]\nemail = \"alice@example.com\"\nemail_verified = true\n";
        write(database, "password", "open-sesame-123");
        declare(database, known);
        run(database, &["apply"]).assert_code(0);
        declare(database, &format!("{known}password_file = \"password\"\n"));

        let mut person = database.postgres().await;
        sqlx::raw_sql("BEGIN; UPDATE people SET password_hash = 'their own'").execute(&mut person).await.unwrap();
        let applying = grantor(database).arg("apply").stdout(Stdio::piped()).spawn().unwrap();
        let waiting = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        until("the command waits for the row", async || !database.strings(waiting).await.is_empty()).await;
        sqlx::raw_sql("COMMIT").execute(&mut person).await.unwrap();

        assert!(applying.wait_with_output().unwrap().status.success());
        assert_eq!(database.strings("SELECT password_hash FROM people").await, ["their own"]);
        assert_eq!(audited(database).await, ["person.created operator"]);
    }
}
