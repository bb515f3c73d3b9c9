//! What `docs/security.md` claims and no specification asks for: each line that has no test among those of the specifications.

use std::os::unix::fs::PermissionsExt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use grantor::server::Server;
use sha2::{Digest, Sha256};

use crate::{
    harness::{
        Backend, Database, START, TestServer,
        browser::PASSWORD,
        config,
        process::{run, run_json},
    },
    on_databases, on_every_backend,
};

/// Bytes of a column in hexadecimal, small letters.
async fn bytes_of(server: &TestServer, column: &str, table: &str) -> Vec<String> {
    let hex = match server.database.backend {
        Backend::Sqlite => format!("lower(hex({column}))"),
        Backend::Postgres => format!("encode({column}, 'hex')"),
    };
    server.database.strings(&format!("SELECT {hex} FROM {table}")).await
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from_digit(digit.into(), 16).unwrap()).collect()
}

fn bits(base64url: &str) -> usize {
    BASE64_URL_SAFE_NO_PAD.decode(base64url).unwrap().len() * 8
}

on_every_backend! {
    /// "What a stolen database tells": of what is random enough the plain hash, of 256 bits and of a cookie 128.
    async fn codes_secrets_and_cookies_are_kept_as_their_sha256(server) {
        let client = run_json(&server.database, &["client", "create", "--name", "Shop", "--redirect-uri", "https://shop.example/cb", "--json"]);
        let secret = client["client_secret"].as_str().unwrap();
        assert_eq!(bytes_of(server, "hash", "client_secrets").await, [sha256(secret)]);

        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let code = app.code_at(&mut browser, &[]).await;
        assert_eq!(bytes_of(server, "hash", "authorization_codes").await, [sha256(&code)]);
        let cookie = browser.cookies.values().next().unwrap();
        assert_eq!(bytes_of(server, "id_hash", "browser_sessions").await, [sha256(cookie)]);
        assert_eq!((bits(secret), bits(&code), bits(cookie)), (256, 256, 128));
    }

    /// Passwords are slow to guess, whatever else is known.
    async fn passwords_are_kept_as_argon2id(server) {
        let email = "zoe@example.com";
        run(&server.database, &["user", "create", "--email", email]).assert_code(0);
        crate::harness::process::run_with_input(&server.database, &["user", "set-password", email, "--password-stdin"], PASSWORD).assert_code(0);
        let hash = server.database.strings("SELECT password_hash FROM people").await.remove(0);
        assert!(hash.starts_with("$argon2id$v=19$m="), "{hash}");
    }

    /// Of access tokens the ids of revoked ones, of refresh tokens nothing but how often the grant was used.
    async fn of_tokens_the_ids_of_revoked_ones_are_kept(server) {
        let app = server.client("app").await;
        let tokens = app.tokens().await;
        assert_eq!(server.database.count("revoked_tokens").await, 0);
        app.revoke(&tokens.access_token()).await.assert_status(200);
        let jti = match server.database.backend {
            Backend::Sqlite => "lower(hex(jti))",
            Backend::Postgres => "replace(jti::text, '-', '')",
        };
        let expected = tokens.claims()["jti"].as_str().unwrap().replace('-', "");
        assert_eq!(server.database.strings(&format!("SELECT {jti} FROM revoked_tokens")).await, [expected]);
    }

    /// A sealed key opens under its own `kid` alone: rows that were swapped, or put there, are refused at the start.
    async fn a_sealed_key_is_bound_to_its_name(server) {
        let other = "(SELECT sealed FROM keys WHERE algorithm = 'ES256' LIMIT 1)";
        server.database.execute(&format!("UPDATE keys SET sealed = {other} WHERE algorithm = 'RS256'")).await;
        let refused = Server::start(config(&server.database, &[]), server.clock.clone()).await;
        let told = refused.err().map(|error| format!("{error:?}")).expect("a refusal");
        assert!(told.contains("cannot be opened with this master key"), "{told}");
    }

    /// A failed sign-in begins nothing and ends nothing.
    async fn a_failed_sign_in_sets_no_cookie_and_leaves_the_session(server) {
        let mut browser = server.browser();
        let alice = browser.sign_in_as_someone().await;
        let before = browser.cookies.clone();
        let answer = browser.post("/login", &[("email", &alice.email), ("password", "wrong")]).await;
        assert_eq!((answer.assert_status(400).header("set-cookie"), &browser.cookies), ("", &before));
        browser.go("/account").await.assert_status(200);
        assert_eq!(server.database.count("browser_sessions").await, 1);
    }

    /// Header injection: what came in is percent-encoded in `Location`, and stands in no other header.
    async fn a_line_break_in_a_parameter_makes_no_header(server) {
        let app = server.client("app").await;
        let state = "x\r\nSet-Cookie: __Host-grantor=1\r\n\r\n<script>";
        let refused = server.get(&app.authorization_path(&[("state", state), ("max_age", "x")])).await;
        assert!(refused.location().contains("state=x%0D%0ASet-Cookie%3A"), "{}", refused.location());
        assert_eq!(refused.param("state").as_deref(), Some(state));
        assert_eq!(refused.header("set-cookie"), "");
    }

    /// SQL injection: quotes are characters like any other.
    async fn quotes_in_parameters_are_characters(server) {
        let app = server.client("app").await;
        let tokens = app.tokens().await;
        let before = (server.grants().await, server.database.count("clients").await);
        for text in ["'", "\"", "' OR '1'='1", "'; DROP TABLE grants; --", "app' --", "\\'"] {
            let answer = server.get(&app.authorization_path(&[("client_id", text)])).await;
            answer.assert_page_error(400);
            for name in ["code", "refresh_token"] {
                let grant_type = if name == "code" { "authorization_code" } else { name };
                app.post("/oauth/token", &[("grant_type", grant_type), (name, text), ("code_verifier", crate::harness::VERIFIER)], &[]).await.assert_error(400, "invalid_grant");
            }
            app.revoke(text).await.assert_status(200);
            server.browser().submit("/login", &[("email", text), ("password", text)]).await.assert_status(400);
        }
        assert_eq!((server.grants().await, server.database.count("clients").await), before);
        assert!(server.is_active(&app, &tokens.access_token()).await);
    }

    /// "Known and open": a large request is a row for half an hour, and ten minutes more until it is purged.
    async fn a_large_request_is_a_row_for_half_an_hour(server) {
        let app = server.client("app").await;
        server.get(&app.authorization_path(&[("state", &"x".repeat(3_000))])).await.assert_status(303);
        let micros = match server.database.backend {
            Backend::Sqlite => "expires_at",
            Backend::Postgres => "(EXTRACT(EPOCH FROM expires_at) * 1000000)::bigint",
        };
        let expires_at = server.database.strings(&format!("SELECT CAST({micros} AS TEXT) FROM authorization_requests")).await;
let half_an_hour = START.as_micros() + 30 * 60 * 1_000_000;
        assert!((half_an_hour..half_an_hour + 60_000_000).contains(&expires_at[0].parse().unwrap()), "{expires_at:?}");
    }
}

on_databases! { [Sqlite, Postgres]
    /// After database and master key were stolen: disabling and enabling a client voids what it held, with any token forged for it.
    async fn disabling_and_enabling_a_client_voids_all_grants_of_before(copy) {
    // The server goes by the clock that commands have, too.
    let server = TestServer::start_at_the_time_of_the_machine(copy.backend).await;
    let app = server.client("app").await;
    let tokens = app.tokens().await;
    for change in ["disable", "enable"] {
        run(&server.database, &["client", change, "app"]).assert_code(0);
    }
    server.advance(1);
    app.refresh(&tokens.refresh_token()).await.assert_error(400, "invalid_grant");
    assert!(!server.is_active(&app, &tokens.access_token()).await);
    server.end().await;
}
}

on_databases! { [Sqlite]
    /// What is there keeps its mode: a restore decides about it, and the operator's group may read a backup.
    async fn files_that_exist_keep_their_mode(copy) {
        let database = &Database::empty(copy.backend).await;
        let mut command = crate::harness::process::grantor(database);
        command.env_remove("GRANTOR_MASTER_KEY").args(["user", "list"]);
        assert!(command.output().unwrap().status.success());
        let names = ["grantor.db", "grantor.lock", "master.key"];
        let mode = |name: &str| std::fs::metadata(database.dir.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(names.map(mode), [0o600; 3], "{names:?}");
        for name in names {
            std::fs::set_permissions(database.dir.join(name), PermissionsExt::from_mode(0o640)).unwrap();
        }
        assert!(command.output().unwrap().status.success());
        assert_eq!(names.map(mode), [0o640; 3], "{names:?}");
    }
}
