//! Dynamic client registration management (RFC 7592).

use serde_json::{Value, json};

use crate::{
    harness::{
        App, TestServer,
        process::run,
        registration::{changed, json_request, manage},
    },
    on_every_backend,
};

async fn registered(server: &TestServer) -> Value {
    let document = json!({ "redirect_uris": ["https://app.example/callback"], "client_name": "Self-made", "logo_uri": "https://app.example/logo.png" });
    server.register_itself(document).await.assert_status(201).json()
}

on_every_backend! {
    /// RFC 7592 §3: the address and the token of the registration come with it, and work.
    async fn a_client_reads_its_registration(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let registration = registered(server).await;
        let address = registration["registration_client_uri"].as_str().unwrap();
        assert_eq!(address, format!("https://auth.example.com/oauth/register/{}", registration["client_id"].as_str().unwrap()));

        let answer = manage(server, "GET", &registration, &Value::Null).await;

        let read = answer.assert_status(200).json();
        assert_eq!(answer.header("cache-control"), "no-store");
        for (member, value) in registration.as_object().unwrap() {
            // §2.1 lets these differ: the secret is kept as its hash, so it is not told again.
            if !["client_secret", "client_secret_expires_at"].contains(&member.as_str()) {
                assert_eq!(read[member], *value, "{member}");
            }
        }
    }

    /// RFC 7592 §2.1, RFC 6750 §3: without the token, with another's, and for a client that is not there.
    async fn only_its_own_token_opens_a_registration(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let (registration, other) = (registered(server).await, registered(server).await);
        let address = format!("/oauth/register/{}", registration["client_id"].as_str().unwrap());
        for method in ["GET", "PUT", "DELETE"] {
            let without = server.send(json_request(method, &address, None, &json!({}))).await;
            assert_eq!((without.assert_status(401).header("www-authenticate"), without.header("cache-control")), ("Bearer", "no-store"));
            for token in [other["registration_access_token"].as_str().unwrap(), "wrong"] {
                let answer = server.send(json_request(method, &address, Some(token), &json!({}))).await;
                assert!(answer.assert_error(401, "invalid_token").header("www-authenticate").starts_with("Bearer error=\"invalid_token\""));
            }
            let token = registration["registration_access_token"].as_str();
            server.send(json_request(method, "/oauth/register/client-unknown", token, &json!({}))).await.assert_error(401, "invalid_token");
        }
        manage(server, "GET", &registration, &Value::Null).await.assert_status(200);
    }

    /// RFC 7592 §2.2: what a client sends replaces what it had; what it leaves out is gone.
    async fn an_update_replaces_the_registration(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let registration = registered(server).await;
        let mut document = changed(&registration, "redirect_uris", json!(["https://app.example/other"]));
        document.as_object_mut().unwrap().remove("logo_uri");

        let updated = manage(server, "PUT", &registration, &document).await.assert_status(200).json();

        assert_eq!(updated["redirect_uris"], json!(["https://app.example/other"]));
        assert!(updated.get("logo_uri").is_none() && updated["client_name"] == "Self-made");
        assert_eq!(updated["registration_access_token"], registration["registration_access_token"]);
        assert_eq!(manage(server, "GET", &registration, &Value::Null).await.json(), updated);
        let app = App { server, id: document["client_id"].as_str().unwrap().to_owned(), secret: None, redirect_uri: "https://app.example/callback".to_owned() };
        server.browser().authorize(&app, &[]).await.assert_page_error(400);
        assert_eq!(server.audited("client.updated").await, 1);
    }

    /// RFC 7592 §2.2: the identifier must be its own, and the secret is not the client's to choose.
    async fn an_update_is_of_this_client_and_its_secret(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let registration = registered(server).await;
        for (member, value) in [("client_id", json!("another")), ("client_id", Value::Null), ("client_secret", json!("my-own-secret"))] {
            let answer = manage(server, "PUT", &registration, &changed(&registration, member, value)).await;
            assert!(answer.assert_error(400, "invalid_client_metadata").member("error_description").contains(member));
        }
        manage(server, "PUT", &registration, &changed(&registration, "scope", json!("openid"))).await.assert_status(200);
        App { server, id: registration["client_id"].as_str().unwrap().to_owned(), secret: registration["client_secret"].as_str().map(str::to_owned), redirect_uri: "https://app.example/callback".to_owned() }
            .tokens().await.assert_status(200);
    }

    /// RFC 7592 §2.2: what cannot be registered cannot be changed to, and changes nothing.
    async fn an_update_is_held_to_the_same_rules(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let registration = registered(server).await;
        for (member, value, code) in [
            ("redirect_uris", json!(["http://app.example/"]), "invalid_redirect_uri"),
            ("token_endpoint_auth_method", json!("none"), "invalid_client_metadata"),
            ("grant_types", json!(["client_credentials"]), "invalid_client_metadata"),
        ] {
            manage(server, "PUT", &registration, &changed(&registration, member, value)).await.assert_error(400, code);
        }
        assert_eq!(manage(server, "GET", &registration, &Value::Null).await.json()["redirect_uris"], registration["redirect_uris"]);
    }

    /// RFC 7592 §2.2, RFC 7591 §5: what only an operator says stays as the operator said it.
    async fn an_update_neither_takes_nor_gives_what_is_the_operators(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let registration = registered(server).await;
        let set = "UPDATE clients SET metadata = '{\"claims\":[\"roles\"],\"token_endpoint_auth_method\":\"client_secret_basic\"}'";
        server.database.execute(set).await;

        let updated = manage(server, "PUT", &registration, &changed(&registration, "claims", json!(["roles", "groups"]))).await;

        assert_eq!(updated.assert_status(200).json()["claims"], json!(["roles"]));
    }

    /// RFC 7592 §2.2, RFC 7591 §5: the scope that an operator says is the most that the client can have from then on.
    async fn the_scope_that_an_operator_says_holds(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let registration = registered(server).await;
        let id = registration["client_id"].as_str().unwrap();
        run(&server.database, &["client", "update", id, "--scope", "openid reports:read"]).assert_code(0);

        for (asked, given) in [("openid email", "openid"), ("openid reports:read", "openid reports:read"), ("email", "")] {
            let answer = manage(server, "PUT", &registration, &changed(&registration, "scope", json!(asked))).await;
            assert_eq!(answer.json()["scope"].as_str().unwrap_or_default(), given, "{}", answer.body);
        }
        let mut silent = changed(&registration, "client_name", json!("Other"));
        silent.as_object_mut().unwrap().remove("scope");
        assert_eq!(manage(server, "PUT", &registration, &silent).await.assert_status(200).member("scope"), "openid reports:read");
    }

    /// RFC 7592 §2.3: 204, and nothing of the client works any more: neither its name, nor its tokens, nor this one.
    async fn a_client_deletes_itself(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let document = json!({ "redirect_uris": ["https://app.example/callback"], "grant_types": ["authorization_code", "refresh_token"] });
        let answer = server.register_itself(document).await;
        let (app, registration) = (App::of_registration(server, &answer), answer.json());
        let observer = server.register("api", Registration { introspects: vec!["https://auth.example.com"], ..Registration::default() }).await;
        let tokens = app.tokens().await;
        assert!(server.is_active(&observer, &tokens.access_token()).await);
        // From here on the client is in memory.
        let tokens = app.refresh(&tokens.refresh_token()).await;

        let deleted = manage(server, "DELETE", &registration, &Value::Null).await;

        assert_eq!((deleted.assert_status(204).body.as_str(), deleted.header("cache-control")), ("", "no-store"));
        app.refresh(&tokens.refresh_token()).await.assert_error(401, "invalid_client");
        server.browser().authorize(&app, &[]).await.assert_page_error(400);
        manage(server, "GET", &registration, &Value::Null).await.assert_error(401, "invalid_token");
        manage(server, "DELETE", &registration, &Value::Null).await.assert_error(401, "invalid_token");
        assert!(!server.is_active(&observer, &tokens.access_token()).await);
        assert_eq!(server.database.count("grants").await, 0);
        assert_eq!(server.audited("client.deleted").await, 1);
    }

    /// RFC 7592 §2.1: a client that the operator disabled, or declares, is not its own to change.
    async fn what_the_operator_took_over_is_forbidden(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        for column in ["disabled_at = created_at", "declared_in = 'grantor.toml'"] {
            let registration = registered(server).await;
            server.database.execute(&format!("UPDATE clients SET {column}")).await;
            for method in ["GET", "PUT", "DELETE"] {
                manage(server, method, &registration, &changed(&registration, "scope", json!("openid"))).await.assert_error(403, "access_denied");
            }
        }
    }

    /// RFC 7592 §2.1: a client of the operator's has no such token.
    async fn an_operators_client_cannot_be_managed(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        server.client("app").await;
        for token in ["wrong", "secret-of-app"] {
            server.send(json_request("GET", "/oauth/register/app", Some(token), &Value::Null)).await.assert_status(401);
        }
    }

    /// RFC 7592 §2.3: another client's name is nobody's to delete, also with a valid token.
    async fn racing_deletions_are_no_fault(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let registration = registered(server).await;
        let (one, other) = tokio::join!(
            manage(server, "DELETE", &registration, &Value::Null),
            manage(server, "DELETE", &registration, &Value::Null)
        );
        for answer in [one, other] {
            assert!([204, 401].contains(&answer.status.as_u16()), "{}", answer.status);
        }
        assert_eq!(server.audited("client.deleted").await, 1);
    }
}
