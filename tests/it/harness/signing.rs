//! Clients that sign: their keys, their assertions, and the servers where they publish their keys.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    encoding::{AsDer, Pkcs8V1Der},
    hkdf::{HKDF_SHA256, Salt},
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use axum::{Router, response::IntoResponse, routing::get};
use base64::prelude::{BASE64_STANDARD, Engine};
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};

use super::{Answer, App, ISSUER, Registration, TestServer, app::bytes, database::MASTER_KEY, form_request};

pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client's key, private half and all.
#[derive(Clone)]
pub struct ClientKey {
    pub header: Header,
    key: EncodingKey,
}

impl ClientKey {
    pub fn new(algorithm: Algorithm, kid: &str) -> Self {
        // Whoever signs before a server was started.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let elliptic = |of| EncodingKey::from_ec_der(EcdsaKeyPair::generate(of).unwrap().to_pkcs8v1().unwrap().as_ref());
        let key = match algorithm {
            Algorithm::ES256 => elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::ES384 => elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::EdDSA => EncodingKey::from_ed_der(Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap().as_ref()),
            _ => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                // What PKCS #8 puts around the PKCS #1 that the library wants.
                EncodingKey::from_rsa_der(&AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap().as_ref()[26..])
            }
        };
        Self { header: Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) }, key }
    }

    pub fn es256(kid: &str) -> Self {
        Self::new(Algorithm::ES256, kid)
    }

    /// A secret that keys a MAC.
    pub fn of_secret(algorithm: Algorithm, secret: &str) -> Self {
        Self { header: Header::new(algorithm), key: EncodingKey::from_secret(secret.as_bytes()) }
    }

    /// The same key with another header.
    pub fn with_header(&self, change: impl FnOnce(&mut Header)) -> Self {
        let mut changed = self.clone();
        change(&mut changed.header);
        changed
    }

    /// The public half.
    pub fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.header.alg).unwrap();
        jwk.common.key_id.clone_from(&self.header.kid);
        let mut jwk = serde_json::to_value(jwk).unwrap();
        // Of RSA: any of its algorithms.
        jwk.as_object_mut().unwrap().remove("alg");
        jwk
    }

    /// A JWK Set with this key alone.
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.jwk()] })
    }

    pub fn sign(&self, claims: &Value) -> String {
        jsonwebtoken::encode(&self.header, claims, &self.key).unwrap()
    }
}

/// A client that authenticates by what it signs.
pub struct SigningApp<'a> {
    pub app: App<'a>,
    pub key: ClientKey,
}

impl TestServer {
    /// A client of `private_key_jwt` with a key of ES256 in its registration.
    pub async fn signing_client(&self, id: &str) -> SigningApp<'_> {
        let key = ClientKey::es256("a");
        self.signing_client_with(id, json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks() }), key).await
    }

    pub async fn signing_client_with(&self, id: &str, metadata: Value, key: ClientKey) -> SigningApp<'_> {
        SigningApp { app: self.register(id, Registration { metadata, ..Registration::default() }).await, key }
    }

    /// A client of `client_secret_jwt`, whose secret is also kept sealed.
    pub async fn mac_client(&self, id: &str, metadata: Value) -> SigningApp<'_> {
        let mut members = json!({ "token_endpoint_auth_method": "client_secret_jwt" });
        members.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        let secret = format!("secret-of-{id}-{}", "x".repeat(64));
        let app = self.signing_client_with(id, members, ClientKey::of_secret(Algorithm::HS256, &secret)).await;
        let sealed = bytes(self.database.backend, &sealed(id, &secret));
        self.database.execute(&format!("UPDATE client_secrets SET sealed = {sealed} WHERE client_id = '{id}'")).await;
        app
    }

    /// A client that is registered already.
    pub fn signing_app(&self, id: &str, key: ClientKey) -> SigningApp<'_> {
        SigningApp { app: App { server: self, id: id.to_owned(), secret: None, redirect_uri: String::new() }, key }
    }

    /// The time as a `NumericDate`.
    pub fn seconds(&self) -> i64 {
        self.clock.now().as_seconds()
    }
}

impl SigningApp<'_> {
    /// What an assertion in order says; each has a `jti` of its own.
    pub fn claims(&self) -> Value {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let (id, now) = (self.app.id.as_str(), self.app.server.seconds());
        let jti = format!("jti-{}", MADE.fetch_add(1, Ordering::SeqCst));
        json!({ "iss": id, "sub": id, "aud": ISSUER, "jti": jti, "iat": now, "exp": now + 60 })
    }

    /// The same with other values; `null` leaves one out.
    pub fn claims_with(&self, other: &Value) -> Value {
        let mut claims = self.claims();
        let members = claims.as_object_mut().unwrap();
        members.extend(other.as_object().unwrap().clone());
        members.retain(|_, value| !value.is_null());
        claims
    }

    pub fn assertion(&self) -> String {
        self.key.sign(&self.claims())
    }

    /// Asks for a token in its own name with this assertion.
    pub async fn present(&self, assertion: &str) -> Answer {
        self.app.server.post("/oauth/token", &form(assertion, &[("grant_type", "client_credentials")])).await
    }

    pub async fn present_claims(&self, other: Value) -> Answer {
        self.present(&self.key.sign(&self.claims_with(&other))).await
    }
}

/// A form with an assertion beside what it asks for.
pub fn form<'a>(assertion: &'a str, base: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [base, &[("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)]].concat()
}

/// The request that asks for a token with an assertion.
pub fn token_request(assertion: &str) -> http::Request<axum::body::Body> {
    form_request("/oauth/token", &form(assertion, &[("grant_type", "client_credentials")]))
}

/// As the server seals a client's secret.
fn sealed(client_id: &str, secret: &str) -> Vec<u8> {
    let root = Salt::new(HKDF_SHA256, b"grantor master key").extract(&BASE64_STANDARD.decode(MASTER_KEY).unwrap());
    let mut key = [0; 32];
    root.expand(&[b"grantor client secret"], HKDF_SHA256).and_then(|material| material.fill(&mut key)).unwrap();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
    let mut buffer = secret.as_bytes().to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key([7; 12]), Aad::from(client_id.as_bytes()), &mut buffer).unwrap();
    [[7; 12].as_slice(), &buffer].concat()
}

/// A client's own web server, which publishes its keys on loopback and counts how often it is asked.
pub struct KeyServer {
    address: SocketAddr,
    answer: Arc<Mutex<(StatusCode, String, String)>>,
    asked: Arc<AtomicUsize>,
}

impl KeyServer {
    pub async fn start(jwks: &Value) -> Self {
        let answer = Arc::new(Mutex::new((StatusCode::OK, "max-age=600".to_owned(), jwks.to_string())));
        let asked = Arc::new(AtomicUsize::new(0));
        let (shown, count) = (Arc::clone(&answer), Arc::clone(&asked));
        let respond = move || {
            count.fetch_add(1, Ordering::SeqCst);
            let (status, cache_control, body) = shown.lock().unwrap().clone();
            async move { (status, [("cache-control", cache_control), ("location", "/elsewhere".to_owned())], body).into_response() }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/jwks", get(respond))).await });
        Self { address, answer, asked }
    }

    pub fn jwks_uri(&self) -> String {
        format!("http://{}/jwks", self.address)
    }

    /// The metadata of a client of `private_key_jwt` that publishes its keys here.
    pub fn metadata(&self) -> Value {
        json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": self.jwks_uri() })
    }

    pub fn publish(&self, jwks: &Value) {
        self.answer.lock().unwrap().2 = jwks.to_string();
    }

    pub fn answer_with(&self, status: StatusCode, cache_control: &str, body: &str) {
        *self.answer.lock().unwrap() = (status, cache_control.to_owned(), body.to_owned());
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}
