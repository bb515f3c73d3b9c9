//! Any bytes at any route: an answer below 500 with the headers of its kind, in our own words, to nobody but whom it is for.
//!
//! `PROPTEST_CASES` asks for more cases than a run of the suite has time for.

use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use proptest::{prelude::*, sample::select, test_runner::Config};
use serde_json::Value;

use crate::{
    harness::{
        Answer, App, Backend, Browser, Database, ISSUER, Registration, TestServer, VERIFIER,
        browser::Person,
        over_http::get,
        process::{PATIENCE, Process},
    },
    on_every_backend,
};

/// In every value that the stranger makes up: an answer for a program must not hold it.
const MARK: &str = "zq7<\"'&";
const MARK_WORD: &str = "zq7";

/// Every route of `src/routes.rs`, as [`the_list_of_routes_is_complete`] sees to.
const ROUTES: &[&str] = &[
    "/",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/webfinger",
    "/account",
    "/account/apps/end",
    "/account/sessions/end",
    "/account/sign-out",
    "/account/sign-out-everywhere",
    "/assets/app.css",
    "/consent",
    "/health/live",
    "/health/ready",
    "/login",
    "/metrics",
    "/oauth/authorize",
    "/oauth/introspect",
    "/oauth/jwks",
    "/oauth/logout",
    "/oauth/register",
    "/oauth/revoke",
    "/oauth/token",
    "/oauth/userinfo",
    "/select-account",
    "/sign-out",
    "/signed-out",
    "/signup",
];

const NAMES: &[&str] = &[
    "access_token",
    "another",
    "bound",
    "claims",
    "client_assertion",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "decision",
    "email",
    "grant_type",
    "id_token_hint",
    "login_hint",
    "max_age",
    "name",
    "password",
    "prompt",
    "redirect_uri",
    "refresh_token",
    "request",
    "request_uri",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "session",
    "state",
    "token",
    "token_type_hint",
    "ui_locales",
];

const VALUES: &[&str] = &[
    "app",
    "allow",
    "authorization_code",
    "client_credentials",
    "code",
    "deny",
    "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "form_post",
    "https://app.example/callback",
    "login",
    "none",
    "openid",
    "person0@example.com",
    "read",
    "refresh_token",
    "S256",
    "secret-of-app",
    VERIFIER,
    "0",
];

const HEADERS: &[&str] = &[
    "accept",
    "accept-language",
    "authorization",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "if-none-match",
    "origin",
    "range",
    "sec-fetch-site",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-forwarded-for",
    "x-http-method-override",
    "x-request-id",
];

fn cases(few: u32) -> Config {
    let many = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    Config { cases: many.unwrap_or(few), failure_persistence: None, ..Config::default() }
}

/// Whatever a stranger may send.
#[derive(Clone, Debug)]
struct Sent {
    method: String,
    path: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
    /// With the cookie of someone who is signed in, from our own page.
    signed_in: bool,
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => select(VALUES).prop_map(|value| value.as_bytes().to_vec()),
        2 => "\\PC{0,12}".prop_map(|text| format!("{MARK}{text}").into_bytes()),
        1 => "grt_[A-Za-z0-9_-]{0,90}|eyJ[A-Za-z0-9_-]{0,20}\\.eyJ[A-Za-z0-9_-]{0,20}\\.[A-Za-z0-9_-]{0,20}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..24),
        1 => (any::<u8>(), 0..3_000_usize).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

fn encoded(pairs: &[(&str, Vec<u8>)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", url::form_urlencoded::byte_serialize(value).collect::<String>()));
    pairs.collect::<Vec<_>>().join("&")
}

/// What an authorization request needs, so that some get further than the first check.
const GOOD_REQUEST: &str = "response_type=code&client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback&code_challenge_method=S256\
                            &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&";

fn parameters() -> impl Strategy<Value = String> {
    let pairs = prop::collection::vec((select(NAMES), value()), 0..7).prop_map(|pairs| encoded(&pairs));
    prop_oneof![
        6 => (prop::bool::weighted(0.3), pairs).prop_map(|(good, pairs)| format!("{}{pairs}", if good { GOOD_REQUEST } else { "" })),
        1 => "[!-~]{0,60}",
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    let method = prop_oneof![8 => select(&["GET", "POST", "POST", "HEAD", "OPTIONS", "PUT", "DELETE"][..]).prop_map(str::to_owned), 1 => "[A-Z!#a-z]{1,9}"];
    let path = prop_oneof![
        8 => select(ROUTES).prop_map(str::to_owned),
        1 => (select(ROUTES), "[!-~]{0,12}").prop_map(|(route, more)| format!("{route}{more}")),
        1 => "/[ -~]{0,30}|(/(%2e|\\.\\.|%00|%ff|assets|oauth|;|//)){0,6}",
    ];
    let header = (
        select(HEADERS),
        prop_oneof![value(), select(&[ISSUER, "same-origin", "*", "Basic YXBwOnNlY3JldC1vZi1hcHA="][..]).prop_map(Vec::from)],
    );
    let body = prop_oneof![6 => parameters().prop_map(String::into_bytes), 1 => prop::collection::vec(any::<u8>(), 0..200), 1 => Just(vec![b'a'; 70_000])];
    (method, path, parameters(), prop::collection::vec(header, 0..4), body, any::<bool>()).prop_map(
        |(method, path, query, mut headers, body, signed_in)| {
            headers.push(("content-type", b"application/x-www-form-urlencoded".to_vec()));
            Sent { method, path: format!("{path}?{query}"), headers, body, signed_in }
        },
    )
}

impl Sent {
    /// `None` where it is not HTTP at all: then the listener refuses it.
    fn request(&self) -> Option<Request<Body>> {
        let uri: Uri = self.path.parse().ok()?;
        let mut request = Request::builder()
            .method(Method::from_bytes(self.method.as_bytes()).ok()?)
            .uri(uri)
            .body(Body::from(self.body.clone()))
            .ok()?;
        for (name, value) in &self.headers {
            let Ok(value) = HeaderValue::from_bytes(value) else { continue };
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        if self.signed_in {
            request.headers_mut().insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
            request.headers_mut().remove("cookie");
        }
        Some(request)
    }
}

/// What holds for every answer.
fn assert_in_order(sent: &Sent, answer: &Answer) -> Result<(), TestCaseError> {
    let status = answer.status.as_u16();
    prop_assert!(status < 500, "{} {}", status, answer.body);
    prop_assert_eq!(answer.header("x-content-type-options"), "nosniff");
    prop_assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
    let given = sent.headers.iter().find(|(name, _)| *name == "x-request-id");
    prop_assert!(given.is_none_or(|(_, value)| answer.header("x-request-id").as_bytes() != value.as_slice()), "an id from outside");
    let content_type = answer.header("content-type");
    if content_type.starts_with("text/html") {
        prop_assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
        prop_assert_eq!((answer.header("x-frame-options"), answer.header("cache-control")), ("DENY", "no-store"));
        prop_assert!(!answer.body.contains(MARK), "not escaped: {}", answer.body);
    }
    if content_type.starts_with("application/json") && sent.method != "HEAD" {
        prop_assert!(!answer.body.contains(MARK_WORD), "echoed: {}", answer.body);
        if status >= 400 {
            answer.assert_error(status, answer.json()["error"].as_str().unwrap_or("no error"));
        }
    }
    let location = answer.header("location");
    let is_ours = location.starts_with('/') && !location.starts_with("//");
    prop_assert!(location.is_empty() || is_ours || location.starts_with("https://app.example/callback?"), "{}", location);
    Ok(())
}

/// Somebody's browser, signed in again if the last request signed it out.
async fn keep_signed_in(browser: &mut Browser<'_>, person: &Person) {
    if browser.fetch(Request::get("/account").body(Body::empty()).unwrap()).await.status != 200 {
        browser.sign_in_at_account(person).await.assert_status(200);
    }
}

/// Strangers may register clients.
const OPEN: [(&str, &str); 2] = [("GRANTOR_REGISTRATION__MODE", "open"), ("GRANTOR_REGISTRATION__ADDRESS_CLIENTS", "100000")];

/// A server on SQLite, with the client `app`, and a runtime to drive it from a test that is no future.
fn with_server(test: impl FnOnce(&tokio::runtime::Runtime, &TestServer)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(TestServer::start(Backend::Sqlite, &OPEN));
    test(&runtime, &server);
    runtime.block_on(server.end());
}

#[test]
fn any_bytes_at_any_route_are_answered_in_order() {
    with_server(|runtime, server| {
        let mut browser = server.browser();
        let person = runtime.block_on(async {
            server.register("app", Registration { first_party: true, ..Registration::default() }).await;
            browser.sign_in_as_someone().await
        });
        let cookies = std::cell::RefCell::new(browser.cookies);
        proptest!(cases(400), |(sent in sent())| {
            let Some(request) = sent.request() else { return Ok(()) };
            let mut browser = server.browser();
            if !sent.signed_in {
                return assert_in_order(&sent, &runtime.block_on(browser.fetch(request)));
            }
            browser.cookies = cookies.borrow().clone();
            runtime.block_on(keep_signed_in(&mut browser, &person));
            let answer = runtime.block_on(browser.fetch(request));
            *cookies.borrow_mut() = browser.cookies;
            assert_in_order(&sent, &answer)?;
        });
    });
}

/// RFC 7591 §3.2: any JSON is a registration, or is told what is wrong with it.
#[test]
fn any_json_is_registered_or_refused() {
    let text = || {
        prop_oneof![
            "\\PC{0,20}",
            "(https?|com\\.a)://?[a-z.:@\\[\\]]{0,12}/?[#?a-z]{0,4}",
            Just("code".to_owned()),
            Just("none".to_owned())
        ]
    };
    let leaf = prop_oneof![
        text().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        prop::collection::vec(text(), 0..3).prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("keys|kty|crv|x|y|n|e|[a-z]{0,3}", inner, 0..4)
                .prop_map(|object| Value::Object(object.into_iter().collect())),
        ]
    });
    let member = prop_oneof![
        "redirect_uris|grant_types|response_types|scope|client_name(#[a-z-]{0,4})?|(jwks|logo|tos|client|initiate_login|sector_identifier)_uri",
        "jwks|contacts|subject_type|application_type|default_max_age|software_statement|token_endpoint_auth_(method|signing_alg)|[a-z_]{0,9}",
    ];
    with_server(|runtime, server| {
        proptest!(cases(200), |(members in prop::collection::vec((member, value), 0..4))| {
            let mut document = serde_json::Map::from_iter([("redirect_uris".to_owned(), serde_json::json!(["https://app.example/callback"]))]);
            document.extend(members);
            let answer = runtime.block_on(server.register_itself(document.into()));
            if answer.status != 201 {
                let error = answer.json()["error"].as_str().unwrap_or_default().to_owned();
                answer.assert_error(400, &error);
            }
        });
    });
}

/// OAuth 2.1 §7.12: where a stranger gets no further than the first check, nothing is written.
#[test]
fn what_strangers_send_leaves_no_row_but_failed_sign_ins() {
    with_server(|runtime, server| {
        runtime.block_on(server.client("app"));
        proptest!(cases(100), |(sent in sent())| {
            let stranger = Sent { signed_in: false, ..sent };
            let Some(mut request) = stranger.request() else { return Ok(()) };
            request.headers_mut().remove("authorization");
            runtime.block_on(server.send(request));
        });
        runtime.block_on(async {
            for table in ["grants", "authorization_codes", "browser_sessions", "consents", "revoked_tokens", "people"] {
                assert_eq!(server.database.count(table).await, 0, "{table}");
            }
            assert!(server.audit().await.iter().all(|name| name == "sign_in.failed"));
        });
    });
}

/// A token with one character changed, added or cut.
fn changed(token: &str, at: prop::sample::Index, with: char, how: u8) -> String {
    let at = at.index(token.len());
    let (before, after) = (&token[..at], &token[at..]);
    match how {
        0 => format!("{before}{with}{}", &after[1..]),
        1 => format!("{before}{with}{after}"),
        _ => format!("{before}{}", &after[1..]),
    }
}

async fn tokens(server: &TestServer) -> (App<'_>, String, String) {
    let app = server.client("app").await;
    let tokens = app.tokens().await;
    let (access_token, refresh_token) = (tokens.access_token(), tokens.refresh_token());
    (app, access_token, refresh_token)
}

/// RFC 9068 §4, OAuth 2.1 §4.3.1: one changed character, and it is no token of ours; nothing changes, and nothing is audited.
#[test]
fn a_token_with_one_character_changed_is_none() {
    with_server(|runtime, server| {
        let (app, access_token, refresh_token) = runtime.block_on(tokens(server));
        let before = runtime.block_on(async { (server.grants().await, server.audit().await) });
        proptest!(cases(150), |(at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_.-]", how in 0..3_u8)| {
            let with = with.chars().next().unwrap();
            let (access, refresh) = (changed(&access_token, at, with, how), changed(&refresh_token, at, with, how));
            runtime.block_on(async {
                if access != access_token {
                    assert_eq!(app.introspect(&access).await.assert_status(200).json(), serde_json::json!({ "active": false }));
                }
                if refresh != refresh_token {
                    app.refresh(&refresh).await.assert_error(400, "invalid_grant");
                    assert_eq!(app.introspect(&refresh).await.assert_status(200).json(), serde_json::json!({ "active": false }));
                }
            });
        });
        runtime.block_on(async {
            assert_eq!((server.grants().await, server.audit().await), before);
            assert!(server.is_active(&app, &access_token).await, "the control");
            app.refresh(&refresh_token).await.assert_status(200);
        });
    });
}

/// The sealed request and the MAC of the consent form: one changed character, and the page is not that of the request.
#[test]
fn a_sealed_request_and_a_consent_form_with_one_character_changed_are_refused() {
    with_server(|runtime, server| {
        let mut browser = server.browser();
        let (request, bound) = runtime.block_on(async {
            let app = server.client("app").await;
            browser.sign_in_as_someone().await;
            let page = browser.authorize(&app, &[]).await;
            (page.field("request"), page.field("bound"))
        });
        proptest!(cases(150), |(at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_.-]", how in 0..3_u8)| {
            let with = with.chars().next().unwrap();
            let mut browser = browser.at(server);
            let mut post = |request: &str, bound: &str| {
                let form = [("request", request), ("bound", bound), ("decision", "allow")];
                runtime.block_on(browser.post("/consent", &form)).status.as_u16()
            };
            let (other_request, other_bound) = (changed(&request, at, with, how), changed(&bound, at, with, how));
            prop_assert!(other_request == request || post(&other_request, &bound) == 400);
            prop_assert!(other_bound == bound || post(&request, &other_bound) == 403, "{}", other_bound);
        });
        runtime.block_on(async {
            assert_eq!((server.database.count("consents").await, server.database.count("authorization_codes").await), (0, 0));
            let form = [("request", request.as_str()), ("bound", &bound), ("decision", "allow")];
            assert!(!browser.post("/consent", &form).await.code().is_empty(), "the control");
        });
    });
}

#[test]
fn the_list_of_routes_is_complete() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources =
        ["src/routes.rs", "src/oauth/metadata.rs", "src/web/assets.rs"].map(|file| std::fs::read_to_string(root.join(file)).unwrap());
    let path = regex::Regex::new(r#"(?:\.route\(\s*|: &str = )"(/[^"\s]*)""#).unwrap();
    let routes: Vec<String> = path.captures_iter(&sources.concat()).map(|found| found[1].replace("{name}", "app.css")).collect();
    assert!(routes.len() >= ROUTES.len(), "only {routes:?}");
    for route in routes {
        assert!(ROUTES.contains(&route.as_str()), "{route} is not asked for any bytes: add it to ROUTES");
    }
}

on_every_backend! {
    /// OAuth 2.1 §4.3.1: the MAC says that a token is not ours; the database is not asked, as it could not be here.
    async fn a_forged_refresh_token_is_refused_without_a_query(server) {
        let (app, _, genuine) = tokens(server).await;
        server.database.execute("ALTER TABLE grants RENAME TO grants_elsewhere").await;
        let forged = format!("{}{}", &genuine[..genuine.len() - 1], if genuine.ends_with('A') { 'E' } else { 'A' });
        app.refresh(&forged).await.assert_error(400, "invalid_grant");
        assert_eq!(app.introspect(&forged).await.assert_status(200).json(), serde_json::json!({ "active": false }));
        app.refresh(&genuine).await.assert_error(500, "server_error");
    }
}

/// What is no HTTP at all, at the port itself: an answer or the end of the connection, and the next one is served.
#[test]
fn any_bytes_on_the_wire_leave_the_server_serving() {
    use std::{
        io::{Read, Write},
        net::{Shutdown, TcpStream},
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let database = runtime.block_on(Database::copy_of_today(Backend::Sqlite));
    let mut server = Process::serve(&database, &[]);
    let head = "(GET|POST|PRI|\\PC{0,6}) [ -~]{0,20}( HTTP/[0-9.]{1,3})?\r?\n((Host|Content-Length|Transfer-Encoding|[!-~]{0,6}): ?[ -~]{0,12}\r\n){0,4}(\r\n)?";
    let bytes = (prop_oneof![3 => head, 1 => Just(String::new())], prop::collection::vec(any::<u8>(), 0..80))
        .prop_map(|(head, body)| [head.into_bytes(), body].concat());
    proptest!(cases(60), |(bytes in bytes)| {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // The server may have heard enough before the end.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let is_over = end.is_ok() || end.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
        prop_assert!(is_over, "it neither answers nor ends: {:?}", bytes);
        prop_assert!(answer.is_empty() || answer.starts_with("HTTP/1.") && !answer.contains("HTTP/1.1 5"), "{}", answer);
    });
    assert!(server.child.try_wait().unwrap().is_none(), "{}", server.log_text());
    assert!(!server.log_text().contains("panicked"), "{}", server.log_text());
    assert_eq!(runtime.block_on(get(&format!("{}/health/live", server.base()))).body, "live\n");
}
