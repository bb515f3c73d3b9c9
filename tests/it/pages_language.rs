//! Every page in the language of its reader (RFC 9110 §12.5.4): German stands for all that are not English.

use std::collections::BTreeMap;

use axum::body::Body;
use http::{Method, Request};
use regex::Regex;
use serde_json::json;

use crate::{
    harness::{Answer, Browser, Registration, TestServer, browser::PASSWORD},
    on_every_backend,
    rfc8707_resources::resource,
    texts::languages,
};

const GERMAN: &str = "de-AT, en;q=0.5";
/// Chosen by a loaded server or the time of the year; unit tests render them.
const RARE: &str = r"^(demo\.|language\.|number\.|time\.|login\.busy|signup\.(busy|throttled)$|consent\.until_removed_day$)";

/// What a person reads of a page: text and labels, without what apps, people and developers are called.
fn read(page: &Answer) -> String {
    let foreign = Regex::new(r#"(?s)<(\w+) [^>]*lang="en"[^>]*>.*?</\w+>|<bdi>.*?</bdi>"#).unwrap();
    let label = Regex::new(r#" (?:aria-label|title)="([^"]*)""#).unwrap();
    let tag = Regex::new("<[^>]*>").unwrap();
    let own = foreign.replace_all(&page.body, "");
    let labels: Vec<&str> = label.captures_iter(&own).map(|found| found.extract::<1>().1[0]).collect();
    format!("{} {}", tag.replace_all(&own, " "), labels.join(" "))
}

/// The parts of a text between its values.
fn parts(text: &str) -> Vec<String> {
    let place = Regex::new(r"%\{\w+\}").unwrap();
    place.split(text).map(|part| part.trim().to_owned()).filter(|part| part.chars().filter(|c| c.is_alphabetic()).count() > 3).collect()
}

fn says(page: &str, part: &str) -> bool {
    let is_apart = |neighbour: Option<char>| !neighbour.is_some_and(char::is_alphabetic);
    let mut places = page.match_indices(part);
    places.any(|(at, _)| is_apart(page[..at].chars().next_back()) && is_apart(page[at + part.len()..].chars().next()))
}

/// A visit of everything that the server shows to people.
struct Tour<'a> {
    server: &'a TestServer,
    pages: BTreeMap<&'static str, Answer>,
}

impl<'a> Tour<'a> {
    fn browser(&self) -> Browser<'a> {
        self.server.browser().with_languages(GERMAN)
    }

    fn saw(&mut self, name: &'static str, browser: &mut Browser<'_>) {
        self.pages.insert(name, browser.page().clone());
    }

    async fn take(server: &'a TestServer) -> Self {
        let mut tour = Self { server, pages: BTreeMap::new() };
        tour.flow().await;
        tour.account().await;
        tour.newcomer().await;
        tour.unknown_app().await;
        tour.logout().await;
        tour.errors().await;
        tour.throttled().await;
        tour
    }

    async fn flow(&mut self) {
        let scope = "openid profile email address phone offline_access notes.read";
        resource(self.server, "https://api.example", serde_json::json!({"name": "API", "scope": scope})).await;
        let resources = vec!["https://api.example"];
        let app = self.server.register("app", Registration { scope, resources, ..Registration::default() }).await;
        let native = Registration {
            public: true,
            application_type: "native",
            redirect_uris: vec!["http://127.0.0.1/callback"],
            scope: "openid",
            ..Registration::default()
        };
        let native = self.server.register("native", native).await;
        let (alice, mut browser) = (self.server.person("alice").await, self.browser());
        browser.authorize(&app, &[("scope", scope), ("prompt", "consent")]).await;
        browser.sign_in_with(&alice.email, "wrong").await;
        self.saw("wrong password", &mut browser);
        browser.authorize(&app, &[("scope", scope), ("prompt", "consent")]).await;
        browser.sign_in(&alice).await;
        self.saw("consent", &mut browser);
        browser.authorize(&app, &[("prompt", "login")]).await;
        self.saw("sign-in again", &mut browser);
        browser.authorize(&native, &[]).await;
        self.saw("consent on this device", &mut browser);
        browser.authorize(&app, &[("response_mode", "form_post")]).await;
        browser.allow().await;
        self.saw("form_post", &mut browser);
        browser.submit("/account/sign-out", &[]).await;
        self.saw("signed out", &mut browser);
        browser.authorize(&native, &[]).await;
        self.saw("sign-in", &mut browser);
    }

    async fn newcomer(&mut self) {
        let app = self.server.client("fourth").await;
        let mut browser = self.browser();
        browser.authorize(&app, &[("prompt", "create")]).await;
        self.saw("sign-up", &mut browser);
        for (name, email, called, password) in [
            ("sign-up without e-mail", "x", "N", PASSWORD),
            ("sign-up without name", "n@example.com", "", PASSWORD),
            ("sign-up without password", "n@example.com", "N", "short"),
            ("sign-up with too long a password", "n@example.com", "N", &"x".repeat(257)),
            ("sign-up with a common password", "n@example.com", "N", "sunshine1"),
            ("sign-up with an e-mail for a password", "n@example.com", "N", "n@example.com"),
            ("sign-up refused", "alice@example.com", "N", PASSWORD),
        ] {
            browser.submit("/signup", &[("email", email), ("name", called), ("password", password)]).await;
            self.saw(name, &mut browser);
        }
        browser.authorize(&app, &[("prompt", "create")]).await;
        browser.sign_up("new@example.com", PASSWORD).await;
        browser.authorize(&app, &[("prompt", "select_account")]).await;
        self.saw("account choice", &mut browser);
    }

    async fn unknown_app(&mut self) {
        let uri = |name: &str| format!("https://app.example/{name}");
        let metadata = serde_json::json!({
            "client_uri": uri("home"), "policy_uri": uri("policy"), "tos_uri": uri("terms"), "logo_uri": uri("logo"),
            "initiate_login_uri": uri("start"),
        });
        let app = self.server.register("unknown", Registration { metadata, ..Registration::by_itself() }).await;
        let mut browser = self.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[]).await;
        self.saw("consent to an unknown app", &mut browser);
        browser.authorize(&app, &[]).await;
        browser.deny().await;
        self.saw("denied", &mut browser);
        browser.authorize(&app, &[("scope", "admin")]).await;
        self.saw("refused", &mut browser);
        app.code_at(&mut browser, &[]).await;
        browser.go("/account").await;
        self.saw("account with an app to open", &mut browser);
    }

    async fn logout(&mut self) {
        let metadata =
            json!({ "post_logout_redirect_uris": ["https://app.example/"], "frontchannel_logout_uri": "https://app.example/out" });
        let app = self.server.register("leaving", Registration { metadata, first_party: true, ..Registration::default() }).await;
        let mut browser = self.browser();
        browser.sign_in_as_someone().await;
        app.code_at(&mut browser, &[("scope", "openid")]).await;
        for (name, path) in [
            ("sign out, for nobody", "/oauth/logout"),
            ("sign out, by mistake", "/oauth/logout?id_token_hint=x"),
            ("sign out", "/oauth/logout?client_id=leaving&post_logout_redirect_uri=https://app.example/"),
        ] {
            browser.go(path).await;
            self.saw(name, &mut browser);
        }
        let (request, bound) = (browser.page().field("request"), browser.page().field("bound"));
        browser.submit("/sign-out", &[("request", &request), ("bound", &bound), ("decision", "sign_out")]).await;
        self.saw("signed out, on the way back", &mut browser);
    }

    async fn throttled(&mut self) {
        let mut browser = self.browser();
        for _ in 0..10 {
            browser.go("/account").await;
            browser.sign_in_with("stranger@example.com", "wrong").await.assert_status(400);
        }
        for (name, seconds) in [("wait minutes", 0), ("wait a minute", 540), ("wait seconds", 30)] {
            self.server.advance(seconds);
            browser.go("/account").await;
            browser.sign_in_with("stranger@example.com", "wrong").await.assert_status(429);
            self.saw(name, &mut browser);
        }
    }

    async fn account(&mut self) {
        let app = self.server.client("another").await;
        let mut browser = self.browser();
        browser.sign_in_as_someone().await;
        self.saw("account without apps", &mut browser);
        app.redeem(&app.code_at(&mut browser, &[]).await).await.assert_status(200);
        app.redeem(&app.code_at(&mut browser, &[]).await).await.assert_status(200);
        self.server.more_sessions(50).await;
        browser.go("/account?sessions=2").await;
        self.saw("account", &mut browser);
        browser.submit("/account/sign-out-everywhere", &[]).await;
        self.saw("signed out everywhere", &mut browser);
    }

    async fn errors(&mut self) {
        let app = self.server.client("third").await;
        let mut browser = self.browser();
        browser.authorize(&app, &[("redirect_uri", "https://evil.example")]).await;
        self.saw("bad request", &mut browser);
        for (name, path) in [("not found", "/nowhere"), ("no asset", "/assets/app.css"), ("expired", "/login?request=x")] {
            browser.go(path).await;
            self.saw(name, &mut browser);
        }
        browser.submit("/login", &[("email", &"x".repeat(100_000))]).await;
        self.saw("too large", &mut browser);
        for (name, method, path) in [("method not allowed", Method::PUT, "/login"), ("cross-site", Method::POST, "/account/sign-out")] {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            self.pages.insert(name, browser.fetch(request).await);
        }
        browser.sign_in_as_someone().await;
        let form = browser.authorize(&app, &[]).await;
        let (request, bound) = (form.field("request"), form.field("bound"));
        browser.submit("/account/sign-out", &[]).await;
        browser.sign_in_as_someone().await;
        browser.submit("/consent", &[("request", &request), ("bound", &bound), ("decision", "allow")]).await;
        self.saw("other account", &mut browser);
        let strict = self.server.node_with(&[("GRANTOR_RATE_LIMIT__SIGNED_IN", "1/1d")]).await;
        let mut hasty = browser.at(&strict);
        hasty.go("/account").await;
        hasty.go("/account").await;
        self.saw("too many", &mut hasty);
        strict.close().await;
        self.server.database.execute("ALTER TABLE people RENAME TO people_elsewhere").await;
        browser.go("/account").await;
        self.saw("busy", &mut browser);
        let mut stranger = self.browser();
        stranger.submit("/login", &[("email", "alice@example.com"), ("password", "any")]).await;
        self.saw("internal", &mut stranger);
        self.server.database.execute("ALTER TABLE people_elsewhere RENAME TO people").await;
    }
}

on_every_backend! {
    /// No text is hard-coded: of the English ones no page has any, and of the German ones each is on a page.
    async fn every_page_speaks_german(server, "GRANTOR_SIGN_UP__OPEN" = "true") {
        let pages = Tour::take(server).await.pages;
        let mut languages = languages();
        let (english, german) = (languages.remove("en").unwrap(), languages.remove("de").unwrap());
        let rare = Regex::new(RARE).unwrap();
        let read: BTreeMap<_, _> = pages.iter().map(|(name, page)| (name, read(page))).collect();
        for (name, page) in &pages {
            assert!(page.body.contains("<html lang=\"de\" dir=\"ltr\">"), "{name}: {}", page.body);
        }
        for (key, text) in english.iter().filter(|(key, _)| german.get(*key).is_some_and(|other| other != english.get(*key).unwrap())) {
            for part in parts(text).iter().filter(|part| !parts(&german[key]).contains(part)) {
                let found = read.iter().find(|(_, page)| says(page, part));
                assert!(found.is_none(), "{key} is in English: {found:?}");
            }
        }
        for (key, text) in german.iter().filter(|(key, _)| !rare.is_match(key)) {
            assert!(read.values().any(|page| parts(text).iter().all(|part| says(page, part))), "{key} is on no page: {text}");
        }
    }

    /// English for whoever prefers what is not here, or sends what is no list of languages.
    async fn every_other_reader_gets_english(server) {
        let long: &str = "x-y,".repeat(2_000).leak();
        for languages in ["fr", "*", "de;q=0", "<script>", "de_DE", long] {
            let mut browser = server.browser().with_languages(languages);
            let page = browser.go("/login").await.assert_status(200);
            assert!(page.body.contains("<html lang=\"en\" dir=\"ltr\">"), "{languages}: {}", page.body);
            assert!(browser.go("/nowhere").await.body.contains("There is nothing here"), "{languages}");
        }
    }

    /// What developers read is English in every language, and says so (WCAG 2.2 §3.1.2).
    async fn what_developers_read_is_marked_as_english(server) {
        let page = server.browser().with_languages("de").authorize(&server.client("app").await, &[("redirect_uri", "x")]).await.body.clone();
        assert!(page.contains("Für Entwickler") && page.contains("<p id=\"remedy\" lang=\"en\" dir=\"ltr\">"), "{page}");
    }
}
