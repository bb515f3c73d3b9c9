//! The audit trail as operators read it: `grantor audit list|tail`, how long it is kept, and that nothing changes it.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    process::{Child, Stdio},
};

use serde_json::{Value, json};

use crate::{
    harness::{
        Database,
        process::{PATIENCE, grantor, run, run_json, wait_until},
    },
    on_databases, on_every_backend,
    security_md::Table,
};

const DAY: u64 = 24 * 60 * 60;

/// What `grantor audit list --json` prints with these arguments.
fn listed(database: &Database, arguments: &[&str]) -> Vec<Value> {
    let printed = run_json(database, &[&["audit", "list", "--json"], arguments].concat());
    printed.as_array().unwrap().clone()
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["name"].as_str().unwrap()).collect()
}

/// `grantor audit tail` as it goes on, its output in a file.
struct Tail {
    child: Child,
    output: std::path::PathBuf,
}

impl Tail {
    fn start(database: &Database, arguments: &[&str]) -> Self {
        let output = database.dir.join("tail");
        let stdout = File::create(&output).unwrap();
        let child = grantor(database).args(["audit", "tail"]).args(arguments).stdin(Stdio::null()).stdout(stdout).spawn().unwrap();
        Self { child, output }
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.output).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

on_every_backend! {
    /// An event has all that the row has, the newest comes last, and `--limit` keeps the newest.
    async fn the_list_tells_everything_of_an_event(server) {
        let app = server.client("app").await;
        let tokens = app.tokens().await;
        let answer = app.revoke(&tokens.refresh_token()).await;

        let events = listed(&server.database, &[]);
        assert_eq!(names(&events), ["person.signed_in", "consent.given", "token.revoked"]);
        let (event, claims) = (&events[2], tokens.claims());
        let expected = json!({
            "id": event["id"], "at": event["at"], "name": "token.revoked", "actor": "client:app", "subject": claims["sub"], "client_id": "app",
            "grant_id": claims["gid"], "address": event["address"], "request_id": answer.header("x-request-id"), "details": { "token": "refresh_token" },
        });
        assert_eq!(*event, expected);
        assert!(event["at"].as_str().unwrap().ends_with('Z'), "{event}");
        assert_eq!(names(&listed(&server.database, &["--limit", "1"])), ["token.revoked"]);
    }

    /// By person (id or e-mail), client, name and time, and by several of them at once.
    async fn the_list_is_of_whom_and_what_one_asks_for(server) {
        let (app, other) = (server.client("app").await, server.client("other").await);
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        app.code_at(&mut browser, &[]).await;
        server.advance(2 * DAY);
        let midnight = server.clock.now().to_date_time().date();
        other.tokens().await;

        let list = |arguments: &[&str]| listed(&server.database, arguments);
        assert_eq!(names(&list(&["--person", &person.email])), ["person.signed_in", "consent.given"]);
        let id = list(&["--person", &person.email])[0]["subject"].clone();
        assert_eq!(names(&list(&["--person", id.as_str().unwrap()])), ["person.signed_in", "consent.given"]);
        assert_eq!(names(&list(&["--client", "other"])), ["consent.given"]);
        assert_eq!(names(&list(&["--name", "person.signed_in"])), ["person.signed_in", "person.signed_in"]);
        assert_eq!(names(&list(&["--since", &midnight.to_string()])), ["person.signed_in", "consent.given"]);
        assert_eq!(names(&list(&["--since", &format!("{midnight}T00:00:00+00:00"), "--client", "app"])), Vec::<&str>::new());
        assert_eq!(names(&list(&["--person", &person.email, "--client", "app", "--name", "consent.given"])), ["consent.given"]);
        assert_eq!(list(&["--since", "1h"]).len(), 4, "the clock of these tests is ahead of the machine's");
    }

    /// `audit.retention`: by then they are gone, in batches, whatever else happens.
    async fn events_go_when_their_time_is_over_and_not_before(server, "GRANTOR_AUDIT__RETENTION" = "30d") {
        server.browser().sign_in_as_someone().await;
        server.advance(30 * DAY - 60);
        server.browser().sign_in_as_someone().await;
        server.run_jobs().await;
        assert_eq!(server.audited("person.signed_in").await, 2);
        server.advance(120);
        server.run_jobs().await;
        assert_eq!(server.audited("person.signed_in").await, 1);
    }

    /// Neither the program nor whoever has its database account rewrites what was.
    async fn a_row_is_never_changed(server) {
        server.browser().sign_in_as_someone().await;
        let changed = server.database.try_execute("UPDATE audit_events SET address = '192.0.2.1'").await;
        assert!(changed.unwrap_err().contains("append-only"));
    }
}

on_databases! { [Sqlite, Postgres]
    /// What is written meanwhile, by whichever process, comes once, a line each.
    async fn the_tail_goes_on_with_what_comes(database) {
        run(database, &["user", "create", "--email", "before@example.com"]).assert_code(0);
        let tail = Tail::start(database, &["--json"]);
        wait_until(PATIENCE, "it prints what was before", || tail.lines().len() == 1);
        for email in ["alice@example.com", "bob@example.com"] {
            run(database, &["user", "create", "--email", email]).assert_code(0);
        }
        wait_until(PATIENCE, "it prints what came", || tail.lines().len() == 3);
        let events: Vec<Value> = tail.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(names(&events), ["person.created"; 3]);
        assert_eq!(events.iter().map(|event| event["id"].to_string()).collect::<BTreeSet<_>>().len(), 3);
        let text = run(database, &["audit", "list", "--client", "nobody"]);
        assert_eq!((text.code, text.stdout.as_str()), (Some(0), ""));
    }

    /// A wrong argument says what is right; a person whom nobody knows is not an empty list.
    async fn what_cannot_be_looked_for_is_refused(database) {
        run(database, &["audit", "list", "--since", "yesterday"]).assert_refused(2, "a duration such as 30m");
        run(database, &["audit", "list", "--name", "person.signed_on"]).assert_refused(2, "person.signed_in");
        run(database, &["audit", "list", "--limit", "0"]).assert_refused(2, "1..=100000");
        run(database, &["audit", "list", "--person", "nobody"]).assert_refused(2, "neither an id nor an e-mail");
        run(database, &["audit", "list", "--person", "nobody@example.com"]).assert_refused(1, "nobody has the e-mail");
    }
}

/// The list for operators has every event that the table of `docs/security.md` has, and no other.
#[test]
fn the_operations_page_says_of_each_event_what_to_do() {
    let read = |page: &str| fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page)).unwrap();
    let quoted = |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let names = |page: &str, heading: &str, column: &str| -> BTreeSet<String> {
        Table::under(&read(page), heading).rows.iter().flat_map(|row| quoted(&row[column])).collect()
    };
    let told = names("operations.md", "## The audit trail", "event");
    assert_eq!(told, names("security.md", "## Audit events", "name"));
    let table = Table::under(&read("operations.md"), "## The audit trail");
    assert!(table.rows.iter().all(|row| !row["what to do"].is_empty() && !row["what happened"].is_empty()));
}
