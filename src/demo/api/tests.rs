//! The sample API in front of an authorization server that may do anything, which ours would not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http_body_util::BodyExt as _;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::key_set::{GRACE, PAUSE};
use super::{READ, SampleApi, WRITE};
use crate::clock::{Clock, Timestamp};

const RESOURCE: &str = "https://api.example";
const SPA: &str = "http://spa.example";
const MAX_AGE: Duration = Duration::from_mins(5);

/// A key pair of some authorization server.
#[derive(Clone)]
struct Signer {
    kid: String,
    key: EncodingKey,
}

impl Signer {
    fn new(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let pkcs8 = pair.to_pkcs8v1().unwrap();
        Self { kid: kid.to_owned(), key: EncodingKey::from_ec_der(pkcs8.as_ref()) }
    }

    fn jwk(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.key, Algorithm::ES256).unwrap()).unwrap();
        jwk["kid"] = self.kid.clone().into();
        jwk
    }

    fn sign(&self, typ: &str, claims: &Value) -> String {
        let header = Header { typ: Some(typ.to_owned()), kid: Some(self.kid.clone()), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, &self.key).unwrap()
    }
}

/// An authorization server that counts who asks for its keys.
struct Server {
    issuer: String,
    jwks: Mutex<Option<Value>>,
    asked: AtomicUsize,
}

impl Server {
    async fn start(signer: &Signer) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::new(Self { issuer: issuer.clone(), jwks: Mutex::default(), asked: AtomicUsize::new(0) });
        server.publish(&[signer]);
        let endpoint = |path: &str| format!("{issuer}{path}");
        let metadata = json!({ "issuer": issuer, "authorization_endpoint": endpoint("/a"), "token_endpoint": endpoint("/t"),
            "introspection_endpoint": endpoint("/i"), "revocation_endpoint": endpoint("/r"), "jwks_uri": endpoint("/keys") });
        let keys = Arc::clone(&server);
        let router = Router::new()
            .route("/.well-known/oauth-authorization-server", get(|| async { Json(metadata) }))
            .route("/keys", get(|| async move { keys.answer() }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    fn answer(&self) -> Response {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.jwks.lock().unwrap().clone() {
            Some(jwks) => ([(header::CACHE_CONTROL, format!("public, max-age={}", MAX_AGE.as_secs()))], Json(jwks)).into_response(),
            None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    }

    fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
        *self.jwks.lock().unwrap() = Some(json!({ "keys": keys }));
    }

    fn fail(&self) {
        *self.jwks.lock().unwrap() = None;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The API, the server that it trusts, that server's key, and the time.
struct World {
    api: Router,
    server: Arc<Server>,
    signer: Signer,
    clock: Clock,
}

impl World {
    async fn new() -> Self {
        crate::jose::install_provider();
        let signer = Signer::new("one");
        let server = Server::start(&signer).await;
        let clock = Clock::moved_from(Timestamp::from_seconds(1_000_000));
        let api = SampleApi { issuer: server.issuer.clone(), resource: RESOURCE.to_owned(), allowed_origin: SPA.to_owned() };
        Self { api: api.router(clock.clone()).unwrap(), server, signer, clock }
    }

    /// The claims of a token that is good for reading, for ten minutes.
    fn claims(&self) -> Value {
        let exp = self.clock.now().as_seconds() + 600;
        json!({ "iss": self.server.issuer, "sub": "alice", "aud": RESOURCE, "client_id": "app", "scope": READ, "exp": exp })
    }

    /// A token that is good but for this claim.
    fn token_with(&self, claim: &str, value: Value) -> String {
        let mut claims = self.claims();
        claims[claim] = value;
        self.signer.sign("at+jwt", &claims)
    }

    fn token(&self) -> String {
        self.signer.sign("at+jwt", &self.claims())
    }

    async fn send(&self, method: Method, authorization: &[&str], body: &'static str) -> (StatusCode, String, Value) {
        let mut request = Request::builder().method(method).uri("/notes").header("origin", SPA);
        for value in authorization {
            request = request.header("authorization", *value);
        }
        let response = self.api.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let challenge = response.headers().get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap().to_owned());
        let status = response.status();
        assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], SPA, "the SPA reads every answer");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, challenge.unwrap_or_default(), serde_json::from_slice(&body).unwrap())
    }

    async fn read(&self, token: &str) -> (StatusCode, String, Value) {
        self.send(Method::GET, &[&format!("Bearer {token}")], "").await
    }

    async fn status(&self, token: &str) -> StatusCode {
        self.read(token).await.0
    }

    /// The token is refused as `invalid_token`, to programs and to people, with these words.
    async fn assert_invalid(&self, token: &str, why: &str) -> Value {
        let (status, challenge, body) = self.read(token).await;
        assert_eq!((status, &body["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_token")), "{body}");
        assert!(body["error_description"].as_str().unwrap().contains(why), "{why}: {body}");
        assert!(challenge.starts_with(r#"Bearer realm="notes", error="invalid_token""#) && challenge.contains(why), "{challenge}");
        assert!(body["what_to_change"].is_string());
        body
    }
}

#[tokio::test]
async fn a_good_token_reads_and_writes_the_notes_of_its_subject() {
    let world = World::new().await;
    assert_eq!(world.read(&world.token()).await.2, json!({ "owner": "alice", "notes": [] }));
    let token = format!("Bearer {}", world.token_with("scope", json!(format!("openid {READ} {WRITE}"))));
    let (status, _, body) = world.send(Method::POST, &[&token], r#"{"text":" milk "}"#).await;
    assert_eq!((status, &body["notes"]), (StatusCode::CREATED, &json!(["milk"])));
    assert_eq!(world.send(Method::POST, &[&token], r#"{"text":""}"#).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(world.read(&world.token_with("sub", json!("bob"))).await.2["notes"], json!([]), "another's notes are another's");
}

/// OAuth 2.1 §5.3.1, §5.3.2: without a token there is no error code, only what is needed.
#[tokio::test]
async fn a_request_without_a_token_learns_what_is_needed() {
    let world = World::new().await;
    for authorization in [&[][..], &["Basic YTpi"]] {
        let (status, challenge, body) = world.send(Method::GET, authorization, "").await;
        assert_eq!((status, challenge.as_str()), (StatusCode::UNAUTHORIZED, r#"Bearer realm="notes", scope="notes:read""#));
        assert!(body.get("error").is_none() && body["what_to_change"].as_str().unwrap().contains("Bearer"), "{body}");
    }
    for authorization in [&["Bearer "][..], &["Bearer a", "Bearer b"]] {
        let (status, challenge, _) = world.send(Method::GET, authorization, "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(challenge.contains(r#"error="invalid_request""#), "{challenge}");
    }
    assert_eq!(world.server.asked(), 0, "nobody makes the API ask for keys without a JWT");
}

#[tokio::test]
async fn what_is_not_an_access_token_of_the_server_is_refused_with_its_reason() {
    let world = World::new().await;
    let token = world.token();
    let (signed, _) = token.rsplit_once('.').unwrap();
    world.assert_invalid("garbage", "not a signed JWT").await;
    world.assert_invalid(signed, "not a signed JWT").await;
    for typ in ["JWT", "id+jwt", "logout+jwt", ""] {
        let body = world.assert_invalid(&world.signer.sign(typ, &world.claims()), "not at+jwt").await;
        assert_eq!(body["found"], typ);
    }
    world.assert_invalid(&Signer::new("one").sign("at+jwt", &world.claims()), "signature").await;
    world.assert_invalid(&format!("{signed}."), "signature").await;
    let claims = BASE64_URL_SAFE_NO_PAD.encode(world.claims().to_string().replace("alice", "bob"));
    let (header, rest) = token.split_once('.').unwrap();
    world.assert_invalid(&format!("{header}.{claims}.{}", rest.split_once('.').unwrap().1), "signature").await;
    world.assert_invalid(&world.token_with("exp", json!("soon")), "claim").await;
}

/// RFC 8725 §3.1: the algorithm is the key's, whatever the token says.
#[tokio::test]
async fn a_token_that_chooses_its_algorithm_is_refused() {
    let world = World::new().await;
    let public = serde_json::from_value::<Jwk>(world.signer.jwk()).unwrap();
    let secret = EncodingKey::from_secret(serde_json::to_string(&public).unwrap().as_bytes());
    let header = Header { typ: Some("at+jwt".to_owned()), kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) };
    world.assert_invalid(&encode(&header, &world.claims(), &secret).unwrap(), "another algorithm").await;
    let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt","kid":"one"}"#);
    let unsigned = format!("{none}.{}.", BASE64_URL_SAFE_NO_PAD.encode(world.claims().to_string()));
    world.assert_invalid(&unsigned, "not a signed JWT").await;
}

#[tokio::test]
async fn a_token_of_another_issuer_or_for_another_audience_is_refused_and_says_which() {
    let world = World::new().await;
    for other in [format!("{}/", world.server.issuer), "http://other.example".to_owned()] {
        let body = world.assert_invalid(&world.token_with("iss", json!(other)), "issued by another server").await;
        assert_eq!((&body["expected"], &body["found"]), (&json!(world.server.issuer), &json!(other)));
    }
    for other in [json!("https://api.example/"), json!(["https://a.example", "https://b.example"]), json!([])] {
        let body = world.assert_invalid(&world.token_with("aud", other), "not for this API").await;
        assert_eq!(body["expected"], RESOURCE);
    }
    assert_eq!(world.status(&world.token_with("aud", json!(["https://a.example", RESOURCE]))).await, StatusCode::OK);
}

#[tokio::test]
async fn a_token_is_refused_from_the_second_on_at_which_it_expires() {
    let world = World::new().await;
    let token = world.token();
    world.clock.advance(Duration::from_secs(599));
    assert_eq!(world.status(&token).await, StatusCode::OK);
    world.clock.advance(Duration::from_secs(1));
    world.assert_invalid(&token, "expired").await;
    let later = json!(world.clock.now().as_seconds() + 1);
    world.assert_invalid(&world.token_with("nbf", later), "not valid yet").await;
}

/// OAuth 2.1 §5.3.2: with the scope that would be enough. A scope that only begins like it is another.
#[tokio::test]
async fn a_token_without_the_scope_is_good_but_not_enough() {
    let world = World::new().await;
    for scope in ["", "notes:readall notes", "notes:write"] {
        let (status, challenge, body) = world.read(&world.token_with("scope", json!(scope))).await;
        assert_eq!((status, &body["error"], &body["found"]), (StatusCode::FORBIDDEN, &json!("insufficient_scope"), &json!(scope)));
        assert!(challenge.contains(r#"error="insufficient_scope""#) && challenge.ends_with(r#"scope="notes:read""#), "{challenge}");
    }
    let (status, challenge, body) = world.send(Method::POST, &[&format!("Bearer {}", world.token())], "not even JSON").await;
    assert_eq!((status, &body["scope"]), (StatusCode::FORBIDDEN, &json!(WRITE)), "{challenge}");
}

#[tokio::test]
async fn keys_are_kept_for_as_long_as_the_server_says() {
    let world = World::new().await;
    for _ in 0..3 {
        assert_eq!(world.status(&world.token()).await, StatusCode::OK);
    }
    assert_eq!(world.server.asked(), 1);
    world.clock.advance(MAX_AGE);
    let next = Signer::new("two");
    world.server.publish(&[&next]);
    world.assert_invalid(&world.token(), "does not publish").await;
    assert_eq!(world.server.asked(), 2, "a withdrawn key is found out when the keys are stale");
}

/// An unknown key may be a new one; but whoever makes tokens up must not make the API ask without end.
#[tokio::test]
async fn an_unknown_key_makes_the_api_ask_at_a_bounded_rate() {
    let world = World::new().await;
    assert_eq!(world.status(&world.token()).await, StatusCode::OK);
    world.clock.advance(PAUSE);
    let new = Signer::new("two");
    world.server.publish(&[&world.signer, &new]);
    assert_eq!(world.status(&new.sign("at+jwt", &world.claims())).await, StatusCode::OK);
    assert_eq!(world.server.asked(), 2);
    for number in 0..20 {
        let made_up = Signer { kid: format!("made up {number}"), key: new.key.clone() };
        world.assert_invalid(&made_up.sign("at+jwt", &world.claims()), "does not publish").await;
    }
    assert_eq!(world.server.asked(), 2);
}

#[tokio::test]
async fn while_the_server_is_away_known_keys_stay_in_use_for_a_while() {
    let world = World::new().await;
    world.server.fail();
    let (status, challenge, body) = world.read(&world.token()).await;
    assert_eq!((status, challenge.as_str()), (StatusCode::SERVICE_UNAVAILABLE, ""), "{body}");
    world.clock.advance(PAUSE);
    world.server.publish(&[&world.signer]);
    assert_eq!(world.status(&world.token()).await, StatusCode::OK);
    world.server.fail();
    world.clock.advance(MAX_AGE);
    assert_eq!(world.status(&world.token()).await, StatusCode::OK);
    world.clock.advance(GRACE);
    assert_eq!(world.status(&world.token()).await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn pages_of_one_origin_may_call_and_no_other() {
    let world = World::new().await;
    for (origin, allowed) in [(SPA, Some(SPA)), ("http://spa.example:81", None), ("null", None)] {
        let request = Request::builder().method(Method::OPTIONS).uri("/notes").header("origin", origin);
        let request = request.header("access-control-request-method", "POST").body(Body::empty()).unwrap();
        let response = world.api.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        let granted = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.to_str().unwrap());
        assert_eq!(granted, allowed, "{origin}");
        assert_eq!(response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_HEADERS), allowed.is_some());
        assert_eq!(response.headers()[header::VARY], "Origin");
    }
}
