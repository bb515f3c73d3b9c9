//! Token introspection (RFC 7662).

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};

use crate::{
    harness::{App, ISSUER, Registration, START, TestServer},
    on_every_backend,
};

/// RFC 7662 §2.2: of a token that is not active nothing else is told.
async fn assert_inactive(app: &App<'_>, token: &str) {
    let answer = app.introspect(token).await;
    assert_eq!(answer.assert_status(200).json(), json!({ "active": false }));
}

/// An API that may introspect the tokens for it, and an app that obtains them.
async fn api_and_app(server: &TestServer) -> (App<'_>, App<'_>) {
    let api =
        Registration { grant_types: vec![], redirect_uris: vec![], introspects: vec!["https://api.example"], ..Registration::default() };
    let app = Registration { resources: vec!["https://api.example", "https://other.example"], ..Registration::default() };
    (server.register("api", api).await, server.register("app", app).await)
}

/// A token with these differences from a real one, signed with the server's own key.
async fn crafted(server: &TestServer, real: &str, typ: Option<&str>, changes: Value) -> String {
    let (kid, key) = server.stolen_key().await;
    let header = Header { typ: typ.map(str::to_owned), kid: Some(kid), ..Header::new(Algorithm::ES256) };
    let mut claims = crate::harness::answer::claims(real);
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

on_every_backend! {
    /// RFC 7662 §2.2: an active access token is told with everything that it says.
    async fn a_client_sees_its_own_access_token(server) {
        let app = server.client("app").await;
        let tokens = app.tokens().await;
        let answer = app.introspect(&tokens.access_token()).await;

        let mut expected = tokens.claims();
        expected["active"] = true.into();
        expected["token_type"] = "Bearer".into();
        assert_eq!(answer.assert_status(200).json(), expected);
        assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
        assert_eq!(answer.header("content-type"), "application/json");
    }

    /// A refresh token is told to its client: whose it is and when it ends. It is no `Bearer`.
    async fn a_client_sees_its_own_refresh_token(server) {
        let app = server.client("app").await;
        let tokens = app.tokens().await;
        let body = app.introspect(&tokens.refresh_token()).await.assert_status(200).json();
        let now = START.as_seconds();
        assert_eq!(body, json!({
            "active": true, "iss": ISSUER, "sub": tokens.claims()["sub"], "client_id": "app", "scope": "openid read write",
            "iat": now, "exp": now + 30 * 24 * 60 * 60,
        }));
    }

    /// A token that a client obtained for itself.
    async fn a_client_sees_the_token_for_itself(server) {
        let app = server.client("app").await;
        let body = app.introspect(&app.client_credentials(&[]).await.access_token()).await.json();
        assert_eq!((&body["active"], &body["sub"], body.get("gid")), (&true.into(), &"app".into(), None));
    }

    /// `--introspect R`: an API sees the access tokens whose `aud` has R.
    async fn an_api_sees_the_access_tokens_for_it(server) {
        let (api, app) = api_and_app(server).await;
        let both = [("resource", "https://other.example"), ("resource", "https://api.example")];
        for resources in [&both[1..], &both] {
            let code = app.code_with(resources).await;
            let tokens = app.redeem(&code).await;
            let body = api.introspect(&tokens.access_token()).await.assert_status(200).json();
            assert_eq!((&body["active"], &body["client_id"]), (&true.into(), &"app".into()));
        }
    }

    /// RFC 7662 §4: who has nothing to do with a token learns nothing about it; a refresh token is its client's alone.
    async fn the_tokens_of_others_are_inactive(server) {
        let (api, app) = api_and_app(server).await;
        let stranger = server.client("stranger").await;
        let code = app.code_with(&[("resource", "https://other.example")]).await;
        let for_another_api = app.redeem(&code).await;
        let code = app.code_with(&[("resource", "https://api.example")]).await;
        let for_it = app.redeem(&code).await;

        assert_inactive(&api, &for_another_api.access_token()).await;
        assert_inactive(&api, &for_it.refresh_token()).await;
        assert_inactive(&stranger, &for_it.access_token()).await;
        assert_inactive(&stranger, &for_it.refresh_token()).await;
        assert!(server.is_active(&app, &for_another_api.access_token()).await);
    }

    /// RFC 7662 §2.1: the endpoint is for those who can prove who they are.
    async fn a_public_client_is_refused(server) {
        let app = server.register("app", Registration::spa()).await;
        let tokens = app.tokens().await;
        for token in [tokens.access_token(), tokens.refresh_token(), "unknown".to_owned()] {
            let answer = app.introspect(&token).await;
            answer.assert_error(401, "invalid_client");
            assert!(answer.header("www-authenticate").starts_with("Basic "));
        }
    }

    /// RFC 7662 §2.2: an access token is active for its time, to the second.
    async fn an_expired_access_token_is_inactive(server) {
        let app = server.client("app").await;
        let token = app.client_credentials(&[]).await.access_token();
        server.advance(599);
        assert!(server.is_active(&app, &token).await);
        server.advance(1);
        assert_inactive(&app, &token).await;
    }

    /// A refresh token is active while it is the current one and its lifetimes last.
    async fn a_superseded_or_idle_refresh_token_is_inactive(server) {
        let app = server.client("app").await;
        let first = app.tokens().await.refresh_token();
        let second = app.refresh(&first).await.refresh_token();
        assert_inactive(&app, &first).await;
        assert!(server.is_active(&app, &second).await);
        server.advance(30 * 24 * 60 * 60);
        assert_inactive(&app, &second).await;
    }

    /// Asking about a superseded token is no use of it.
    async fn introspection_changes_nothing(server) {
        let app = server.client("app").await;
        let first = app.tokens().await.refresh_token();
        let second = app.refresh(&first).await.refresh_token();
        server.advance(60);
        assert_inactive(&app, &first).await;
        assert_eq!(server.grants().await, ["1"]);
        app.refresh(&second).await.assert_status(200);
    }

    /// What a disabled person allowed, and what a disabled client obtained, is inactive at once.
    async fn tokens_of_the_disabled_are_inactive(server) {
        let (api, app) = api_and_app(server).await;
        let resource = [("resource", "https://api.example")];
        let code = app.code_with(&resource).await;
        let (tokens, own) = (app.redeem(&code).await.access_token(), app.client_credentials(&resource).await.access_token());
        server.disable_everyone().await;
        assert_inactive(&api, &tokens).await;
        assert!(server.is_active(&api, &own).await);
        app.disable().await;
        assert_inactive(&api, &own).await;
    }

    /// What is no token of ours is inactive, and never an error.
    async fn garbage_is_inactive(server) {
        let app = server.client("app").await;
        let token = app.tokens().await.access_token();
        let parts: Vec<&str> = token.split('.').collect();
        let unsigned = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#);
        for garbage in [
            "x", "..", "a.b.c", "grt_", "grt_AAAA", "\u{e9}", "{}",
            &format!("{}.{}.", parts[0], parts[1]),
            &format!("{unsigned}.{}.", parts[1]),
            &format!("{}.{}.{}", unsigned, parts[1], parts[2]),
            &format!("{token}.x"),
            &format!("{token}A"),
        ] {
            assert_inactive(&app, garbage).await;
        }
    }

    /// RFC 8725 §3.11 and §3.12: our signature alone does not make an access token: type, issuer and times count.
    async fn a_jwt_of_ours_that_is_no_access_token_is_inactive(server) {
        let app = server.client("app").await;
        let real = app.tokens().await.access_token();
        let as_is = crafted(server, &real, Some("at+jwt"), json!({})).await;
        assert!(server.is_active(&app, &as_is).await, "the control: what is crafted is signed well");
        let with_prefix = crafted(server, &real, Some("application/AT+JWT"), json!({})).await;
        assert!(server.is_active(&app, &with_prefix).await, "RFC 7515 §4.1.9: the prefix may be there");

        for typ in [None, Some("JWT"), Some("logout+jwt"), Some("at+jwt ")] {
            assert_inactive(&app, &crafted(server, &real, typ, json!({})).await).await;
        }
        for changes in [
            json!({ "iss": "https://elsewhere.example" }),
            json!({ "exp": START.as_seconds() }),
            json!({ "exp": null }),
            json!({ "client_id": "other" }),
            json!({ "jti": "x" }),
            json!({ "gid": "8f14e45f-ceea-467f-a8f2-2b5e7d3f6c11" }),
        ] {
            assert_inactive(&app, &crafted(server, &real, Some("at+jwt"), changes).await).await;
        }
    }

    /// RFC 8725 §3.1: the key says the algorithm, not the token.
    async fn a_token_signed_with_another_algorithm_or_key_is_inactive(server) {
        let app = server.client("app").await;
        let real = app.tokens().await.access_token();
        let (kid, _) = server.stolen_key().await;
        let header = Header { typ: Some("at+jwt".to_owned()), kid: Some(kid), ..Header::new(Algorithm::HS256) };
        let jwk = server.get("/oauth/jwks").await.json()["keys"][0].to_string();
        for secret in ["", "secret", &jwk] {
            let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
            assert_inactive(&app, &jsonwebtoken::encode(&header, &crate::harness::answer::claims(&real), &key).unwrap()).await;
        }
    }

    /// RFC 7662 §2.1: `token` is required; the hint only helps to search.
    async fn a_missing_token_is_an_invalid_request_and_the_hint_is_ignored(server) {
        let app = server.client("app").await;
        let token = app.tokens().await.access_token();
        app.introspect("").await.assert_error(400, "invalid_request");
        for hint in ["access_token", "refresh_token", "unheard_of"] {
            let answer = app.post("/oauth/introspect", &[("token", &token), ("token_type_hint", hint)], &[]).await;
            assert_eq!(answer.json()["active"], true);
        }
    }

    /// RFC 7662 §2.1: by POST only.
    async fn get_is_refused(server) {
        let answer = server.get("/oauth/introspect?token=x").await;
        answer.assert_error(405, "invalid_request");
        assert_eq!(answer.header("allow"), "POST");
    }
}
