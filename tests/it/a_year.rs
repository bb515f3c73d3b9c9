//! A year of sign-ins: what is purged keeps every table bounded.
//!
//! Two people sign in each day, through the pages; what they leave in the tables is copied for the others of the day. The figures of
//! `docs/operations.md` come from `SIGN_INS_A_DAY=1000 tests/with-postgres cargo test --test it -- a_year --nocapture`.

use std::fmt::Write;

use crate::{
    harness::{App, Backend, TestServer, app::timestamp, browser::Person},
    on_every_backend,
};

const DAYS: u32 = 365;
const DAY: u32 = 24 * 60 * 60;
const PEOPLE: usize = 6;
/// How many sign in each day at a browser.
const REAL: u32 = 2;

fn sign_ins_a_day() -> u32 {
    std::env::var("SIGN_INS_A_DAY").map_or(20, |number| number.parse().expect("SIGN_INS_A_DAY is a number"))
}

/// The statements that copy what was left since a time, given as a literal, so many times. Ids keep the time in them
/// (RFC 9562 §5.7), so that rows lie as they would.
struct Copies(Vec<String>);

impl Copies {
    async fn of(server: &TestServer, times: u32) -> Self {
        let mut statements = Vec::new();
        for (table, time) in [("browser_sessions", "created_at"), ("grants", "created_at"), ("audit_events", "at")] {
            let (columns, id, hash) = match server.database.backend {
                Backend::Sqlite => (
                    format!("SELECT name FROM pragma_table_info('{table}')"),
                    "CAST(substr(id, 1, 6) || randomblob(10) AS BLOB)",
                    "randomblob(32)",
                ),
                Backend::Postgres => (
                    format!("SELECT column_name::text FROM information_schema.columns WHERE table_name = '{table}'"),
                    "(substr(id::text, 1, 13) || substr(gen_random_uuid()::text, 14))::uuid",
                    "sha256(gen_random_uuid()::text::bytea)",
                ),
            };
            let columns = server.database.strings(&columns).await;
            let values = columns.iter().map(|column| match column.as_str() {
                "id" => id,
                "id_hash" | "code_hash" => hash,
                copied => copied,
            });
            let (values, columns) = (values.collect::<Vec<_>>().join(", "), columns.join(", "));
            let copies =
                format!("WITH RECURSIVE copies(n) AS (SELECT 1 WHERE {times} > 0 UNION ALL SELECT n + 1 FROM copies WHERE n < {times})");
            statements.push(format!("{copies} INSERT INTO {table} ({columns}) SELECT {values} FROM {table}, copies WHERE {time} >= "));
        }
        Self(statements)
    }

    async fn make(&self, server: &TestServer, since: &str) {
        for statement in &self.0 {
            server.database.execute(&format!("{statement}{since}")).await;
        }
    }
}

/// What somebody does who signs in: every tenth mistypes the password first, every third signs out, and the app refreshes once.
async fn sign_in(server: &TestServer, app: &App<'_>, person: &Person, number: u32) {
    let mut browser = server.browser();
    browser.go("/account").await;
    if number.is_multiple_of(10) {
        browser.sign_in_with(&person.email, "mistyped").await.assert_status(400);
    }
    browser.sign_in(person).await.assert_status(200);
    let tokens = app.redeem(&app.code_at(&mut browser, &[]).await).await;
    let refreshed = app.refresh(&tokens.refresh_token()).await;
    match number % 6 {
        0 | 3 => assert_eq!(browser.post("/account/sign-out", &[]).await.location(), "/signed-out"),
        1 => {
            app.revoke(&refreshed.access_token()).await.assert_status(200);
        }
        _ => {}
    }
}

/// The tables with their rows and bytes, indexes included.
async fn tables(server: &TestServer) -> Vec<(String, i64, i64)> {
    let sql = match server.database.backend {
        Backend::Sqlite => {
            "SELECT s.tbl_name || ' ' || SUM(d.pgsize) FROM dbstat d JOIN sqlite_schema s ON s.name = d.name \
             WHERE s.tbl_name NOT LIKE '\\_%' ESCAPE '\\' GROUP BY s.tbl_name ORDER BY 1"
        }
        Backend::Postgres => {
            "SELECT relname || ' ' || pg_total_relation_size(oid) FROM pg_class \
             WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname NOT LIKE '\\_%' ORDER BY 1"
        }
    };
    let mut tables = Vec::new();
    for line in server.database.strings(sql).await {
        let (name, bytes) = line.split_once(' ').expect("a name and a size");
        tables.push((name.to_owned(), server.database.count(name).await, bytes.parse().expect("a size")));
    }
    tables
}

on_every_backend! {
    /// Purge keeps tables bounded: sessions by their idle time, grants by their absolute end, the audit trail by its retention.
    async fn a_year_of_sign_ins_is_bounded(server) {
        let (app, a_day) = (server.client("app").await, sign_ins_a_day());
        let mut people = Vec::new();
        for number in 0..PEOPLE {
            people.push(server.person(&format!("person{number}")).await);
        }
        let copies = Copies::of(server, a_day / REAL - 1).await;
        for day in 0..DAYS {
            let since = timestamp(server.database.backend, server.clock.now().as_micros());
            for number in 0..REAL {
                sign_in(server, &app, &people[(day * 7 + number) as usize % PEOPLE], day * REAL + number).await;
                server.advance(u64::from(DAY / REAL));
            }
            copies.make(server, &since).await;
            server.run_jobs().await;
        }

        let tables = tables(server).await;
        let told = tables.iter().fold(String::new(), |mut told, (name, rows, bytes)| {
            let _ = writeln!(told, "{name:<24} {rows:>9} rows {bytes:>12} bytes");
            told
        });
        println!("{:?}, {DAYS} days of {a_day} sign-ins:\n{told}", server.database.backend);
        let rows = |table: &str| tables.iter().find(|(name, ..)| name == table).map(|(_, rows, _)| *rows).expect(table);
        let a_day = i64::from(a_day);
        assert!((1..=2 * a_day).contains(&rows("browser_sessions")), "a day without use ends a session\n{told}");
        assert!((80 * a_day..=92 * a_day).contains(&rows("grants")), "ninety days\n{told}");
        assert_eq!(rows("authorization_codes"), 0, "a minute, and ten until they are purged\n{told}");
        assert_eq!(rows("revoked_tokens"), 0, "ten minutes, and ten until they are purged\n{told}");
        assert_eq!(rows("throttles"), 0, "ten minutes\n{told}");
        assert!((1..=12).contains(&rows("keys")), "every ninety days two\n{told}");
        assert!(rows("consents") <= rows("people"), "one for each person and app\n{told}");
        assert!(rows("audit_events") <= 6 * a_day * i64::from(DAYS), "what happened\n{told}");
    }
}
