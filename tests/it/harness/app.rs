//! A client of the server, with verbs.

use axum::body::Body;
use base64::prelude::{BASE64_STANDARD, Engine};
use http::Request;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Answer, Backend, Browser, CHALLENGE, Database, START, TestServer, VERIFIER, encode, form_request};

/// What a client is registered with; change what the test is about.
pub struct Registration {
    pub public: bool,
    pub application_type: &'static str,
    pub redirect_uris: Vec<&'static str>,
    pub grant_types: Vec<&'static str>,
    pub scope: &'static str,
    pub resources: Vec<&'static str>,
    pub introspects: Vec<&'static str>,
    pub first_party: bool,
    pub rotates: bool,
    /// Who registered it: `operator` or `self_registered`.
    pub trust: &'static str,
    /// What it is registered with beyond the core, by the registered names (RFC 7591 §2).
    pub metadata: Value,
}

impl Default for Registration {
    /// A confidential web app.
    fn default() -> Self {
        Self {
            public: false,
            application_type: "web",
            redirect_uris: vec!["https://app.example/callback"],
            grant_types: vec!["authorization_code", "refresh_token", "client_credentials"],
            scope: "openid read write offline_access",
            resources: vec![],
            introspects: vec![],
            first_party: false,
            rotates: true,
            trust: "operator",
            metadata: json!({}),
        }
    }
}

impl Registration {
    /// A browser-based app: public, at an `https` address.
    pub fn spa() -> Self {
        Self { public: true, grant_types: vec!["authorization_code", "refresh_token"], ..Self::default() }
    }

    /// A web app that nobody here knows.
    pub fn by_itself() -> Self {
        Self { trust: "self_registered", ..Self::default() }
    }

    /// A native app: public, on loopback.
    pub fn native() -> Self {
        Self { application_type: "native", redirect_uris: vec!["http://127.0.0.1/callback"], ..Self::spa() }
    }
}

/// A registered client.
pub struct App<'a> {
    pub server: &'a TestServer,
    pub id: String,
    pub secret: Option<String>,
    pub redirect_uri: String,
}

impl TestServer {
    /// A confidential web app.
    pub async fn client(&self, id: &str) -> App<'_> {
        self.register(id, Registration::default()).await
    }

    /// A client with a registration of its own.
    pub async fn register(&self, id: &str, registration: Registration) -> App<'_> {
        let secret = (!registration.public).then(|| format!("secret-of-{id}"));
        insert_client(&self.database, id, secret.as_deref(), &registration).await;
        App { server: self, id: id.to_owned(), secret, redirect_uri: registration.redirect_uris.first().unwrap_or(&"").to_string() }
    }

    /// Whether introspection by the token's own client calls it active.
    pub async fn is_active(&self, app: &App<'_>, token: &str) -> bool {
        app.introspect(token).await.assert_status(200).json()["active"] == true
    }
}

impl App<'_> {
    /// The same client at another node.
    pub fn at<'b>(&self, server: &'b TestServer) -> App<'b> {
        App { server, id: self.id.clone(), secret: self.secret.clone(), redirect_uri: self.redirect_uri.clone() }
    }

    /// The path and query of an authorization request; `extra` replaces and adds, an empty value leaves out.
    pub fn authorization_path(&self, extra: &[(&str, &str)]) -> String {
        let mut params = vec![
            ("response_type", "code"),
            ("client_id", self.id.as_str()),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("state", "af0ifjsldkj"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        params.retain(|(name, _)| !extra.iter().any(|(other, _)| other == name));
        params.extend(extra.iter().filter(|(_, value)| !value.is_empty()));
        format!("/oauth/authorize?{}", encode(&params))
    }

    /// A code for a person who signs in at a new browser and allows everything.
    pub async fn code(&self) -> String {
        self.code_with(&[]).await
    }

    /// The same with parameters of the authorization request.
    pub async fn code_with(&self, extra: &[(&str, &str)]) -> String {
        let mut browser = self.server.browser();
        browser.sign_in_as_someone().await;
        self.code_at(&mut browser, extra).await
    }

    /// A code at a browser where someone is signed in; allows if asked.
    pub async fn code_at(&self, browser: &mut Browser<'_>, extra: &[(&str, &str)]) -> String {
        browser.authorize(self, extra).await;
        browser.allow_if_asked().await.code()
    }

    /// Tokens for someone: sign-in, consent, code, redemption.
    pub async fn tokens(&self) -> Answer {
        let code = self.code().await;
        self.redeem(&code).await
    }

    /// Redeems a code with everything that belongs to it.
    pub async fn redeem(&self, code: &str) -> Answer {
        self.redeem_with(code, &[]).await
    }

    /// The same with other parameters; an empty value leaves one out.
    pub async fn redeem_with(&self, code: &str, extra: &[(&str, &str)]) -> Answer {
        let base =
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", &self.redirect_uri), ("code_verifier", VERIFIER)];
        self.post("/oauth/token", &base, extra).await
    }

    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.refresh_with(refresh_token, &[]).await
    }

    pub async fn refresh_with(&self, refresh_token: &str, extra: &[(&str, &str)]) -> Answer {
        self.post("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)], extra).await
    }

    pub async fn client_credentials(&self, extra: &[(&str, &str)]) -> Answer {
        self.post("/oauth/token", &[("grant_type", "client_credentials")], extra).await
    }

    pub async fn introspect(&self, token: &str) -> Answer {
        self.post("/oauth/introspect", &[("token", token)], &[]).await
    }

    /// What UserInfo says with this token in the header.
    pub async fn userinfo(&self, token: &str) -> Answer {
        let request = Request::get("/oauth/userinfo").header("authorization", format!("Bearer {token}"));
        self.server.send(request.body(Body::empty()).unwrap()).await
    }

    pub async fn revoke(&self, token: &str) -> Answer {
        self.post("/oauth/revoke", &[("token", token)], &[]).await
    }

    /// Posts a form as this client: with Basic, or with its `client_id` if it is public.
    pub async fn post(&self, path: &str, base: &[(&str, &str)], extra: &[(&str, &str)]) -> Answer {
        self.server.send(self.request(path, base, extra)).await
    }

    /// The request that [`App::post`] sends.
    pub fn request(&self, path: &str, base: &[(&str, &str)], extra: &[(&str, &str)]) -> Request<Body> {
        let mut form: Vec<(&str, &str)> = base.iter().copied().filter(|(name, _)| !extra.iter().any(|(other, _)| other == name)).collect();
        form.extend(extra.iter().filter(|(_, value)| !value.is_empty()));
        let Some(secret) = &self.secret else {
            form.push(("client_id", &self.id));
            return form_request(path, &form);
        };
        let mut request = form_request(path, &form);
        request.headers_mut().insert("authorization", basic(&self.id, secret).parse().unwrap());
        request
    }
}

/// The value of an `Authorization` header.
pub fn basic(id: &str, secret: &str) -> String {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret))))
}

async fn insert_client(database: &Database, id: &str, secret: Option<&str>, registration: &Registration) {
    let text = |value: &Value| value.to_string().replace('\'', "''");
    let at = timestamp(database.backend, START.as_micros());
    let client_type = if registration.public { "public" } else { "confidential" };
    let rotation = if registration.rotates { "rotate" } else { "keep" };
    let first_party_at = if registration.first_party { at.clone() } else { "NULL".to_owned() };
    database
        .execute(&format!(
            "INSERT INTO clients (id, name, client_type, application_type, redirect_uris, grant_types, scope, resources, introspects, \
             first_party_at, trust, refresh_rotation, created_at, metadata) VALUES ('{id}', 'The {id}', '{client_type}', '{}', '{}', '{}', '{}', '{}', '{}', \
             {first_party_at}, '{}', '{rotation}', {at}, '{}')",
            registration.application_type,
            text(&json!(registration.redirect_uris)),
            text(&json!(registration.grant_types)),
            registration.scope,
            text(&json!(registration.resources)),
            text(&json!(registration.introspects)),
            registration.trust,
            text(&registration.metadata),
        ))
        .await;
    if let Some(secret) = secret {
        let hash = bytes(database.backend, &Sha256::digest(secret));
        let row_id = super::database::id(database.backend);
        database
            .execute(&format!("INSERT INTO client_secrets (id, client_id, hash, created_at) VALUES ({row_id}, '{id}', {hash}, {at})"))
            .await;
    }
}

/// A time as a literal.
pub fn timestamp(backend: Backend, micros: i64) -> String {
    match backend {
        Backend::Sqlite => micros.to_string(),
        Backend::Postgres => format!("TIMESTAMPTZ 'epoch' + {micros} * INTERVAL '1 microsecond'"),
    }
}

/// Bytes as a literal.
pub fn bytes(backend: Backend, bytes: &[u8]) -> String {
    let hex: String =
        bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect();
    match backend {
        Backend::Sqlite => format!("x'{hex}'"),
        Backend::Postgres => format!("'\\x{hex}'::bytea"),
    }
}
