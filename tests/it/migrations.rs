//! Migrations: planned before they are done, and such that the version before goes on serving (docs/operations.md, Upgrading).

use std::{fs, path::Path};

use regex::Regex;
use serde_json::json;

use crate::{
    harness::{Database, process::run},
    on_databases,
};

/// Those before were never served from by another version.
const FIRST: u32 = 9;

/// What the version before cannot live with, each with how it shows.
const BREAKING: &[(&str, &str)] = &[
    (
        r"\bDROP\s+(TABLE|COLUMN|VIEW)\b",
        "the version before still reads it: drop it in a later release, with a line `-- contract: since when nobody reads it`",
    ),
    (r"\bRENAME\b", "the version before knows the old name: add, write both, drop later"),
    (r"\bALTER\s+COLUMN\s+\w+\s+(SET\s+DATA\s+)?TYPE\b", "a statement that was prepared before fails: add another column"),
    (r"\bSET\s+NOT\s+NULL\b", "the version before may write NULL"),
    (r"\bADD\s+(CONSTRAINT|CHECK|FOREIGN|UNIQUE)\b", "the version before may write what this refuses"),
];

fn regex(pattern: &str) -> Regex {
    Regex::new(&format!("(?i){pattern}")).unwrap()
}

/// What is wrong with a migration for those that still run the version before.
fn faults(sql: &str) -> Vec<String> {
    let is_contract = sql.lines().any(|line| line.starts_with("-- contract: "));
    let code: Vec<&str> = sql.lines().map(|line| line.split("--").next().unwrap()).collect();
    let code = code.join("\n");
    let made: Vec<String> = regex(r"\bCREATE\s+TABLE\s+(\w+)").captures_iter(&code).map(|found| found[1].to_lowercase()).collect();
    let mut faults = Vec::new();
    for statement in code.split(';') {
        for (pattern, reason) in BREAKING {
            if regex(pattern).is_match(statement) && !(is_contract && pattern.contains("DROP")) {
                faults.push(format!("{}: {reason}", statement.trim()));
            }
        }
        let adds = regex(r"\bADD\s+(COLUMN\s+)?\w+.*\bNOT\s+NULL\b");
        if adds.is_match(statement) && !regex(r"\bDEFAULT\b").is_match(statement) {
            faults.push(format!("{}: rows of the version before have no value for it: add a DEFAULT, or let it be null", statement.trim()));
        }
        if let Some(found) = regex(r"\bCREATE\s+UNIQUE\s+INDEX\s+\w+\s+ON\s+(\w+)").captures(statement)
            && !made.contains(&found[1].to_lowercase())
        {
            faults.push(format!("{}: the version before may write what this refuses", statement.trim()));
        }
    }
    faults
}

#[test]
fn the_version_before_can_go_on_serving() {
    for kind in ["sqlite", "postgres"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(kind);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let version: u32 = path.file_name().unwrap().to_str().unwrap()[..4].parse().unwrap();
            let faults = faults(&fs::read_to_string(&path).unwrap());
            assert!(version < FIRST || faults.is_empty(), "{}:\n{}", path.display(), faults.join("\n"));
        }
    }
}

/// The rule itself: what it must find, and what it must let be.
#[test]
fn what_the_version_before_cannot_live_with_is_found() {
    for sql in [
        "ALTER TABLE people DROP COLUMN name;",
        "DROP TABLE consents;",
        "ALTER TABLE people RENAME COLUMN name TO nickname;",
        "alter table people rename to persons;",
        "ALTER TABLE people ADD COLUMN age BIGINT NOT NULL;",
        "ALTER TABLE people ADD age BIGINT NOT NULL;",
        "ALTER TABLE people ALTER COLUMN name SET NOT NULL;",
        "ALTER TABLE people ALTER COLUMN name TYPE VARCHAR(10);",
        "ALTER TABLE people ADD CONSTRAINT adult CHECK (age > 18);",
        "CREATE UNIQUE INDEX one_name ON people (name);",
    ] {
        assert_eq!(faults(sql).len(), 1, "{sql}");
    }
    for sql in [
        "-- DROP TABLE people\nCREATE TABLE pets (id UUID PRIMARY KEY, name TEXT NOT NULL); CREATE UNIQUE INDEX pet_names ON pets (name);",
        "ALTER TABLE people ADD COLUMN age BIGINT NOT NULL DEFAULT 0;",
        "ALTER TABLE people ADD COLUMN age BIGINT; CREATE INDEX by_age ON people (age);",
        "ALTER TABLE authorization_codes ALTER COLUMN code_challenge DROP NOT NULL;",
        "-- contract: since 0.2 nobody reads it\nALTER TABLE people DROP COLUMN name;",
    ] {
        assert_eq!(faults(sql), Vec::<String>::new(), "{sql}");
    }
}

on_databases! { [Sqlite, Postgres]
    /// The plan tells what will be done and does none of it.
    async fn a_plan_tells_what_is_pending_and_writes_nothing(database) {
        assert_eq!(run(database, &["migrate", "--plan", "--json"]).json()["migrations"], json!([]));
        // As a database of the version before the audit trail remembers it.
        database.execute("DELETE FROM _sqlx_migrations WHERE version = 9").await;
        let plan = run(database, &["migrate", "--plan", "--json"]).json();
        let audit = &plan["migrations"][0];
        assert_eq!((&audit["version"], &audit["name"], &audit["holds_up"]), (&json!(9), &json!("audit"), &json!(["audit_events"])));
        assert!(audit["does"].as_str().unwrap().len() > 20 && audit["rows"].is_u64() && audit["about_seconds"].is_u64());
        assert!(run(database, &["migrate", "--plan"]).stdout.contains("while writes to audit_events wait"));

        let empty = Database::empty(database.backend).await;
        let told = run(&empty, &["migrate", "--plan"]);
        assert!(told.assert_code(0).stdout.contains("is new: its tables are made"), "{}", told.stdout);
        assert_eq!(run(&empty, &["migrate", "--plan", "--json"]).json()["schema"], json!(null), "still without a table");
        empty.remove().await;
    }

    /// An older program names both versions, and does nothing, whichever command it is.
    async fn every_command_refuses_a_database_from_the_future(database) {
        let success = if database.backend == crate::harness::Backend::Sqlite { "1, x'00'" } else { "TRUE, '\\x00'" };
        let insert = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)";
        database.execute(&format!("{insert} VALUES (9999, 'later', {success}, 0)")).await;
        let copy = ["copy", "--from", &database.url, "--to", "sqlite:copy.db"];
        for arguments in [&["migrate"][..], &["migrate", "--plan"], &["serve"], &["backup", "a.backup"], &["user", "list"], &copy] {
            let refused = run(database, arguments);
            refused.assert_refused(1, "is of schema version 9999, made by a newer Grantor");
            assert!(refused.stderr.contains(concat!("this is Grantor ", env!("CARGO_PKG_VERSION"))), "{}", refused.stderr);
        }
    }
}
