//! The JWKS (RFC 7517 §5): what resource servers verify with, and how its keys change without an outage.

use axum::body::Body;
use http::Request;
use serde_json::Value;

use crate::{
    harness::{Answer, App, Backend, TestServer, eventually, process},
    on_every_backend,
};

async fn get_if_none_match(server: &TestServer, etag: &str) -> Answer {
    server.send(Request::get("/oauth/jwks").header("if-none-match", etag).body(Body::empty()).unwrap()).await
}

/// The published keys that sign with ES256.
async fn kids(server: &TestServer) -> Vec<String> {
    let keys = server.get("/oauth/jwks").await.assert_status(200).json();
    let es256 = keys["keys"].as_array().unwrap().iter().filter(|key| key["alg"] == "ES256");
    es256.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// A new token and the key that signed it.
async fn signed(app: &App<'_>) -> (String, String) {
    let token = app.client_credentials(&[]).await.access_token();
    let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
    (token, kid)
}

on_every_backend! {
    /// RFC 7517 §4: each key says its use, algorithm and name, and nothing private.
    async fn the_keys_are_public_halves(server) {
        let answer = server.get("/oauth/jwks").await;
        assert_eq!(answer.assert_status(200).header("content-type"), "application/json");
        let body = answer.json();
        let keys = body["keys"].as_array().unwrap();
        let mut algorithms: Vec<&str> = keys.iter().map(|key| key["alg"].as_str().unwrap()).collect();
        algorithms.sort_unstable();
        assert_eq!(algorithms, ["ES256", "EdDSA", "RS256"]);
        for key in keys {
            let names: Vec<&String> = key.as_object().unwrap().keys().collect();
            let of_ec: &[&str] = &["alg", "crv", "kid", "kty", "use", "x", "y"];
            let expected = match key["kty"].as_str().unwrap() {
                "EC" => of_ec,
                "OKP" => &["alg", "crv", "kid", "kty", "use", "x"],
                _ => &["alg", "e", "kid", "kty", "n", "use"],
            };
            assert_eq!(names, expected);
            assert_eq!((&key["use"], key["kid"].as_str().unwrap().len()), (&"sig".into(), 43));
        }
    }

    /// The names are thumbprints (RFC 7638): the same key has the same name everywhere.
    async fn a_kid_is_the_thumbprint_of_its_key(server) {
        let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(server.get("/oauth/jwks").await.json()).unwrap();
        for key in keys.keys {
            assert_eq!(key.common.key_id, Some(key.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap()));
        }
    }

    /// RFC 9111: resource servers may keep it as long as the operator says, and ask whether it changed.
    async fn it_is_cached_and_asked_again_by_its_entity_tag(server) {
        let whole = server.get("/oauth/jwks").await;
        assert_eq!(whole.header("cache-control"), "public, max-age=600");
        let etag = whole.header("etag");
        assert!(etag.len() > 10 && etag.starts_with('"') && etag.ends_with('"'));
        for known in [etag, &format!("W/{etag}"), &format!("\"other\", {etag}"), "*"] {
            let answer = get_if_none_match(server, known).await;
            assert_eq!((answer.assert_status(304).body.as_str(), answer.header("etag")), ("", etag));
            assert_eq!(answer.header("cache-control"), "public, max-age=600");
        }
        for unknown in ["\"other\"", etag.trim_matches('"'), ""] {
            assert_eq!(get_if_none_match(server, unknown).await.assert_status(200).body, whole.body);
        }
        assert_eq!(server.get("/oauth/jwks").await.header("etag"), etag);
    }

    /// `keys.jwks_max_age`
    async fn how_long_it_is_kept_is_configured(server, "GRANTOR_KEYS__JWKS_MAX_AGE" = "5m") {
        assert_eq!(server.get("/oauth/jwks").await.header("cache-control"), "public, max-age=300");
    }

    /// It is read only.
    async fn post_is_refused(server) {
        let answer = server.post("/oauth/jwks", &[]).await;
        answer.assert_error(405, "invalid_request");
        assert_eq!(answer.header("allow"), "GET,HEAD");
    }
}

/// `grantor keys rotate`: published first, signing when every cache has it; the old key stays as long as its last token.
async fn a_scheduled_rotation_is_without_an_outage(backend: Backend) {
    let server = TestServer::start_at_the_time_of_the_machine(backend).await;
    let app = server.client("app").await;
    let (before, old) = signed(&app).await;
    assert_eq!(kids(&server).await, std::slice::from_ref(&old));
    let etag = server.get("/oauth/jwks").await.header("etag").to_owned();

    // The process may be a little ahead of a clock that only moves when it is looked at.
    process::run_json(&server.database, &["keys", "rotate", "--json"]);
    server.advance(60);
    eventually(async || kids(&server).await.len() == 2).await;
    get_if_none_match(&server, &etag).await.assert_status(200);
    let new = kids(&server).await.into_iter().find(|kid| *kid != old).unwrap();
    assert_eq!(signed(&app).await.1, old);
    assert!(server.is_active(&app, &before).await);

    // jwks_max_age is ten minutes; a minute is for clocks that differ.
    server.advance(10 * 60);
    let (last_of_old, kid) = signed(&app).await;
    assert_eq!(kid, old);
    server.advance(2 * 60);
    assert_eq!(signed(&app).await.1, new);
    assert!(server.is_active(&app, &last_of_old).await);
    assert_eq!(kids(&server).await.len(), 2);

    server.advance(30 * 60);
    assert_eq!(kids(&server).await, [new]);
    server.end().await;
}

#[tokio::test]
async fn a_scheduled_rotation_is_without_an_outage_on_sqlite() {
    a_scheduled_rotation_is_without_an_outage(Backend::Sqlite).await;
}

#[tokio::test]
async fn a_scheduled_rotation_is_without_an_outage_on_postgres() {
    a_scheduled_rotation_is_without_an_outage(Backend::Postgres).await;
}

on_every_backend! {
    /// `grantor keys rotate --now`: a key leaked. The running server stops taking what it signed within a second.
    async fn an_emergency_rotation_withdraws_the_old_key(server) {
        let app = server.client("app").await;
        let (before, old) = signed(&app).await;
        let told: Value = process::run_json(&server.database, &["keys", "rotate", "--now", "--json"]);
        assert!(told.is_object() || told.is_array(), "{told}");
        eventually(async || !kids(server).await.contains(&old)).await;
        let (after, new) = signed(&app).await;
        assert_eq!(kids(server).await, [new]);
        assert!(server.is_active(&app, &after).await);
        assert!(!server.is_active(&app, &before).await);
    }
}
