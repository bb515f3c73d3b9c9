//! Two processes with one issuer on one Postgres: neither keeps what the other needs.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use serde_json::Value;

use crate::{
    harness::{
        Database,
        over_http::{RemoteApp, RemoteBrowser, create_person, get, until, within_a_second},
        process::{PATIENCE, Process, free_port, run_json},
    },
    on_databases,
};

struct Nodes([Process; 2]);

impl Nodes {
    /// Both start at the same time; the first gives the issuer its name.
    fn start(database: &Database) -> Self {
        let ports = [free_port(), free_port()];
        let issuer = format!("http://127.0.0.1:{}", ports[0]);
        let mut nodes = ports.map(|port| Process::start_on(database, port, &issuer, &[]));
        nodes.iter_mut().for_each(Process::wait_until_ready);
        Self(nodes)
    }

    fn bases(&self) -> [String; 2] {
        [self.0[0].base(), self.0[1].base()]
    }
}

async fn jwks(base: &str) -> Value {
    get(&format!("{base}/oauth/jwks")).await.assert_status(200).json()
}

/// The id of the key that a token is signed with, if that key is in this JWKS and verifies it.
fn verified_kid(token: &str, jwks: &Value) -> Option<String> {
    let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let jwks: JwkSet = serde_json::from_value(jwks.clone()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.validate_aud = false;
    let key = DecodingKey::from_jwk(jwks.find(&kid)?).unwrap();
    jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap();
    Some(kid)
}

on_databases! { [Postgres]
    /// A sign-in at one node goes on at the other at every step.
    async fn what_one_node_began_the_other_continues(database) {
        let nodes = Nodes::start(database);
        let [one, other] = nodes.bases();
        let app = RemoteApp::create(database, "app");
        create_person(database, "alice@example.com");
        let mut browser = RemoteBrowser::signed_in(&one, "alice@example.com").await;

        browser.go(&app.authorization_url(&one)).await.assert_status(200);
        browser.move_to(&other);
        let code = browser.allow().await.code();
        let tokens = app.redeem(&one, &code).await;
        let refreshed = app.refresh(&other, &tokens.refresh_token()).await;
        assert!(app.is_active(&one, &refreshed.access_token()).await);
        assert_eq!(refreshed.claims()["iss"], one);

        app.revoke(&one, &refreshed.refresh_token()).await.assert_status(200);
        assert!(!app.is_active(&other, &refreshed.access_token()).await);
        app.refresh(&other, &refreshed.refresh_token()).await.assert_error(400, "invalid_grant");
    }

    /// OAuth 2.1 §4.3.1: a client that loses an answer to a node's death repeats its token at the other, and goes on.
    async fn a_killed_node_loses_and_revokes_no_token(database) {
        const CHAINS: usize = 6;
        const BEFORE: usize = 60;
        const AFTER: usize = 20;
        let mut nodes = Nodes::start(database);
        let bases = nodes.bases();
        let app = RemoteApp::create(database, "app");
        create_person(database, "alice@example.com");
        let mut browser = RemoteBrowser::signed_in(&bases[0], "alice@example.com").await;

        let acknowledged = Arc::new(AtomicUsize::new(0));
        let mut chains = Vec::new();
        for _ in 0..CHAINS {
            let (app, bases, acknowledged) = (app.clone(), bases.clone(), Arc::clone(&acknowledged));
            let mut token = app.tokens(&mut browser).await.refresh_token();
            chains.push(tokio::spawn(async move {
                let (mut turn, mut lost, mut refreshes_after) = (0, 0, 0);
                while refreshes_after < AFTER {
                    turn += 1;
                    // Each turn at the other node; without an answer the same token again.
                    let Ok(answer) = app.try_refresh(&bases[turn % 2], &token).await else {
                        lost += 1;
                        continue;
                    };
                    token = answer.refresh_token();
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    refreshes_after += usize::from(lost > 0);
                }
                token
            }));
        }
        until("both nodes are busy", async || acknowledged.load(Ordering::Relaxed) >= BEFORE).await;
        nodes.0[1].kill();

        for chain in chains {
            let token = tokio::time::timeout(PATIENCE, chain).await.unwrap().unwrap();
            let last = app.refresh(&bases[0], &token).await;
            assert!(app.is_active(&bases[0], &last.access_token()).await);
        }
        assert_eq!(database.count("grants WHERE revoked_at IS NOT NULL").await, 0);
        assert_eq!(database.count("audit_events WHERE name = 'refresh_token.reused'").await, 0);
    }

    /// RFC 7517 §5: after an emergency every node publishes the new keys alone, and signs with them.
    async fn rotated_keys_are_in_force_at_both_within_a_second(database) {
        let nodes = Nodes::start(database);
        let app = RemoteApp::create(database, "app");
        let before = jwks(&nodes.bases()[0]).await;
        let old = app.client_credentials(&nodes.bases()[1]).await.access_token();
        let old_kid = verified_kid(&old, &before).unwrap();

        run_json(database, &["keys", "rotate", "--now", "--json"]);
        let keys = run_json(database, &["keys", "list", "--json"]);
        for base in nodes.bases() {
            within_a_second("the old keys are withdrawn", async || jwks(&base).await != before).await;
            let now = jwks(&base).await;
            assert_eq!(verified_kid(&old, &now), None);
            let token = app.client_credentials(&base).await.access_token();
            let kid = verified_kid(&token, &now).unwrap();
            assert_ne!(kid, old_kid);
            assert!(keys.as_array().unwrap().iter().any(|key| key["kid"] == kid && key["state"] == "active"), "{keys}");
            assert!(!app.is_active(&base, &old).await);
        }
        assert_eq!(jwks(&nodes.bases()[0]).await, jwks(&nodes.bases()[1]).await);
    }

    /// A client that is disabled on the command line is refused by every node within a second.
    async fn a_disabled_client_is_refused_by_both_within_a_second(database) {
        let nodes = Nodes::start(database);
        let app = RemoteApp::create(database, "app");
        for base in nodes.bases() {
            app.client_credentials(&base).await.assert_status(200);
        }
        run_json(database, &["client", "disable", "app", "--json"]);
        for base in nodes.bases() {
            within_a_second("the client is refused", async || app.client_credentials(&base).await.status == 401).await;
            app.client_credentials(&base).await.assert_error(401, "invalid_client");
        }
    }

    /// People are never remembered: one who is disabled is refused by every node at once.
    async fn a_disabled_person_is_refused_by_both_at_once(database) {
        let nodes = Nodes::start(database);
        let [one, other] = nodes.bases();
        let app = RemoteApp::create(database, "app");
        create_person(database, "alice@example.com");
        let mut browser = RemoteBrowser::signed_in(&one, "alice@example.com").await;
        let tokens = app.tokens(&mut browser).await;
        assert!(app.is_active(&other, &tokens.access_token()).await);

        run_json(database, &["user", "disable", "alice@example.com", "--json"]);
        for base in nodes.bases() {
            assert!(!app.is_active(&base, &tokens.access_token()).await);
            app.refresh(&base, &tokens.refresh_token()).await.assert_error(400, "invalid_grant");
        }
        browser.move_to(&other);
        browser.go(&app.authorization_url(&other)).await;
        assert!(browser.page().body.contains("id=\"sign-in\""), "the session is over");
    }
}
