//! Who may do without PKCE (OAuth 2.1 §7.5.1.1): nobody, unless an operator says so of a confidential client.

use serde_json::json;

use crate::{
    harness::{App, Registration, TestServer},
    on_every_backend,
};

/// No challenge in the request.
const WITHOUT: [(&str, &str); 2] = [("code_challenge", ""), ("code_challenge_method", "")];

fn without<'a>(extra: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    WITHOUT.iter().chain(extra).copied().collect()
}

async fn with_policy<'a>(server: &'a TestServer, policy: &str) -> App<'a> {
    server.register(policy, Registration { metadata: json!({ "pkce": policy }), ..Registration::default() }).await
}

/// What a request that lacks something is told.
async fn description(app: &App<'_>, request: &[(&str, &str)]) -> String {
    app.server.browser().authorize(app, request).await.assert_redirected_error("invalid_request").param("error_description").unwrap()
}

/// A code that was asked for without a challenge, redeemed without a verifier.
async fn redeem_without(app: &App<'_>, extra: &[(&str, &str)]) -> u16 {
    let code = app.code_with(&without(extra)).await;
    app.redeem_with(&code, &[("code_verifier", "")]).await.status.as_u16()
}

on_every_backend! {
    /// OAuth 2.1 §7.5.1.1: `required`, the default. A `nonce` changes nothing, and the error says what to send.
    async fn a_challenge_is_required_unless_an_operator_says_otherwise(server) {
        for app in [server.client("default").await, with_policy(server, "required").await] {
            for request in [without(&[]), without(&[("scope", "openid"), ("nonce", "n-0S6_WzA2Mj")])] {
                let description = description(&app, &request).await;
                assert!(description.contains("code_challenge") && description.contains("S256"), "{description}");
            }
        }
    }

    /// OAuth 2.1 §7.5.1.1: `or_nonce`: a `nonce` of OpenID does instead; a request with neither is refused, and told both.
    async fn a_nonce_does_instead_where_the_policy_says_so(server) {
        let app = with_policy(server, "or_nonce").await;
        assert_eq!(redeem_without(&app, &[("scope", "openid"), ("nonce", "n-0S6_WzA2Mj")]).await, 200);
        for request in [without(&[]), without(&[("scope", "openid")]), without(&[("scope", "read"), ("nonce", "n-0S6_WzA2Mj")])] {
            let description = description(&app, &request).await;
            assert!(description.contains("code_challenge") && description.contains("nonce"), "{description}");
        }
    }

    /// `optional` is for certification: neither is needed.
    async fn neither_is_needed_where_the_policy_is_optional(server) {
        let app = with_policy(server, "optional").await;
        assert_eq!(redeem_without(&app, &[]).await, 200);
        assert_eq!(redeem_without(&app, &[("scope", "openid")]).await, 200);
    }

    /// RFC 7636 §4.4.1: whoever sends a challenge is held to it, and to S256, whatever the policy.
    async fn a_challenge_that_is_sent_counts(server) {
        for policy in ["or_nonce", "optional"] {
            let app = with_policy(server, policy).await;
            let code = app.code_with(&[("scope", "openid"), ("nonce", "n-0S6_WzA2Mj")]).await;
            app.redeem_with(&code, &[("code_verifier", "")]).await.assert_error(400, "invalid_request");
            app.redeem_with(&code, &[("code_verifier", &"a".repeat(43))]).await.assert_error(400, "invalid_grant");
            app.redeem(&code).await.assert_status(200);
            for plain in [[("code_challenge_method", "plain")], [("code_challenge_method", "")]] {
                assert!(description(&app, &plain).await.contains("S256"));
            }
        }
    }

    /// OAuth 2.1 §3.2.4: a verifier for a code that was asked for without a challenge: somebody took the challenge away.
    async fn a_verifier_without_a_challenge_is_refused(server) {
        let app = with_policy(server, "optional").await;
        let code = app.code_with(&without(&[])).await;
        app.redeem(&code).await.assert_error(400, "invalid_grant");
    }

    /// OAuth 2.1 §7.5.1: a public client has nothing else. Not even a row that says otherwise changes that.
    async fn a_public_client_never_does_without(server) {
        for policy in ["or_nonce", "optional"] {
            let registration = Registration { metadata: json!({ "pkce": policy }), ..Registration::spa() };
            let app = server.register(&format!("public-{policy}"), registration).await;
            let request = without(&[("scope", "openid"), ("nonce", "n-0S6_WzA2Mj")]);
            assert!(description(&app, &request).await.contains("code_challenge"));
        }
    }

    /// `[registration] confidential_pkce` is the policy of confidential clients that register themselves, and of no public one.
    async fn the_operator_sets_the_policy_of_those_that_register_themselves(server, "GRANTOR_REGISTRATION__MODE" = "open",
        "GRANTOR_REGISTRATION__CONFIDENTIAL_PKCE" = "optional") {
        let app = server.self_registered(json!({ "pkce": "required" })).await;
        assert_eq!(redeem_without(&app, &[("scope", "openid")]).await, 200);

        let public = server.self_registered(json!({ "token_endpoint_auth_method": "none" })).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        assert!(!browser.authorize(&public, &without(&[])).await.body.contains("id=\"allow\""));
    }

    /// An operator who takes it back takes it back from those that registered before, at once.
    async fn a_stricter_policy_holds_for_those_that_registered_before(server, "GRANTOR_REGISTRATION__MODE" = "open",
        "GRANTOR_REGISTRATION__CONFIDENTIAL_PKCE" = "optional") {
        let app = server.self_registered(json!({})).await;
        let stricter = server.node_with(&[("GRANTOR_REGISTRATION__MODE", "open")]).await;
        let mut browser = stricter.browser();
        browser.sign_in_as_someone().await;
        let asked = browser.authorize(&app.at(&stricter), &without(&[])).await;
        assert!(!asked.body.contains("id=\"allow\""), "{}", asked.body);
        assert!(browser.authorize(&app.at(&stricter), &[]).await.body.contains("id=\"allow\""));
        stricter.close().await;
    }
}
