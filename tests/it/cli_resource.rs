//! `grantor resource`: APIs that the operator registers (RFC 8707).

use serde_json::{Value, json};

use crate::{
    declared::audited,
    harness::{
        Database,
        process::{run, run_json},
    },
    on_databases,
};

const API: &str = "https://api.example/photos";

fn show(database: &Database) -> Value {
    run_json(database, &["resource", "show", API, "--json"])
}

async fn longest_ttl(database: &Database) -> Vec<String> {
    database.strings("SELECT value FROM settings WHERE name = 'longest_access_token_ttl'").await
}

on_databases! { [Sqlite, Postgres]
    /// `resource create`, `list`, `show`, `update`, `disable`, `enable`, `delete`.
    async fn resources_are_registered_changed_and_deleted(database) {
        let created = run_json(database, &["resource", "create", API, "--name", "Photos", "--json"]);
        let mut known = json!({
            "uri": API, "name": "Photos", "scope": null, "access_token_ttl": null, "access_token_signing_alg": null, "claims": [],
            "created_at": created["created_at"], "disabled_at": null, "declared_in": null,
        });
        assert_eq!((&created, &show(database)), (&known, &known));
        assert_eq!(run_json(database, &["resource", "list", "--json"]), json!([known]));
        run(database, &["resource", "create", API, "--name", "Other"]).assert_refused(1, "is registered already");

        let scopes = ["--scope", "photos:read photos:write", "--scope", "albums"];
        let others = ["--name", "Photo API", "--access-token-ttl", "1h 30m", "--access-token-signing-alg", "RS256", "--claim", "roles", "--claim", "groups", "--json"];
        let updated = run_json(database, &[&["resource", "update", API][..], &scopes, &others].concat());
        for (member, value) in [
            ("name", json!("Photo API")),
            ("scope", json!("photos:read photos:write albums")),
            ("access_token_ttl", json!(5400)),
            ("access_token_signing_alg", json!("RS256")),
            ("claims", json!(["roles", "groups"])),
        ] {
            known[member] = value;
        }
        assert_eq!((&updated, &show(database)), (&known, &known));
        let told = run(database, &["resource", "show", API]).assert_code(0).stdout.clone();
        assert!(told.contains("access_token_ttl          5400s\n") && told.contains("claims                    roles groups\n"), "{told}");

        let resets = ["--any-scope", "--no-access-token-ttl", "--no-access-token-signing-alg", "--no-claims", "--json"];
        let reset = run_json(database, &[&["resource", "update", API][..], &resets].concat());
        assert_eq!((&reset["scope"], &reset["access_token_ttl"], &reset["access_token_signing_alg"], &reset["claims"]), (&json!(null), &json!(null), &json!(null), &json!([])));

        assert_eq!(run_json(database, &["resource", "disable", API, "--json"]), json!({ "uri": API, "disabled": true }));
        assert!(show(database)["disabled_at"].is_string());
        assert_eq!(run_json(database, &["resource", "enable", API, "--json"]), json!({ "uri": API, "enabled": true }));
        assert!(show(database)["disabled_at"].is_null());
        assert_eq!(run_json(database, &["resource", "delete", API, "--json"]), json!({ "uri": API, "deleted": true }));
        for verb in ["show", "update", "disable", "enable", "delete"] {
            run(database, &["resource", verb, API]).assert_refused(1, "is not registered");
        }
        let names = ["created", "updated", "updated", "disabled", "enabled", "deleted"];
        assert_eq!(audited(database).await, names.map(|name| format!("resource.{name} operator")));
    }

    /// Wrong usage is told, and nothing is written.
    async fn what_makes_no_sense_is_refused(database) {
        let create = |more: &[&str]| run(database, &[&["resource", "create", API, "--name", "Photos"][..], more].concat());
        for (arguments, message) in [
            (&["--access-token-ttl", "2d"][..], "must be a duration from 1s to 1d"),
            (&["--access-token-ttl", "0s"], "must be a duration from 1s to 1d"),
            (&["--access-token-signing-alg", "HS256"], "one of ES256, RS256, PS256, EdDSA"),
            (&["--scope", "a\"b"], "printable ASCII"),
            (&["--scope", " "], "--scope must name at least one value"),
            (&["--claim", "two words"], "a claim's name has"),
        ] {
            create(arguments).assert_refused(2, message);
        }
        run(database, &["resource", "create", "photos", "--name", "X"]).assert_refused(2, "absolute URI");
        run(database, &["resource", "create", "https://api.example/#x", "--name", "X"]).assert_refused(2, "without fragment");
        assert_eq!(database.count("resources").await, 0);
    }

    /// The longest lifetime is remembered: a token of a resource that is gone may still live, and needs its key.
    async fn the_longest_lifetime_is_never_forgotten(database) {
        run(database, &["resource", "create", API, "--name", "Photos", "--access-token-ttl", "2h"]).assert_code(0);
        assert_eq!(longest_ttl(database).await, ["7200"]);
        run(database, &["resource", "update", API, "--access-token-ttl", "10h"]).assert_code(0);
        run(database, &["resource", "update", API, "--access-token-ttl", "9m"]).assert_code(0);
        run(database, &["resource", "delete", API]).assert_code(0);
        assert_eq!(longest_ttl(database).await, ["36000"]);
    }

    /// An algorithm without a key gets one when a resource or a client selects it, and keeps being rotated.
    async fn a_key_is_made_for_the_algorithm_of_a_resource(database) {
        let ps256 = async || database.count("keys WHERE algorithm = 'PS256'").await;
        run(database, &["resource", "create", API, "--name", "Photos", "--access-token-signing-alg", "ES256"]).assert_code(0);
        assert_eq!(ps256().await, 0);
        run(database, &["resource", "update", API, "--access-token-signing-alg", "PS256"]).assert_code(0);
        assert_eq!(ps256().await, 1);
        let callback = ["--redirect-uri", "https://shop.example/callback", "--access-token-signing-alg", "PS256"];
        run(database, &[&["client", "create", "--name", "Shop"][..], &callback].concat()).assert_code(0);
        assert_eq!(ps256().await, 1);
        assert!(run(database, &["keys", "list"]).assert_code(0).stdout.contains("PS256: the next key is made"));
    }

    /// RFC 8707 §2: the default resource is one that the client has.
    async fn a_default_resource_is_one_of_the_clients(database) {
        let create = ["client", "create", "--name", "Shop", "--redirect-uri", "https://shop.example/callback", "--resource", API, "--default-resource"];
        run(database, &[&create[..], &["https://other.example"]].concat()).assert_refused(2, "the default resource must be one of the client's resources");
        run(database, &[&create[..], &[API, "--resource", "https://other.example"]].concat()).assert_code(0);
        let metadata = database.strings("SELECT CAST(metadata AS TEXT) FROM clients").await;
        assert_eq!(serde_json::from_str::<Value>(&metadata[0]).unwrap(), json!({"default_resource": API}));
    }
}
