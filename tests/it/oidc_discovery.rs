//! The OpenID Provider's metadata (OpenID Discovery §3, §4): each member is there, and true.

use serde_json::{Value, json};

use crate::{
    harness::{Answer, App, Registration, TestServer, answer::claims},
    on_every_backend,
};

const PATH: &str = "/.well-known/openid-configuration";

async fn metadata(server: &TestServer) -> Value {
    server.get(PATH).await.assert_status(200).json()
}

/// The values of a member.
async fn announced(server: &TestServer, member: &str) -> Vec<String> {
    serde_json::from_value(metadata(server).await[member].clone()).unwrap_or_else(|error| panic!("{member}: {error}"))
}

/// A client of the operator's whose ID tokens are signed with this algorithm.
async fn app_with<'a>(server: &'a TestServer, id: &str, algorithm: Option<&str>) -> App<'a> {
    let metadata = algorithm.map_or_else(|| json!({}), |algorithm| json!({"id_token_signed_response_alg": algorithm}));
    server.register(id, Registration { first_party: true, metadata, ..Registration::default() }).await
}

/// The ID token of a sign-in with a nonce.
async fn signed_in(app: &App<'_>) -> Answer {
    let code = app.code_with(&[("scope", "openid"), ("nonce", "n-0S6_WzA2Mj")]).await;
    app.redeem(&code).await
}

on_every_backend! {
    /// OpenID Discovery §4, RFC 8414 §5: under both names it is the same document, to the byte.
    async fn it_is_the_document_of_the_authorization_server(server) {
        let (provider, server_metadata) = (server.get(PATH).await, server.get("/.well-known/oauth-authorization-server").await);
        assert_eq!(provider.assert_status(200).header("content-type"), "application/json");
        assert_eq!((&provider.body, provider.header("etag")), (&server_metadata.body, server_metadata.header("etag")));
    }

    /// OpenID Discovery §3: every REQUIRED member.
    async fn the_required_members_are_there(server) {
        let metadata = metadata(server).await;
        for member in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
            assert!(metadata[member].as_str().is_some_and(|url| url.starts_with(ISSUER)), "{member}");
        }
        for member in ["response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"] {
            assert!(metadata[member].as_array().is_some_and(|values| !values.is_empty()), "{member}");
        }
    }

    /// OpenID Discovery §4.3: the issuer is the one of ID tokens.
    async fn the_issuer_is_the_one_of_id_tokens(server) {
        let app = app_with(server, "app", None).await;
        assert_eq!(claims(&signed_in(&app).await.member("id_token"))["iss"], metadata(server).await["issuer"]);
    }

    /// `id_token_signing_alg_values_supported`, with RS256 (§3): each one signs for a client that registered it, by a published key.
    async fn every_signing_algorithm_signs(server) {
        let algorithms = announced(server, "id_token_signing_alg_values_supported").await;
        assert!(algorithms.iter().any(|algorithm| algorithm == "RS256"));
        let jwks = server.get("/oauth/jwks").await.json();
        for algorithm in algorithms {
            let app = app_with(server, &format!("app-{algorithm}"), Some(&algorithm)).await;
            let header = jsonwebtoken::decode_header(signed_in(&app).await.member("id_token")).unwrap();
            assert_eq!(format!("{:?}", header.alg), algorithm);
            let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == *header.kid.as_ref().unwrap());
            assert_eq!(key.unwrap()["alg"], *algorithm);
        }
    }

    /// `claims_supported`: an ID token has each claim that it can have, and none that is not announced.
    async fn every_claim_of_an_id_token_is_announced(server) {
        let announced = announced(server, "claims_supported").await;
        let app = app_with(server, "app", None).await;
        let claims = claims(&signed_in(&app).await.member("id_token"));
        for name in claims.as_object().unwrap().keys() {
            assert!(announced.contains(name), "{name}");
        }
        for name in ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "sid"] {
            assert!(claims.get(name).is_some() && announced.iter().any(|known| known == name), "{name}");
        }
    }

    /// `acr_values_supported`: what tokens say of a sign-in is among them.
    async fn the_acr_of_a_sign_in_is_announced(server) {
        let announced = announced(server, "acr_values_supported").await;
        let app = app_with(server, "app", None).await;
        let tokens = signed_in(&app).await;
        for claims in [claims(&tokens.member("id_token")), tokens.claims()] {
            assert!(announced.contains(&claims["acr"].as_str().unwrap().to_owned()), "{claims}");
        }
    }

    /// `subject_types_supported`: `public` is the same `sub` to every client, `pairwise` is not (OpenID Core §8).
    async fn every_subject_type_is_one(server) {
        assert_eq!(announced(server, "subject_types_supported").await, ["public", "pairwise"]);
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let mut subjects = Vec::new();
        for (id, subject_type) in [("app", "public"), ("other", "public"), ("hidden", "pairwise")] {
            let metadata = json!({"subject_type": subject_type});
            let app = server.register(id, Registration { first_party: true, metadata, ..Registration::default() }).await;
            let code = app.code_at(&mut browser, &[("scope", "openid")]).await;
            subjects.push(claims(&app.redeem(&code).await.member("id_token"))["sub"].clone());
        }
        assert!(subjects[0] == subjects[1] && subjects[1] != subjects[2]);
    }

    /// OpenID Discovery §3: what depends on the configuration is not announced without it.
    async fn what_is_not_configured_is_not_announced(server) {
        let metadata = metadata(server).await;
        assert_eq!(metadata.get("registration_endpoint"), None);
        assert!(!announced(server, "prompt_values_supported").await.contains(&"create".to_owned()));
    }

    /// RFC 8414 §3.2: no member is empty or null.
    async fn no_member_is_empty(server) {
        for (name, value) in metadata(server).await.as_object().unwrap() {
            assert!(!value.is_null() && value.as_array().is_none_or(|values| !values.is_empty()), "{name}");
        }
    }
}
