//! Dynamic client registration of `OpenID` Connect.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, routing::get};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{
    harness::{
        Answer, App, TestServer, eventually,
        process::run,
        registration::{changed, manage},
    },
    on_every_backend,
};

/// A site of a client's on loopback.
struct Site {
    address: String,
    asked: Arc<AtomicUsize>,
    /// Whoever holds the permit holds the answers back.
    gate: Arc<Semaphore>,
}

impl Site {
    /// Answers everything with this.
    async fn answering(status: StatusCode, body: String) -> Self {
        let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(1)));
        let (counted, passed) = (Arc::clone(&asked), Arc::clone(&gate));
        let answer = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let (passed, body) = (Arc::clone(&passed), body.clone());
            async move {
                drop(passed.acquire().await);
                (status, body)
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/sector.json", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(get(answer))).await });
        Self { address, asked, gate }
    }
}

/// Registers a client of two hosts that shares a sector.
async fn pairwise(server: &TestServer, site: &Site) -> Answer {
    let uris = ["https://app.example/callback", "https://app.example.net/callback"];
    server.register_itself(json!({ "redirect_uris": uris, "subject_type": "pairwise", "sector_identifier_uri": site.address })).await
}

/// What lists every redirect URI of such a client.
const BOTH: &str = r#"["https://app.example/callback", "https://app.example.net/callback"]"#;

async fn update(server: &TestServer, registration: &Value, member: &str, value: Value) -> Answer {
    manage(server, "PUT", registration, &changed(registration, member, value)).await
}

/// An update that waits for the file, while an operator runs `grantor client`.
async fn while_it_is_fetched(server: &TestServer, registration: &Value, site: &Site, command: &[&str]) -> Answer {
    let held = site.gate.acquire().await.unwrap();
    let asked = site.asked.load(Ordering::Relaxed);
    let operator = async {
        eventually(async || site.asked.load(Ordering::Relaxed) > asked).await;
        let (verb, rest) = command.split_first().unwrap();
        run(&server.database, &[&["client", verb, registration["client_id"].as_str().unwrap()], rest].concat()).assert_code(0);
        drop(held);
    };
    tokio::join!(update(server, registration, "redirect_uris", json!(["https://app.example/callback"])), operator).0
}

#[track_caller]
fn refused(answer: &Answer) {
    let description = answer.assert_error(400, "invalid_client_metadata").member("error_description");
    assert!(description.contains("'sector_identifier_uri'"), "{description}");
}

on_every_backend! {
    /// OpenID Registration §2: every member comes back as it was registered, in every language.
    async fn every_member_is_registered(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let document = json!({
            "application_type": "web",
            "redirect_uris": ["https://app.example/callback", "https://app.example/callback2"],
            "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token"],
            "contacts": ["ve7jtb@example.org"],
            "client_name": "My Example",
            "client_name#ja-Jpan-JP": "クライアント名",
            "logo_uri": "https://app.example/logo.png",
            "client_uri": "https://app.example/",
            "policy_uri": "https://app.example/policy",
            "tos_uri": "https://app.example/tos",
            "jwks": { "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] },
            "subject_type": "pairwise",
            "id_token_signed_response_alg": "ES256",
            "userinfo_signed_response_alg": "RS256",
            "request_object_signing_alg": "EdDSA",
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": "EdDSA",
            "default_max_age": 3600,
            "require_auth_time": true,
            "default_acr_values": ["1"],
            "initiate_login_uri": "https://app.example/start",
            "request_uris": ["https://app.example/request.jwt#n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg"],
            "post_logout_redirect_uris": ["https://app.example/goodbye"],
            "backchannel_logout_uri": "https://app.example/backchannel",
            "backchannel_logout_session_required": true,
            "frontchannel_logout_uri": "https://app.example/frontchannel",
            "frontchannel_logout_session_required": true,
            "software_id": "4NRB1-0XZABZI9E6-5SM3R",
            "software_version": "2.1",
        });

        let registered = server.register_itself(document.clone()).await.assert_status(201).json();

        for (member, value) in document.as_object().unwrap() {
            assert_eq!(registered[member], *value, "{member}");
        }
    }

    /// OpenID Registration §2: what is registered for ID tokens signs them; RS256 without it.
    async fn id_tokens_are_signed_as_registered(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        for (extra, algorithm) in [(json!({}), "RS256"), (json!({ "id_token_signed_response_alg": "ES256" }), "ES256")] {
            let app = server.self_registered(extra).await;
            let code = app.code_with(&[("scope", "openid")]).await;
            let id_token = app.redeem(&code).await.assert_status(200).member("id_token");
            assert_eq!(format!("{:?}", jsonwebtoken::decode_header(id_token).unwrap().alg), algorithm);
        }
    }

    /// OpenID Registration §2: a web application is not on people's devices, a native one is.
    async fn redirect_uris_fit_the_application_type(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        for (application_type, uri, status) in [
            ("web", "http://localhost:8080/callback", 400),
            ("web", "https://localhost/callback", 400),
            ("native", "http://127.0.0.1/callback", 201),
            ("native", "com.example.app:/callback", 201),
        ] {
            let document = json!({ "application_type": application_type, "redirect_uris": [uri], "token_endpoint_auth_method": "none" });
            let answer = server.register_itself(document).await;
            assert_eq!(answer.status, status, "{application_type} {uri}");
            assert!(status == 201 || answer.member("error") == "invalid_redirect_uri");
        }
    }

    /// RFC 8252 §7.3: a program that knows nothing of `application_type`, such as one that speaks MCP, can use any port.
    async fn a_program_on_a_device_registers_without_saying_so(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let answer = server.register_itself(json!({
            "client_name": "A coding agent", "redirect_uris": ["http://localhost:3118/callback"],
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "token_endpoint_auth_method": "none",
        })).await;
        assert_eq!(answer.assert_status(201).member("application_type"), "native");

        let mut app = App::of_registration(server, &answer);
        "http://localhost:51004/callback".clone_into(&mut app.redirect_uri);
        app.tokens().await.assert_status(200);
    }

    /// OpenID Core §8.1: redirect URIs of several hosts have no sector of their own.
    async fn pairwise_needs_one_host_or_a_file(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let of = |uris: Value| server.register_itself(json!({ "subject_type": "pairwise", "redirect_uris": uris }));
        of(json!(["https://app.example/a", "https://app.example/b"])).await.assert_status(201);
        refused(&of(json!(["https://app.example/a", "https://app.example.net/a"])).await);
    }

    /// OpenID Registration §5: the file lists every redirect URI.
    async fn the_file_of_a_sector_is_read(server, "GRANTOR_REGISTRATION__MODE" = "open", "GRANTOR_ISSUER" = "http://127.0.0.1:8080",
        "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let listed = json!(["https://app.example.net/callback", "https://elsewhere.example/", "https://app.example/callback"]);
        let site = Site::answering(StatusCode::OK, listed.to_string()).await;
        assert_eq!(pairwise(server, &site).await.assert_status(201).member("sector_identifier_uri"), site.address);
        assert_eq!(site.asked.load(Ordering::Relaxed), 1);
    }

    /// OpenID Registration §5, RFC 7592 §2.2: an update has the file read again if that, or what it must list, is another.
    async fn the_file_of_a_sector_is_read_again_when_it_matters(server, "GRANTOR_REGISTRATION__MODE" = "open",
        "GRANTOR_ISSUER" = "http://127.0.0.1:8080", "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let site = Site::answering(StatusCode::OK, BOTH.to_string()).await;
        let registration = pairwise(server, &site).await.json();
        update(server, &registration, "client_name", json!("Other")).await.assert_status(200);
        assert_eq!(site.asked.load(Ordering::Relaxed), 1);
        refused(&update(server, &registration, "redirect_uris", json!(["https://app.example/callback", "https://other.example/"])).await);
        assert_eq!(site.asked.load(Ordering::Relaxed), 2);
    }

    /// RFC 7592 §2.2: what an operator changes while the file is fetched stays as the operator said it.
    async fn a_slow_update_undoes_nothing_of_the_operators(server, "GRANTOR_REGISTRATION__MODE" = "open",
        "GRANTOR_ISSUER" = "http://127.0.0.1:8080", "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let site = Site::answering(StatusCode::OK, BOTH.to_string()).await;
        let registration = pairwise(server, &site).await.json();
        let updated = while_it_is_fetched(server, &registration, &site, &["update", "--metadata", r#"{"claims": ["roles"]}"#]).await;
        let updated = updated.assert_status(200).json();
        assert_eq!((&updated["claims"], &updated["redirect_uris"]), (&json!(["roles"]), &json!(["https://app.example/callback"])));
    }

    /// RFC 7592 §2.1: nor does it change a client that an operator disabled meanwhile.
    async fn a_slow_update_changes_no_disabled_client(server, "GRANTOR_REGISTRATION__MODE" = "open",
        "GRANTOR_ISSUER" = "http://127.0.0.1:8080", "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let site = Site::answering(StatusCode::OK, BOTH.to_string()).await;
        let registration = pairwise(server, &site).await.json();
        while_it_is_fetched(server, &registration, &site, &["disable"]).await.assert_error(403, "access_denied");
        assert_eq!(server.audited("client.updated").await, 0);
    }

    /// OpenID Registration §5: registration fails where it does not, or where there is no such file.
    async fn a_file_without_every_redirect_uri_is_refused(server, "GRANTOR_REGISTRATION__MODE" = "open",
        "GRANTOR_ISSUER" = "http://127.0.0.1:8080", "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let all = json!(["https://app.example/callback", "https://app.example.net/callback"]).to_string();
        for (status, body) in [
            (StatusCode::OK, json!(["https://app.example/callback"]).to_string()),
            (StatusCode::OK, json!(["https://app.example/callback", "https://app.example.net/callback/"]).to_string()),
            (StatusCode::OK, json!({ "redirect_uris": [] }).to_string()),
            (StatusCode::OK, "<html>".to_owned()),
            (StatusCode::NOT_FOUND, all.clone()),
            (StatusCode::FOUND, all),
        ] {
            refused(&pairwise(server, &Site::answering(status, body).await).await);
        }
        assert_eq!(server.database.count("clients").await, 0);
    }

    /// Whoever registers cannot have the server look around in its own network, or learn what is there.
    async fn a_sector_within_the_servers_network_is_not_asked(server, "GRANTOR_REGISTRATION__MODE" = "open",
        "GRANTOR_ISSUER" = "http://127.0.0.1:8080") {
        let there = Site::answering(StatusCode::OK, "[]".to_owned()).await;
        let nothing_there = Site { address: "http://127.0.0.1:1/sector.json".to_owned(), asked: Arc::default(), gate: Arc::new(Semaphore::new(1)) };
        let (one, other) = (pairwise(server, &there).await, pairwise(server, &nothing_there).await);
        refused(&one);
        assert_eq!(one.body, other.body);
        assert_eq!(there.asked.load(Ordering::Relaxed), 0);
    }

    /// OpenID Discovery §3: where the endpoint is, if there is one.
    async fn the_provider_announces_registration(server, "GRANTOR_REGISTRATION__MODE" = "token") {
        let document = server.get("/.well-known/openid-configuration").await.json();
        assert_eq!(document["registration_endpoint"], "https://auth.example.com/oauth/register");
    }
}
