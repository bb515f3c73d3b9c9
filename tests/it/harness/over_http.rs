//! People and clients of a running server: what [`super::Browser`] and [`super::App`] do in process, over its port.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Method, Request, Response};
use serde_json::Value;

use super::{
    Answer, CHALLENGE, Database, VERIFIER,
    app::basic,
    browser::{DEVICE, PASSWORD},
    encode,
    process::{PATIENCE, run_json, run_with_input},
};

/// Where the clients of these tests are sent back to. Nothing listens there.
pub const CALLBACK: &str = "https://app.example/callback";

/// An HTTP client that follows no redirect. It speaks plain HTTP, and is given a configuration of TLS only because it wants one.
pub fn http_client() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).redirect(reqwest::redirect::Policy::none());
    client.no_proxy().timeout(PATIENCE).build().unwrap()
}

/// Sends a request and reads the whole answer; an error means that there is none.
pub async fn send(http: &reqwest::Client, request: Request<Vec<u8>>) -> reqwest::Result<Answer> {
    let response = http.execute(request.try_into()?).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    Ok(Answer { status, headers, body: String::from_utf8(response.bytes().await?.to_vec()).unwrap() })
}

/// Carries what client libraries in Rust send. They refuse to revoke without TLS, even on loopback: for that the server is at `https`.
pub async fn carry(request: Request<Vec<u8>>) -> reqwest::Result<Response<Vec<u8>>> {
    let (mut parts, body) = request.into_parts();
    parts.uri = parts.uri.to_string().replacen("https://127.0.0.1", "http://127.0.0.1", 1).parse().unwrap();
    let answer = http_client().execute(Request::from_parts(parts, body).try_into()?).await?;
    let mut response = Response::new(Vec::new());
    (*response.status_mut(), *response.headers_mut()) = (answer.status(), answer.headers().clone());
    *response.body_mut() = answer.bytes().await?.to_vec();
    Ok(response)
}

/// `GET` without cookies.
pub async fn get(url: &str) -> Answer {
    send(&http_client(), Request::get(url).body(Vec::new()).unwrap()).await.unwrap()
}

/// Until `condition` holds.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !condition().await {
        assert!(begin.elapsed() < PATIENCE, "it did not happen: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Until `condition` holds, which it must for whoever asks a second from now or later: so soon does every running
/// server see what a command did.
pub async fn within_a_second(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    loop {
        let asked_after = since.elapsed();
        if condition().await {
            return;
        }
        assert!(asked_after < Duration::from_secs(1), "not so after {asked_after:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A client that `grantor client create` registered.
#[derive(Clone)]
pub struct RemoteApp {
    pub http: reqwest::Client,
    pub id: String,
    pub secret: String,
}

impl RemoteApp {
    /// A confidential web app.
    pub fn create(database: &Database, id: &str) -> Self {
        Self::create_with(database, id, &["--grant-type", "client_credentials"])
    }

    /// The same with more flags.
    pub fn create_with(database: &Database, id: &str, flags: &[&str]) -> Self {
        let command = ["client", "create", "--json", "--name", "The app", "--client-id", id, "--redirect-uri", CALLBACK];
        let may = ["--grant-type", "authorization_code", "--grant-type", "refresh_token", "--scope", "read offline_access"];
        let created = run_json(database, &[&command[..], &may, flags].concat());
        Self { http: http_client(), id: id.to_owned(), secret: created["client_secret"].as_str().unwrap().to_owned() }
    }

    /// A request for a code, at this node.
    pub fn authorization_url(&self, base: &str) -> String {
        let params = [
            ("response_type", "code"),
            ("client_id", self.id.as_str()),
            ("redirect_uri", CALLBACK),
            ("state", "af0ifjsldkj"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        format!("{base}/oauth/authorize?{}", encode(&params))
    }

    /// A code at a browser where someone is signed in; allows if asked.
    pub async fn code(&self, browser: &mut RemoteBrowser) -> String {
        browser.go(&self.authorization_url(&browser.base.clone())).await;
        if browser.page().body.contains("id=\"allow\"") {
            browser.allow().await;
        }
        browser.page().code()
    }

    /// Tokens for the person at this browser, from the browser's node.
    pub async fn tokens(&self, browser: &mut RemoteBrowser) -> Answer {
        let code = self.code(browser).await;
        self.redeem(&browser.base, &code).await
    }

    /// Redeems a code at a node.
    pub async fn redeem(&self, base: &str, code: &str) -> Answer {
        let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
        self.post(base, "/oauth/token", &form).await
    }

    pub async fn refresh(&self, base: &str, refresh_token: &str) -> Answer {
        self.try_refresh(base, refresh_token).await.unwrap()
    }

    /// The same at a node that may be gone.
    pub async fn try_refresh(&self, base: &str, refresh_token: &str) -> reqwest::Result<Answer> {
        self.try_post(base, "/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    pub async fn client_credentials(&self, base: &str) -> Answer {
        self.post(base, "/oauth/token", &[("grant_type", "client_credentials"), ("scope", "read")]).await
    }

    pub async fn revoke(&self, base: &str, token: &str) -> Answer {
        self.post(base, "/oauth/revoke", &[("token", token)]).await
    }

    /// Whether introspection at this node calls a token active.
    pub async fn is_active(&self, base: &str, token: &str) -> bool {
        self.post(base, "/oauth/introspect", &[("token", token)]).await.assert_status(200).json()["active"] == true
    }

    pub async fn post(&self, base: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        self.try_post(base, path, form).await.unwrap()
    }

    async fn try_post(&self, base: &str, path: &str, form: &[(&str, &str)]) -> reqwest::Result<Answer> {
        let request = Request::post(format!("{base}{path}"))
            .header("authorization", basic(&self.id, &self.secret))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(encode(form).into_bytes());
        send(&self.http, request.unwrap()).await
    }
}

/// Adds a person with [`PASSWORD`], by `grantor user create`.
pub fn create_person(database: &Database, email: &str) -> Value {
    run_with_input(database, &["user", "create", "--email", email, "--password-stdin", "--json"], &format!("{PASSWORD}\n")).json()
}

/// A browser that visits real ports. As browsers do, it keeps cookies by host, not by port.
pub struct RemoteBrowser {
    http: reqwest::Client,
    /// The site that it is on; redirects to one that it does not know are not followed.
    pub base: String,
    known: Vec<String>,
    pub cookies: BTreeMap<String, String>,
    /// The cookies of a known device, which no signing out takes away.
    devices: BTreeMap<String, String>,
    shown: Option<Answer>,
}

impl RemoteBrowser {
    /// A browser without cookies that may visit these sites and begins at the first.
    pub fn new(known: &[&str]) -> Self {
        let known: Vec<String> = known.iter().map(|base| (*base).to_owned()).collect();
        Self { http: http_client(), base: known[0].clone(), known, cookies: BTreeMap::new(), devices: BTreeMap::new(), shown: None }
    }

    /// A browser where this person is signed in.
    pub async fn signed_in(base: &str, email: &str) -> Self {
        let mut browser = Self::new(&[base]);
        browser.go(&format!("{base}/account")).await;
        browser.sign_in(email, PASSWORD).await.assert_status(200);
        browser
    }

    /// What it shows, or where it stopped.
    #[track_caller]
    pub fn page(&self) -> &Answer {
        self.shown.as_ref().expect("the browser went somewhere")
    }

    /// Goes to a URL and follows redirects.
    pub async fn go(&mut self, url: &str) -> &Answer {
        self.visit(Method::GET, url.to_owned(), Vec::new()).await
    }

    /// Posts a form of the site that it is on.
    pub async fn submit(&mut self, path: &str, form: &[(&str, &str)]) -> &Answer {
        self.visit(Method::POST, format!("{}{path}", self.base), encode(form).into_bytes()).await
    }

    /// Fills in the sign-in form that it shows.
    pub async fn sign_in(&mut self, email: &str, password: &str) -> &Answer {
        let fields = self.page().fields();
        let mut form: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        form.extend([("email", email), ("password", password)]);
        self.submit("/login", &form).await
    }

    /// Presses Allow on the consent form that it shows.
    pub async fn allow(&mut self) -> &Answer {
        let (request, bound) = (self.page().field("request"), self.page().field("bound"));
        self.submit("/consent", &[("request", &request), ("bound", &bound), ("decision", "allow")]).await
    }

    /// Moves to another node of the same issuer, cookies and all.
    pub fn move_to(&mut self, base: &str) {
        base.clone_into(&mut self.base);
        self.known.push(base.to_owned());
    }

    async fn visit(&mut self, method: Method, url: String, body: Vec<u8>) -> &Answer {
        let (mut method, mut url, mut body) = (method, url, body);
        loop {
            if let Some(known) = self.known.iter().find(|known| url.starts_with(known.as_str())) {
                known.clone_into(&mut self.base);
            }
            let answer = self.fetch(method, &url, body).await;
            let Ok(location) = url::Url::parse(&url).unwrap().join(answer.header("location")) else { return self.shown.insert(answer) };
            let is_known = self.known.iter().any(|known| location.as_str().starts_with(known.as_str()));
            if answer.header("location").is_empty() || !is_known {
                return self.shown.insert(answer);
            }
            url = location.into();
            (method, body) = (Method::GET, Vec::new());
        }
    }

    async fn fetch(&mut self, method: Method, url: &str, body: Vec<u8>) -> Answer {
        let mut request = Request::builder().uri(url).header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0");
        if method == Method::POST {
            request = request.header("content-type", "application/x-www-form-urlencoded").header("sec-fetch-site", "same-origin");
        }
        let cookies: Vec<String> = self.cookies.iter().chain(&self.devices).map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        let answer = send(&self.http, request.method(method).body(body).unwrap()).await.unwrap();
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if name.contains(DEVICE) {
                self.devices.insert(name.to_owned(), value.to_owned());
            } else if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }
}
