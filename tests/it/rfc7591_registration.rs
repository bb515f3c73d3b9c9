//! Dynamic client registration (RFC 7591).

use std::net::SocketAddr;

use axum::body::Body;
use futures_util::future::join_all;
use grantor::routes::Peer;
use http::Request;
use serde_json::{Value, json};

use crate::{
    harness::{
        Answer, App, TestServer, process,
        registration::{json_request, manage},
    },
    on_databases, on_every_backend,
};

fn document() -> Value {
    json!({ "redirect_uris": ["https://app.example/callback"], "client_name": "Self-made" })
}

/// A registration from an address.
async fn register_from(server: &TestServer, address: &str) -> Answer {
    let mut request = json_request("POST", "/oauth/register", None, &document());
    request.extensions_mut().insert(Peer(SocketAddr::new(address.parse().unwrap(), 50_000)));
    server.send(request).await
}

on_every_backend! {
    /// RFC 7591 §3.2.1: 201 with the identifier, the secret and everything that is registered, defaults included.
    async fn the_answer_says_what_was_registered(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let answer = server.register_itself(document()).await;

        let registered = answer.assert_status(201).json();
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("content-type"), "application/json");
        for (member, value) in [
            ("redirect_uris", json!(["https://app.example/callback"])),
            ("client_name", json!("Self-made")),
            ("grant_types", json!(["authorization_code"])),
            ("response_types", json!(["code"])),
            ("token_endpoint_auth_method", json!("client_secret_basic")),
            ("scope", json!("openid profile email address phone offline_access")),
            ("client_id_issued_at", json!(server.clock.now().as_seconds())),
            ("client_secret_expires_at", json!(0)),
        ] {
            assert_eq!(registered[member], value, "{member}");
        }
        assert_eq!(registered["client_secret"].as_str().unwrap().len(), 43);
        assert_eq!(server.audited("client.created").await, 1);
    }

    /// RFC 7591 §3.2.1: what was registered works at once.
    async fn a_registered_client_signs_people_in(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let app = server.self_registered(json!({ "grant_types": ["authorization_code", "refresh_token"] })).await;

        let tokens = app.tokens().await;

        assert!(app.refresh(&tokens.refresh_token()).await.assert_status(200).json()["access_token"].is_string());
        let trust = server.database.strings("SELECT trust || CASE WHEN first_party_at IS NULL THEN '' ELSE ' first' END FROM clients").await;
        assert_eq!(trust, ["self_registered"]);
    }

    /// RFC 7591 §2: a public client has no secret.
    async fn a_public_client_gets_no_secret(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let mut public = document();
        public["token_endpoint_auth_method"] = json!("none");

        let answer = server.register_itself(public).await;

        assert!(answer.assert_status(201).json().get("client_secret").is_none());
        assert!(answer.json().get("client_secret_expires_at").is_none());
        App::of_registration(server, &answer).tokens().await.assert_status(200);
    }

    /// RFC 7591 §2: what is not understood is ignored, and so is what only an operator may say.
    async fn unknown_members_are_ignored(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let mut document = document();
        document["example_extension_parameter"] = json!({ "a": ["b"] });
        document["first_party"] = json!(true);
        document["claims"] = json!(["roles"]);

        let registered = server.register_itself(document).await.assert_status(201).json();

        assert!(["example_extension_parameter", "first_party", "claims"].iter().all(|member| registered.get(member).is_none()));
    }

    /// RFC 7591 §3.2.2: a registered code, and a description that names the member.
    async fn what_cannot_be_registered_is_named(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        for (member, value, code) in [
            ("redirect_uris", json!(["http://app.example/"]), "invalid_redirect_uri"),
            ("redirect_uris", json!(["https://app.example/#x"]), "invalid_redirect_uri"),
            ("redirect_uris", Value::Null, "invalid_redirect_uri"),
            ("grant_types", json!(["password"]), "invalid_client_metadata"),
            ("response_types", json!(["token"]), "invalid_client_metadata"),
            ("logo_uri", json!("javascript:xyzzy"), "invalid_client_metadata"),
        ] {
            let mut document = document();
            document[member] = value;
            let answer = server.register_itself(document).await;
            let description = answer.assert_error(400, code).member("error_description");
            assert!(description.contains(member) && !description.contains("xyzzy"), "{description}");
        }
        assert_eq!(server.database.count("clients").await, 0);
    }

    /// RFC 7591 §3.1: a JSON object, of bounded size.
    async fn the_request_is_a_json_object(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let form = Request::post("/oauth/register").header("content-type", "application/x-www-form-urlencoded");
        server.send(form.body(Body::from("redirect_uris=x")).unwrap()).await.assert_error(415, "invalid_request");
        for body in ["", "[]", "{", "\"a\"", "{\"redirect_uris\":"] {
            let request = Request::post("/oauth/register").header("content-type", "application/json; charset=UTF-8");
            server.send(request.body(Body::from(body)).unwrap()).await.assert_error(400, "invalid_request");
        }
        let mut large = document();
        large["client_uri"] = json!(format!("https://app.example/{}", "a".repeat(40_000)));
        server.register_itself(large).await.assert_error(413, "invalid_request");
        assert_eq!(server.get("/oauth/register").await.assert_error(405, "invalid_request").header("allow"), "POST");
    }

    /// RFC 7591 §3: where registration is off, nothing is there, and nothing is announced.
    async fn registration_is_off_unless_the_operator_says_otherwise(server) {
        server.register_itself(document()).await.assert_status(404);
        assert!(server.get("/.well-known/oauth-authorization-server").await.json().get("registration_endpoint").is_none());
    }

    /// RFC 8414 §2.
    async fn the_endpoint_is_announced(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let metadata = server.get("/.well-known/oauth-authorization-server").await.json();
        assert_eq!(metadata["registration_endpoint"], "https://auth.example.com/oauth/register");
    }

    /// RFC 7591 §3: in the mode `token`, whoever has none is told what is wanted (RFC 6750 §3), before anything is looked at.
    async fn a_token_is_needed_where_the_operator_wants_one(server, "GRANTOR_REGISTRATION__MODE" = "token") {
        let without = server.register_itself(json!({ "redirect_uris": [] })).await;
        assert_eq!((without.assert_status(401).header("www-authenticate"), without.header("cache-control")), ("Bearer", "no-store"));

        let wrong = server.register_with("wrong", document()).await;
        assert!(wrong.assert_error(401, "invalid_token").header("www-authenticate").starts_with("Bearer error=\"invalid_token\""));
    }

    /// RFC 7591 §1.3: other apps' pages can register, too.
    async fn any_origin_can_register(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let answer = server.register_itself(document()).await;
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(server.register_itself(json!({})).await.assert_status(400).header("access-control-allow-origin"), "*");
    }

    /// RFC 8259 §7: a NUL may be written in JSON, and no database keeps one.
    async fn nul_is_refused_wherever_it_is_written(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        for (member, value) in [("jwks", json!({ "keys": [{ "kty": "RSA", "kid": "\0" }] })), ("contacts", json!(["\0"])), ("\0", json!(1))] {
            let mut with_nul = document();
            with_nul[member] = value;
            server.register_itself(with_nul).await.assert_error(400, "invalid_request");
        }
    }

    /// RFC 7517 §4: of a key, what a public key says is kept.
    async fn of_a_key_nothing_is_kept_that_it_does_not_need(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "1", "use": "sig" });
        let (mut with_more, mut more) = (document(), key.clone());
        more["x5c"] = json!(["MIIB"]);
        with_more["jwks"] = json!({ "keys": [more], "note": { "any": "thing" } });
        assert_eq!(server.register_itself(with_more).await.assert_status(201).json()["jwks"], json!({ "keys": [key] }));
    }

    /// RFC 7591 §3: from one address so many at once, then at a bounded rate. Of IPv6 a /64 is one address.
    async fn registration_from_one_address_is_slowed_down(server, "GRANTOR_REGISTRATION__MODE" = "open",
        "GRANTOR_REGISTRATION__ADDRESS_CLIENTS" = "2", "GRANTOR_REGISTRATION__ADDRESS_DELAY" = "1m") {
        register_from(server, "203.0.113.7").await.assert_status(201);
        register_from(server, "203.0.113.7").await.assert_status(201);
        let third = register_from(server, "203.0.113.7").await;
        third.assert_error(429, "temporarily_unavailable");
        let wait = third.header("retry-after").parse::<u64>().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");

        register_from(server, "198.51.100.9").await.assert_status(201);
        for address in ["2001:db8::1", "2001:db8::2"] {
            register_from(server, address).await.assert_status(201);
        }
        register_from(server, "2001:db8::3").await.assert_status(429);

        server.advance(wait);
        register_from(server, "203.0.113.7").await.assert_status(201);
        register_from(server, "203.0.113.7").await.assert_status(429);
    }

    /// What is refused counts, too: whoever has others fetch files, or tries what is taken, gets no further.
    async fn refused_registrations_count(server, "GRANTOR_REGISTRATION__MODE" = "open", "GRANTOR_REGISTRATION__ADDRESS_CLIENTS" = "1") {
        server.register_itself(json!({})).await.assert_status(400);
        server.register_itself(json!({})).await.assert_status(429);
    }

    /// What registers itself and never comes back is forgotten; the first token keeps it.
    async fn a_client_that_obtains_no_token_is_deleted(server, "GRANTOR_REGISTRATION__MODE" = "open",
        "GRANTOR_REGISTRATION__UNUSED_TTL" = "1h") {
        let unused = server.self_registered(json!({})).await;
        let used = server.self_registered(json!({ "grant_types": ["authorization_code", "refresh_token"] })).await;
        let operators = server.client("operators").await;
        let refresh_token = used.tokens().await.refresh_token();
        server.advance(3_500);
        server.run_jobs().await;
        assert_eq!(server.database.count("clients").await, 3);

        server.advance(200);
        server.run_jobs().await;

        assert_eq!(server.database.count("clients").await, 2);
        assert_eq!(server.audited("client.deleted").await, 1);
        eventually(async || unused.client_credentials(&[]).await.status == 401).await;
        used.refresh(&refresh_token).await.assert_status(200);
        operators.client_credentials(&[]).await.assert_status(200);
    }

    /// The table has an end, also for those who come from many addresses.
    async fn so_many_clients_wait_for_a_token_and_no_more(server, "GRANTOR_REGISTRATION__MODE" = "open",
        "GRANTOR_REGISTRATION__UNUSED_CLIENTS" = "2") {
        let first = server.self_registered(json!({})).await;
        server.self_registered(json!({})).await;
        let refused = server.register_itself(document()).await;
        assert!(!refused.assert_error(503, "temporarily_unavailable").header("retry-after").is_empty());

        first.tokens().await.assert_status(200);
        server.register_itself(document()).await.assert_status(201);
    }

    /// One network has a tenth of it, however many addresses it has: of IPv6 a /48, of IPv4 a /24.
    async fn no_network_fills_the_table_alone(server, "GRANTOR_REGISTRATION__MODE" = "open",
        "GRANTOR_REGISTRATION__UNUSED_CLIENTS" = "20") {
        for [one, two, three, other] in
            [["2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:ffff::1", "2001:db8:1::1"], ["192.0.2.1", "192.0.2.2", "::ffff:192.0.2.3", "192.0.3.1"]]
        {
            let first = App::of_registration(server, &register_from(server, one).await);
            register_from(server, two).await.assert_status(201);
            register_from(server, three).await.assert_error(503, "temporarily_unavailable");
            register_from(server, other).await.assert_status(201);
            first.tokens().await.assert_status(200);
            register_from(server, three).await.assert_status(201);
        }
    }

    /// RFC 7591 §5: of what a client asks for, it gets what the operator lets such clients have.
    async fn the_scope_is_the_operators(server, "GRANTOR_REGISTRATION__MODE" = "open", "GRANTOR_REGISTRATION__SCOPE" = "openid read") {
        let mut greedy = document();
        greedy["scope"] = json!("read admin");
        assert_eq!(server.register_itself(greedy).await.member("scope"), "read");
        assert_eq!(server.register_itself(document()).await.member("scope"), "openid read");
    }

    /// Only hashes are kept.
    async fn no_token_or_secret_is_kept(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let registered = server.register_itself(document()).await.json();
        let column = match server.database.backend {
            Backend::Sqlite => "hex(registration_token_hash)",
            Backend::Postgres => "encode(registration_token_hash, 'hex')",
        };
        let kept = server.database.strings(&format!("SELECT {column} FROM clients")).await.remove(0).to_lowercase();
        let token = registered["registration_access_token"].as_str().unwrap();
        assert_eq!(kept, crate::audit::hex(&<sha2::Sha256 as sha2::Digest>::digest(token)));
        manage(server, "GET", &registered, &Value::Null).await.assert_status(200);
    }
}

on_databases! { [Sqlite, Postgres]
    /// RFC 7591 §3, Appendix A.1.2: tokens that an operator hands out, each for so many clients.
    async fn an_operators_token_lets_so_many_register(database) {
        let made = process::run_json(database, &["registration-token", "create", "--uses", "2", "--json"]);
        let token = made["registration_token"].as_str().unwrap();
        let server = TestServer::beside(database, &[("GRANTOR_REGISTRATION__MODE", "token")]).await;

        server.register_with(token, json!({})).await.assert_error(400, "invalid_redirect_uri");
        // All at once: of racing registrations as many win as the token has uses.
        let answers = join_all((0..12).map(|_| server.register_with(token, document()))).await;

        let registered = answers.iter().filter(|answer| answer.status == 201).count();
        let refused = answers.iter().filter(|answer| answer.status == 401).count();
        assert_eq!((registered, refused), (2, 10));
        assert_eq!(process::run_json(database, &["registration-token", "list", "--json"])[0]["uses_left"], 0);
        server.close().await;
    }

    /// The same: until they expire, or are revoked.
    async fn a_token_ends(database) {
        let made = process::run_json(database, &["registration-token", "create", "--ttl", "1h", "--json"]);
        let id = made["id"].as_str().unwrap();
        let server = TestServer::beside(database, &[("GRANTOR_REGISTRATION__MODE", "token")]).await;
        process::run(database, &["registration-token", "revoke", id]).assert_code(0);
        server.register_with(made["registration_token"].as_str().unwrap(), document()).await.assert_error(401, "invalid_token");
        process::run(database, &["registration-token", "revoke", id]).assert_refused(1, "there is no registration token");

        let made = process::run_json(database, &["registration-token", "create", "--ttl", "1h", "--json"]);
        server.advance(7_200);
        server.register_with(made["registration_token"].as_str().unwrap(), document()).await.assert_error(401, "invalid_token");
        assert_eq!(server.audit().await, ["registration_token.created", "registration_token.revoked", "registration_token.created"]);
        server.close().await;
    }
}
