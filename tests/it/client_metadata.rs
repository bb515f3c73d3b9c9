//! Client metadata (RFC 7591 §2) of an operator's clients: on the command line and in files, by the rules of registration.

use serde_json::json;

use crate::{
    declared::{declare, write},
    harness::process::{Process, run, run_json},
    on_databases,
};

const SHOP: [&str; 6] = ["client", "create", "--client-id", "shop", "--name", "Shop"];
const CALLBACK: [&str; 2] = ["--redirect-uri", "https://shop.example/callback"];

fn create<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SHOP[..], &CALLBACK, more].concat()
}

on_databases! { [Sqlite, Postgres]
    /// RFC 7591 §2: any registered member, by its name; `null` takes one back.
    async fn any_member_is_taken_by_its_name(database) {
        let members = r#"{"logo_uri": "https://shop.example/logo.png", "client_name#de": "Laden", "default_max_age": 60, "contacts": ["a@shop.example"]}"#;
        let created = run_json(database, &create(&["--metadata", members, "--post-logout-redirect-uri", "https://shop.example/goodbye", "--json"]));
        for (member, value) in [
            ("logo_uri", json!("https://shop.example/logo.png")),
            ("client_name#de", json!("Laden")),
            ("default_max_age", json!(60)),
            ("post_logout_redirect_uris", json!(["https://shop.example/goodbye"])),
        ] {
            assert_eq!(created[member], value, "{member}");
        }
        let shown = run(database, &["client", "show", "shop"]).stdout;
        assert!(shown.contains("\nlogo_uri          https://shop.example/logo.png\n"), "{shown}");

        write(database, "members.json", r#"{"logo_uri": null, "tos_uri": "https://shop.example/tos"}"#);
        let updated = run_json(database, &["client", "update", "shop", "--metadata", "@members.json", "--json"]);
        assert!(updated.get("logo_uri").is_none() && updated["tos_uri"] == "https://shop.example/tos" && updated["default_max_age"] == 60);
        assert_eq!(run_json(database, &["client", "show", "shop", "--json"]), updated);
    }

    /// What is wrong is refused by its name, and nothing is written.
    async fn what_is_wrong_is_refused_by_its_name(database) {
        for (metadata, message) in [
            (r#"{"logo_uri": "http://shop.example/logo.png"}"#, "logo_uri must begin with https://"),
            (r#"{"logo_url": "https://shop.example/logo.png"}"#, "\"logo_url\" is not known"),
            (r#"{"pkce": "never"}"#, "pkce must be one of required, or_nonce, optional"),
            (r#"{"token_endpoint_auth_method": "none"}"#, "token_endpoint_auth_method must be 'none' for a public client"),
            (r#"{"token_endpoint_auth_method": "private_key_jwt"}"#, "private_key_jwt needs the client's public keys"),
            (r#"{"jwks": {"keys": [{"kty": "EC", "crv": "P-521"}]}}"#, "jwks cannot be used"),
            ("[]", "not a JSON object"),
            ("@nowhere.json", "cannot be read"),
        ] {
            run(database, &create(&["--metadata", metadata])).assert_refused(2, message);
        }
        run(database, &create(&["--public", "--pkce", "or_nonce"])).assert_refused(2, "pkce must be required");
        assert_eq!(database.count("clients").await, 0);
    }

    /// OAuth 2.1 §7.5.1.1: what is for certification is warned of, at the command and at the start.
    async fn optional_pkce_is_warned_of(database) {
        let created = run(database, &create(&["--pkce", "optional", "--json"]));
        assert_eq!(created.json()["pkce"], "optional");
        assert!(created.stderr.contains("certification"), "{}", created.stderr);
        assert!(!run(database, &["client", "update", "shop", "--pkce", "or_nonce"]).stderr.contains("certification"));

        declare(database, "[registration]\nmode = \"open\"\nconfidential_pkce = \"optional\"\n");
        let process = Process::serve(database, &[]);
        assert!(process.log_text().contains("registration.confidential_pkce is optional"), "{}", process.log_text());
        process.terminate();
    }

    /// The same members are keys of declared clients; the plan tells them, and each mistake its place.
    async fn the_members_are_keys_of_declared_clients(database) {
        let shop = "[[clients]]\nclient_id = \"shop\"\nclient_name = \"Shop\"\nredirect_uris = [\"https://shop.example/callback\"]\n";
        declare(database, &format!("{shop}pkce = \"or_nonce\"\nrequire_auth_time = true\n\"client_name#de\" = \"Laden\"\nlogo_uri = \"https://shop.example/logo.png\"\n"));
        let plan = run(database, &["apply"]).assert_code(0).stdout.clone();
        for line in ["pkce", "+ or_nonce", "require_auth_time", "+ yes", "logo_uri", "client_name#de = Laden"] {
            assert!(plan.contains(line), "{line}: {plan}");
        }
        let shown = run_json(database, &["client", "show", "shop", "--json"]);
        assert_eq!((&shown["pkce"], &shown["client_name#de"], &shown["require_auth_time"]), (&json!("or_nonce"), &json!("Laden"), &json!(true)));
        assert!(run(database, &["apply"]).assert_code(0).stdout.contains("Nothing to change"));

        declare(database, &format!("{shop}jwks = {{ keys = [] }}\nlogo_uri = \"http://shop.example/logo.png\"\nlogo_url = \"x\"\n"));
        let refused = run(database, &["apply"]);
        for message in ["clients.shop.jwks (", "clients.shop.logo_uri (", "must begin with https://", "did you mean logo_uri?"] {
            assert!(refused.stderr.contains(message), "{message}: {}", refused.stderr);
        }
        declare(database, shop);
        let plan = run(database, &["apply"]).assert_code(0).stdout.clone();
        assert!(plan.contains("- or_nonce"), "{plan}");
    }
}
