//! `grantor backup` and `grantor restore`: everything, exactly, between both kinds of database; and nothing of what is not whole.

use std::{collections::BTreeSet, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};

use crate::{
    harness::{
        Backend, Database,
        backup::{digests, lines, text, write},
        over_http::create_person,
        process::{Process, grantor, run, run_json},
    },
    on_databases,
};

/// Runs a command on another database with a file of the first.
fn restore(from: &Database, to: &Database, flags: &[&str]) -> crate::harness::process::Outcome {
    let file = from.dir.join("a.backup");
    run(to, &[&["restore", file.to_str().unwrap()], flags].concat())
}

/// Which tables and columns there are, with what a backup calls their kind.
async fn columns(database: &Database) -> BTreeSet<String> {
    let sql = match database.backend {
        Backend::Sqlite => {
            "SELECT t.name || '.' || c.name || ' ' || c.type FROM sqlite_schema AS t, pragma_table_info(t.name) AS c \
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%'"
        }
        Backend::Postgres => {
            "SELECT table_name || '.' || column_name || ' ' || CASE data_type WHEN 'uuid' THEN 'id' WHEN 'bytea' THEN 'bytes' \
               WHEN 'jsonb' THEN 'json' WHEN 'bigint' THEN 'number' WHEN 'timestamp with time zone' THEN 'time' ELSE data_type END \
             FROM information_schema.columns WHERE table_schema = 'public'"
        }
    };
    let all = database.strings(sql).await;
    all.into_iter().filter(|column| !column.starts_with("_sqlx_migrations.") && !column.starts_with("unfinished_copies.")).collect()
}

/// The order of the rows is that of the primary key, or a resumed copy would not find where it was.
async fn keys(database: &Database) -> BTreeSet<String> {
    let sql = match database.backend {
        Backend::Sqlite => {
            "SELECT name || ' ' || (SELECT GROUP_CONCAT(name) FROM (SELECT c.name FROM pragma_table_info(t.name) AS c WHERE c.pk > 0 ORDER BY c.pk)) \
             FROM sqlite_schema AS t WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        }
        Backend::Postgres => {
            "SELECT relname || ' ' || (SELECT string_agg(attname, ',' ORDER BY array_position(indkey::int2[], attnum)) FROM pg_attribute \
               WHERE attrelid = pg_class.oid AND attnum = ANY (indkey)) \
             FROM pg_class JOIN pg_index ON indrelid = pg_class.oid AND indisprimary WHERE relnamespace = 'public'::regnamespace"
        }
    };
    let all = database.strings(sql).await;
    all.into_iter().filter(|key| !key.starts_with("_sqlx_migrations ") && !key.starts_with("unfinished_copies ")).collect()
}

fn names(of: &Value, separator: &str) -> String {
    of.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect::<Vec<_>>().join(separator)
}

on_databases! { [Sqlite, Postgres]
    /// A table or column that a migration adds must be in `store/transfer/tables.rs`, or backups and copies would lose it.
    async fn every_table_and_column_is_in_a_backup(database) {
        let header = database.back_up("a.backup").remove(0);
        let tables = header["tables"].as_array().unwrap();
        let kind = |kind: &Value| match (database.backend, kind.as_str().unwrap()) {
            (Backend::Sqlite, "text" | "json") => "TEXT",
            (Backend::Sqlite, "number" | "time") => "INTEGER",
            (Backend::Sqlite, "bytes" | "id") => "BLOB",
            (_, "text") => "text",
            (_, "json") => "json",
            (_, "number") => "number",
            (_, "time") => "time",
            (_, "bytes") => "bytes",
            _ => "id",
        };
        let listed: BTreeSet<String> = tables
            .iter()
            .flat_map(|table| {
                let of = |column: &Value| format!("{}.{} {}", table["table"].as_str().unwrap(), column["name"].as_str().unwrap(), kind(&column["kind"]));
                table["columns"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
            })
            .collect();
        let there = columns(database).await;
        assert_eq!(listed.symmetric_difference(&there).collect::<Vec<_>>(), Vec::<&String>::new(), "see src/store/transfer/tables.rs");
        let listed_keys: BTreeSet<String> = tables.iter().map(|table| format!("{} {}", table["table"].as_str().unwrap(), names(&table["key"], ","))).collect();
        assert_eq!(listed_keys, keys(database).await);
    }

    /// Microseconds, zero bytes, texts beyond the BMP, nulls beside empty texts: into a database of either kind, and back.
    async fn every_value_comes_back_exactly_from_either_kind(database) {
        let header = database.back_up("a.backup").remove(0);
        database.fill(header["tables"].as_array().unwrap()).await;
        let before = database.back_up("a.backup");
        for kind in [Backend::Sqlite, Backend::Postgres] {
            let other = Database::empty(kind).await;
            restore(database, &other, &["--keep-grants"]).assert_code(0);
            let (mut one, mut two) = (digests(&before), digests(&other.back_up("a.backup")));
            let (events, restored) = (one.remove("audit_events").unwrap(), two.remove("audit_events").unwrap());
            assert_eq!(one, two, "{kind:?}");
            assert_eq!(restored.0, events.0 + 1, "the restore itself is an event");
            other.remove().await;
        }
    }

    /// The operator's own tools read it, and a script reads what was written.
    async fn a_backup_is_for_its_owner_and_appears_when_it_is_whole(database) {
        create_person(database, "alice@example.com");
        let told = run_json(database, &["backup", "a.backup", "--json"]);
        assert_eq!((&told["file"], &told["backup"]["tables"]["people"]), (&json!("a.backup"), &json!(1)));
        let file = database.dir.join("a.backup");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(told["bytes"], std::fs::metadata(&file).unwrap().len());
        assert!(!text(&file).contains(crate::harness::database::MASTER_KEY));

        run(database, &["backup", "a.backup"]).assert_refused(1, "a.backup is there already: choose another name, or --force");
        run(database, &["backup", "a.backup", "--force"]).assert_code(0);
        let refused = run(database, &["backup", "nowhere/a.backup"]);
        refused.assert_refused(1, "the backup cannot be written to nowhere/a.backup");
        let left = std::fs::read_dir(&database.dir).unwrap().filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("backup-"));
        assert_eq!(left.count(), 0, "nothing temporary is left");

        let piped = grantor(database).args(["backup", "-"]).output().unwrap();
        std::fs::write(database.dir.join("b.backup"), &piped.stdout).unwrap();
        assert!(String::from_utf8_lossy(&piped.stderr).contains("written to standard output"));
        assert_eq!(digests(&lines(&database.dir.join("b.backup"))), digests(&lines(&file)));
        run(database, &["backup", "-", "--json"]).assert_refused(2, "--json needs the standard output");
    }

    /// A database that holds anything is not overwritten by mistake; one that is replaced holds the backup alone.
    async fn a_database_with_rows_is_replaced_only_when_told_to(database) {
        create_person(database, "alice@example.com");
        database.back_up("a.backup");
        create_person(database, "bob@example.com");
        restore(database, database, &[]).assert_refused(1, "is not empty (settings has rows): restore into an empty one, or with --replace");
        assert_eq!(database.count("people").await, 2);
        let told = restore(database, database, &["--replace", "--json"]).json();
        assert_eq!(told["ended"], json!({ "sessions": 0, "grants": 0 }));
        assert_eq!(database.strings("SELECT email FROM people").await, ["alice@example.com"]);
    }

    /// Whatever is cut off or flipped, the database is as it was.
    async fn a_damaged_backup_changes_nothing(database) {
        create_person(database, "alice@example.com");
        database.back_up("a.backup");
        let file = database.dir.join("a.backup");
        let whole = std::fs::read(&file).unwrap();
        let empty = Database::empty(database.backend).await;
        let last = whole.len() - 1;
        let damaged = [whole[..20].to_vec(), whole[..whole.len() / 2].to_vec(), whole[..last].to_vec(), [&whole[..], b"x"].concat()];
        for damage in damaged {
            std::fs::write(&file, &damage).unwrap();
            restore(database, &empty, &["--check"]).assert_code(1);
            let refused = restore(database, &empty, &[]);
            refused.assert_code(1);
            assert!(["is damaged or incomplete", "is no backup"].iter().any(|reason| refused.stderr.contains(reason)), "{}", refused.stderr);
            restore(database, database, &["--replace"]).assert_code(1);
        }
        std::fs::write(&file, &whole).unwrap();
        assert_eq!(database.count("people").await, 1);
        restore(database, &empty, &[]).assert_code(0);
        assert_eq!(empty.count("people").await, 1);
        empty.remove().await;
    }

    /// Whoever can write to where backups are kept makes no administrator: the MAC is by the master key.
    async fn an_altered_backup_is_refused_however_well_it_adds_up(database) {
        create_person(database, "alice@example.com");
        database.back_up("a.backup");
        let file = database.dir.join("a.backup");
        let altered = text(&file).replace("alice@example.com", "mallory@example.com");
        write(&file, &readd(&altered));
        let empty = Database::empty(database.backend).await;
        restore(database, &empty, &["--check"]).assert_refused(1, "the backup was altered after it was made");
        restore(database, &empty, &[]).assert_refused(1, "the backup was altered after it was made");
        assert_eq!(empty.count("people").await, 0);
        empty.remove().await;
    }

    /// The key is not in the file, and the one that is missing is named.
    async fn another_master_key_is_named_before_anything_is_read(database) {
        database.back_up("a.backup");
        let other = "b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyb3Q=";
        for arguments in [&["restore", "a.backup"][..], &["restore", "a.backup", "--check"], &["backup", "b.backup"]] {
            let output = grantor(database).env("GRANTOR_MASTER_KEY", other).args(arguments).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains("this is not the master key of the") && said.contains("No backup holds the master key"), "{said}");
        }
    }

    /// A server of SQLite holds in memory what its file no longer has. Of Postgres no process can tell.
    async fn beneath_a_server_nothing_is_replaced(database) {
        database.back_up("a.backup");
        let server = Process::serve(database, &[]);
        if database.backend == Backend::Sqlite {
            run(database, &["restore", "a.backup", "--replace"]).assert_refused(1, "a server runs on");
        }
        assert_eq!(server.terminate(), Some(0));
        run(database, &["restore", "a.backup", "--replace"]).assert_code(0);
    }

    /// Servers write on; the backup is of one moment.
    async fn a_backup_is_consistent_while_a_server_writes(database) {
        let server = Process::serve(database, &[]);
        let writer = std::thread::spawn({
            let database = database.clone();
            move || (0..6).for_each(|number| drop(create_person(&database, &format!("person{number}@example.com"))))
        });
        let mut seen = 0;
        while !writer.is_finished() {
            let lines = database.back_up("a.backup");
            let digests = digests(&lines);
            let created = lines.iter().filter(|line| line.is_array() && line[2] == "person.created").count() as u64;
            assert_eq!(digests["people"].0, created, "each person with the event of the same transaction");
            seen += 1;
        }
        writer.join().unwrap();
        assert!(seen > 0);
        assert_eq!(server.terminate(), Some(0));
    }
}

/// The last line and the sections made to fit the others again, as far as one can without the master key.
fn readd(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let hex = |bytes: &[u8]| {
        bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from_digit(digit.into(), 16).unwrap()).collect::<String>()
    };
    let (mut all, mut of_table) = (String::new(), Sha256::new());
    for line in text.lines() {
        let mut value: Value = serde_json::from_str(line).unwrap();
        let mut line = line.to_owned();
        if value.is_array() {
            // People come without JSON that is written in two ways here.
            of_table.update(format!("{line}\n"));
        } else if value["table"] == "people" {
            value["sha256"] = hex(&of_table.finalize_reset()).into();
            line = value.to_string();
        } else if value["mac"].is_string() {
            value["sha256"] = hex(&Sha256::digest(&all)).into();
            line = value.to_string();
        } else {
            of_table.reset();
        }
        all.push_str(&line);
        all.push('\n');
    }
    all
}
