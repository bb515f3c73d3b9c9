//! What ID tokens say (`OpenID` Core §2, §3.1.3.6, §5.5, §12.2).

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};

use crate::{
    harness::{Answer, App, ISSUER, Registration, START, TestServer, answer::claims},
    on_every_backend,
};

fn id_token(answer: &Answer) -> Value {
    claims(&answer.assert_status(200).member("id_token"))
}

fn names(claims: &Value) -> Vec<&str> {
    claims.as_object().unwrap().keys().map(String::as_str).collect()
}

/// An app, and tokens for a person of whom something is known, by a request with these `claims`.
async fn asked<'a>(server: &'a TestServer, registration: Registration, scope: &str, wanted: Value) -> (App<'a>, Answer) {
    let app = server.register("app", registration).await;
    let mut browser = server.browser();
    let person = browser.sign_in_as_someone().await;
    let known =
        json!({ "claims": { "given_name": "Alice", "nickname": "Al", "nickname#de": "Ali", "department": "Wonder" }, "roles": ["admin"] });
    server.set_profile(&person, known).await;
    let code = app.code_at(&mut browser, &[("scope", scope), ("claims", &wanted.to_string())]).await;
    let tokens = app.redeem(&code).await;
    (app, tokens)
}

fn registration() -> Registration {
    Registration { scope: "openid profile email offline_access", ..Default::default() }
}

const USUAL: [&str; 11] = ["acr", "amr", "at_hash", "aud", "auth_time", "azp", "exp", "iat", "iss", "sid", "sub"];

on_every_backend! {
    /// OpenID Core §2, §3.1.3.6: every claim that is required, `nonce` as it was sent, and no claims of the person by themselves.
    async fn an_id_token_says_who_signed_in_when_and_how(server) {
        let app = server.register("app", registration()).await;
        server.advance(100);
        let code = app.code_with(&[("nonce", "n-0S6_WzA2Mj")]).await;
        let tokens = app.redeem(&code).await;
        let claims = id_token(&tokens);

        assert_eq!(names(&claims), ["acr", "amr", "at_hash", "aud", "auth_time", "azp", "exp", "iat", "iss", "nonce", "sid", "sub"]);
        let now = START.as_seconds() + 100;
        assert_eq!((&claims["iss"], &claims["aud"], &claims["azp"]), (&ISSUER.into(), &"app".into(), &"app".into()));
        assert_eq!((&claims["iat"], &claims["exp"], &claims["auth_time"]), (&now.into(), &(now + 600).into(), &now.into()));
        assert_eq!((&claims["nonce"], &claims["acr"], &claims["amr"]), (&"n-0S6_WzA2Mj".into(), &"1".into(), &json!(["pwd"])));
        assert_eq!(claims["sub"], tokens.claims()["sub"]);
    }

    /// OpenID Core §3.1.3.6, §16.11: half of the hash of the ID token's algorithm, which of Ed25519 is SHA-512.
    async fn at_hash_is_of_the_algorithm(server) {
        for algorithm in ["RS256", "ES256", "EdDSA"] {
            let metadata = json!({ "id_token_signed_response_alg": algorithm });
            let tokens = server.register(algorithm, Registration { metadata, ..registration() }).await.tokens().await;
            let header = jsonwebtoken::decode_header(tokens.member("id_token")).unwrap();
            assert_eq!((format!("{:?}", header.alg).as_str(), header.typ.as_deref()), (algorithm, Some("JWT")));
            let token = tokens.access_token();
            let half = if algorithm == "EdDSA" { Sha512::digest(&token)[..32].to_vec() } else { Sha256::digest(&token)[..16].to_vec() };
            assert_eq!(id_token(&tokens)["at_hash"], BASE64_URL_SAFE_NO_PAD.encode(half));
        }
    }

    /// OpenID Core §12.2: after a refresh it is about the same sign-in, as of now, and without the `nonce`.
    async fn a_refreshed_id_token_is_about_the_same_sign_in(server) {
        let app = server.register("app", registration()).await;
        let code = app.code_with(&[("nonce", "n-0S6_WzA2Mj")]).await;
        let tokens = app.redeem(&code).await;
        server.advance(1_000);
        let refreshed = app.refresh(&tokens.refresh_token()).await;
        let (before, after) = (id_token(&tokens), id_token(&refreshed));
        for same in ["iss", "sub", "aud", "azp", "auth_time", "acr", "amr", "sid"] {
            assert_eq!(before[same], after[same], "{same}");
        }
        assert_eq!(names(&after), USUAL);
        assert_eq!(after["iat"].as_i64().unwrap(), before["iat"].as_i64().unwrap() + 1_000);
        assert_ne!(before["at_hash"], after["at_hash"]);
    }

    /// OpenID Core §12.2: no ID token for a token without `openid`.
    async fn without_openid_there_is_none(server) {
        let app = server.register("app", Registration { scope: "openid read offline_access", ..Default::default() }).await;
        let code = app.code_with(&[("scope", "read")]).await;
        assert_eq!(app.redeem(&code).await.json().get("id_token"), None);
        let narrowed = app.refresh_with(&app.tokens().await.refresh_token(), &[("scope", "read")]).await;
        assert_eq!(narrowed.assert_status(200).json().get("id_token"), None);
    }

    /// OpenID Core §5.5, §5.5.1: what the `claims` parameter asks for, voluntary or essential, in one language; after a refresh, too.
    async fn it_says_what_the_claims_parameter_asks_for(server) {
        let wanted = json!({ "id_token": { "given_name": null, "email": { "essential": true }, "nickname#de": null, "auth_time": { "essential": true } } });
        let (app, tokens) = asked(server, registration(), "openid profile email", wanted).await;
        let claims = id_token(&tokens);
        assert_eq!((&claims["given_name"], &claims["nickname#de"]), (&"Alice".into(), &"Ali".into()));
        assert!(claims["email"].is_string() && claims.get("nickname").is_none() && claims["auth_time"].is_i64(), "{claims}");
        let refreshed = id_token(&app.refresh(&tokens.refresh_token()).await);
        assert_eq!((&refreshed["given_name"], &refreshed["email"]), (&"Alice".into(), &claims["email"]));
    }

    /// OpenID Core §5.5.1: a claim of another value than those asked for is left out; one of the values is told.
    async fn a_claim_of_another_value_is_left_out(server) {
        let wanted = json!({ "id_token": { "given_name": { "value": "Bob" }, "nickname": { "values": ["Bo", "Al"] }, "email": { "values": ["x"] } } });
        let (_, tokens) = asked(server, registration(), "openid profile email", wanted).await;
        let claims = id_token(&tokens);
        assert_eq!((claims.get("given_name"), claims["nickname"].as_str(), claims.get("email")), (None, Some("Al"), None));
    }

    /// OpenID Core §5.5: what nobody knows, is no claim, or is not understood, is ignored, and no error.
    async fn what_it_cannot_say_is_no_error(server) {
        let wanted = json!({
            "id_token": { "middle_name": { "essential": true }, "horoscope": null, "picture": { "essential": true, "purpose": "x" } },
            "elsewhere": { "name": null },
        });
        let (_, tokens) = asked(server, registration(), "openid profile", wanted).await;
        assert_eq!(names(&id_token(&tokens)), USUAL);
    }

    /// OpenID Core §5.5.1: with it a client asks for what it may have, and not for more: neither what it is not registered for,
    /// nor roles and attributes that the operator does not give it.
    async fn the_claims_parameter_widens_nothing(server) {
        let everything = json!({ "email": null, "given_name": null, "roles": null, "groups": null, "department": { "essential": true } });
        let wanted = json!({ "id_token": everything, "userinfo": everything });
        let (app, tokens) = asked(server, Registration { scope: "openid offline_access", ..Default::default() }, "openid", wanted).await;
        assert_eq!(names(&id_token(&tokens)), USUAL);
        assert_eq!(names(&app.userinfo(&tokens.access_token()).await.json()), ["sub"]);
        assert!(["roles", "groups", "department", "email"].iter().all(|name| tokens.claims().get(name).is_none()));
    }

    /// What the operator gives the client, it may have in its ID tokens.
    async fn it_says_what_the_client_is_registered_for_when_asked(server) {
        let metadata = json!({ "claims": ["roles", "department"] });
        let wanted = json!({ "id_token": { "roles": null, "department": { "value": "Wonder" } } });
        let (_, tokens) = asked(server, Registration { metadata, ..registration() }, "openid", wanted).await;
        let claims = id_token(&tokens);
        assert_eq!((&claims["roles"], &claims["department"]), (&json!(["admin"]), &"Wonder".into()));
    }

    /// What a grant keeps of a request is bounded, and the refusal says what to do.
    async fn a_claims_parameter_that_is_too_large_is_refused(server) {
        let app = server.register("app", registration()).await;
        let of_length = |length: usize| format!("{{\"x\":\"{}\"}}", "y".repeat(length - 8));
        server.get(&app.authorization_path(&[("claims", &of_length(4097))])).await.assert_redirected_error("invalid_request");
        assert!(server.get(&app.authorization_path(&[("claims", &of_length(4096))])).await.location().starts_with("/login"));
    }

    /// OpenID Core §5.5: what is no JSON object of this form is refused.
    async fn a_malformed_claims_parameter_is_an_invalid_request(server) {
        let app = server.register("app", registration()).await;
        for claims in ["{", "[]", "\"email\"", r#"{"id_token":[]}"#, r#"{"id_token":{"email":7}}"#, r#"{"userinfo":{"email":{"essential":"yes"}}}"#] {
            server.get(&app.authorization_path(&[("claims", claims)])).await.assert_redirected_error("invalid_request");
        }
    }
}
