//! A person's browser: it keeps cookies, posts the forms that it is shown, and stops at redirects to other sites.

use std::{collections::BTreeMap, net::SocketAddr};

use argon2::{Argon2, Params, PasswordHasher, password_hash::phc::PasswordHash};
use axum::body::Body;
use grantor::routes::Peer;
use http::Request;
use sha2::{Digest, Sha256};

use super::{
    Answer, App, ISSUER, START, TestServer,
    app::{bytes, timestamp},
    database, form_request,
};

/// The password of everyone.
pub const PASSWORD: &str = "down-the-rabbit-hole";

/// What the name of the cookie of a known device has.
pub const DEVICE: &str = "grantor-device-";

/// A person who can sign in.
pub struct Person {
    pub email: String,
}

impl TestServer {
    /// A person with the e-mail `name@example.com` and [`PASSWORD`].
    pub async fn person(&self, name: &str) -> Person {
        let email = format!("{name}@example.com");
        let argon2 = Argon2::from(Params::new(8, 1, 1, None).unwrap());
        let hash: PasswordHash = argon2.hash_password_with_salt(PASSWORD.as_bytes(), b"0123456789abcdef").unwrap();
        let id = database::id(self.database.backend);
        let at = timestamp(self.database.backend, START.as_micros());
        self.database
            .execute(&format!(
                "INSERT INTO people (id, email, email_key, name, roles, password_hash, created_at) \
                 VALUES ({id}, '{email}', '{email}', '{name}', '[]', '{hash}', {at})"
            ))
            .await;
        Person { email }
    }

    /// A sign-in from an address, as a browser with this `Cookie` posts it.
    pub async fn sign_in_from(&self, address: &str, cookie: &str, email: &str, password: &str) -> Answer {
        let mut request = form_request("/login", &[("email", email), ("password", password)]);
        for (name, value) in [("origin", ISSUER), ("sec-fetch-site", "same-origin"), ("cookie", cookie)] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        request.extensions_mut().insert(Peer(SocketAddr::new(address.parse().unwrap(), 40_000)));
        self.send(request).await
    }

    /// Says of a person `roles`, `groups` and `claims`, as far as they are given.
    pub async fn set_profile(&self, person: &Person, known: serde_json::Value) {
        for (column, value) in known.as_object().unwrap() {
            let value = value.to_string().replace('\'', "''");
            self.database.execute(&format!("UPDATE people SET {column} = '{value}' WHERE email = '{}'", person.email)).await;
        }
    }

    /// Signs whoever signed in last in at this many more browsers, called 0, 1, 2, ... and used in this order a day ago.
    pub async fn more_sessions(&self, count: u32) {
        let latest = |column| format!("(SELECT {column} FROM browser_sessions ORDER BY created_at DESC LIMIT 1)");
        let row = |number: u32| {
            let id = database::id(self.database.backend);
            let hash = bytes(self.database.backend, &Sha256::digest(&id));
            let at = timestamp(self.database.backend, START.as_micros() - 86_400_000_000 + i64::from(number) * 1_000_000);
            format!("({hash}, {id}, {}, {at}, '[]', 'Firefox/{number}', {at}, {at}, {})", latest("person_id"), latest("expires_at"))
        };
        let rows: Vec<String> = (0..count).map(row).collect();
        let columns = "id_hash, id, person_id, auth_time, amr, user_agent, created_at, last_seen_at, expires_at";
        self.database.execute(&format!("INSERT INTO browser_sessions ({columns}) VALUES {}", rows.join(", "))).await;
    }
}

/// One browser.
pub struct Browser<'a> {
    pub server: &'a TestServer,
    pub cookies: BTreeMap<String, String>,
    /// The cookie of a known device, which is sent, too, and which no signing out takes away.
    pub device: Option<String>,
    /// What it sends as `Accept-Language`, if anything.
    pub languages: &'static str,
    /// What it shows, or where it stopped.
    pub shown: Option<Answer>,
}

impl<'a> Browser<'a> {
    pub fn new(server: &'a TestServer) -> Self {
        Self { server, cookies: BTreeMap::new(), device: None, languages: "", shown: None }
    }

    /// Whose reader prefers these languages.
    pub fn with_languages(mut self, languages: &'static str) -> Self {
        self.languages = languages;
        self
    }

    /// The same browser at another node.
    pub fn at<'b>(&self, server: &'b TestServer) -> Browser<'b> {
        Browser { server, cookies: self.cookies.clone(), device: self.device.clone(), languages: self.languages, shown: None }
    }

    /// What it shows.
    #[track_caller]
    pub fn page(&self) -> &Answer {
        self.shown.as_ref().expect("the browser went somewhere")
    }

    /// Goes to a path of the server and follows redirects within it.
    pub async fn go(&mut self, path: &str) -> &Answer {
        let answer = self.fetch(Request::get(path).body(Body::empty()).unwrap()).await;
        self.follow(answer).await
    }

    /// Posts a form of our own pages and follows redirects within the server.
    pub async fn submit(&mut self, path: &str, form: &[(&str, &str)]) -> &Answer {
        let answer = self.post(path, form).await;
        self.follow(answer).await
    }

    /// Posts a form of our own pages; the answer as it is.
    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let mut request = form_request(path, form);
        request.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
        request.headers_mut().insert("origin", ISSUER.parse().unwrap());
        self.fetch(request).await
    }

    /// One request with the cookies; those that come back are kept.
    pub async fn fetch(&mut self, mut request: Request<Body>) -> Answer {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).chain(self.device.clone());
        let cookies: Vec<String> = cookies.collect();
        if !cookies.is_empty() {
            request.headers_mut().insert("cookie", cookies.join("; ").parse().unwrap());
        }
        if !self.languages.is_empty() {
            request.headers_mut().insert("accept-language", self.languages.parse().unwrap());
        }
        let answer = self.server.send(request).await;
        for cookie in answer.headers.get_all("set-cookie") {
            self.keep(cookie.to_str().unwrap());
        }
        answer
    }

    /// As browsers do: a `__Host-` cookie is taken, and taken away, only with `Secure` and `Path=/`.
    fn keep(&mut self, cookie: &str) {
        let mut attributes = cookie.split(';').map(str::trim);
        let (name, value) = attributes.next().unwrap().split_once('=').unwrap();
        let attributes: Vec<String> = attributes.map(str::to_ascii_lowercase).collect();
        let has = |attribute: &str| attributes.iter().any(|known| known == attribute);
        if name.starts_with("__Host-") && !(has("secure") && has("path=/")) {
            return;
        }
        if name.contains(DEVICE) {
            self.device = Some(format!("{name}={value}"));
        } else if has("max-age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    async fn follow(&mut self, mut answer: Answer) -> &Answer {
        while answer.header("location").starts_with('/') {
            let path = answer.location();
            answer = self.fetch(Request::get(path).body(Body::empty()).unwrap()).await;
        }
        self.shown.insert(answer)
    }

    /// Goes to the authorization endpoint for an app.
    pub async fn authorize(&mut self, app: &App<'_>, extra: &[(&str, &str)]) -> &Answer {
        self.go(&app.authorization_path(extra)).await
    }

    /// Fills in the sign-in form that it shows.
    pub async fn sign_in(&mut self, person: &Person) -> &Answer {
        self.sign_in_with(&person.email, PASSWORD).await
    }

    pub async fn sign_in_with(&mut self, email: &str, password: &str) -> &Answer {
        let mut form = self.page().fields();
        form.push(("email".to_owned(), email.to_owned()));
        form.push(("password".to_owned(), password.to_owned()));
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.submit("/login", &form).await
    }

    /// Signs in at the account page.
    pub async fn sign_in_at_account(&mut self, person: &Person) -> &Answer {
        self.go("/account").await;
        self.sign_in(person).await
    }

    /// Signs in as a new person.
    pub async fn sign_in_as_someone(&mut self) -> Person {
        let number = self.server.database.count("people").await;
        let person = self.server.person(&format!("person{number}")).await;
        self.sign_in_at_account(&person).await.assert_status(200);
        person
    }

    /// Fills in the sign-up form that it shows.
    pub async fn sign_up(&mut self, email: &str, password: &str) -> &Answer {
        let mut form = self.page().fields();
        form.extend(
            [("email", email), ("name", "New Comer"), ("password", password)].map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.submit("/signup", &form).await
    }

    /// Goes on with the account that it shows.
    pub async fn choose_account(&mut self) -> &Answer {
        let (request, session) = (self.page().field("request"), self.page().field("session"));
        self.submit("/select-account", &[("request", &request), ("session", &session)]).await
    }

    /// Presses Allow on the consent form that it shows.
    pub async fn allow(&mut self) -> &Answer {
        self.decide("allow").await
    }

    /// Presses Deny.
    pub async fn deny(&mut self) -> &Answer {
        self.decide("deny").await
    }

    /// Presses Allow, if it shows the consent form.
    pub async fn allow_if_asked(&mut self) -> &Answer {
        if self.page().body.contains("id=\"allow\"") { self.allow().await } else { self.page() }
    }

    async fn decide(&mut self, decision: &str) -> &Answer {
        let (request, bound) = (self.page().field("request"), self.page().field("bound"));
        self.submit("/consent", &[("request", &request), ("bound", &bound), ("decision", decision)]).await
    }
}
