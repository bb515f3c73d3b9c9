//! The store: the same tables on both databases, first starts that race, writers of several processes, and nothing that stays for ever.

use std::{
    collections::BTreeSet,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use grantor::{clock::Clock, server::Server};

use crate::{
    harness::{
        Backend, Database, START, TestServer,
        app::timestamp,
        config,
        process::{Process, grantor, run, run_json},
    },
    on_every_backend,
};

/// Tables and columns as `table.column`, with what both databases can say of a column's type, and whether it may be null.
async fn columns(database: &Database) -> BTreeSet<String> {
    let sql = match database.backend {
        Backend::Sqlite => {
            "SELECT t.name || '.' || c.name || ' ' || c.type || CASE c.\"notnull\" WHEN 1 THEN ' NOT NULL' ELSE '' END \
             FROM sqlite_schema AS t, pragma_table_info(t.name) AS c \
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '_sqlx%'"
        }
        Backend::Postgres => {
            "SELECT table_name || '.' || column_name || ' ' || CASE data_type \
               WHEN 'uuid' THEN 'BLOB' WHEN 'bytea' THEN 'BLOB' WHEN 'text' THEN 'TEXT' WHEN 'jsonb' THEN 'TEXT' \
               WHEN 'bigint' THEN 'INTEGER' WHEN 'timestamp with time zone' THEN 'INTEGER' ELSE data_type END \
               || CASE is_nullable WHEN 'NO' THEN ' NOT NULL' ELSE '' END \
             FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'"
        }
    };
    database.strings(sql).await.into_iter().collect()
}

/// Indexes that the migrations name.
async fn indexes(database: &Database) -> BTreeSet<String> {
    let sql = match database.backend {
        Backend::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL",
        Backend::Postgres => {
            "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public' \
             AND indexname NOT LIKE '%\\_pkey' AND indexname NOT LIKE '%\\_key' AND tablename NOT LIKE '\\_sqlx%'"
        }
    };
    database.strings(sql).await.into_iter().collect()
}

/// The message with which a server refuses to start.
async fn refusal(database: &Database, settings: &[(&str, &str)]) -> String {
    match Server::start(config(database, settings), Clock::moved_from(START)).await {
        Ok(_) => panic!("it started"),
        Err(error) => format!("{error:#}"),
    }
}

/// Runs commands at the same time, and all of them to their end.
fn at_once(commands: Vec<Command>) -> Vec<Output> {
    let spawn = |mut command: Command| command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let children: Vec<_> = commands.into_iter().map(spawn).collect();
    children.into_iter().map(|child| child.wait_with_output().unwrap()).collect()
}

/// `grantor user create`, for the person of this number.
fn create_user(database: &Database, number: usize) -> Command {
    let mut command = grantor(database);
    command.args(["user", "create", "--email", &format!("person{number}@example.com"), "--json"]);
    command
}

#[track_caller]
fn assert_all_succeeded(outputs: &[Output]) {
    for output in outputs {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn names(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn migrations_have_the_same_names_on_both() {
    assert_eq!(names("sqlite"), names("postgres"));
    assert!(!names("sqlite").is_empty());
}

#[tokio::test]
async fn both_databases_have_the_same_tables_columns_and_indexes() {
    let (sqlite, postgres) = (Database::copy(Backend::Sqlite).await, Database::copy(Backend::Postgres).await);
    let (one, other) = (columns(&sqlite).await, columns(&postgres).await);
    assert!(one.len() > 50, "{one:?}");
    assert_eq!(one.symmetric_difference(&other).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(indexes(&sqlite).await, indexes(&postgres).await);
    postgres.remove().await;
}

on_every_backend! {
    /// An older program does not touch what a newer one made.
    async fn a_database_from_the_future_is_refused(server) {
        let success = match server.database.backend {
            Backend::Sqlite => "1, x'00'",
            Backend::Postgres => "TRUE, '\\x00'",
        };
        let insert = format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', {success}, 0)"
        );
        server.database.execute(&insert).await;
        let said = refusal(&server.database, &[]).await;
        assert!(said.contains("is of schema version 9999, made by a newer Grantor") && said.contains("knows schema versions up to "), "{said}");
        run(&server.database, &["user", "list"]).assert_refused(1, "made by a newer Grantor");
    }

    /// What was sealed cannot be opened: the message says so before anything else is tried, and shows no key.
    async fn another_master_key_is_refused_by_name(server) {
        let other = "b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyb3Q=";
        let said = refusal(&server.database, &[("GRANTOR_MASTER_KEY", other)]).await;
        assert!(said.contains("this is not the master key of the database") && said.contains("GRANTOR_MASTER_KEY_FILE"), "{said}");
        assert!(!said.contains(other) && !said.contains(crate::harness::database::MASTER_KEY), "{said}");
        let again = Server::start(config(&server.database, &[]), Clock::moved_from(START)).await.expect("the right one");
        again.close().await;
    }

    /// `database.migrate = false`: the operator decides when.
    async fn pending_migrations_are_named_when_they_may_not_be_applied(server) {
        let empty = Database::empty(server.database.backend).await;
        let said = refusal(&empty, &[("GRANTOR_DATABASE__MIGRATE", "false")]).await;
        assert!(said.contains("pending: run 'grantor migrate'"), "{said}");

        let outcome = run(&empty, &["migrate"]);
        assert!(outcome.assert_code(0).stdout.starts_with("Applied 0001"), "{}", outcome.stdout);
        let started = Server::start(config(&empty, &[("GRANTOR_DATABASE__MIGRATE", "false")]), Clock::moved_from(START)).await.unwrap();
        started.close().await;
        empty.remove().await;
    }

    /// Several nodes begin on one empty database: one migrates and makes the keys, all go on.
    async fn first_starts_that_race_make_one_set_of_keys(server) {
        let empty = Database::empty(server.database.backend).await;
        assert_all_succeeded(&at_once((0..4).map(|number| create_user(&empty, number)).collect()));
        assert_eq!(empty.count("people").await, 4);
        assert_eq!(empty.count("keys").await, server.database.count("keys").await);
        assert_eq!(empty.count("settings").await, 1);
        empty.remove().await;
    }

    /// The job runs with the server: what expired goes, in as many batches as it takes; what has not, and the rest, stays.
    async fn what_expired_is_purged(server) {
        let (app, app_of_keys) = (server.client("app").await, server.signing_client("keyed").await);
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        app.redeem(&app.code_at(&mut browser, &[]).await).await.assert_status(200);
        let large = "x".repeat(3_000);
        server.browser().authorize(&app, &[("state", &large)]).await.assert_status(200);
        app.revoke(&app.client_credentials(&[("scope", "read")]).await.access_token()).await.assert_status(200);
        app_of_keys.present(&app_of_keys.assertion()).await.assert_status(200);
        let tables = ["authorization_codes", "authorization_requests", "browser_sessions", "client_assertions", "grants", "revoked_tokens"];
        // What the flow left stays: by the clock of the machine, whatever it says.
        let far = timestamp(server.database.backend, 4_000_000_000_000_000);
        for table in tables {
            server.database.execute(&format!("UPDATE {table} SET expires_at = {far}")).await;
            multiply(&server.database, table, 1_200).await;
            assert!(server.database.count(table).await > 1_200, "{table}");
        }

        let process = Process::serve(&server.database, &[("GRANTOR_ISSUER", "http://127.0.0.1:8080")]);
        let deadline = Instant::now() + Duration::from_secs(30);
        let last_run = match server.database.backend {
            Backend::Sqlite => "SELECT name FROM jobs WHERE last_run_at IS NOT NULL AND leased_by IS NULL",
            Backend::Postgres => "SELECT name::text FROM jobs WHERE last_run_at IS NOT NULL AND leased_by IS NULL",
        };
        while server.database.strings(last_run).await != ["purge_expired"] {
            assert!(Instant::now() < deadline, "{}", process.log_text());
            tokio::task::yield_now().await;
        }
        for table in tables {
            let kept = server.database.count(table).await;
            assert!((1..=3).contains(&kept), "{table}: {kept}");
        }
        assert_eq!(process.terminate(), Some(0));
    }
}

/// Copies of a table's rows that expired long ago, with keys of their own.
async fn multiply(database: &Database, table: &str, copies: usize) {
    let columns: Vec<(String, String)> = columns(database)
        .await
        .iter()
        .filter_map(|column| column.strip_prefix(&format!("{table}.")))
        .map(|column| column.split_once(' ').unwrap())
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    let value = |name: &str| match (name, database.backend) {
        ("expires_at", backend) => timestamp(backend, 1_000_000),
        ("id" | "jti", Backend::Postgres) => "gen_random_uuid()".to_owned(),
        ("hash" | "code_hash" | "id_hash" | "jti_hash", Backend::Postgres) => "decode(md5(random()::text || n), 'hex')".to_owned(),
        ("id" | "jti" | "hash" | "code_hash" | "id_hash" | "jti_hash", Backend::Sqlite) => "randomblob(16)".to_owned(),
        _ => format!("one.{name}"),
    };
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let values: Vec<String> = names.iter().map(|name| value(name)).collect();
    database
        .execute(&format!(
            "INSERT INTO {table} ({}) WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {copies}), \
             one AS (SELECT * FROM {table} LIMIT 1) SELECT {} FROM numbers CROSS JOIN one",
            names.join(", "),
            values.join(", "),
        ))
        .await;
}

/// The key beside the database is made once, for its owner's eyes alone, and never made anew.
#[tokio::test]
async fn on_sqlite_the_first_start_makes_one_master_key() {
    let empty = Database::empty(Backend::Sqlite).await;
    let without_key = |mut command: Command| {
        command.env_remove("GRANTOR_MASTER_KEY");
        command
    };
    assert_all_succeeded(&at_once((0..4).map(|number| without_key(create_user(&empty, number))).collect()));

    let path = empty.dir.join("master.key");
    let key = std::fs::read_to_string(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(key.trim().len(), 44, "32 bytes as base64");
    let files: BTreeSet<String> =
        std::fs::read_dir(&empty.dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!files.iter().any(|name| name.contains("tmp")), "{files:?}");
    assert_eq!(empty.count("people").await, 4);

    assert_all_succeeded(&at_once(vec![without_key(create_user(&empty, 5))]));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), key);
    std::fs::remove_file(&path).unwrap();
    let output = at_once(vec![without_key(create_user(&empty, 6))]).remove(0);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("there is no master key in ") && said.contains("put its file there"), "{said}");
    assert!(!path.exists(), "another key would open nothing");
}

/// Whoever reads the disk as another user finds closed doors, however open the umask is.
#[tokio::test]
async fn on_sqlite_the_directory_of_the_data_is_private() {
    let empty = Database::empty(Backend::Sqlite).await;
    let dir = empty.dir.join("data").join("grantor");
    let mut command = create_user(&empty, 1);
    command.env("GRANTOR_DATA_DIR", &dir).env("GRANTOR_DATABASE_URL", format!("sqlite:{}", dir.join("grantor.db").display()));
    assert_all_succeeded(&at_once(vec![command]));
    assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
}

/// The writer leaves gaps and waits for its turn: commands get through, and no request fails for them.
#[tokio::test]
async fn commands_write_to_sqlite_while_the_server_writes() {
    let server = TestServer::start(Backend::Sqlite, &[]).await;
    let app = server.client("app").await;
    let mut chains = Vec::new();
    for _ in 0..8 {
        chains.push(app.tokens().await.refresh_token());
    }
    let database = server.database.clone();
    let commands = tokio::task::spawn_blocking(move || {
        (0..12).map(|number| at_once(vec![create_user(&database, 100 + number)]).remove(0)).collect::<Vec<_>>()
    });
    let rotations = join_all(chains.into_iter().map(|mut token| {
        let (app, commands) = (&app, &commands);
        async move {
            let mut rotations = 0;
            while !commands.is_finished() {
                token = app.refresh(&token).await.refresh_token();
                rotations += 1;
            }
            rotations
        }
    }))
    .await;

    assert_all_succeeded(&commands.await.unwrap());
    assert!(rotations.iter().all(|rotations| *rotations > 0), "{rotations:?}");
    assert_eq!(run_json(&server.database, &["user", "list", "--json"]).as_array().unwrap().len(), 12 + 8);
    server.end().await;
}
