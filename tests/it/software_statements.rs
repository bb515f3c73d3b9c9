//! Software statements (RFC 7591 §2.3): what an issuer that the operator believes says of a client.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::{harness::TestServer, on_every_backend};

const PUBLISHER: &str = "https://publisher.example";

/// An issuer of statements.
struct Publisher {
    key: EncodingKey,
    jwks: Value,
}

impl Publisher {
    fn new() -> Self {
        use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
        let pair = Ed25519KeyPair::generate().unwrap();
        let pkcs8 = pair.to_pkcs8().unwrap();
        let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        Self { key: EncodingKey::from_ed_der(pkcs8.as_ref()), jwks: json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x }] }) }
    }

    fn says(&self, claims: &Value) -> String {
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &self.key).unwrap()
    }

    /// A node whose operator believes it.
    async fn believed_by(&self, server: &TestServer, required: bool) -> TestServer {
        let file = server.database.dir.join("publisher.json");
        std::fs::write(&file, self.jwks.to_string()).unwrap();
        let toml = format!(
            "[registration]\nmode = \"open\"\nrequire_software_statement = {required}\n[registration.software_statement_issuers]\n\"{PUBLISHER}\" = {:?}\n",
            file.display().to_string()
        );
        server.node_with(&[("grantor.toml", &toml)]).await
    }
}

fn document(statement: &str) -> Value {
    json!({ "redirect_uris": ["https://app.example/callback"], "client_name": "My own words", "software_statement": statement })
}

on_every_backend! {
    /// RFC 7591 §2.3, §3.2.1: what it claims takes precedence, and it comes back unmodified.
    async fn its_claims_take_precedence(server) {
        let publisher = Publisher::new();
        let node = publisher.believed_by(server, true).await;
        let statement = publisher.says(&json!({ "iss": PUBLISHER, "software_id": "4NRB1", "client_name": "Example", "client_name#de": "Beispiel" }));

        let registered = node.register_itself(document(&statement)).await.assert_status(201).json();

        assert_eq!(registered["client_name"], "Example");
        assert_eq!(registered["client_name#de"], "Beispiel");
        assert_eq!(registered["software_id"], "4NRB1");
        assert_eq!(registered["software_statement"], statement);
        assert!(registered.get("iss").is_none());
        node.close().await;
    }

    /// RFC 7591 §3.2.2: of an issuer that nobody named to us.
    async fn an_issuer_that_is_not_believed_is_unapproved(server) {
        let publisher = Publisher::new();
        let node = publisher.believed_by(server, false).await;
        for claims in [json!({ "iss": "https://other.example" }), json!({ "software_id": "4NRB1" })] {
            node.register_itself(document(&publisher.says(&claims))).await.assert_error(400, "unapproved_software_statement");
        }
        node.close().await;
    }

    /// RFC 7591 §2.3: digitally signed, by the issuer that it names; unsigned and expired ones are none.
    async fn what_its_issuer_did_not_sign_is_invalid(server) {
        let publisher = Publisher::new();
        let node = publisher.believed_by(server, false).await;
        let claims = json!({ "iss": PUBLISHER, "client_name": "Example" });
        let unsigned = format!("{}.{}.", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
        let by_secret = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(b"secret")).unwrap();
        let now = server.clock.now().as_seconds();
        for statement in [
            Publisher::new().says(&claims),
            unsigned,
            by_secret,
            publisher.says(&json!({ "iss": PUBLISHER, "exp": now })),
            publisher.says(&json!({ "iss": PUBLISHER, "exp": "never" })),
            publisher.says(&json!({ "iss": PUBLISHER, "nbf": now + 60 })),
            "not a JWT".to_owned(),
        ] {
            node.register_itself(document(&statement)).await.assert_error(400, "invalid_software_statement");
        }
        assert_eq!(server.database.count("clients").await, 0);
        node.close().await;
    }

    /// RFC 7591 §2.3: what it claims is held to the same rules, and where one is required, it must be there.
    async fn a_statement_can_be_required_and_is_no_way_around_the_rules(server) {
        let publisher = Publisher::new();
        let node = publisher.believed_by(server, true).await;
        let without = json!({ "redirect_uris": ["https://app.example/callback"] });
        let refused = node.register_itself(without).await;
        assert!(refused.assert_error(400, "invalid_client_metadata").member("error_description").contains("software_statement"));
        let greedy = publisher.says(&json!({ "iss": PUBLISHER, "grant_types": ["client_credentials"], "first_party": true }));
        node.register_itself(document(&greedy)).await.assert_error(400, "invalid_client_metadata");
        node.close().await;
    }

    /// RFC 7591 §2.3: where nobody is believed, a statement is not approved, rather than ignored.
    async fn without_issuers_no_statement_is_approved(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let statement = Publisher::new().says(&json!({ "iss": PUBLISHER }));
        server.register_itself(document(&statement)).await.assert_error(400, "unapproved_software_statement");
    }
}
