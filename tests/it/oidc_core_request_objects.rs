//! Request objects (OpenID Core §6, RFC 9101): parameters that the client signed, by value and by reference.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    harness::{App, CHALLENGE, ISSUER, Registration, START, TestServer},
    on_every_backend,
};

/// Within a request object all that a request needs.
fn claims(extra: &Value) -> Value {
    let mut claims = json!({
        "iss": "app", "aud": ISSUER, "client_id": "app", "response_type": "code", "redirect_uri": "https://app.example/callback",
        "scope": "openid", "state": "inner", "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    });
    for (name, value) in extra.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// A key of a client's.
struct Key {
    private: EncodingKey,
    public: Value,
}

impl Key {
    fn generate() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref()[1..].to_vec();
        let coordinate = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let public =
            json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": "k1", "x": coordinate(&point[..32]), "y": coordinate(&point[32..])});
        Self { private: EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref()), public }
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_as(claims, Some("oauth-authz-req+jwt"))
    }

    fn sign_as(&self, claims: &Value, typ: Option<&str>) -> String {
        let header = Header { kid: Some("k1".to_owned()), typ: typ.map(str::to_owned), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &self.private).unwrap()
    }
}

/// The client `app` with this key, and other metadata.
async fn app_with<'a>(server: &'a TestServer, key: &Key, metadata: Value) -> App<'a> {
    let mut metadata = metadata;
    metadata["jwks"] = json!({"keys": [key.public]});
    server.register("app", Registration { first_party: true, metadata, ..Registration::default() }).await
}

/// The least that stands outside of an object (OpenID Core §6.1).
fn around<'a>(object: &'a str, extra: &[(&'a str, &'a str)]) -> String {
    let mut params = vec![("client_id", "app"), ("response_type", "code"), ("scope", "openid"), ("request", object)];
    params.retain(|(name, _)| !extra.iter().any(|(other, _)| other == name));
    params.extend(extra.iter().filter(|(_, value)| !value.is_empty()));
    format!("/oauth/authorize?{}", crate::harness::encode(&params))
}

/// Serves one text to whoever comes, with a status, and says where.
async fn serve(status: &'static str, text: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}/request.jwt")
}

on_every_backend! {
    /// OpenID Core §6.1: what the object says is what was asked for, also the redirect URI.
    async fn what_is_signed_supersedes_what_is_not(server) {
        let key = Key::generate();
        let app = app_with(server, &key, json!({})).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let object = key.sign(&claims(&json!({"nonce": "inner", "max_age": 10_000, "claims": {"id_token": {"acr": null}}})));
        let extra = [("redirect_uri", "https://evil.example/"), ("state", "outer"), ("nonce", "outer"), ("scope", "openid read write")];
        let answer = browser.go(&around(&object, &extra)).await;
        assert_eq!(answer.param("state").as_deref(), Some("inner"));
        assert!(answer.location().starts_with("https://app.example/callback?"));
        let tokens = app.redeem(&answer.code()).await;
        assert_eq!((tokens.member("scope"), crate::harness::answer::claims(&tokens.id_token())["nonce"].clone()), ("openid".into(), "inner".into()));
    }

    /// OpenID Core §6.1: what varies may stand outside of an object that was signed in advance.
    async fn what_the_object_does_not_say_may_be_said_outside(server) {
        let key = Key::generate();
        let app = app_with(server, &key, json!({})).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let object = key.sign(&claims(&json!({"state": null, "client_id": null, "iss": null})));
        let answer = browser.go(&around(&object, &[("state", "outer"), ("nonce", "n")])).await;
        assert_eq!(answer.param("state").as_deref(), Some("outer"));
        app.redeem(&answer.code()).await.id_token();
    }

    /// RFC 9101 §6.3: without `openid` only what is signed counts, and `client_id` is enough outside (§5).
    async fn without_openid_only_what_is_signed_counts(server) {
        let key = Key::generate();
        let app = app_with(server, &key, json!({})).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let object = key.sign(&claims(&json!({"scope": "read", "state": null})));
        let answer = browser.go(&around(&object, &[("scope", ""), ("response_type", ""), ("state", "outer")])).await;
        assert_eq!(answer.param("state"), None);
        assert_eq!(app.redeem(&answer.code()).await.member("scope"), "read");
    }

    /// Whoever must sign in first is answered by what was signed, also when the object has expired meanwhile.
    async fn the_object_is_verified_once(server) {
        let key = Key::generate();
        let _app = app_with(server, &key, json!({})).await;
        let person = server.person("alice").await;
        let mut browser = server.browser();
        let exp = START.as_micros() / 1_000_000 + 60;
        browser.go(&around(&key.sign(&claims(&json!({"exp": exp}))), &[])).await;
        assert!(browser.is_asked_to_sign_in());
        server.advance(600);
        assert_eq!(browser.sign_in(&person).await.param("state").as_deref(), Some("inner"));
        browser.page().code();
    }

    /// OpenID Core §6.3, RFC 9101 §6.2, §10.8: for us, of the client, of today, for this purpose; errors go where the request says.
    async fn an_object_that_is_not_what_it_should_be_is_refused(server) {
        let (key, other) = (Key::generate(), Key::generate());
        let _app = app_with(server, &key, json!({})).await;
        let now = START.as_micros() / 1_000_000;
        let signed = |extra| key.sign(&claims(&extra));
        let valid = signed(json!({}));
        let (signing_input, signature) = valid.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        let forged = format!("{signing_input}.{first}{}", &signature[1..]);
        let objects = [
            other.sign(&claims(&json!({}))),
            signed(json!({"iss": "other"})),
            signed(json!({"aud": "https://elsewhere.example"})),
            signed(json!({"exp": now - 60})),
            signed(json!({"nbf": now + 600})),
            signed(json!({"sub": "app"})),
            signed(json!({"client_id": "other"})),
            signed(json!({"response_type": "token"})),
            signed(json!({"request": "x"})),
            signed(json!({"request_uri": "https://app.example/r"})),
            key.sign_as(&claims(&json!({})), Some("at+jwt")),
            forged,
            "e30.e30.e30.e30.e30".to_owned(),
            "not an object".to_owned(),
        ];
        for object in objects {
            let extra = [("redirect_uri", "https://app.example/callback"), ("state", "outer")];
            let answer = server.get(&around(&object, &extra)).await;
            answer.assert_redirected_error("invalid_request_object");
            assert_eq!(answer.param("state").as_deref(), Some("outer"), "{object}");
        }
        // A type is not needed, and JWT will do.
        for typ in [None, Some("JWT"), Some("application/oauth-authz-req+jwt")] {
            assert!(server.get(&around(&key.sign_as(&claims(&json!({})), typ), &[])).await.location().starts_with("/login"), "{typ:?}");
        }
    }

    /// RFC 9101 §10.2: an object that nobody signed is not supported, in any spelling.
    async fn an_unsigned_object_is_not_supported(server) {
        let key = Key::generate();
        let _app = app_with(server, &key, json!({})).await;
        for alg in ["none", "None", "nOnE"] {
            let encode = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
            let object = format!("{}.{}.", encode(json!({"alg": alg})), encode(claims(&json!({}))));
            let extra = [("redirect_uri", "https://app.example/callback")];
            server.get(&around(&object, &extra)).await.assert_redirected_error("request_not_supported");
        }
    }

    /// OpenID Core §6.3.2: the algorithm that is registered, and no other.
    async fn another_algorithm_than_the_registered_is_refused(server) {
        let key = Key::generate();
        let _app = app_with(server, &key, json!({"request_object_signing_alg": "RS256"})).await;
        let extra = [("redirect_uri", "https://app.example/callback")];
        server.get(&around(&key.sign(&claims(&json!({}))), &extra)).await.assert_redirected_error("invalid_request_object");
    }

    /// OpenID Core §6.1: it must be a request by itself, in which a redirect URI that is not registered is a page.
    async fn outside_stand_the_required_parameters(server) {
        let key = Key::generate();
        let _app = app_with(server, &key, json!({})).await;
        let object = key.sign(&claims(&json!({})));
        let to_us = ("redirect_uri", "https://app.example/callback");
        server.get(&around(&object, &[("response_type", ""), to_us])).await.assert_redirected_error("invalid_request");
        server.get(&around(&object, &[("client_id", "")])).await.assert_page_error(400);
        server.get(&around(&object, &[("request_uri", "https://app.example/r"), to_us])).await.assert_redirected_error("invalid_request");
        server.get(&around(&key.sign(&claims(&json!({"redirect_uri": "https://evil.example/"}))), &[])).await.assert_page_error(400);
        server.get(&around("garbage", &[("redirect_uri", "https://evil.example/")])).await.assert_page_error(400);
    }

    /// OpenID Core §6.2: fetched where the client registered it, and verified like one that comes by value.
    async fn a_registered_uri_is_fetched(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let key = Key::generate();
        let uri = serve("200 OK", key.sign(&claims(&json!({})))).await + "#hash-of-it";
        let app = app_with(server, &key, json!({"request_uris": [uri]})).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let answer = browser.go(&around("", &[("request_uri", &uri)])).await;
        assert_eq!(answer.param("state").as_deref(), Some("inner"));
        app.redeem(&answer.code()).await.id_token();
    }

    /// OpenID Core §6.2: only what is registered, byte for byte and with its fragment; nothing else is ever fetched.
    async fn a_uri_that_is_not_registered_is_refused(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let key = Key::generate();
        let uri = serve("200 OK", key.sign(&claims(&json!({})))).await;
        let registered = format!("{uri}#a");
        let _app = app_with(server, &key, json!({"request_uris": [registered]})).await;
        let longer = format!("{registered}b");
        for other in [uri.as_str(), longer.as_str(), "https://app.example/r#a", "urn:ietf:params:oauth:request_uri:x", "file:///etc/passwd"] {
            let extra = [("request_uri", other), ("redirect_uri", "https://app.example/callback")];
            server.get(&around("", &extra)).await.assert_redirected_error("invalid_request_uri");
        }
    }

    /// OpenID Core §3.1.2.6: what answers with an error or with something else cannot be used.
    async fn a_uri_without_an_object_is_refused(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let key = Key::generate();
        let missing = serve("404 Not Found", String::new()).await;
        let elsewhere = serve("302 Found\r\nLocation: https://app.example/", String::new()).await;
        let garbage = serve("200 OK", "<html>".to_owned()).await;
        let unsigned = serve("200 OK", format!("{}.e30.", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#))).await;
        let nobody = "http://127.0.0.1:1/request.jwt".to_owned();
        let _app = app_with(server, &key, json!({"request_uris": [missing, elsewhere, garbage, unsigned, nobody]})).await;
        for (uri, error) in [
            (missing, "invalid_request_uri"),
            (elsewhere, "invalid_request_uri"),
            (nobody, "invalid_request_uri"),
            (garbage, "invalid_request_object"),
            (unsigned, "request_uri_not_supported"),
        ] {
            let extra = [("request_uri", uri.as_str()), ("redirect_uri", "https://app.example/callback")];
            server.get(&around("", &extra)).await.assert_redirected_error(error);
        }
    }

    /// A private address is not reached, whoever registered it, unless the operator lists its network.
    async fn a_uri_in_our_own_network_is_not_fetched(server) {
        let key = Key::generate();
        let uri = serve("200 OK", key.sign(&claims(&json!({})))).await;
        let _app = app_with(server, &key, json!({"request_uris": [uri]})).await;
        let extra = [("request_uri", uri.as_str()), ("redirect_uri", "https://app.example/callback")];
        server.get(&around("", &extra)).await.assert_redirected_error("invalid_request_uri");
    }

    /// OpenID Discovery §3: what is announced of all this.
    async fn it_is_announced(server) {
        let metadata = server.get("/.well-known/openid-configuration").await.json();
        for member in ["request_parameter_supported", "request_uri_parameter_supported", "require_request_uri_registration"] {
            assert_eq!(metadata[member], true, "{member}");
        }
        let algorithms = metadata["request_object_signing_alg_values_supported"].as_array().unwrap();
        assert!(algorithms.contains(&"RS256".into()) && algorithms.contains(&"ES256".into()) && !algorithms.contains(&"none".into()));
    }
}
