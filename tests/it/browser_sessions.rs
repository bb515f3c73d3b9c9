//! The browser session: a cookie of this host alone, a row that decides, and what ends with it.

use std::time::{Duration, Instant};

use axum::body::Body;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use futures_util::future::join_all;
use http::{HeaderValue, Request};
use sha2::{Digest, Sha256};

use crate::{
    harness::{Registration, TestServer, app::bytes, app::timestamp, browser::DEVICE, browser::PASSWORD, browser::Person, process::run},
    on_every_backend,
};

const DAY: u64 = 24 * 60 * 60;
const HOUR: u64 = 60 * 60;

/// Name, value and sorted attributes of the one cookie that an answer sets, beside that of a known device.
fn set_cookie(answer: &crate::harness::Answer) -> (String, String, Vec<String>) {
    let is_of_session = |cookie: &&HeaderValue| !cookie.to_str().unwrap().contains(DEVICE);
    let cookies: Vec<&HeaderValue> = answer.headers.get_all("set-cookie").iter().filter(is_of_session).collect();
    let [cookie] = cookies[..] else { panic!("{} cookies", cookies.len()) };
    let mut parts = cookie.to_str().unwrap().split("; ");
    let (name, value) = parts.next().unwrap().split_once('=').unwrap();
    let mut attributes: Vec<String> = parts.map(str::to_owned).collect();
    attributes.sort();
    (name.to_owned(), value.to_owned(), attributes)
}

/// What keeps servers on other ports of one host apart.
fn hash_of(issuer: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(issuer)[..6])
}

/// Signs in and keeps the answer that sets the cookie.
async fn post_sign_in(browser: &mut crate::harness::Browser<'_>, person: &Person) -> crate::harness::Answer {
    browser.post("/login", &[("email", &person.email), ("password", PASSWORD)]).await
}

/// Whether the account page takes this browser for signed in.
async fn is_signed_in(browser: &mut crate::harness::Browser<'_>) -> bool {
    let answer = browser.fetch(Request::get("/account").body(Body::empty()).unwrap()).await;
    match answer.status.as_u16() {
        200 => true,
        303 if answer.location() == "/login" => false,
        _ => panic!("{} {}", answer.status, answer.body),
    }
}

/// When the latest session was last seen, as the database writes it.
async fn last_seen(server: &TestServer) -> Vec<String> {
    server.database.strings("SELECT CAST(MAX(last_seen_at) AS TEXT) FROM browser_sessions").await
}

/// Visits a page, and waits until it is noted that the session is in use.
async fn come_back(server: &TestServer, browser: &mut crate::harness::Browser<'_>) {
    let before = last_seen(server).await;
    assert!(is_signed_in(browser).await);
    let deadline = Instant::now() + Duration::from_secs(20);
    while last_seen(server).await == before {
        assert!(Instant::now() < deadline, "it is not noted");
        tokio::task::yield_now().await;
    }
}

fn cookie_of(browser: &crate::harness::Browser<'_>) -> (String, String) {
    let (name, value) = browser.cookies.first_key_value().expect("a cookie");
    (name.clone(), value.clone())
}

on_every_backend! {
    /// RFC 6265bis §4.1.3.2: `__Host-` binds the cookie to this host, TLS and every path.
    async fn the_cookie_is_bound_to_this_host_and_out_of_reach_of_scripts(server) {
        let person = server.person("alice").await;
        let mut browser = server.browser();
        browser.go("/login").await;
        assert!(browser.cookies.is_empty(), "no cookie before a sign-in");

        let (name, value, attributes) = set_cookie(post_sign_in(&mut browser, &person).await.assert_status(303));
        assert_eq!(name, format!("__Host-grantor-{}", hash_of(ISSUER)));
        assert_eq!(attributes, ["HttpOnly", "Max-Age=1209600", "Path=/", "SameSite=Lax", "Secure"]);
        assert!(value.len() >= 22, "128 bits: {value}");
    }

    /// Safari drops `Secure` cookies of plain HTTP, also on loopback.
    async fn without_tls_on_loopback_the_cookie_has_no_prefix_and_no_secure(server, "GRANTOR_ISSUER" = "http://127.0.0.1:8080") {
        let person = server.person("alice").await;
        let mut browser = server.browser();
        let (name, _, attributes) = set_cookie(post_sign_in(&mut browser, &person).await.assert_status(303));
        assert_eq!(name, format!("grantor-{}", hash_of("http://127.0.0.1:8080")));
        assert_eq!(attributes, ["HttpOnly", "Max-Age=1209600", "Path=/", "SameSite=Lax"]);

        assert!(is_signed_in(&mut browser).await);
        browser.submit("/account/sign-out", &[]).await;
        assert!(browser.cookies.is_empty());
    }

    /// Session fixation: a value that someone planted is never made valid.
    async fn the_cookie_changes_at_every_sign_in(server) {
        let app = server.client("app").await;
        let person = server.person("alice").await;
        let mut browser = server.browser();
        let planted = BASE64_URL_SAFE_NO_PAD.encode([7; 16]);
        browser.cookies.insert(format!("__Host-grantor-{}", hash_of(ISSUER)), planted.clone());
        browser.sign_in_at_account(&person).await.assert_status(200);
        let first = cookie_of(&browser);
        assert_ne!(first.1, planted);

        browser.authorize(&app, &[("prompt", "login")]).await;
        browser.sign_in(&person).await;
        assert_ne!(cookie_of(&browser), first);
        for stale in [planted, first.1] {
            let mut other = server.browser();
            other.cookies.insert(first.0.clone(), stale);
            assert!(!is_signed_in(&mut other).await);
        }
        assert!(is_signed_in(&mut browser).await);
        assert_eq!(server.database.count("browser_sessions").await, 1);
    }

    /// Who reads the database cannot sign in with what it holds.
    async fn the_cookie_is_stored_only_as_a_hash(server) {
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let (_, value) = cookie_of(&browser);
        let row = match server.database.backend {
            Backend::Sqlite => "hex(id) || hex(person_id) || amr || coalesce(address, '') || coalesce(user_agent, '')",
            Backend::Postgres => "session::text",
        };
        let hash = bytes(server.database.backend, &Sha256::digest(&value));
        let rows = server.database.strings(&format!("SELECT {row} FROM browser_sessions AS session WHERE id_hash = {hash}")).await;
        assert_eq!(rows.len(), 1);
        assert!(!rows[0].contains(&value), "{rows:?}");
        assert!(!server.database.strings("SELECT CAST(details AS TEXT) FROM audit_events").await.concat().contains(&value));
    }

    /// Browsers take a `__Host-` cookie away only when told so with `Secure`.
    async fn signing_out_takes_the_cookie_away(server) {
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let (name, stolen) = cookie_of(&browser);

        let (removed, value, attributes) = set_cookie(browser.post("/account/sign-out", &[]).await.assert_status(303));
        assert_eq!((&removed, value.as_str()), (&name, ""));
        for attribute in ["Secure", "Path=/", "Max-Age=0"] {
            assert!(attributes.iter().any(|known| known == attribute), "{attributes:?}");
        }
        assert!(browser.cookies.is_empty(), "a browser takes it away");
        let mut thief = server.browser();
        thief.cookies.insert(name, stolen);
        assert!(!is_signed_in(&mut thief).await);
    }

    /// A request that read the session before it ended must not write it back.
    async fn an_ended_session_is_not_brought_back_by_requests_in_progress(server) {
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        // Each of them notes that the session is in use.
        server.advance(HOUR);
        let visit = || async {
            let mut copy = browser.at(server);
            for _ in 0..5 {
                is_signed_in(&mut copy).await;
            }
        };
        let sign_out = async {
            browser.at(server).post("/account/sign-out", &[]).await.assert_status(303);
        };
        let visits = join_all((0..8).map(|_| visit()));
        tokio::join!(visits, sign_out);

        assert_eq!(server.database.count("browser_sessions").await, 0);
        assert!(!is_signed_in(&mut browser).await);
    }

    /// `session.idle_ttl`: a day without coming back.
    async fn a_session_that_idles_ends(server) {
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        server.advance(23 * HOUR);
        come_back(server, &mut browser).await;
        server.advance(23 * HOUR);
        come_back(server, &mut browser).await;
        server.advance(DAY);
        assert!(!is_signed_in(&mut browser).await);
    }

    /// `session.ttl`: two weeks, however often one comes back.
    async fn a_session_in_use_ends_at_its_absolute_end(server) {
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for _ in 0..13 {
            server.advance(DAY - HOUR);
            come_back(server, &mut browser).await;
        }
        // 13 days less 13 hours are over.
        server.advance(DAY - HOUR);
        come_back(server, &mut browser).await;
        server.advance(14 * HOUR);
        assert!(!is_signed_in(&mut browser).await);
    }

    /// The settings decide, not constants.
    async fn both_ends_of_a_session_can_be_set(server, "GRANTOR_SESSION__TTL" = "2h", "GRANTOR_SESSION__IDLE_TTL" = "30m") {
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for _ in 0..4 {
            server.advance(29 * 60);
            come_back(server, &mut browser).await;
        }
        server.advance(5 * 60);
        assert!(!is_signed_in(&mut browser).await);
    }

    /// What the operator does is felt at the next request.
    async fn a_disabled_person_is_signed_out_at_once(server) {
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        let at = timestamp(server.database.backend, server.clock.now().as_micros());
        server.database.execute(&format!("UPDATE people SET disabled_at = {at} WHERE email = '{}'", person.email)).await;
        assert!(!is_signed_in(&mut browser).await, "the row of the session is still there");

        server.database.execute("UPDATE people SET disabled_at = NULL").await;
        browser.sign_in_at_account(&person).await.assert_status(200);
        run(&server.database, &["user", "disable", &person.email]).assert_code(0);
        assert_eq!(server.database.count("browser_sessions").await, 0);
        assert!(!is_signed_in(&mut browser).await);
    }

    /// Whoever learnt the old password is out.
    async fn a_new_password_ends_every_session_begun_before(server) {
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        let at = timestamp(server.database.backend, server.clock.now().as_micros());
        server.database.execute(&format!("UPDATE people SET tokens_not_before = {at} WHERE email = '{}'", person.email)).await;
        assert!(!is_signed_in(&mut browser).await);

        browser.sign_in_at_account(&person).await.assert_status(200);
        assert!(is_signed_in(&mut browser).await, "a later sign-in counts");
    }

    /// Two people at one browser: what ends with a session ends when someone else takes the browser over.
    async fn switching_accounts_ends_what_hung_on_the_other_session(server) {
        let app = server.client("app").await;
        let (alice, bob) = (server.person("alice").await, server.person("bob").await);
        let mut browser = server.browser();
        browser.sign_in_at_account(&alice).await;
        let bound = app.redeem(&app.code_at(&mut browser, &[("scope", "read")]).await).await;
        let lasting = app.redeem(&app.code_at(&mut browser, &[("scope", "read offline_access"), ("prompt", "consent")]).await).await;
        // The same browser asks for an app, and does not come to an end before someone else signs in.
        let pending = app.code_at(&mut browser, &[("scope", "read")]).await;

        browser.go("/login?another=1").await;
        browser.sign_in(&bob).await.assert_status(200);
        assert!(browser.page().body.contains(&bob.email));
        assert!(!server.is_active(&app, &bound.access_token()).await);
        app.refresh(&bound.refresh_token()).await.assert_error(400, "invalid_grant");
        app.redeem(&pending).await.assert_error(400, "invalid_grant");
        assert!(server.is_active(&app, &lasting.access_token()).await, "given to last");
        assert_eq!(server.database.count("browser_sessions").await, 1);
    }

    /// Proving once more who one is ends nothing.
    async fn the_same_person_again_goes_on_with_the_session(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        let tokens = app.redeem(&app.code_at(&mut browser, &[("scope", "read")]).await).await;
        browser.authorize(&app, &[("scope", "read"), ("prompt", "login")]).await;
        browser.sign_in(&person).await;
        assert!(server.is_active(&app, &tokens.access_token()).await);

        browser.submit("/account/sign-out", &[]).await;
        assert!(!server.is_active(&app, &tokens.access_token()).await, "it still hangs on the session");
    }

    /// A double click: none of several re-authentications at once fails, and the browser has a session that works.
    async fn the_sign_in_form_sent_several_times_at_once_signs_in(server) {
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        for _ in 0..4 {
            let mut copies: Vec<_> = (0..6).map(|_| browser.at(server)).collect();
            let answers = join_all(copies.iter_mut().map(|copy| post_sign_in(copy, &person))).await;
            for answer in answers {
                answer.assert_status(303);
            }
            let mut alive = Vec::new();
            for mut copy in copies {
                if is_signed_in(&mut copy).await {
                    alive.push(copy);
                }
            }
            browser = alive.pop().expect("the last one stands");
        }
    }

    /// Whatever a cookie says, it is a stranger's at worst.
    async fn junk_in_cookies_does_no_harm(server) {
        let person = server.person("alice").await;
        let name = format!("__Host-grantor-{}", hash_of(ISSUER));
        let unknown = BASE64_URL_SAFE_NO_PAD.encode([1; 16]);
        let long = "A".repeat(6_000);
        for value in ["", "x", "%00", "\"", "../../etc/passwd", "' OR 1=1 --", "deleted", &unknown, &long] {
            let mut browser = server.browser();
            browser.cookies.insert(name.clone(), value.to_owned());
            assert!(!is_signed_in(&mut browser).await, "{value}");
            browser.sign_in_at_account(&person).await.assert_status(200);
        }
        for header in [&b"\xff\xfe=\x80"[..], b";;;=;", b"=", name.as_bytes(), b"a=b; \xf0\x9f\x8d\xaa"] {
            let request = Request::get("/account").header("cookie", HeaderValue::from_bytes(header).unwrap());
            server.send(request.body(Body::empty()).unwrap()).await.assert_status(303);
        }
    }

    /// The id on the account page names a session and is none.
    async fn the_id_of_a_session_is_no_cookie(server) {
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let shown = browser.go("/account").await.field("session");
        let mut other = server.browser();
        for value in [shown.clone(), shown.replace('-', "")] {
            other.cookies.insert(cookie_of(&browser).0, value);
            assert!(!is_signed_in(&mut other).await);
        }
    }

    /// A phone and a desk.
    async fn sessions_at_two_browsers_are_independent(server) {
        let app = server.register("app", Registration { first_party: true, ..Registration::default() }).await;
        let (mut desk, mut phone) = (server.browser(), server.browser());
        let person = desk.sign_in_as_someone().await;
        phone.sign_in_at_account(&person).await.assert_status(200);
        let tokens = app.redeem(&app.code_at(&mut phone, &[("scope", "read")]).await).await;

        desk.submit("/account/sign-out", &[]).await;
        assert!(is_signed_in(&mut phone).await);
        assert!(server.is_active(&app, &tokens.access_token()).await);
    }
}
