//! Limits on requests (RFC 6585 §4, draft-ietf-httpapi-ratelimit-headers-10): by address where anyone may ask, by person where one must
//! be signed in, by client where one proved who it is.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use grantor::routes::{self, Peer};
use http::Request;
use tower::ServiceExt;

use crate::{
    harness::{
        Answer, Browser, Registration, TestServer,
        over_http::{RemoteApp, get},
        process::{PATIENCE, Process, wait_until},
    },
    on_databases, on_every_backend,
};

const HOME: &str = "203.0.113.7";
const ELSEWHERE: &str = "198.51.100.9";

/// A request as it comes from an address.
async fn send_from(server: &TestServer, address: &str, mut request: Request<Body>) -> Answer {
    request.extensions_mut().insert(Peer(SocketAddr::new(address.parse::<IpAddr>().unwrap(), 40_000)));
    server.send(request).await
}

async fn get_from(server: &TestServer, address: &str, path: &str) -> Answer {
    send_from(server, address, Request::get(path).body(Body::empty()).unwrap()).await
}

/// A token request of nobody in particular.
async fn ask_from(server: &TestServer, address: &str) -> Answer {
    let form =
        crate::harness::form_request("/oauth/token", &[("grant_type", "client_credentials"), ("client_id", "x"), ("client_secret", "x")]);
    send_from(server, address, form).await
}

/// How many of so many requests were answered.
async fn answered(server: &TestServer, address: &str, path: &str, times: usize) -> usize {
    let mut answered = 0;
    for _ in 0..times {
        answered += usize::from(get_from(server, address, path).await.status != 429);
    }
    answered
}

#[track_caller]
fn assert_told(answer: &Answer, rate_limit: &str, policy: &str) {
    assert_eq!((answer.header("ratelimit"), answer.header("ratelimit-policy")), (rate_limit, policy), "{}", answer.status);
}

/// What Prometheus would read of refusals by this limit.
async fn refusals(server: &TestServer, limit: &str) -> u64 {
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let page = Answer::read(routes::for_prometheus(&server.server, || 0).oneshot(request).await.unwrap()).await.body;
    let sample = format!("grantor_rate_limit_refusals_total{{limit=\"{limit}\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&sample)).unwrap_or_else(|| panic!("{page}")).parse().unwrap()
}

/// Goes to the account page without following where it leads.
async fn account(browser: &mut Browser<'_>) -> Answer {
    browser.fetch(Request::get("/account").body(Body::empty()).unwrap()).await
}

on_every_backend! {
    /// Each answer tells what is left. Whoever sends more learns when to come back, also from another origin, and comes back then.
    async fn a_program_that_sends_too_much_is_told_when_to_go_on(server, "GRANTOR_RATE_LIMIT__PUBLIC" = "3/1m") {
        for (remaining, reset) in [(2, 20), (1, 40), (0, 60)] {
            let answer = ask_from(server, HOME).await;
            answer.assert_error(401, "invalid_client");
            assert_told(&answer, &format!("\"public\";r={remaining};t={reset}"), "\"public\";q=3;w=60");
        }
        let audit = server.audit().await;
        for _ in 0..5 {
            let refused = ask_from(server, HOME).await;
            refused.assert_error(429, "temporarily_unavailable");
            assert_told(&refused, "\"public\";r=0;t=20", "\"public\";q=3;w=60");
            assert_eq!((refused.header("retry-after"), refused.header("access-control-allow-origin")), ("20", "*"));
            assert!(refused.header("access-control-expose-headers").contains("RateLimit, RateLimit-Policy"));
            assert!(!refused.header("x-request-id").is_empty());
        }
        assert_eq!(server.audit().await, audit, "which is not audited");
        assert_eq!((refusals(server, "public").await, refusals(server, "client").await), (5, 0), "but counted");
        server.advance(20);
        ask_from(server, HOME).await.assert_error(401, "invalid_client");
        ask_from(server, HOME).await.assert_error(429, "temporarily_unavailable");
        server.advance(60);
        assert_told(&ask_from(server, HOME).await, "\"public\";r=2;t=20", "\"public\";q=3;w=60");
    }

    /// A person gets a page, in their language.
    async fn a_person_who_sends_too_much_gets_a_page(server, "GRANTOR_RATE_LIMIT__PUBLIC" = "3/1m") {
        assert_eq!(answered(server, HOME, "/login", 3).await, 3);
        let refused = get_from(server, HOME, "/login").await;
        refused.assert_page_error(429);
        assert!(refused.body.contains("<h1>Too many requests</h1>"), "{}", refused.body);
        assert_eq!((refused.header("retry-after"), refused.header("ratelimit")), ("20", "\"public\";r=0;t=20"));
        assert!(refused.header("content-security-policy").contains("default-src 'none'"));
        let german = Request::get("/login").header("accept-language", "de").body(Body::empty()).unwrap();
        assert!(send_from(server, HOME, german).await.assert_page_error(429).body.contains("Zu viele Anfragen"));
        assert_eq!(answered(server, HOME, "/oauth/authorize", 5).await, 3, "which redirects nowhere");
    }

    /// Each endpoint is counted by itself, also what is not there; and each address, of which a /64 is one of IPv6.
    async fn endpoints_and_addresses_are_counted_by_themselves(server, "GRANTOR_RATE_LIMIT__PUBLIC" = "3/1m") {
        for path in ["/oauth/token", "/oauth/authorize", "/oauth/userinfo", "/oauth/logout", "/login", "/signup", "/signed-out", "/oauth/revoke", "/oauth/introspect"] {
            assert_eq!(answered(server, HOME, path, 5).await, 3, "{path}");
        }
        for nowhere in 0..3 {
            assert_eq!(answered(server, HOME, &format!("/nowhere/{nowhere}"), 1).await, 1);
        }
        assert_eq!(answered(server, HOME, "/somewhere/else", 1).await, 0);
        assert_eq!(answered(server, ELSEWHERE, "/login", 5).await, 3);
        assert_eq!(answered(server, &format!("::ffff:{ELSEWHERE}"), "/login", 1).await, 0);
        for host in 0..3 {
            assert_eq!(answered(server, &format!("2001:db8:0:1::{host}"), "/login", 1).await, 1);
        }
        assert_eq!(answered(server, "2001:db8:0:1:ffff::1", "/login", 1).await, 0);
        assert_eq!(answered(server, "2001:db8:0:2::1", "/login", 1).await, 1);
    }

    /// Clients register within the limit, too.
    async fn registration_is_counted(server, "GRANTOR_RATE_LIMIT__PUBLIC" = "3/1m", "GRANTOR_REGISTRATION__MODE" = "token") {
        assert_eq!(answered(server, HOME, "/oauth/register", 5).await, 3);
        assert_eq!(answered(server, HOME, "/oauth/register/someone", 5).await, 3);
    }

    /// What caches and probes read all the time is never refused, and says nothing of limits.
    async fn documents_health_and_assets_are_not_counted(server, "GRANTOR_RATE_LIMIT__PUBLIC" = "1/1d") {
        let style = get_from(server, HOME, "/login").await.body;
        let asset = style.split("href=\"").find(|part| part.starts_with("/assets/")).unwrap().split('"').next().unwrap().to_owned();
        for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/oauth/jwks", "/health/live", "/health/ready", &asset] {
            for _ in 0..5 {
                let answer = get_from(server, HOME, path).await;
                answer.assert_status(200);
                assert_told(&answer, "", "");
                let head = Request::head(path).body(Body::empty()).unwrap();
                assert_ne!(send_from(server, HOME, head).await.status, 429, "{path}");
            }
        }
    }

    /// Where addresses tell nobody apart, a proxy's are nobody's: one stranger does not spend what is everyone's.
    async fn the_addresses_of_a_proxy_are_not_counted(server, "GRANTOR_RATE_LIMIT__PUBLIC" = "1/1d") {
        for address in ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "fd00::1"] {
            assert_eq!(answered(server, address, "/login", 5).await, 5, "{address}");
            assert_told(&get_from(server, address, "/login").await, "", "");
        }
    }

    /// The operator says which addresses count, as for failed sign-ins.
    async fn private_addresses_can_be_counted(server, "GRANTOR_RATE_LIMIT__PUBLIC" = "3/1m", "GRANTOR_THROTTLE__BY_ADDRESS" = "always") {
        assert_eq!(answered(server, "127.0.0.1", "/login", 5).await, 3);
    }

    async fn no_address_need_be_counted(server, "GRANTOR_RATE_LIMIT__PUBLIC" = "3/1m", "GRANTOR_THROTTLE__BY_ADDRESS" = "never") {
        assert_eq!(answered(server, HOME, "/login", 5).await, 5);
    }

    /// Of who is signed in the person counts, at whatever browser; and what a person does spends nothing of the network's.
    async fn a_person_is_counted_at_their_pages(server, "GRANTOR_RATE_LIMIT__SIGNED_IN" = "3/1m", "GRANTOR_RATE_LIMIT__PUBLIC" = "1/1d") {
        let (alice, bob) = (server.person("alice").await, server.person("bob").await);
        let (mut here, mut there, mut other) = (server.browser(), server.browser(), server.browser());
        here.sign_in_at_account(&alice).await.assert_status(200);
        there.sign_in_at_account(&alice).await.assert_status(200);
        other.sign_in_at_account(&bob).await.assert_status(200);
        let last = account(&mut here).await;
        assert_told(last.assert_status(200), "\"signed_in\";r=0;t=60", "\"signed_in\";q=3;w=60");
        for browser in [&mut here, &mut there] {
            let refused = account(browser).await;
            assert!(refused.assert_page_error(429).body.contains("Too many requests"));
            assert_told(&refused, "\"signed_in\";r=0;t=20", "\"signed_in\";q=3;w=60");
        }
        account(&mut other).await.assert_status(200);
        assert_eq!(refusals(server, "signed_in").await, 2);
        server.advance(20);
        account(&mut here).await.assert_status(200);
    }

    /// Whoever has no session there is counted by address: such requests cost a look for one.
    async fn strangers_at_the_pages_of_people_are_counted_by_address(server, "GRANTOR_RATE_LIMIT__PUBLIC" = "3/1m") {
        for path in ["/account", "/consent", "/select-account", "/sign-out"] {
            assert_eq!(answered(server, HOME, path, 5).await, 3, "{path}");
        }
    }

    /// A client is counted when it proved who it is, at each endpoint. Others are not touched.
    async fn a_client_that_sends_too_much_is_told_when_to_go_on(server, "GRANTOR_RATE_LIMIT__CLIENT" = "3/1m") {
        let (app, other) = (server.client("app").await, server.client("other").await);
        for (remaining, reset) in [(2, 20), (1, 40), (0, 60)] {
            let answer = app.client_credentials(&[]).await;
            assert_told(answer.assert_status(200), &format!("\"client\";r={remaining};t={reset}"), "\"client\";q=3;w=60");
        }
        let refused = app.client_credentials(&[]).await;
        assert_told(refused.assert_error(429, "temporarily_unavailable"), "\"client\";r=0;t=20", "\"client\";q=3;w=60");
        assert_eq!((refused.header("retry-after"), refused.header("access-control-allow-origin")), ("20", "*"));
        other.client_credentials(&[]).await.assert_status(200);
        for _ in 0..3 {
            app.introspect("x").await.assert_status(200);
            app.revoke("x").await.assert_status(200);
        }
        app.introspect("x").await.assert_error(429, "temporarily_unavailable");
        app.revoke("x").await.assert_error(429, "temporarily_unavailable");
        assert_eq!(refusals(server, "client").await, 3);
        server.advance(20);
        app.client_credentials(&[]).await.assert_status(200);
    }

    /// What a client may not is counted as well, and tells what is left.
    async fn refused_requests_of_a_client_count(server, "GRANTOR_RATE_LIMIT__CLIENT" = "3/1m") {
        let app = server.client("app").await;
        let refused = app.client_credentials(&[("scope", "unknown")]).await;
        assert_told(refused.assert_error(400, "invalid_scope"), "\"client\";r=2;t=20", "\"client\";q=3;w=60");
    }

    /// Nobody spends what is a client's by naming it: neither with a wrong secret, nor where there is none.
    async fn nobody_spends_what_is_a_clients(server, "GRANTOR_RATE_LIMIT__CLIENT" = "3/1m") {
        let app = server.client("app").await;
        for _ in 0..10 {
            server.post("/oauth/token", &[("grant_type", "client_credentials"), ("client_id", "app"), ("client_secret", "wrong")]).await.assert_error(401, "invalid_client");
        }
        app.client_credentials(&[]).await.assert_status(200);
        let spa = server.register("spa", Registration::spa()).await;
        for _ in 0..10 {
            let answer = spa.refresh("unknown").await;
            assert_told(answer.assert_error(400, "invalid_grant"), "", "");
        }
    }

    /// Where two limits apply, both are told.
    async fn an_address_and_a_client_are_told_beside_each_other(server, "GRANTOR_RATE_LIMIT__PUBLIC" = "5/1m", "GRANTOR_RATE_LIMIT__CLIENT" = "3/1m") {
        let app = server.client("app").await;
        let request = || app.request("/oauth/token", &[("grant_type", "client_credentials")], &[]);
        let answer = send_from(server, HOME, request()).await;
        assert_told(answer.assert_status(200), "\"public\";r=4;t=12, \"client\";r=2;t=20", "\"public\";q=5;w=60, \"client\";q=3;w=60");
    }

    async fn limits_can_be_off(server, "GRANTOR_RATE_LIMIT__PUBLIC" = "off", "GRANTOR_RATE_LIMIT__SIGNED_IN" = "off", "GRANTOR_RATE_LIMIT__CLIENT" = "off") {
        let app = server.client("app").await;
        let answer = send_from(server, HOME, app.request("/oauth/token", &[("grant_type", "client_credentials")], &[])).await;
        assert_told(answer.assert_status(200), "", "");
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        assert_told(account(&mut browser).await.assert_status(200), "", "");
    }

    /// Nobody is told of limits that they cannot reach by working: an office behind one address signs in and refreshes.
    async fn the_defaults_leave_room_for_an_office(server) {
        let answer = ask_from(server, HOME).await;
        assert_told(&answer, "\"public\";r=5999;t=1", "\"public\";q=6000;w=60");
        let app = server.client("app").await;
        let answer = app.client_credentials(&[]).await;
        assert_told(answer.assert_status(200), "\"client\";r=999999;t=1", "\"client\";q=1000000;w=60");
    }
}

on_databases! { [Sqlite]
    /// A flood does not fill the log: its first refusal is told, the others are only counted.
    async fn of_many_refusals_one_is_logged(database) {
        let settings = [("GRANTOR_RATE_LIMIT__PUBLIC", "3/1h"), ("GRANTOR_THROTTLE__BY_ADDRESS", "always"), ("GRANTOR_LOG_FORMAT", "json")];
        let server = Process::serve(database, &settings);
        let base = server.base();
        for _ in 0..20 {
            get(&format!("{base}/login")).await;
        }
        let last = get(&format!("{base}/health/nowhere")).await;
        wait_until(PATIENCE, "all of it is logged", || server.log_text().contains(last.header("x-request-id")));
        let log = server.log_text();
        let lines = |of: &str| log.lines().filter(|line| line.contains(of)).count();
        assert_eq!((lines("requests are refused with 429"), lines("\"route\":\"/login\"")), (1, 4), "{log}");
    }

    /// Behind the address of an office or a proxy there are many: a client that loops is told of by its id.
    async fn the_log_names_the_client_that_is_refused(database) {
        let app = RemoteApp::create(database, "looper");
        let server = Process::serve(database, &[("GRANTOR_RATE_LIMIT__CLIENT", "1/1h"), ("GRANTOR_LOG_FORMAT", "json")]);
        for _ in 0..2 {
            app.client_credentials(&server.base()).await;
        }
        let told = || server.log_text().lines().any(|line| line.contains("requests are refused with 429") && line.contains("\"client_id\":\"looper\""));
        wait_until(PATIENCE, "it is told", told);
    }
}
