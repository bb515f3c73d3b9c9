//! What the metadata announces works, and nothing works that it does not announce (RFC 8414 §2): each registered value is tried.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::{
    harness::{
        Answer, App, CHALLENGE, ISSUER, Registration, TestServer, VERIFIER,
        app::basic,
        browser::PASSWORD,
        form_request,
        signing::{self, ClientKey, SigningApp},
    },
    on_every_backend,
};

async fn metadata(server: &TestServer) -> Value {
    server.get("/.well-known/oauth-authorization-server").await.json()
}

/// The values of a member.
async fn announced(server: &TestServer, member: &str) -> Vec<String> {
    let metadata = metadata(server).await;
    let values = metadata[member].as_array().unwrap_or_else(|| panic!("no {member}: {metadata}"));
    values.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

/// Tries every registered value: those that are announced must work, and no other.
async fn assert_exactly_announced(server: &TestServer, member: &str, registered: &[&str], mut works: impl AsyncFnMut(&str) -> bool) {
    let announced = announced(server, member).await;
    for value in &announced {
        assert!(registered.contains(&value.as_str()), "{member}: this test does not know {value}");
    }
    for value in registered {
        assert_eq!(works(value).await, announced.iter().any(|known| known == value), "{member}: {value}");
    }
}

/// A client that may do everything there is.
async fn app(server: &TestServer) -> App<'_> {
    server.register("app", Registration { first_party: true, ..Registration::default() }).await
}

const GRANT_TYPES: &[&str] = &[
    "authorization_code",
    "client_credentials",
    "refresh_token",
    "implicit",
    "password",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:saml2-bearer",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:openid:params:grant-type:ciba",
];
const AUTH_METHODS: &[&str] = &[
    "none",
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
];

/// What each grant type asks for, as this app obtained it.
async fn ask_with(app: &App<'_>, grant_type: &str) -> Answer {
    let tokens = app.tokens().await;
    let code = app.code().await;
    let everything = [
        ("grant_type", grant_type),
        ("code", &code),
        ("redirect_uri", &app.redirect_uri),
        ("code_verifier", VERIFIER),
        ("refresh_token", &tokens.refresh_token()),
        ("username", "person0@example.com"),
        ("password", PASSWORD),
        ("device_code", &code),
        ("assertion", &tokens.access_token()),
        ("subject_token", &tokens.access_token()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("auth_req_id", &code),
    ];
    app.post("/oauth/token", &everything, &[]).await
}

/// A client for each method; those that we do not know are tried with the first.
struct Clients<'a> {
    basic: App<'a>,
    spa: App<'a>,
    mac: SigningApp<'a>,
    keyed: SigningApp<'a>,
}

impl<'a> Clients<'a> {
    async fn register(server: &'a TestServer) -> Self {
        Self {
            basic: app(server).await,
            spa: server.register("spa", Registration { first_party: true, ..Registration::spa() }).await,
            mac: server.mac_client("mac", json!({})).await,
            keyed: server.signing_client("keyed").await,
        }
    }

    fn of(&self, method: &str) -> &App<'a> {
        match method {
            "none" => &self.spa,
            "client_secret_jwt" => &self.mac.app,
            "private_key_jwt" => &self.keyed.app,
            _ => &self.basic,
        }
    }

    /// One request to an endpoint for programs, as a client that authenticates in this way.
    async fn send(&self, method: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        let (server, id) = (self.basic.server, self.of(method).id.as_str());
        let with = |extra: &[(&str, &str)]| form_request(path, &[form, extra].concat());
        let secret = self.basic.secret.as_deref().unwrap();
        let request = match method {
            "client_secret_post" => with(&[("client_id", id), ("client_secret", secret)]),
            "client_secret_basic" => {
                let mut request = with(&[]);
                request.headers_mut().insert("authorization", basic(id, secret).parse().unwrap());
                request
            }
            "client_secret_jwt" => form_request(path, &signing::form(&self.mac.assertion(), form)),
            "private_key_jwt" => form_request(path, &signing::form(&self.keyed.assertion(), form)),
            _ => with(&[("client_id", id)]),
        };
        server.send(request).await
    }

    /// The redemption of a code of such a client.
    async fn redeem(&self, method: &str) -> Answer {
        let client = self.of(method);
        let code = client.code().await;
        let form =
            [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", &client.redirect_uri), ("code_verifier", VERIFIER)];
        self.send(method, "/oauth/token", &form).await
    }

    /// A way that works for the client with which this method is tried.
    fn sure(&self, method: &'a str) -> &'a str {
        if std::ptr::eq(self.of(method), &raw const self.basic) { "client_secret_basic" } else { method }
    }
}

on_every_backend! {
    /// `grant_types_supported`
    async fn grant_types(server) {
        let app = app(server).await;
        assert_exactly_announced(server, "grant_types_supported", GRANT_TYPES, async |grant_type| {
            let answer = ask_with(&app, grant_type).await;
            if answer.status != 200 {
                answer.assert_error(400, "unsupported_grant_type");
            }
            answer.status == 200
        })
        .await;
    }

    /// `token_endpoint_auth_methods_supported`
    async fn authentication_at_the_token_endpoint(server) {
        let clients = Clients::register(server).await;
        assert_exactly_announced(server, "token_endpoint_auth_methods_supported", AUTH_METHODS, async |method| {
            clients.redeem(method).await.status == 200
        })
        .await;
    }

    /// `revocation_endpoint_auth_methods_supported`: it works when the token is gone afterwards.
    async fn authentication_at_the_revocation_endpoint(server) {
        let clients = Clients::register(server).await;
        assert_exactly_announced(server, "revocation_endpoint_auth_methods_supported", AUTH_METHODS, async |method| {
            let sure = clients.sure(method);
            let token = clients.redeem(sure).await.refresh_token();
            let answer = clients.send(method, "/oauth/revoke", &[("token", &token)]).await;
            let refresh = clients.send(sure, "/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", &token)]).await;
            assert_eq!(refresh.status == 400, answer.status == 200, "{method}");
            answer.status == 200
        })
        .await;
    }

    /// `introspection_endpoint_auth_methods_supported`
    async fn authentication_at_the_introspection_endpoint(server) {
        let clients = Clients::register(server).await;
        assert_exactly_announced(server, "introspection_endpoint_auth_methods_supported", AUTH_METHODS, async |method| {
            let token = clients.redeem(clients.sure(method)).await.access_token();
            let answer = clients.send(method, "/oauth/introspect", &[("token", &token)]).await;
            answer.status == 200 && answer.json()["active"] == true
        })
        .await;
    }

    /// `token_endpoint_auth_signing_alg_values_supported` and those of the other endpoints: each works, and no other.
    async fn algorithms_of_assertions(server) {
        const REGISTERED: &[&str] =
            &["ES256", "ES384", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "HS256", "HS384", "HS512", "none"];
        let (mac, rsa) = (server.mac_client("mac", json!({})).await, ClientKey::new(Algorithm::RS256, "r"));
        let others = [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA].map(|algorithm| ClientKey::new(algorithm, "o"));
        let set = json!({ "keys": others.iter().chain([&rsa]).map(ClientKey::jwk).collect::<Vec<_>>() });
        let keyed = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": set });
        let keyed = server.signing_client_with("keyed", keyed, rsa.clone()).await;
        for endpoint in ["token", "revocation", "introspection"] {
            let member = format!("{endpoint}_endpoint_auth_signing_alg_values_supported");
            let path = match endpoint {
                "token" => "/oauth/token",
                "revocation" => "/oauth/revoke",
                _ => "/oauth/introspect",
            };
            assert_exactly_announced(server, &member, REGISTERED, async |name| {
                let Ok(algorithm) = name.parse::<Algorithm>() else {
                    let claims = BASE64_URL_SAFE_NO_PAD.encode(keyed.claims().to_string());
                    let unsigned = format!("{}.{claims}.", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
                    return server.post(path, &signing::form(&unsigned, &[("grant_type", "client_credentials"), ("token", "x")])).await.status == 200;
                };
                let app = if name.starts_with("HS") { &mac } else { &keyed };
                let key = others.iter().find(|key| key.header.alg == algorithm).unwrap_or(&app.key);
                let assertion = key.with_header(|header| header.alg = algorithm).sign(&app.claims());
                server.post(path, &signing::form(&assertion, &[("grant_type", "client_credentials"), ("token", "x")])).await.status == 200
            })
            .await;
        }
    }

    /// `response_types_supported`, `response_modes_supported`
    async fn response_types_and_modes(server) {
        let app = app(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let types = ["code", "token", "id_token", "none", "code token", "code id_token", "id_token token", "code id_token token"];
        assert_exactly_announced(server, "response_types_supported", &types, async |response_type| {
            browser.authorize(&app, &[("response_type", response_type)]).await.param("code").is_some()
        })
        .await;
        let modes = ["query", "fragment", "form_post", "web_message", "query.jwt", "fragment.jwt", "form_post.jwt", "jwt"];
        assert_exactly_announced(server, "response_modes_supported", &modes, async |mode| {
            let answer = browser.authorize(&app, &[("response_mode", mode)]).await;
            answer.header("location").contains("code=") || answer.fields().iter().any(|(name, _)| name == "code")
        })
        .await;
    }

    /// `code_challenge_methods_supported`
    async fn code_challenge_methods(server) {
        let app = app(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        assert_exactly_announced(server, "code_challenge_methods_supported", &["S256", "plain", "S512"], async |method| {
            let challenge = if method == "S256" { CHALLENGE } else { VERIFIER };
            let answer = browser.authorize(&app, &[("code_challenge", challenge), ("code_challenge_method", method)]).await;
            answer.param("code").is_some()
        })
        .await;
    }

    /// `prompt_values_supported`: each does what it is for, and the others nothing.
    async fn prompt_values(server) {
        let app = app(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let nobody = server.browser();
        let values = ["none", "login", "consent", "select_account", "create"];
        assert_exactly_announced(server, "prompt_values_supported", &values, async |value| {
            browser.authorize(&app, &[("prompt", value)]).await;
            let asks = browser.is_asked_to_sign_in() || browser.is_asked_for_consent() || browser.is_asked_for_an_account();
            let refuses = nobody.server.get(&app.authorization_path(&[("prompt", value)])).await.param("error").is_some();
            asks || refuses
        })
        .await;
    }

    /// `scopes_supported`, with those that the operator described: each can be granted.
    async fn scopes(server, "grantor.toml" = "[scopes]\n\"orders.read\" = \"See your orders\"\n") {
        let scopes = announced(server, "scopes_supported").await;
        assert!(scopes.iter().any(|scope| scope == "offline_access") && scopes.iter().any(|scope| scope == "orders.read"), "{scopes:?}");
        let scopes: &'static str = scopes.join(" ").leak();
        let app = server.register("app", Registration { first_party: true, scope: scopes, ..Registration::default() }).await;
        assert_eq!(app.tokens().await.member("scope"), scopes);
    }

    /// An endpoint that is not announced is not there.
    async fn endpoints(server) {
        let metadata = metadata(server).await;
        for (member, path) in [
            ("authorization_endpoint", "/oauth/authorize"),
            ("token_endpoint", "/oauth/token"),
            ("revocation_endpoint", "/oauth/revoke"),
            ("introspection_endpoint", "/oauth/introspect"),
            ("jwks_uri", "/oauth/jwks"),
            ("userinfo_endpoint", "/oauth/userinfo"),
            ("pushed_authorization_request_endpoint", "/oauth/par"),
            ("registration_endpoint", "/oauth/register"),
            ("device_authorization_endpoint", "/oauth/device_authorization"),
            ("end_session_endpoint", "/oauth/logout"),
        ] {
            let url = metadata.get(member).map(|url| url.as_str().unwrap().to_owned());
            assert_eq!(server.get(path).await.status == 404, url.is_none(), "{member}");
            assert!(url.is_none_or(|url| url == format!("{ISSUER}{path}")), "{member}");
        }
    }
}
