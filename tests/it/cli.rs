//! The command line: what it prints, its exit codes, and what it changes in the database.

use serde_json::{Value, json};

use crate::{
    harness::{
        Database,
        browser::PASSWORD,
        over_http::create_person,
        process::{Outcome, grantor, run, run_json, run_with_input},
    },
    on_databases,
};

const CALLBACK: &str = "https://shop.example/callback";

/// Creates a confidential client `shop`; tells what was printed.
fn create_shop(database: &Database) -> Value {
    run_json(database, &["client", "create", "--name", "Shop", "--client-id", "shop", "--redirect-uri", CALLBACK, "--json"])
}

/// `client VERB shop --json` or `user VERB alice@example.com --json`
fn one(database: &Database, what: &str, verb: &str) -> Value {
    let name = if what == "client" { "shop" } else { "alice@example.com" };
    run_json(database, &[what, verb, name, "--json"])
}

/// Runs a command with these variables as well.
fn run_in(database: &Database, variables: &[(&str, &str)], arguments: &[&str]) -> Outcome {
    Outcome::of(grantor(database).envs(variables.iter().copied()).args(arguments).stdin(std::process::Stdio::null()).output().unwrap())
}

on_databases! { [Sqlite, Postgres]
    /// `client create`, `list`, `show`, `update`, `rotate-secret`, `disable`, `enable`, `delete`.
    async fn clients_are_registered_changed_and_deleted(database) {
        let created = create_shop(database);
        let secret = created["client_secret"].as_str().unwrap();
        assert_eq!(secret.len(), 43, "256 bits");
        let expected = json!({
            "client_id": "shop", "client_secret": secret, "client_name": "Shop", "client_type": "confidential", "application_type": "web",
            "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"],
            "scope": "openid profile email offline_access", "resources": [], "introspects": [], "first_party": false,
            "refresh_rotation": true, "trust": "operator", "created_at": created["created_at"], "disabled_at": null, "declared_in": null,
            "client_secrets": [{ "created_at": created["created_at"], "ends_at": null }],
        });
        assert_eq!(created, expected);
        let mut known = expected;
        known.as_object_mut().unwrap().remove("client_secret");
        assert_eq!(one(database, "client", "show"), known, "a secret is shown once");
        let mut listed = known.clone();
        listed.as_object_mut().unwrap().remove("client_secrets");
        assert_eq!(run_json(database, &["client", "list", "--json"]), json!([listed]));

        let flags = ["--name", "The shop", "--scope", "read", "--scope", "write", "--resource", "https://api.example", "--introspect", "https://api.example"];
        let kinds = ["--grant-type", "authorization_code", "--grant-type", "client_credentials", "--first-party", "--no-refresh-rotation", "--json"];
        let updated = run_json(database, &[&["client", "update", "shop"][..], &flags, &kinds].concat());
        for (member, value) in [
            ("client_name", json!("The shop")),
            ("scope", json!("read write")),
            ("resources", json!(["https://api.example"])),
            ("introspects", json!(["https://api.example"])),
            ("grant_types", json!(["authorization_code", "client_credentials"])),
            ("first_party", json!(true)),
            ("refresh_rotation", json!(false)),
        ] {
            known[member] = value;
        }
        assert_eq!(updated, known);
        assert_eq!(one(database, "client", "show"), known);
        let back = run_json(database, &["client", "update", "shop", "--no-first-party", "--refresh-rotation", "--json"]);
        assert_eq!((&back["first_party"], &back["refresh_rotation"]), (&json!(false), &json!(true)));

        let rotated = one(database, "client", "rotate-secret");
        assert!(rotated["client_secret"] != secret && rotated["client_secret"].as_str().unwrap().len() == 43);
        assert_eq!(one(database, "client", "disable"), json!({ "client_id": "shop", "disabled": true }));
        assert!(one(database, "client", "show")["disabled_at"].is_string());
        assert_eq!(one(database, "client", "enable"), json!({ "client_id": "shop", "enabled": true }));
        assert!(one(database, "client", "show")["disabled_at"].is_null());
        assert_eq!(one(database, "client", "delete"), json!({ "client_id": "shop", "deleted": true }));
        assert_eq!(run_json(database, &["client", "list", "--json"]), json!([]));
        for verb in ["show", "update", "rotate-secret", "disable", "enable", "delete"] {
            run(database, &["client", verb, "shop", "--json"]).assert_refused(1, "there is no client 'shop'");
        }
        let names = database.strings("SELECT name FROM audit_events WHERE client_id = 'shop' ORDER BY at, id").await;
        let expected = ["created", "updated", "updated", "", "disabled", "enabled", "deleted"];
        let expected = expected.map(|what| if what.is_empty() { "client_secret.rotated".to_owned() } else { format!("client.{what}") });
        assert_eq!(names, expected);
    }

    /// `user create`, `list`, `show`, `update`, `set-password`, `disable`, `enable`, `revoke-sessions`, `delete`.
    async fn people_are_added_changed_and_deleted(database) {
        let flags = ["--email", "Alice@Example.com", "--name", "Alice", "--role", "staff", "--role", "admin", "--email-verified", "--json"];
        let created = run_json(database, &[&["user", "create"][..], &flags].concat());
        let id = created["id"].as_str().unwrap();
        assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 4, "it does not tell the sign-up time");
        let mut known = json!({
            "id": id, "email": "Alice@Example.com", "email_verified": true, "name": "Alice", "roles": ["staff", "admin"],
            "groups": [], "claims": {}, "has_password": false, "created_at": created["created_at"], "updated_at": null, "disabled_at": null,
            "declared_in": null,
        });
        assert_eq!(created, known, "the e-mail as typed; without a terminal no prompt and no password");
        assert_eq!(one(database, "user", "show"), known, "found whatever the case");
        assert_eq!(run_json(database, &["user", "show", id, "--json"]), known);
        assert_eq!(run_json(database, &["user", "list", "--json"]), json!([known]));
        run(database, &["user", "create", "--email", "ALICE@example.com"]).assert_refused(1, "already");

        let updated = run_json(database, &["user", "update", id, "--email", "alice@example.com", "--name", "A.", "--role", "staff", "--json"]);
        (known["email"], known["name"], known["roles"]) = (json!("alice@example.com"), json!("A."), json!(["staff"]));
        known["updated_at"] = updated["updated_at"].clone();
        assert_eq!(updated, known, "the same address in another case stays verified");
        let moved = run_json(database, &["user", "update", id, "--email", "bob@example.com", "--json"]);
        assert_eq!(moved["email_verified"], false, "another address does not");
        create_person(database, "alice@example.com");
        run(database, &["user", "update", id, "--email", "Alice@example.com"]).assert_refused(1, "there is another person");

        let set = run_with_input(database, &["user", "set-password", "alice@example.com", "--password-stdin", "--json"], "a b c d \r\nrest").json();
        assert_eq!(set["password_set"], true);
        assert!(one(database, "user", "show")["has_password"] == true);
        for (verb, what) in [("disable", "disabled"), ("enable", "enabled"), ("revoke-sessions", "sessions_revoked"), ("delete", "deleted")] {
            let done = one(database, "user", verb);
            assert_eq!((&done["email"], &done[what]), (&json!("alice@example.com"), &json!(true)), "{done}");
        }
        for verb in ["show", "update", "disable", "enable", "revoke-sessions", "delete"] {
            run(database, &["user", verb, "alice@example.com"]).assert_refused(1, "there is nobody with the id or e-mail 'alice@example.com'");
        }
        run_with_input(database, &["user", "set-password", "alice@example.com", "--password-stdin"], "x\n").assert_refused(1, "there is nobody");
    }

    /// `keys list`, `keys rotate`, `keys rotate --now`.
    async fn keys_are_listed_and_rotated(database) {
        let states = || -> Vec<(String, String)> {
            let mut states: Vec<_> = run_json(database, &["keys", "list", "--json"])
                .as_array()
                .unwrap()
                .iter()
                .map(|key| (key["alg"].as_str().unwrap().to_owned(), key["state"].as_str().unwrap().to_owned()))
                .collect();
            states.sort();
            states
        };
        let pairs = |wanted: &[&str]| -> Vec<(String, String)> {
            ["ES256", "EdDSA", "RS256"].iter().flat_map(|alg| wanted.iter().map(|state| ((*alg).to_owned(), (*state).to_owned()))).collect()
        };
        assert_eq!(states(), pairs(&["active"]));
        assert!(run_json(database, &["keys", "rotate", "--json"])["signs_from"].is_string());
        assert_eq!(states(), pairs(&["active", "next"]));
        run(database, &["keys", "rotate"]).assert_refused(1, "--now");
        run_json(database, &["keys", "rotate", "--now", "--json"]);
        let states = states();
        assert_eq!(states.iter().filter(|(_, state)| state == "active").count(), 3, "{states:?}");
        assert!(states.iter().all(|(_, state)| state == "active" || state == "retired"), "{states:?}");
    }

    /// `keys list`: what each key is, when that changes and to what, and what the server does next.
    async fn keys_say_what_happens_next(database) {
        run_json(database, &["keys", "rotate", "--json"]);
        let listed = run_json(database, &["keys", "list", "--json"]);
        let in_state = |state: &str| listed.as_array().unwrap().iter().find(|key| key["state"] == state).unwrap();
        let (active, next) = (in_state("active"), in_state("next"));
        assert_eq!((&active["becomes"], &active["changes_at"]), (&"retiring".into(), &active["signs_until"]));
        assert_eq!((&next["becomes"], &next["changes_at"]), (&"active".into(), &next["signs_from"]));
        assert_eq!((&active["job"], &next["job"]["does"]), (&Value::Null, &"rotate".into()));
        let told = run(database, &["keys", "list"]).assert_code(0).stdout.clone();
        let at = next["job"]["at"].as_str().unwrap();
        for part in [&format!("ES256: the next key is made {at}"), "BECOMES", &format!("active {}", next["signs_from"].as_str().unwrap())] {
            assert!(told.contains(part), "{part}: {told}");
        }

        let off = run_in(database, &[("GRANTOR_KEYS__ROTATION_INTERVAL", "0s")], &["keys", "list"]);
        assert!(off.assert_code(0).stdout.contains("nothing is rotated, because keys.rotation_interval is 0s"), "{}", off.stdout);
        let due = run_in(database, &[("GRANTOR_KEYS__JWKS_MAX_AGE", "1s"), ("GRANTOR_KEYS__ROTATION_INTERVAL", "10m")], &["keys", "list"]);
        assert!(due.assert_code(0).stdout.contains("ES256: the next key is made"), "{}", due.stdout);
        run_in(database, &[("GRANTOR_KEYS__ROTATION_INTERVAL", "10m")], &["keys", "list"]).assert_refused(2, "keys.clock_margin together");
    }

    /// A rotation sets the end of the keys in force, and of no others: not of those that have one already.
    async fn a_rotation_leaves_the_end_of_retired_keys_alone(database) {
        let ends = async || {
            let as_text = "kid || ' ' || COALESCE(CAST(signs_until AS TEXT), '-') || ' ' || COALESCE(CAST(removed_at AS TEXT), '-')";
            database.strings(&format!("SELECT {as_text} FROM keys WHERE purpose = 'signature' AND signs_until IS NOT NULL ORDER BY kid")).await
        };
        run(database, &["keys", "rotate"]).assert_code(0);
        let retired = ends().await;
        assert_eq!(retired.len(), 3);
        // As if the new keys had been signing for a while.
        database.execute("UPDATE keys SET signs_from = created_at WHERE signs_until IS NULL").await;
        run(database, &["keys", "rotate"]).assert_code(0);
        let now_retired = ends().await;
        assert_eq!(now_retired.len(), 6);
        assert!(retired.iter().all(|key| now_retired.contains(key)), "{retired:?} {now_retired:?}");
    }

    /// `migrate` tells what it applied; with `database.migrate = false` nothing else applies anything.
    async fn migrate_applies_what_is_pending_once(copy) {
        let database = &Database::empty(copy.backend).await;
        let only_migrate = [("GRANTOR_DATABASE__MIGRATE", "false")];
        run_in(database, &only_migrate, &["serve"]).assert_refused(1, "run 'grantor migrate'");
        let first = run_in(database, &only_migrate, &["migrate"]);
        assert!(first.assert_code(0).stdout.lines().all(|line| line.starts_with("Applied 0")) && !first.stdout.is_empty(), "{}", first.stdout);
        let second = run(database, &["migrate"]);
        assert!(second.assert_code(0).stdout.ends_with("is up to date.\n"), "{}", second.stdout);
        run_in(database, &only_migrate, &["client", "list"]).assert_code(0);
        database.remove().await;
    }

    /// What people read: columns and sentences, no JSON.
    async fn without_json_the_output_is_for_people(database) {
        let created = run(database, &["client", "create", "--name", "Shop", "--client-id", "shop", "--redirect-uri", CALLBACK]);
        assert!(created.assert_code(0).stdout.contains("client_secret     "), "{}", created.stdout);
        assert!(created.stderr.contains("cannot be shown again"));
        create_person(database, "alice@example.com");
        for (arguments, expected) in [
            (&["client", "list"][..], "CLIENT_ID  NAME  TYPE          STATE    DECLARED_IN\nshop       Shop  confidential  enabled  -\n"),
            (&["client", "disable", "shop"], "The client 'shop' is disabled.\n"),
            (&["user", "disable", "alice@example.com"], "alice@example.com is disabled.\n"),
            (&["user", "revoke-sessions", "alice@example.com"], "alice@example.com is signed out of 0 browser session(s).\n"),
        ] {
            assert_eq!(run(database, arguments).assert_code(0).stdout, expected);
        }
        assert!(run(database, &["client", "show", "shop"]).stdout.contains("\ndisabled_at       20"));
        assert!(run(database, &["user", "show", "alice@example.com"]).stdout.contains("\npassword        set\n"));
        assert!(run(database, &["user", "list"]).stdout.starts_with("ID  "));
        assert!(run(database, &["keys", "list"]).stdout.starts_with("KID "));
    }

    /// `config show`: no secret, wherever it was given; `config check` says yes.
    async fn config_show_masks_secrets(database) {
        let key = "b2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";
        std::fs::write(database.dir.join("grantor.toml"), format!("master_key = \"{key}\"\n")).unwrap();
        std::fs::write(database.dir.join(".env"), "GRANTOR_DATABASE_URL=postgres://someone:hunter2@db.example/grantor\n").unwrap();
        let shown = run(database, &["config", "show"]);
        let in_file = Outcome::of(grantor(database).args(["config", "show"]).env_remove("GRANTOR_MASTER_KEY").env_remove("GRANTOR_DATABASE_URL").output().unwrap());
        for shown in [&shown, &in_file] {
            let parsed: toml::Table = shown.assert_code(0).stdout.parse().unwrap();
            assert_eq!(parsed["master_key"].as_str(), Some("***"));
            let password = url::Url::parse(&database.url).unwrap().password().map(str::to_owned);
            for secret in [Some(key.to_owned()), Some("a2tra2tra2".to_owned()), Some("hunter2".to_owned()), password].into_iter().flatten() {
                assert!(!shown.stdout.contains(&secret) && !shown.stderr.contains(&secret), "{}", shown.stdout);
            }
        }
        assert!(in_file.stdout.contains("db.example/grantor"), "{}", in_file.stdout);
        assert_eq!(run(database, &["config", "check"]).assert_code(0).stdout, "The configuration is in order.\n");
    }
}

on_databases! { [Sqlite]
    /// Password hashes and sealed keys are for the owner alone, in whatever directory.
    async fn the_database_is_private_in_a_directory_that_others_may_read(copy) {
        use std::os::unix::fs::PermissionsExt;
        let database = &Database::empty(copy.backend).await;
        std::fs::set_permissions(&database.dir, PermissionsExt::from_mode(0o755)).unwrap();
        run(database, &["user", "list"]).assert_code(0);
        let mut files = 0;
        for entry in std::fs::read_dir(&database.dir).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", entry.path().display());
            files += 1;
        }
        assert!(files > 0);
        assert_eq!(std::fs::metadata(&database.dir).unwrap().permissions().mode() & 0o777, 0o755, "the directory is its owner's affair");
    }

    /// Wrong usage is exit code 2 with a reason, before anything is done.
    async fn wrong_usage_is_exit_code_2(database) {
        let create = ["client", "create", "--name", "N"];
        let with = |flags: &[&'static str]| [&create[..], flags].concat();
        for (arguments, reason) in [
            (vec![], "Usage: grantor"),
            (vec!["sevre"], "unrecognized subcommand 'sevre'"),
            (vec!["serve", "--lisen", "x"], "unexpected argument '--lisen'"),
            (vec!["client"], "Usage: grantor client"),
            (vec!["client", "show"], "<CLIENT_ID>"),
            (vec!["client", "create", "--redirect-uri", CALLBACK], "--name"),
            (with(&[]), "at least one redirect URI"),
            (with(&["--redirect-uri", "http://shop.example/callback"]), "--redirect-uri http://shop.example/callback"),
            (with(&["--redirect-uri", "https://shop.example/*#x"]), "--redirect-uri"),
            (with(&["--redirect-uri", CALLBACK, "--public", "--confidential"]), "cannot be used with"),
            (with(&["--redirect-uri", CALLBACK, "--client-id", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"]), "--client-id"),
            (with(&["--redirect-uri", CALLBACK, "--grant-type", "password"]), "--grant-type"),
            (with(&["--redirect-uri", CALLBACK, "--scope", "a\"b"]), "--scope"),
            (with(&["--redirect-uri", CALLBACK, "--resource", "api"]), "--resource"),
            (with(&["--redirect-uri", CALLBACK, "--public", "--grant-type", "client_credentials"]), "public client"),
            (with(&["--redirect-uri", CALLBACK, "--public", "--introspect", "https://api.example"]), "introspect"),
            (with(&["--redirect-uri", CALLBACK, "--public", "--no-refresh-rotation"]), "must rotate"),
            (with(&["--grant-type", "refresh_token"]), "authorization_code"),
            (vec!["user", "create"], "--email"),
            (vec!["user", "create", "--email", "alice"], "--email"),
            (vec!["user", "set-password", "alice@example.com"], "--password-stdin"),
            (vec!["keys", "rotate", "--later"], "--later"),
        ] {
            run(database, &arguments).assert_refused(2, reason);
        }
        run_with_input(database, &["user", "create", "--email", "a@example.com", "--password-stdin"], "\n").assert_refused(2, "password");
        run_with_input(database, &["user", "create", "--email", "a@example.com", "--password-stdin"], &"x".repeat(300)).assert_refused(2, "password");
        for (password, reason) in [("1234567\n", "at least 8"), ("Password1\n", "everyone guesses"), ("a@example.com\n", "too like the e-mail")] {
            run_with_input(database, &["user", "create", "--email", "a@example.com", "--password-stdin"], password).assert_refused(2, reason);
        }
        assert_eq!((database.count("clients").await, database.count("people").await), (0, 0));
        create_shop(database);
        let again = [&create[..], &["--client-id", "shop", "--redirect-uri", CALLBACK]].concat();
        run(database, &again).assert_refused(1, "there is a client 'shop' already");
        let public = run_json(database, &["client", "create", "--name", "P", "--public", "--redirect-uri", "http://127.0.0.1/callback", "--json"]);
        assert!(public.get("client_secret").is_none() && public["application_type"] == "native", "{public}");
        run(database, &["client", "rotate-secret", public["client_id"].as_str().unwrap()]).assert_refused(1, "public client");
    }

    /// Every mistake of the configuration at once, each with its remedy and without its secret, from every command.
    async fn every_mistake_of_the_configuration_is_told_at_once(database) {
        std::fs::write(database.dir.join("grantor.toml"), "isuer = \"https://id.example.com\"\n[tokens]\naccess_token_ttl = \"ten minutes\"\n").unwrap();
        let mistakes = [
            ("GRANTOR_ISSUER", "http://id.example.com"),
            ("GRANTOR_LISTEN", "here"),
            ("GRANTOR_LIMITS__REQUEST_BODY", "1GiB"),
            ("GRANTOR_MASTER_KEY", "open-sesame"),
            ("GRANTOR_SESION__TTL", "1d"),
        ];
        for command in [&["config", "check"][..], &["config", "show"], &["serve"], &["migrate"], &["healthcheck"], &["client", "list"], &["keys", "rotate"]] {
            let refused = run_in(database, &mistakes, command);
            refused.assert_refused(2, "the configuration has 7 mistakes:");
            for part in ["isuer", "did you mean issuer?", "\"ten minutes\"", "loopback", "GRANTOR_LISTEN", "1GiB", "32 bytes", "GRANTOR_SESSION__TTL"] {
                assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
            }
            assert!(!refused.stderr.contains("sesame"), "{}", refused.stderr);
        }
        let weak = [("GRANTOR_ISSUER", "https://id.example.com")];
        std::fs::remove_file(database.dir.join("grantor.toml")).unwrap();
        for (name, value, remedy) in [
            ("GRANTOR_TELEMETRY__OTLP_ENDPOINT", "http://someone:sesame@127.0.0.1:4318", "without credentials"),
            ("GRANTOR_TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:4318/v1/traces/", "/v1/traces is added"),
            ("GRANTOR_PROXIES__NETWORKS", "10.0.0.0/8,0.0.0.0/0", "your proxies alone"),
            ("GRANTOR_PROXIES__NETWORKS", "::/0", "your proxies alone"),
        ] {
            let refused = run_in(database, &[(name, value)], &["config", "check"]);
            assert!(!refused.assert_refused(2, remedy).stderr.contains("sesame"), "{}", refused.stderr);
        }
        run_in(database, &[("GRANTOR_PROXIES__HEADER", "X-Forwarded-For")], &["config", "check"]).assert_code(0);
        run_in(database, &weak, &["config", "check"]).assert_refused(2, "too easy to guess");
        run(database, &["config", "check", "--config", "none.toml"]).assert_refused(2, "none.toml");
        let flags = ["migrate", "--database-url", "mysql://db/grantor"];
        run(database, &flags).assert_refused(2, "--database-url");
    }

    /// Help on every command, with examples where there is something to show.
    async fn help_has_examples(database) {
        let groups = ["client", "user", "keys", "config"];
        let alone = ["serve", "demo", "migrate", "healthcheck", "client create", "client update", "user create", "user update", "keys rotate"];
        for command in [""].iter().chain(&groups).chain(&alone) {
            let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
            let help = run(database, &arguments);
            assert!(help.assert_code(0).stdout.contains("Example"), "{}", help.stdout);
            assert!(help.stdout.contains(&format!("  grantor {command}")), "{}", help.stdout);
        }
        for (group, verbs) in [
            ("client", &["create", "list", "show", "update", "rotate-secret", "disable", "enable", "delete"][..]),
            ("user", &["create", "list", "show", "update", "set-password", "disable", "enable", "delete", "revoke-sessions"]),
            ("keys", &["list", "rotate"]),
            ("config", &["check", "show"]),
        ] {
            for verb in verbs {
                run(database, &[group, verb, "--help"]).assert_code(0);
            }
        }
        assert!(run(database, &["--version"]).assert_code(0).stdout.starts_with("grantor "));
    }

    /// What was done was done, and says so by its exit code, where nobody can be told more.
    async fn nobody_need_read_what_is_told(database) {
        let ended = |arguments: &[&str]| {
            let nowhere = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
            grantor(database).args(arguments).stderr(nowhere).output().unwrap().status.code()
        };
        assert_eq!(ended(&["client", "create", "--name", "N", "--redirect-uri", CALLBACK, "--client-id", "n"]), Some(0));
        assert_eq!(ended(&["backup", "-"]), Some(0));
        assert_eq!(ended(&["client", "delete", "nobody"]), Some(1));
        assert_eq!(ended(&["config", "check", "--config", "none.toml"]), Some(2));
    }

    /// Logs go to standard error, whatever is logged, so that what is printed stays one document.
    async fn logs_do_not_mix_with_what_is_printed(copy) {
        let database = &Database::empty(copy.backend).await;
        let noisy = [("GRANTOR_LOG", "trace"), ("GRANTOR_LOG_FORMAT", "text")];
        assert_eq!(run_in(database, &noisy, &["client", "list", "--json"]).json(), json!([]));
        let arguments = ["user", "create", "--email", "alice@example.com", "--password-stdin", "--json"];
        let created = run_with_input(database, &arguments, PASSWORD).json();
        assert_eq!(created["has_password"], true, "a line without its end is a line");
    }
}
