//! Declared set-up: what `grantor apply` makes of the clients and people in files.

use serde_json::{Value, json};

use crate::{
    audit::everything,
    harness::{
        Database,
        process::{Outcome, grantor, run, run_json, run_with_input},
    },
    on_databases,
};

const SHOP: &str = "[[clients]]\nclient_id = \"shop\"\nclient_name = \"Shop\"\nredirect_uris = [\"https://shop.example/callback\"]\n";
const ALICE: &str = "[[people]]\nemail = \"alice@example.com\"\nname = \"Alice\"\nroles = [\"admin\"]\nemail_verified = true\n";

/// Writes the configuration file of commands on this database.
pub fn declare(database: &Database, text: &str) {
    write(database, "grantor.toml", text);
}

/// Writes a file beside it.
pub fn write(database: &Database, name: &str, text: &str) {
    std::fs::write(database.dir.join(name), text).unwrap();
}

fn apply(database: &Database) -> Outcome {
    run(database, &["apply"])
}

fn show(database: &Database, what: &str, name: &str) -> Value {
    run_json(database, &[what, "show", name, "--json"])
}

/// The names and actors of the audit events so far.
pub async fn audited(database: &Database) -> Vec<String> {
    database.strings("SELECT name || ' ' || actor FROM audit_events ORDER BY at, id").await
}

on_databases! { [Sqlite, Postgres]
    /// Created once, told as they are, and marked with the file that declares them.
    async fn what_is_declared_is_created_and_a_second_apply_writes_nothing(database) {
        declare(database, "include = [\"*.toml\"]");
        write(database, "shop.toml", SHOP);
        write(database, "people.toml", ALICE);
        let first = apply(database);
        assert_eq!(first.assert_code(0).stdout, "\
            + client shop (shop.toml): created\n    client_name    + Shop\n    client_type    + confidential\n    \
            redirect_uris  + https://shop.example/callback\n    it has no secret: run 'grantor client rotate-secret shop' to make one\n\
            + person alice@example.com (people.toml): created\n    name            + Alice\n    roles           + admin\n    \
            email_verified  + yes\n    has no password and cannot sign in: 'grantor user set-password alice@example.com' sets one\n\
            2 changed.\n");
        assert_eq!(audited(database).await, ["client.created operator", "person.created operator"]);
        let shop = show(database, "client", "shop");
        assert_eq!((&shop["declared_in"], &shop["scope"]), (&json!("shop.toml"), &json!("openid profile email offline_access")));
        let alice = show(database, "user", "alice@example.com");
        assert_eq!((&alice["declared_in"], &alice["roles"], &alice["email_verified"]), (&json!("people.toml"), &json!(["admin"]), &json!(true)));
        assert!(run(database, &["client", "show", "shop"]).stdout.contains("\ndeclared_in       shop.toml\n"));
        assert!(run(database, &["user", "list"]).stdout.contains("people.toml"));

        let before = everything(database).await;
        let second = apply(database);
        assert_eq!(second.assert_code(0).stdout, "= 2 unchanged\nNothing to change: 1 client and 1 person are declared.\n");
        assert_eq!(everything(database).await, before);
    }

    /// A plan is a look: it is what would be done, and nothing is.
    async fn a_dry_run_tells_the_plan_and_changes_nothing(database) {
        declare(database, &format!("{SHOP}{ALICE}"));
        let before = everything(database).await;
        let planned = run_json(database, &["apply", "--dry-run", "--json"]);
        assert_eq!(everything(database).await, before);
        assert!(run(database, &["apply", "--dry-run"]).assert_code(0).stdout.ends_with("2 to change. Nothing was changed: this was a dry run.\n"));
        let mut applied = run_json(database, &["apply", "--json"]);
        assert_eq!((&planned["dry_run"], &applied["dry_run"]), (&json!(true), &json!(false)));
        applied["dry_run"] = json!(true);
        assert_eq!(planned, applied);
        assert_eq!(planned["changes"][0], json!({
            "kind": "client", "name": "shop", "action": "created", "declared_in": "grantor.toml",
            "fields": [
                { "name": "client_name", "removed": [], "added": ["Shop"] },
                { "name": "client_type", "removed": [], "added": ["confidential"] },
                { "name": "redirect_uris", "removed": [], "added": ["https://shop.example/callback"] },
            ],
            "notes": ["it has no secret: run 'grantor client rotate-secret shop' to make one"],
        }));
    }

    /// Not even the tables.
    async fn a_dry_run_does_not_migrate(copy) {
        let database = &Database::empty(copy.backend).await;
        declare(database, SHOP);
        run(database, &["apply", "--dry-run"]).assert_refused(1, "a dry run changes nothing, the database's tables included");
        run(database, &["apply"]).assert_code(0);
        database.remove().await;
    }

    /// What a declaration leaves out has its default again, and every difference is told.
    async fn a_changed_file_changes_what_differs_and_tells_it(database) {
        let both = format!("{SHOP}scope = \"read write\"\nfirst_party = true\n{ALICE}");
        declare(database, &both);
        apply(database).assert_code(0);
        let changed = both.replace("callback\"", "cb\", \"https://shop.example/silent\"").replace("read write", "read").replace("first_party = true", "");
        declare(database, &changed.replace("name = \"Alice\"", "").replace("admin", "staff"));
        let told = apply(database);
        assert_eq!(told.assert_code(0).stdout, "\
            ~ client shop (grantor.toml): updated\n    redirect_uris  - https://shop.example/callback\n                   \
            + https://shop.example/cb\n                   + https://shop.example/silent\n    scope          - write\n    \
            first_party    - yes\n                   + no\n    it has no secret: run 'grantor client rotate-secret shop' to make one\n\
            ~ person alice@example.com (grantor.toml): updated\n    roles  - admin\n           + staff\n2 changed.\n");
        let shop = show(database, "client", "shop");
        assert_eq!((&shop["redirect_uris"], &shop["first_party"]), (&json!(["https://shop.example/cb", "https://shop.example/silent"]), &json!(false)));
        assert_eq!(show(database, "user", "alice@example.com")["name"], "Alice", "a name that is not declared stays");
        let details = database.strings("SELECT CAST(details AS TEXT) FROM audit_events WHERE name = 'client.updated'").await;
        let details: Value = serde_json::from_str(&details[0]).unwrap();
        assert_eq!(details, json!({ "action": "updated", "changed": ["redirect_uris", "scope", "first_party"], "declared_in": "grantor.toml" }));

        // Into another file: nothing else is to do than to say so.
        declare(database, "include = [\"moved.toml\"]");
        write(database, "moved.toml", &changed.replace("admin", "staff"));
        assert!(apply(database).stdout.contains("    declared_in  - grantor.toml\n                 + moved.toml\n"));
        assert_eq!(show(database, "client", "shop")["declared_in"], "moved.toml");
    }

    /// Whoever made it, a file can take it over; it keeps its id and its secret.
    async fn what_is_there_already_is_adopted(database) {
        let created = run_json(database, &["client", "create", "--name", "Old", "--client-id", "shop", "--redirect-uri", "https://old.example/", "--json"]);
        let alice = run_json(database, &["user", "create", "--email", "Alice@example.com", "--email-verified", "--json"]);
        let secrets = async || database.strings("SELECT CAST(COUNT(*) AS TEXT) || ' ' || CAST(COUNT(declared_at) AS TEXT) FROM client_secrets").await;
        declare(database, &format!("{SHOP}{ALICE}"));
        let told = apply(database);
        assert!(told.assert_code(0).stdout.starts_with("~ client shop (grantor.toml): adopted: it was there already"), "{}", told.stdout);
        let shop = show(database, "client", "shop");
        assert_eq!((&shop["created_at"], &shop["client_name"], &shop["declared_in"]), (&created["created_at"], &json!("Shop"), &json!("grantor.toml")));
        assert_eq!(secrets().await, ["1 0"]);
        let adopted = show(database, "user", "alice@example.com");
        assert_eq!((&adopted["id"], &adopted["declared_in"]), (&alice["id"], &json!("grantor.toml")));
    }

    /// Groups and claims are changed in the file like everything else, and the plan says what changes.
    async fn groups_and_claims_can_be_declared(database) {
        declare(database, "[[people]]\nemail = \"alice@example.com\"\ngroups = [\"staff\"]\nclaims = { given_name = \"Alice\", birthdate = 1852-05-04, \
            level = 3, address = { country = \"United Kingdom\" } }\n");
        let plan = run(database, &["apply"]).assert_code(0).stdout.clone();
        assert!(plan.contains("    groups  ") && plan.contains("+ staff") && plan.contains("+ birthdate = \"1852-05-04\""), "{plan}");
        let alice = show(database, "user", "alice@example.com");
        assert_eq!(alice["groups"], json!(["staff"]));
        let claims = json!({ "given_name": "Alice", "birthdate": "1852-05-04", "level": 3, "address": { "country": "United Kingdom" } });
        assert_eq!(alice["claims"], claims);
        run(database, &["apply"]).assert_code(0);
        assert_eq!(show(database, "user", "alice@example.com"), alice, "as it is declared, nothing changes");

        declare(database, "[[people]]\nemail = \"alice@example.com\"\nclaims.level = 4\n");
        let plan = run(database, &["apply"]).assert_code(0).stdout.clone();
        assert!(plan.contains("- level = 3") && plan.contains("+ level = 4") && plan.contains("- staff"), "{plan}");
        assert_eq!(show(database, "user", "alice@example.com")["claims"], json!({ "level": 4 }));
    }

    /// Who signed up with somebody else's address must not get that person's roles by being declared.
    async fn whose_address_is_not_verified_is_not_adopted(database) {
        run_json(database, &["user", "create", "--email", "alice@example.com", "--json"]);
        declare(database, &format!("{ALICE}{SHOP}"));
        let told = apply(database);
        assert!(told.assert_code(1).stdout.contains("! person alice@example.com (grantor.toml): somebody has this e-mail already"), "{}", told.stdout);
        assert_eq!(show(database, "user", "alice@example.com")["roles"], json!([]));
        assert_eq!(show(database, "client", "shop")["declared_in"], "grantor.toml", "everything else is applied");
        run(database, &["user", "update", "alice@example.com", "--email-verified"]).assert_code(0);
        apply(database).assert_code(0);
        assert_eq!(show(database, "user", "alice@example.com")["roles"], json!(["admin"]));
    }

    /// A change by a command would be undone at the next start, so it is refused with what to do instead.
    async fn what_a_file_owns_is_not_changed_by_commands(database) {
        declare(database, &format!("{SHOP}{ALICE}"));
        apply(database).assert_code(0);
        let before = everything(database).await;
        for (arguments, remedy) in [
            (&["client", "update", "shop", "--name", "X"][..], "the client 'shop' is declared in grantor.toml: change it there and run 'grantor apply'"),
            (&["client", "delete", "shop"], "run 'grantor apply --prune', and then delete it"),
            (&["user", "update", "alice@example.com", "--role", "x"], "alice@example.com is declared in grantor.toml: change it there"),
            (&["user", "delete", "alice@example.com"], "run 'grantor apply --prune', and then delete them"),
        ] {
            run(database, arguments).assert_refused(1, remedy);
        }
        assert_eq!(everything(database).await, before);
    }

    /// Disabling is for emergencies: no file and no restart may undo it.
    async fn what_a_command_disabled_stays_disabled(database) {
        declare(database, &format!("{SHOP}{ALICE}"));
        apply(database).assert_code(0);
        run(database, &["client", "disable", "shop"]).assert_code(0);
        run(database, &["user", "disable", "alice@example.com"]).assert_code(0);
        assert!(apply(database).assert_code(0).stdout.starts_with("= 2 unchanged\n"));
        declare(database, &format!("{}{}", SHOP.replace("\"Shop\"", "\"The shop\""), ALICE.replace("admin", "staff")));
        let told = apply(database);
        assert!(told.assert_code(0).stdout.contains("it is disabled and stays so: 'grantor client enable shop'"), "{}", told.stdout);
        assert!(show(database, "client", "shop")["disabled_at"].is_string() && show(database, "user", "alice@example.com")["disabled_at"].is_string());
        run(database, &["client", "enable", "shop"]).assert_code(0);
        run(database, &["user", "enable", "alice@example.com"]).assert_code(0);
        assert!(show(database, "client", "shop")["disabled_at"].is_null());
    }

    /// A server or command may be in the wrong folder: what is missing there is kept until someone says otherwise.
    async fn what_is_no_longer_declared_is_kept_until_it_is_pruned(database) {
        declare(database, &format!("{SHOP}{ALICE}"));
        apply(database).assert_code(0);
        let before = everything(database).await;
        declare(database, "");
        assert!(apply(database).assert_code(0).stdout.starts_with("- client shop: no longer declared in grantor.toml; kept: 'grantor apply --prune' disables it"));
        run(database, &["apply", "--prune"]).assert_refused(1, "is this the right folder");
        assert_eq!(everything(database).await, before);

        declare(database, &SHOP.replace("shop\"", "other\""));
        let told = run(database, &["apply", "--prune"]);
        assert!(told.assert_code(0).stdout.contains("- client shop (grantor.toml): no longer declared: disabled\n"), "{}", told.stdout);
        for (what, name) in [("client", "shop"), ("user", "alice@example.com")] {
            let shown = show(database, what, name);
            assert!(shown["disabled_at"].is_string() && shown["declared_in"].is_null(), "{shown}");
        }
        run(database, &["client", "delete", "shop"]).assert_code(0);
        assert_eq!(run(database, &["apply", "--prune"]).assert_code(0).stdout, "= 1 unchanged\nNothing to change: 1 client and 0 people are declared.\n");
    }

    /// The way back to the command line, without anybody noticing.
    async fn what_is_released_stays_as_it_is_and_is_the_commands_again(database) {
        write(database, "secret", &"s".repeat(32));
        declare(database, &format!("{SHOP}client_secret_file = \"secret\"\n{ALICE}"));
        apply(database).assert_code(0);
        declare(database, "");
        run(database, &["apply", "--release", "--prune"]).assert_refused(2, "cannot be used with");
        assert!(run(database, &["apply", "--release"]).assert_code(0).stdout.contains("left to the command line"));
        for (what, name) in [("client", "shop"), ("user", "alice@example.com")] {
            let shown = show(database, what, name);
            assert!(shown["disabled_at"].is_null() && shown["declared_in"].is_null(), "{shown}");
        }
        run(database, &["client", "update", "shop", "--name", "X"]).assert_code(0);
        run(database, &["client", "rotate-secret", "shop"]).assert_code(0);
        run(database, &["user", "update", "alice@example.com", "--name", "X"]).assert_code(0);
        assert_eq!(apply(database).stdout, "Nothing is declared: write [[clients]], [[people]] and [[resources]] in grantor.toml, or in files that it includes.\n");
    }

    /// RFC 8707: APIs, too, are declared, adopted, changed, disabled when they are no longer declared, and released.
    async fn resources_are_declared_as_clients_are(database) {
        let api = "https://api.example";
        let declaration = format!("[[resources]]\nuri = \"{api}\"\nname = \"API\"\nscope = \"read write\"\naccess_token_ttl = \"1h\"\n");
        let declaration = format!("{declaration}access_token_signing_alg = \"PS256\"\nclaims = [\"roles\"]\n");
        declare(database, &declaration);
        assert_eq!(apply(database).assert_code(0).stdout, format!("\
            + resource {api} (grantor.toml): created\n    name                      + API\n    scope                     + read\n                              \
            + write\n    access_token_ttl          + 3600s\n    access_token_signing_alg  + PS256\n    claims                    + roles\n1 changed.\n"));
        let shown = show(database, "resource", api);
        let expected = json!({"scope": "read write", "access_token_ttl": 3600, "access_token_signing_alg": "PS256", "claims": ["roles"], "declared_in": "grantor.toml"});
        for (member, value) in expected.as_object().unwrap() {
            assert_eq!(shown[member], *value, "{member}");
        }
        assert_eq!(database.count("keys WHERE algorithm = 'PS256'").await, 1);
        assert_eq!(apply(database).stdout, "= 1 unchanged\nNothing to change: 0 clients, 0 people and 1 resource are declared.\n");
        run(database, &["resource", "update", api, "--name", "X"]).assert_refused(1, "is declared in grantor.toml: change it there");
        run(database, &["resource", "delete", api]).assert_refused(1, "is declared in grantor.toml: remove it there");

        declare(database, &declaration.replace("read write", "read").replace("access_token_ttl = \"1h\"", ""));
        assert!(apply(database).assert_code(0).stdout.contains("    scope             - write\n    access_token_ttl  - 3600s\n"));
        run(database, &["resource", "disable", api]).assert_code(0);
        declare(database, &declaration);
        assert!(apply(database).assert_code(0).stdout.contains("it is disabled and stays so: 'grantor resource enable https://api.example'"));
        run(database, &["resource", "enable", api]).assert_code(0);

        declare(database, SHOP);
        assert!(apply(database).stdout.contains("- resource https://api.example: no longer declared in grantor.toml; kept"));
        run(database, &["apply", "--prune"]).assert_code(0);
        let pruned = show(database, "resource", api);
        assert!(pruned["disabled_at"].is_string() && pruned["declared_in"].is_null(), "{pruned}");
        declare(database, &format!("{SHOP}{declaration}"));
        assert!(apply(database).assert_code(0).stdout.contains("adopted: it was there already"));
        declare(database, SHOP);
        run(database, &["apply", "--release"]).assert_code(0);
        assert_eq!(show(database, "resource", api)["declared_in"], json!(null));
        run(database, &["resource", "update", api, "--name", "X"]).assert_code(0);
    }

    /// Every mistake about an API at once, each with its place.
    async fn mistakes_about_resources_are_told(database) {
        declare(database, "[[resources]]\nuri = \"api\"\nscope = \" \"\naccess_token_ttl = \"2d\"\naccess_token_signing_alg = \"none\"\nttl = 1\n");
        let told = run(database, &["apply"]);
        told.assert_refused(2, "a resource is an absolute URI without fragment");
        for remedy in ["resources.api.name", "must name at least one value", "from 1s to 1d", "must be one of ES256", "is not known here"] {
            assert!(told.stderr.contains(remedy), "{remedy}: {}", told.stderr);
        }
        let twice = "[[resources]]\nuri = \"https://api.example\"\nname = \"API\"\n";
        declare(database, &format!("{twice}{twice}"));
        run(database, &["apply"]).assert_refused(2, "is declared in");
    }

    /// Tokens, callers and secrets hang on a client's type.
    async fn the_type_of_a_client_never_changes(database) {
        declare(database, SHOP);
        apply(database).assert_code(0);
        declare(database, &format!("{SHOP}client_type = \"public\"\n{ALICE}"));
        let told = apply(database);
        assert!(told.assert_code(1).stdout.contains("! client shop (grantor.toml): it is a confidential client, and that never changes"), "{}", told.stdout);
        assert!(told.stderr.contains("one declaration cannot be applied"));
        assert_eq!(show(database, "client", "shop")["client_type"], "confidential");
        assert_eq!(show(database, "user", "alice@example.com")["declared_in"], "grantor.toml");
    }

    /// `password_file` is how a person begins, and never again.
    async fn a_declared_password_is_only_the_first(database) {
        let hashes = async || database.strings("SELECT COALESCE(password_hash, '') FROM people").await;
        declare(database, &format!("{ALICE}password_file = \"alice\"\n"));
        let refused = apply(database);
        assert!(refused.assert_code(1).stdout.contains("its password_file alice: cannot be read"), "{}", refused.stdout);
        assert_eq!(database.count("people").await, 0);
        write(database, "alice", "two\nlines\n");
        assert!(apply(database).assert_code(1).stdout.contains("must hold one line"));

        for (password, reason) in [("open-se", "at least 8"), ("Password1", "everyone guesses"), ("alice@example", "too like the e-mail")] {
            write(database, "alice", password);
            assert!(apply(database).assert_code(1).stdout.contains(reason), "{reason}");
        }
        assert_eq!(database.count("people").await, 0);

        write(database, "alice", "open-sesame-123\n");
        apply(database).assert_code(0);
        let first = hashes().await;
        assert!(first[0].starts_with("$argon2id$"), "{first:?}");
        run_with_input(database, &["user", "set-password", "alice@example.com", "--password-stdin"], "my own choice\n").assert_code(0);
        let own = hashes().await;
        write(database, "alice", "another password\n");
        assert!(apply(database).assert_code(0).stdout.starts_with("= 1 unchanged"));
        std::fs::remove_file(database.dir.join("alice")).unwrap();
        assert!(apply(database).assert_code(0).stdout.starts_with("= 1 unchanged"), "the file is not needed any more");
        assert_eq!(hashes().await, own);

        database.execute("UPDATE people SET password_hash = NULL").await;
        declare(database, &format!("{ALICE}password_hash = {:?}\n", first[0]));
        assert!(apply(database).assert_code(0).stdout.contains("gets the declared password, having none"));
        assert_eq!(hashes().await, first);
        assert_eq!(audited(database).await, ["person.created operator", "password.set operator", "password.set operator"]);
    }

    /// Wherever a secret comes from, it goes to the database as a hash and nowhere else.
    async fn no_secret_is_told_or_kept(database) {
        write(database, "secret", "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t");
        write(database, "password", "open-sesame-123");
        declare(database, &format!("{SHOP}client_secret_file = \"secret\"\n{ALICE}password_file = \"password\"\n"));
        let mut told = String::new();
        for arguments in [&["apply", "--dry-run"][..], &["apply", "--dry-run", "--json"], &["apply", "--json"], &["apply"], &["config", "show"], &["client", "show", "shop"]] {
            let outcome = run(database, arguments);
            outcome.assert_code(0);
            told += &(outcome.stdout + &outcome.stderr);
        }
        told += &everything(database).await;
        assert!(!told.contains("s3cr3t-s3cr3t") && !told.contains("open-sesame"), "{told}");
        assert!(told.contains("    client_secret  + one\n"), "{told}");
    }

    /// Where `[roles]` lists some, commands know no others either.
    async fn a_role_that_is_not_listed_is_refused_by_commands(database) {
        declare(database, "[roles]\nadmin = \"Administers\"\n");
        run(database, &["user", "create", "--email", "a@example.com", "--role", "amdin"]).assert_refused(2, "did you mean 'admin'?");
        run(database, &["user", "create", "--email", "a@example.com", "--role", "admin"]).assert_code(0);
        run(database, &["user", "update", "a@example.com", "--role", "root"]).assert_refused(2, "it must be one of admin");
    }
}

on_databases! { [Sqlite]
    /// `config check` reads what is declared, and names file and line.
    async fn config_check_tells_mistakes_in_declarations(database) {
        declare(database, "include = [\"clients.toml\"]");
        write(database, "clients.toml", &format!("{SHOP}redirect_url = \"x\"\n"));
        let told = run(database, &["config", "check"]);
        told.assert_refused(2, "clients.shop.redirect_url (clients.toml, line 5)\n    is not known here: did you mean redirect_uris?");
        run(database, &["apply"]).assert_refused(2, "redirect_url");
        run(database, &["serve"]).assert_refused(2, "redirect_url");
    }

    /// `config calibrate` measures with the threads of the configuration, and suggests nothing that is unsafe.
    async fn calibrate_suggests_parameters_that_the_configuration_accepts(database) {
        let arguments = ["config", "calibrate", "--target", "20ms", "--json"];
        let told = run_json(database, &arguments);
        let (memory, passes) = (told["suggested"]["argon2_memory_kib"].as_u64().unwrap(), told["suggested"]["argon2_iterations"].as_u64().unwrap());
        assert!(memory >= 19_456 && passes >= 2, "{told}");
        assert!(told["measured"][0]["hash_ms"].as_f64().unwrap() > 0.0 && told["suggested"]["memory_mib"].as_u64().unwrap() >= 19, "{told}");
        let text = run(database, &arguments[..4]);
        let pasted: toml::Table = text.assert_code(0).stdout.split_once("\n\n").unwrap().1.parse().unwrap();
        declare(database, &format!("issuer = \"https://id.example.com\"\n{pasted}"));
        let check = grantor(database)
            .env_remove("GRANTOR_PASSWORDS__ARGON2_MEMORY_KIB")
            .env_remove("GRANTOR_PASSWORDS__ARGON2_ITERATIONS")
            .args(["config", "check"])
            .output();
        Outcome::of(check.unwrap()).assert_code(0);
        for wrong in ["10ms", "3s", "fast"] {
            run(database, &["config", "calibrate", "--target", wrong]).assert_refused(2, "20ms to 2000ms");
        }
    }
}
