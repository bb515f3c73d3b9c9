//! Proof Key for Code Exchange (RFC 7636), S256 only (OAuth 2.1 §4.1.1, §7.5.1).

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use sha2::{Digest, Sha256};

use crate::on_every_backend;

on_every_backend! {
    /// RFC 7636, Appendix B: its own example.
    async fn the_verifier_of_the_challenge_is_accepted(server) {
        let app = server.client("app").await;
        let code = app.code_with(&[("code_challenge", CHALLENGE)]).await;

        app.redeem_with(&code, &[("code_verifier", VERIFIER)]).await.assert_status(200);
    }

    /// OAuth 2.1 §4.1.1, RFC 7636 §4.4.1: whoever asks, and whether or not a secret is known.
    async fn every_client_sends_a_challenge(server) {
        let browser_based = server.register("spa", Registration::spa()).await;
        let native = server.register("native", Registration::native()).await;
        let confidential = server.client("app").await;
        let first_party = server.register("ours", Registration { first_party: true, ..Registration::default() }).await;
        for app in [browser_based, native, confidential, first_party] {
            let answer = server.get(&app.authorization_path(&[("code_challenge", ""), ("code_challenge_method", "")])).await;
            answer.assert_redirected_error("invalid_request");
            assert!(answer.param("error_description").unwrap().contains("code_challenge"));
        }
    }

    /// RFC 7636 §4.3: an absent method means `plain`, and only S256 is taken; a nonce is no replacement.
    async fn any_method_but_s256_is_refused(server) {
        let app = server.client("app").await;
        for method in ["plain", "", "s256", "S512", "none", "S256 "] {
            server.get(&app.authorization_path(&[("code_challenge_method", method)])).await.assert_redirected_error("invalid_request");
        }
        let without = app.authorization_path(&[("code_challenge", ""), ("nonce", "n-0S6_WzA2Mj"), ("scope", "openid")]);
        server.get(&without).await.assert_redirected_error("invalid_request");
    }

    /// RFC 7636 §4.2: a SHA-256 in base64url is 43 characters, without padding.
    async fn a_malformed_challenge_is_refused(server) {
        let app = server.client("app").await;
        let long = "a".repeat(128);
        let padded = format!("{CHALLENGE}=");
        for challenge in [&CHALLENGE[..42], &padded, &long, &CHALLENGE.replace('-', "+"), &CHALLENGE.replace('-', " ")] {
            server.get(&app.authorization_path(&[("code_challenge", challenge)])).await.assert_redirected_error("invalid_request");
        }
        let twice = app.authorization_path(&[("code_challenge", CHALLENGE), ("code_challenge", CHALLENGE)]);
        server.get(&twice).await.assert_redirected_error("invalid_request");
    }

    /// RFC 7636 §4.1: 43 to 128 unreserved characters; what has another form is no guess that failed.
    async fn a_malformed_verifier_is_an_invalid_request(server) {
        let app = server.client("app").await;
        let code = app.code().await;
        let (short, long) = ("a".repeat(42), "a".repeat(129));
        let (reserved, foreign) = (format!("{}+", "a".repeat(43)), format!("{}ä", "a".repeat(43)));
        for verifier in [short, long, reserved, foreign, String::new()] {
            app.redeem_with(&code, &[("code_verifier", &verifier)]).await.assert_error(400, "invalid_request");
        }

        app.redeem(&code).await.assert_status(200);
    }

    /// RFC 7636 §4.1: the shortest and the longest, and every kind of character.
    async fn a_verifier_of_any_permitted_length_is_accepted(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for verifier in ["a".repeat(43), "a".repeat(128), "-._~".repeat(11)] {
            let code = app.code_at(&mut browser, &[("code_challenge", &challenge(&verifier))]).await;
            app.redeem_with(&code, &[("code_verifier", &verifier)]).await.assert_status(200);
        }
    }

    /// RFC 7636 §4.6
    async fn another_verifier_is_an_invalid_grant(server) {
        let app = server.register("spa", Registration::spa()).await;
        let code = app.code().await;
        // What a server that compares without hashing would take.
        app.redeem_with(&code, &[("code_verifier", CHALLENGE)]).await.assert_error(400, "invalid_grant");
        app.redeem_with(&code, &[("code_verifier", &VERIFIER.to_lowercase())]).await.assert_error(400, "invalid_grant");

        assert_eq!(server.database.count("grants").await, 0);
    }

    /// OAuth 2.1 §7.5.1: a code that is injected into another flow of the same client does not fit its verifier.
    async fn a_code_of_another_flow_is_refused(server) {
        let app = server.client("app").await;
        let attackers_code = app.code_with(&[("code_challenge", &challenge(&"a".repeat(50)))]).await;

        app.redeem(&attackers_code).await.assert_error(400, "invalid_grant");
    }

    /// RFC 8414 §2
    async fn s256_is_announced_and_nothing_else(server) {
        let metadata = server.get("/.well-known/oauth-authorization-server").await.json();
        assert_eq!(metadata["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    }
}

fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}
