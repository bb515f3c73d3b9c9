//! `grantor copy`: from either kind of database to the other, again and again until both hold the same.

use std::process::Stdio;

use crate::{
    harness::{
        Backend, Database, TestServer,
        backup::digests,
        over_http::create_person,
        process::{Outcome, grantor, run},
    },
    on_databases,
};

/// Runs `grantor copy`.
fn copy(from: &Database, to: &Database, flags: &[&str]) -> Outcome {
    let arguments = [&["copy", "--from", &from.url, "--to", &to.url], flags].concat();
    Outcome::of(grantor(from).args(arguments).stdin(Stdio::null()).output().unwrap())
}

/// What messages call a database: its URL without the password.
fn masked(database: &Database) -> String {
    let Ok(mut url) = url::Url::parse(&database.url) else { return database.url.clone() };
    if url.password().is_some() {
        url.set_password(Some("***")).unwrap();
    }
    if database.backend == Backend::Sqlite { database.url.clone() } else { url.into() }
}

/// The same in another kind of database.
async fn target(from: &Database) -> Database {
    Database::empty(if from.backend == Backend::Sqlite { Backend::Postgres } else { Backend::Sqlite }).await
}

on_databases! { [Sqlite, Postgres]
    /// There and back again: every value of every table.
    async fn everything_moves_to_the_other_kind_and_back(database) {
        let header = database.back_up("a.backup").remove(0);
        database.fill(header["tables"].as_array().unwrap()).await;
        let (other, again) = (target(database).await, Database::empty(database.backend).await);
        let told = copy(database, &other, &["--json"]);
        assert!(told.stderr.contains("people: 3 rows"), "{}", told.stderr);
        assert_eq!(told.json()["tables"]["people"], 3);
        copy(&other, &again, &[]).assert_code(0);
        let before = digests(&database.back_up("a.backup"));
        assert_eq!(before, digests(&other.back_up("a.backup")));
        assert_eq!(before, digests(&again.back_up("a.backup")));
        copy(database, &other, &[]).assert_refused(1, "is not empty (settings has rows): copy into an empty one");
        other.remove().await;
        again.remove().await;
    }

    /// Sessions and refresh tokens move, too: nobody notices.
    async fn a_server_goes_on_from_the_copy(database) {
        let server = TestServer::beside(database, &[]).await;
        let tokens = server.client("app").await.tokens().await;
        server.close().await;
        let other = target(database).await;
        copy(database, &other, &[]).assert_code(0);
        let server = TestServer::beside(&other, &[]).await;
        let app = server.registered("app");
        let refreshed = app.refresh(&tokens.refresh_token()).await;
        assert!(server.is_active(&app, &refreshed.access_token()).await);
        server.close().await;
        other.remove().await;
    }

    /// Killed in the middle, it goes on where it was, and meanwhile no server starts on half of the data.
    async fn a_copy_that_was_killed_is_finished_by_the_next(database) {
        for number in 0..3 {
            create_person(database, &format!("person{number}@example.com"));
        }
        let other = target(database).await;
        copy(database, &other, &[]).assert_code(0);
        // What a kill behind the first people leaves: the mark, and a part of the rows.
        let now = crate::harness::app::timestamp(other.backend, 0);
        let source = masked(database);
        other.execute(&format!("INSERT INTO unfinished_copies (one, source, began_at) VALUES (1, '{source}', {now})")).await;
        other.execute("DELETE FROM audit_events").await;
        other.execute("DELETE FROM people WHERE id = (SELECT id FROM people ORDER BY id DESC LIMIT 1)").await;

        run(&other, &["user", "list"]).assert_refused(1, "holds an unfinished copy of");
        run(&other, &["backup", "a.backup"]).assert_refused(1, "holds an unfinished copy of");
        let finished = copy(database, &other, &[]);
        assert!(finished.assert_code(0).stderr.contains("people: 3 rows, 2 of them there already"), "{}", finished.stderr);
        run(&other, &["user", "list"]).assert_code(0);
        other.remove().await;
    }

    /// Rows that differ are copied again; those of another source only when told to.
    async fn what_differs_is_copied_again(database) {
        create_person(database, "alice@example.com");
        let other = target(database).await;
        copy(database, &other, &[]).assert_code(0);
        let now = crate::harness::app::timestamp(other.backend, 0);
        other.execute(&format!("INSERT INTO unfinished_copies (one, source, began_at) VALUES (1, 'sqlite:elsewhere', {now})")).await;
        other.execute("UPDATE people SET name = 'Mallory'").await;
        copy(database, &other, &[]).assert_refused(1, "holds an unfinished copy of sqlite:elsewhere: finish that, or use --start-over");
        copy(database, &other, &["--start-over"]).assert_code(0);
        assert_eq!(digests(&database.back_up("a.backup")), digests(&other.back_up("a.backup")));
        other.remove().await;
    }
}
