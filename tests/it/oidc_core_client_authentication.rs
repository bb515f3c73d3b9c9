//! The methods of client authentication (`OpenID` Core §9): a client uses the one that it is registered for.

use jsonwebtoken::Algorithm;
use serde_json::json;

use crate::{
    harness::{
        Answer, TestServer,
        app::basic,
        form_request,
        process::{run, run_json},
        signing::ClientKey,
    },
    on_databases, on_every_backend,
};

/// Asks for a token in the name of `app` in each way that a secret can be shown.
async fn with_secret(server: &TestServer, secret: &str) -> [Answer; 2] {
    let grant = ("grant_type", "client_credentials");
    let mut by_header = form_request("/oauth/token", &[grant]);
    by_header.headers_mut().insert("authorization", basic("app", secret).parse().unwrap());
    [server.send(by_header).await, server.post("/oauth/token", &[grant, ("client_id", "app"), ("client_secret", secret)]).await]
}

on_every_backend! {
    /// `OpenID` Core §9: the MAC is keyed by the client's secret.
    async fn client_secret_jwt_is_keyed_by_the_secret(server) {
        let app = server.mac_client("app", json!({})).await;
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let key = app.key.with_header(|header| header.alg = algorithm);
            app.present(&key.sign(&app.claims())).await.assert_status(200);
        }
        let wrong = ClientKey::of_secret(Algorithm::HS256, &"y".repeat(64));
        let answer = app.present(&wrong.sign(&app.claims())).await;
        assert!(answer.assert_error(401, "invalid_client").member("error_description").contains("signature"));
    }

    /// A secret that is sealed for one client does not open for another, and one that is not sealed keys nothing.
    async fn a_sealed_secret_is_bound_to_its_client(server) {
        let (app, other) = (server.mac_client("app", json!({})).await, server.mac_client("other", json!({})).await);
        server.database.execute("UPDATE client_secrets SET sealed = (SELECT sealed FROM client_secrets WHERE client_id = 'other') WHERE client_id = 'app'").await;
        for key in [&app.key, &other.key] {
            let answer = app.present(&key.sign(&app.claims())).await;
            assert!(answer.assert_error(401, "invalid_client").member("error_description").contains("rotate its secret"));
        }
        other.present(&other.assertion()).await.assert_status(200);
    }

    /// RFC 7591 §2: a client that registered a method uses it and no other, however good what it shows is.
    async fn a_registered_method_is_the_only_one(server) {
        let keyed = server.signing_client("keyed").await;
        let metadata = json!({ "token_endpoint_auth_method": "client_secret_post", "jwks": keyed.key.jwks() });
        let app = server.signing_client_with("app", metadata, keyed.key.clone()).await;
        let [by_header, by_form] = with_secret(server, "secret-of-app").await;
        assert!(by_header.assert_error(401, "invalid_client").member("error_description").contains("client_secret_post"));
        by_form.assert_status(200);
        app.present(&app.assertion()).await.assert_error(401, "invalid_client");
        server.post("/oauth/token", &[("grant_type", "client_credentials"), ("client_id", "app")]).await.assert_error(401, "invalid_client");
    }

    /// ... so that a client with keys has no weaker way, also if a secret of it is left.
    async fn a_client_with_keys_cannot_use_a_secret(server) {
        let key = ClientKey::es256("a");
        server.signing_client_with("app", json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks() }), key).await;
        for answer in with_secret(server, "secret-of-app").await {
            assert!(answer.assert_error(401, "invalid_client").member("error_description").contains("private_key_jwt"));
        }
    }

    /// Without a registered method it is Basic or the form, as ever, and no assertion.
    async fn without_a_registered_method_it_is_the_secret(server) {
        let key = ClientKey::es256("a");
        let app = server.signing_client_with("app", json!({ "jwks": key.jwks() }), key).await;
        for answer in with_secret(server, "secret-of-app").await {
            answer.assert_status(200);
        }
        app.present(&app.assertion()).await.assert_error(401, "invalid_client");
    }

    /// RFC 8725 §3.1: the registered algorithm alone, and never a MAC keyed by a public key.
    async fn the_registered_algorithm_is_the_only_one(server) {
        let key = ClientKey::new(Algorithm::RS256, "r");
        let metadata = json!({ "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "PS256", "jwks": key.jwks() });
        let app = server.signing_client_with("app", metadata, key.clone()).await;
        let answer = app.present(&app.assertion()).await;
        assert!(answer.assert_error(401, "invalid_client").member("error_description").contains("its alg must be"));
        app.present(&key.with_header(|header| header.alg = Algorithm::PS256).sign(&app.claims())).await.assert_status(200);
        for secret in [key.jwk().to_string(), key.jwk()["n"].as_str().unwrap().to_owned(), "secret-of-app".to_owned()] {
            app.present(&ClientKey::of_secret(Algorithm::HS256, &secret).sign(&app.claims())).await.assert_error(401, "invalid_client");
        }
    }

    /// RFC 8725 §3.1: nor is a client of one kind of assertion one of the other.
    async fn a_client_of_secrets_has_no_use_for_keys(server) {
        let key = ClientKey::es256("a");
        let app = server.mac_client("app", json!({ "jwks": key.jwks(), "token_endpoint_auth_signing_alg": "HS256" })).await;
        app.present(&key.sign(&app.claims())).await.assert_error(401, "invalid_client");
        app.present(&app.key.with_header(|header| header.alg = Algorithm::HS512).sign(&app.claims())).await.assert_error(401, "invalid_client");
        app.present(&app.assertion()).await.assert_status(200);
    }

    /// The database alone keys no MAC: beside the hash of the secret it has it sealed.
    async fn the_database_does_not_tell_the_secret(server) {
        server.mac_client("app", json!({})).await;
        let kept_plainly = match server.database.backend {
            crate::harness::Backend::Sqlite => "instr(sealed, CAST('secret-of-app' AS BLOB)) > 0",
            crate::harness::Backend::Postgres => "position('secret-of-app'::bytea IN sealed) > 0",
        };
        let count = async |condition: &str| server.database.strings(&format!("SELECT client_id FROM client_secrets WHERE {condition}")).await.len();
        assert_eq!((count("length(sealed) > 70").await, count(kept_plainly).await), (1, 0));
    }
}

on_databases! { [Sqlite, Postgres]
    /// A client of `client_secret_jwt` is made by the command line with a secret that is long enough for every MAC, and sealed.
    async fn the_command_line_makes_clients_of_secrets(database) {
        let create = ["client", "create", "--name", "App", "--client-id", "app", "--grant-type", "client_credentials", "--scope", "read"];
        let created = run_json(database, &[&create[..], &["--token-endpoint-auth-method", "client_secret_jwt", "--json"]].concat());
        assert_eq!((created["client_secret"].as_str().unwrap().len(), &created["token_endpoint_auth_method"]), (64, &json!("client_secret_jwt")));
        let rotated = run_json(database, &["client", "rotate-secret", "app", "--json"]);
        assert_eq!(database.strings("SELECT client_id FROM client_secrets WHERE sealed IS NOT NULL").await.len(), 2);

        let server = TestServer::on(database.clone()).await;
        for client in [&created, &rotated] {
            let key = ClientKey::of_secret(Algorithm::HS512, client["client_secret"].as_str().unwrap());
            let app = server.signing_app("app", key);
            app.present(&app.assertion()).await.assert_status(200);
        }
        server.close().await;
    }

    /// ... and one of `private_key_jwt` with its keys, and without a secret.
    async fn the_command_line_makes_clients_of_keys(database) {
        let (key, file) = (ClientKey::es256("a"), database.dir.join("jwks.json"));
        std::fs::write(&file, key.jwks().to_string()).unwrap();
        let create = ["client", "create", "--name", "App", "--client-id", "app", "--grant-type", "client_credentials", "--scope", "read"];
        let with_keys = ["--token-endpoint-auth-method", "private_key_jwt", "--jwks", file.to_str().unwrap(), "--json"];
        let created = run_json(database, &[&create[..], &with_keys].concat());
        assert_eq!((created.get("client_secret"), &created["jwks"]), (None, &key.jwks()));
        let server = TestServer::on(database.clone()).await;
        let app = server.signing_app("app", key);
        app.present(&app.assertion()).await.assert_status(200);
        server.close().await;

        let refused = run(database, &["client", "rotate-secret", "app"]);
        assert!(refused.assert_code(1).stderr.contains("private_key_jwt"), "{}", refused.stderr);
        let changed = run_json(database, &["client", "update", "app", "--jwks-uri", "https://app.example/jwks", "--json"]);
        assert_eq!((&changed["jwks_uri"], changed.get("jwks")), (&json!("https://app.example/jwks"), None));
    }

    /// What makes no sense is refused before anything is written.
    async fn the_command_line_refuses_keys_that_make_no_sense(database) {
        let file = |name: &str, text: String| {
            let path = database.dir.join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let private = file("private.json", json!({ "keys": [{ "kty": "EC", "crv": "P-256", "d": "x" }] }).to_string());
        let (none, create) = (file("none.json", "{}".to_owned()), ["client", "create", "--name", "App", "--grant-type", "client_credentials"]);
        for (arguments, words) in [
            (vec!["--token-endpoint-auth-method", "private_key_jwt"], "jwks_uri"),
            (vec!["--token-endpoint-auth-method", "mtls"], "private_key_jwt"),
            (vec!["--token-endpoint-auth-method", "none"], "public client"),
            (vec!["--jwks", &private], "private"),
            (vec!["--jwks", &none], "JSON object"),
            (vec!["--jwks", "/nowhere"], "No such file"),
            (vec!["--jwks-uri", "http://app.example/jwks"], "https"),
        ] {
            let outcome = run(database, &[&create[..], &arguments].concat());
            assert!(outcome.assert_code(2).stderr.contains(words), "{arguments:?}: {}", outcome.stderr);
        }
        assert_eq!(database.count("clients").await, 0);
    }
}
