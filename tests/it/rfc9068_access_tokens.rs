//! JWT access tokens (RFC 9068), read as a resource server reads them: by the JWKS, with a library of its own.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::{Value, json};

use crate::{
    harness::{ISSUER, START, TestServer},
    on_every_backend,
};

/// RFC 9068 §4: type, key, signature, issuer and audience. The tokens are of the test's time, so expiry is not asked.
async fn verified(server: &TestServer, token: &str, algorithm: Algorithm, audience: &str) -> jsonwebtoken::errors::Result<Value> {
    let jwks: JwkSet = serde_json::from_value(server.get("/oauth/jwks").await.assert_status(200).json()).unwrap();
    let header = decode_header(token)?;
    assert_eq!((header.typ.as_deref(), header.alg), (Some("at+jwt"), algorithm));
    let jwk = jwks.find(header.kid.as_deref().unwrap()).expect("the key is published");
    let mut validation = Validation::new(algorithm);
    validation.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[audience]);
    validation.validate_exp = false;
    decode(token, &DecodingKey::from_jwk(jwk)?, &validation).map(|token| token.claims)
}

fn names(claims: &Value) -> Vec<&str> {
    claims.as_object().unwrap().keys().map(String::as_str).collect()
}

on_every_backend! {
    /// RFC 9068 §2.2: every claim that it requires, those about the sign-in (§2.2.1), and the grant.
    async fn a_token_for_a_person_has_every_claim(server) {
        let app = server.client("app").await;
        server.advance(100);
        let token = app.tokens().await.access_token();
        let claims = verified(server, &token, Algorithm::ES256, ISSUER).await.unwrap();

        assert_eq!(names(&claims), ["acr", "amr", "aud", "auth_time", "client_id", "exp", "gid", "iat", "iss", "jti", "scope", "sub"]);
        let now = START.as_seconds() + 100;
        assert_eq!((&claims["iat"], &claims["exp"], &claims["auth_time"]), (&now.into(), &(now + 600).into(), &now.into()));
        assert_eq!((&claims["iss"], &claims["aud"], &claims["client_id"]), (&ISSUER.into(), &ISSUER.into(), &"app".into()));
        assert_eq!((&claims["scope"], &claims["acr"], &claims["amr"]), (&"openid read write".into(), &"1".into(), &json!(["pwd"])));
        let id = |name: &str| uuid::Uuid::parse_str(claims[name].as_str().unwrap()).unwrap().get_version_num();
        // A person's id tells no time; the others may.
        assert_eq!((id("sub"), id("jti"), id("gid")), (4, 7, 7));
    }

    /// RFC 9068 §2.2: without a person `sub` is the client, and nothing is said of a sign-in or a grant.
    async fn a_token_for_a_client_is_about_the_client(server) {
        let app = server.client("app").await;
        let token = app.client_credentials(&[]).await.access_token();
        let claims = verified(server, &token, Algorithm::ES256, ISSUER).await.unwrap();
        assert_eq!(names(&claims), ["aud", "client_id", "exp", "iat", "iss", "jti", "scope", "sub"]);
        assert_eq!((&claims["sub"], &claims["client_id"]), (&"app".into(), &"app".into()));
    }

    /// RFC 9068 §2.1: signed with what the operator chose; RS256 is what every library knows.
    async fn rs256_when_configured(server, "GRANTOR_TOKENS__ACCESS_TOKEN_ALG" = "RS256") {
        let app = server.client("app").await;
        let token = app.tokens().await.access_token();
        verified(server, &token, Algorithm::RS256, ISSUER).await.unwrap();
        assert!(server.is_active(&app, &token).await);
    }

    /// RFC 7518 §3.5, RFC 8037 §3.1: selected before the first start, they sign at once; introspection takes their tokens, and
    /// rotation covers them.
    async fn ps256_and_eddsa_when_selected(server) {
        for (name, algorithm, keys, members) in [
            ("PS256", Algorithm::PS256, 4, json!({ "kty": "RSA", "use": "sig", "alg": "PS256", "e": "AQAB" })),
            ("EdDSA", Algorithm::EdDSA, 3, json!({ "kty": "OKP", "use": "sig", "alg": "EdDSA", "crv": "Ed25519" })),
        ] {
            let server = TestServer::first_start(server.database.backend, &[("GRANTOR_TOKENS__ACCESS_TOKEN_ALG", name)]).await;
            let app = server.client("app").await;
            let token = app.tokens().await.access_token();
            verified(&server, &token, algorithm, ISSUER).await.unwrap();
            assert!(server.is_active(&app, &token).await);

            let jwks = server.get("/oauth/jwks").await.json();
            let of_this: Vec<&Value> = jwks["keys"].as_array().unwrap().iter().filter(|key| key["alg"] == name).collect();
            assert_eq!((of_this.len(), jwks["keys"].as_array().unwrap().len()), (1, keys));
            for (member, value) in members.as_object().unwrap() {
                assert_eq!(&of_this[0][member], value);
            }
            assert_eq!(of_this[0]["kid"], decode_header(&token).unwrap().kid.unwrap());

            server.advance(90 * 24 * 60 * 60);
            server.run_jobs().await;
            server.advance(11 * 60);
            let later = app.client_credentials(&[]).await.access_token();
            assert_ne!(of_this[0]["kid"], decode_header(&later).unwrap().kid.unwrap());
            verified(&server, &later, algorithm, ISSUER).await.unwrap();
            assert!(server.is_active(&app, &later).await);
            server.end().await;
        }
    }

    /// The lifetime is the operator's to choose, and `expires_in` says it.
    async fn the_lifetime_is_configured(server, "GRANTOR_TOKENS__ACCESS_TOKEN_TTL" = "2m") {
        let app = server.client("app").await;
        let answer = app.client_credentials(&[]).await;
        let claims = answer.claims();
        assert_eq!(answer.json()["expires_in"], 120);
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 120);
    }

    /// RFC 9068 §3: `aud` is what `resource` named; of several, all; a token for one API is refused at another.
    async fn the_audience_is_what_the_request_named(server) {
        let resources = vec!["https://a.example", "https://b.example"];
        let app = server.register("app", Registration { resources, ..Default::default() }).await;
        let code = app.code_with(&[("resource", "https://b.example")]).await;
        let token = app.redeem(&code).await.access_token();
        verified(server, &token, Algorithm::ES256, "https://b.example").await.unwrap();
        verified(server, &token, Algorithm::ES256, "https://a.example").await.unwrap_err();

        let both = [("resource", "https://a.example"), ("resource", "https://b.example")];
        let code = app.code_with(&both).await;
        assert_eq!(app.redeem(&code).await.claims()["aud"], json!(["https://a.example", "https://b.example", ISSUER]));
    }

    /// RFC 8707 §2.2: at redemption `resource` narrows what was granted, and a refusal spends nothing.
    async fn a_code_can_be_redeemed_for_one_of_its_resources(server) {
        let resources = vec!["https://a.example", "https://b.example"];
        let app = server.register("app", Registration { resources, ..Default::default() }).await;
        let code = app.code_with(&[("resource", "https://a.example")]).await;
        app.redeem_with(&code, &[("resource", "https://b.example")]).await.assert_error(400, "invalid_target");
        let claims = app.redeem_with(&code, &[("resource", "https://a.example")]).await.claims();
        assert_eq!(claims["aud"], "https://a.example");
    }

    /// RFC 9068 §2.2: a token is for its person and its client, and no two are alike.
    async fn each_token_has_an_id_of_its_own(server) {
        let (app, other) = (server.client("app").await, server.client("other").await);
        let claims = [app.tokens().await.claims(), app.tokens().await.claims(), other.client_credentials(&[]).await.claims()];
        assert!(claims[0]["jti"] != claims[1]["jti"] && claims[0]["sub"] != claims[1]["sub"] && claims[0]["gid"] != claims[1]["gid"]);
        assert_eq!(claims[2]["client_id"], "other");
    }
}
