//! Groups, standard claims (`OpenID` Core §5.1) and attributes of people, by the command line and by files.

use serde_json::json;

use crate::{
    harness::process::{run, run_json},
    on_databases,
};

const CREATE: [&str; 5] = ["user", "create", "--email", "alice@example.com", "--json"];

on_databases! { [Sqlite, Postgres]
    /// What is given is kept with its type: texts as they are, all else as JSON.
    async fn a_person_has_groups_and_claims(database) {
        let claims = [
            "--group", "staff", "--group", "Wonder Land", "--claim", "given_name=Alice", "--claim", "birthdate=1852", "--claim",
            r#"address={"country": "United Kingdom"}"#, "--claim", "phone_number=+441865276150", "--claim", "phone_number_verified=true",
            "--claim", "level=3", "--claim", "department=Wonder = Land",
        ];
        let created = run_json(database, &[&CREATE[..], &claims].concat());
        assert_eq!(created["groups"], json!(["staff", "Wonder Land"]));
        assert_eq!(created["claims"], json!({
            "given_name": "Alice", "birthdate": "1852", "address": { "country": "United Kingdom" }, "phone_number": "+441865276150",
            "phone_number_verified": true, "level": 3, "department": "Wonder = Land",
        }));
        assert_eq!(created["updated_at"], json!(null));
        assert_eq!(run_json(database, &["user", "show", "alice@example.com", "--json"]), created);
        let shown = run(database, &["user", "show", "alice@example.com"]).assert_code(0).stdout.clone();
        assert!(shown.contains("groups          staff, Wonder Land\n") && shown.contains("claim           level=3\n"), "{shown}");
    }

    /// A change is beside the rest; without a value a claim is taken away; groups that are given replace those before.
    async fn claims_are_changed_one_by_one(database) {
        run_json(database, &[&CREATE[..], &["--group", "a", "--claim", "nickname=Al", "--claim", "level=3", "--claim", "x=y"]].concat());
        let update = ["user", "update", "alice@example.com", "--group", "b", "--claim", "nickname=", "--claim", "level=4", "--json"];
        let updated = run_json(database, &update);
        assert_eq!((&updated["groups"], &updated["claims"]), (&json!(["b"]), &json!({ "level": 4, "x": "y" })));
        assert!(updated["updated_at"].is_string());
    }

    /// The operator says which claims a client gets; what tokens say of themselves is none.
    async fn a_client_is_registered_for_claims(database) {
        let create = ["client", "create", "--name", "Shop", "--redirect-uri", "https://shop.example/cb", "--json", "--metadata"];
        let created = run_json(database, &[&create[..], &[r#"{"claims": ["roles", "department"]}"#]].concat());
        let shown = run_json(database, &["client", "show", created["client_id"].as_str().unwrap(), "--json"]);
        assert_eq!(shown["claims"], json!(["roles", "department"]), "{shown}");
        let refused = run(database, &[&create[..], &[r#"{"claims": ["roles", "sub"]}"#]].concat());
        assert!(refused.stderr.contains("none is one that tokens use for themselves"), "{}", refused.stderr);
    }

    /// What makes no sense is refused before anything is written, with what to write instead.
    async fn what_makes_no_sense_is_refused(database) {
        for (arguments, code, reason) in [
            (&["--claim", "birthdate=4 May 1852"][..], 2, "it must be a date such as 1987-10-16"),
            (&["--claim", "sub=mallory"], 2, "tokens say something else by this name"),
            (&["--claim", r#"roles=["admin"]"#], 2, "use --role and --group"),
            (&["--claim", "email=x@example.com"], 2, "use --email"),
            (&["--claim", "address=Oxford"], 2, "it must be an object"),
            (&["--claim", r#"badge={"a": "\u0000"}"#], 2, "it must not contain the character NUL"),
            (&["--claim", "phone_number_verified=true"], 2, "a verified phone_number"),
            (&["--claim", "nothing"], 2, "write NAME=VALUE"),
            (&["--group", " x"], 2, "a group has 1 to 100 characters"),
        ] {
            let said = run(database, &[&CREATE[..], arguments].concat()).assert_code(code).stderr.clone();
            assert!(said.contains(reason), "{arguments:?}: {said}");
        }
        assert_eq!(database.count("people").await, 0);
    }
}
