//! Authorization server metadata (RFC 8414).

use axum::body::Body;
use http::Request;
use serde_json::json;

use crate::on_every_backend;

/// What clients sign assertions with (RFC 7518 §3.1, RFC 8037 §3.1).
const ALGORITHMS: [&str; 12] = ["ES256", "ES384", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "HS256", "HS384", "HS512"];

/// Of sign-ins, then of people (OpenID Core §2, §5.1).
const CLAIMS: [&str; 31] = [
    "sub",
    "iss",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "azp",
    "at_hash",
    "sid",
    "name",
    "family_name",
    "given_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
    "email",
    "email_verified",
    "address",
    "phone_number",
    "phone_number_verified",
];

const PATH: &str = "/.well-known/oauth-authorization-server";

on_every_backend! {
    /// RFC 8414 §2: every member, and none that is empty or untrue by its default.
    async fn the_document_is_exactly_this(server) {
        let answer = server.get(PATH).await;
        assert_eq!(answer.assert_status(200).header("content-type"), "application/json");
        assert_eq!(answer.json(), json!({
            "issuer": "https://auth.example.com",
            "authorization_endpoint": "https://auth.example.com/oauth/authorize",
            "token_endpoint": "https://auth.example.com/oauth/token",
            "jwks_uri": "https://auth.example.com/oauth/jwks",
            "revocation_endpoint": "https://auth.example.com/oauth/revoke",
            "introspection_endpoint": "https://auth.example.com/oauth/introspect",
            "scopes_supported": ["openid", "profile", "email", "address", "phone", "offline_access"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post"],
            "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"],
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"],
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "revocation_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "introspection_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "code_challenge_methods_supported": ["S256"],
            "prompt_values_supported": ["none", "login", "consent", "select_account"],
            "display_values_supported": ["page", "popup", "touch", "wap"],
            "authorization_response_iss_parameter_supported": true,
            "subject_types_supported": ["public", "pairwise"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA"],
            "acr_values_supported": ["1"],
            "claim_types_supported": ["normal"],
            "claims_supported": CLAIMS,
            "userinfo_endpoint": "https://auth.example.com/oauth/userinfo",
            "userinfo_signing_alg_values_supported": ["RS256", "ES256", "EdDSA"],
            "claims_parameter_supported": true,
            "end_session_endpoint": "https://auth.example.com/oauth/logout",
            "backchannel_logout_supported": true,
            "backchannel_logout_session_supported": true,
            "frontchannel_logout_supported": true,
            "frontchannel_logout_session_supported": true,
            "request_parameter_supported": true,
            "request_uri_parameter_supported": true,
            "require_request_uri_registration": true,
            "request_object_signing_alg_values_supported": ALGORITHMS,
        }));
    }

    /// RFC 8414 §3.3: the issuer is the string that tokens and authorization responses carry, to the byte.
    async fn the_issuer_is_the_one_of_tokens_and_responses(server) {
        let issuer = server.get(PATH).await.member("issuer");
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[]).await;
        let response = browser.allow().await;
        assert_eq!(response.param("iss").as_ref(), Some(&issuer));
        let code = response.code();
        assert_eq!(app.redeem(&code).await.claims()["iss"], *issuer);
    }

    /// Everything that is announced is there.
    async fn every_endpoint_that_is_announced_is_there(server) {
        let document = server.get(PATH).await.json();
        let endpoints = document.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_endpoint") || name.ends_with("_uri"));
        let paths: Vec<&str> = endpoints.map(|(_, url)| url.as_str().unwrap().strip_prefix(ISSUER).unwrap()).collect();
        assert!(paths.len() > 5);
        for path in paths {
            assert_ne!(server.get(path).await.status, 404, "{path}");
        }
    }

    /// RFC 9111: it may be kept for a while, and asked for again by its entity tag.
    async fn it_is_cached_and_asked_again_by_its_entity_tag(server) {
        let whole = server.get(PATH).await;
        assert_eq!(whole.header("cache-control"), "public, max-age=600");
        let request = Request::get(PATH).header("if-none-match", whole.header("etag")).body(Body::empty()).unwrap();
        assert_eq!(server.send(request).await.assert_status(304).body, "");
    }

    /// What does not work is not announced, and not there.
    async fn what_is_not_built_is_not_found(server) {
        let other_issuer = "/.well-known/oauth-authorization-server/elsewhere";
        for path in [other_issuer, "/oauth/par", "/oauth/register"] {
            server.get(path).await.assert_status(404);
        }
    }

    /// It is read only.
    async fn post_is_refused(server) {
        let answer = server.post(PATH, &[]).await;
        answer.assert_error(405, "invalid_request");
        assert_eq!(answer.header("allow"), "GET,HEAD");
    }
}
