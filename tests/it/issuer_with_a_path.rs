//! An issuer with a path (RFC 8414 §2, §3.1): everything is below it, and several servers share one origin.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Method, Request};
use regex::Regex;

use crate::{
    harness::{
        Answer, TestServer, form_request,
        over_http::{RemoteApp, RemoteBrowser, create_person, get},
        process::{Process, free_port, grantor},
    },
    on_databases, on_every_backend,
};

const HERE: &str = "https://auth.example.com/tenant/a";
const BESIDE: &str = "https://auth.example.com/tenant/b";
const OUR_ORIGIN: &str = "https://auth.example.com";

/// `GET` of a path of the origin, wherever the server is.
async fn at_origin(server: &TestServer, path: &str) -> Answer {
    server.send_to_origin(Request::get(path).body(Body::empty()).unwrap()).await
}

/// Where a page leads and what it loads, as far as it is on its own origin.
fn addresses(page: &str) -> BTreeSet<String> {
    let attribute = Regex::new(r#"(?:href|src|action)="(/[^"]*)""#).unwrap();
    attribute.captures_iter(page).map(|found| found[1].to_owned()).collect()
}

on_every_backend! {
    /// From the metadata to the end of a session, every step below the path.
    async fn the_whole_journey_is_below_the_path(server, "GRANTOR_ISSUER" = "https://auth.example.com/tenant/a") {
        let app = server.client("app").await;
        let person = server.person("alice").await;
        let mut browser = server.browser();
        assert!(server.get(&app.authorization_path(&[])).await.location().starts_with("/tenant/a/login?request="));
        browser.authorize(&app, &[]).await;
        assert!(browser.is_asked_to_sign_in());
        browser.sign_in(&person).await;
        assert!(browser.is_asked_for_consent());
        let answer = browser.allow().await;
        assert_eq!(answer.param("iss").as_deref(), Some(HERE));

        let tokens = app.redeem(&answer.code()).await;
        assert_eq!((&tokens.claims()["iss"], &tokens.claims()["aud"]), (&HERE.into(), &HERE.into()));
        let tokens = app.refresh(&tokens.refresh_token()).await;
        assert_eq!(app.introspect(&tokens.access_token()).await.member("iss"), HERE);
        app.revoke(&tokens.refresh_token()).await.assert_status(200);
        assert!(!server.is_active(&app, &tokens.access_token()).await);

        browser.go("/account").await.assert_status(200);
        let signed_out = browser.post("/account/sign-out", &[]).await;
        assert_eq!(signed_out.location(), "/tenant/a/signed-out");
        assert_eq!(browser.post("/account/sessions/end", &[]).await.location(), "/tenant/a/login");
        assert_eq!(server.get("/account").await.location(), "/tenant/a/login");
    }

    /// Pages lead and post to below the path, and load from there.
    async fn pages_stay_below_the_path(server, "GRANTOR_ISSUER" = "https://auth.example.com/tenant/a") {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let mut pages = vec![server.get("/login").await.body, server.get("/signed-out").await.body, server.get("/nowhere").await.body];
        pages.push(at_origin(server, "/nowhere").await.body);
        browser.sign_in_as_someone().await;
        pages.push(browser.page().body.clone());
        pages.push(browser.authorize(&app, &[]).await.body.clone());
        pages.push(browser.authorize(&app, &[("prompt", "login")]).await.body.clone());
        pages.push(browser.authorize(&app, &[("prompt", "none"), ("response_mode", "form_post")]).await.body.clone());
        for page in pages {
            let addresses = addresses(&page);
            assert!(!addresses.is_empty(), "{page}");
            for address in addresses {
                assert!(address.starts_with("/tenant/a/"), "{address}: {page}");
                if address.contains("/assets/") {
                    at_origin(server, &address).await.assert_status(200);
                }
            }
        }
    }

    /// Beside the path is nothing of ours; who comes there by a proxy that cut it off is told.
    async fn beside_the_path_is_a_page_that_says_where_the_server_is(server, "GRANTOR_ISSUER" = "https://auth.example.com/tenant/a") {
        for path in ["/", "/login", "/account", "/oauth/authorize", "/oauth/jwks", "/tenant", "/tenant/", "/tenant/ab/login", "/tenant/A/login", "/tenant/a%2Flogin"] {
            let page = at_origin(server, path).await;
            page.assert_page_error(404);
            assert!(page.body.contains(&format!("This server is at {HERE}:")), "{path}: {}", page.body);
            assert!(page.body.contains("href=\"/tenant/a/account\""), "{path}: {}", page.body);
        }
        let token = server.send_to_origin(form_request("/oauth/token", &[("grant_type", "client_credentials")])).await;
        token.assert_page_error(404);
        let below = server.get("/nowhere").await;
        below.assert_page_error(404);
        assert!(!below.body.contains("This server is at"), "{}", below.body);
    }

    /// Someone who types the address comes to their account, with or without a slash at its end.
    async fn the_issuer_itself_leads_to_the_account(server, "GRANTOR_ISSUER" = "https://auth.example.com/tenant/a") {
        for path in ["/tenant/a", "/tenant/a/"] {
            assert_eq!(at_origin(server, path).await.location(), "/tenant/a/account");
        }
    }

    /// RFC 8414 §3.1, OpenID Discovery §4: the document is before the path and behind it, and nowhere else.
    async fn the_metadata_is_in_all_its_places(server, "GRANTOR_ISSUER" = "https://auth.example.com/tenant/a") {
        for place in [
            "/.well-known/oauth-authorization-server/tenant/a",
            "/tenant/a/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration/tenant/a",
            "/tenant/a/.well-known/openid-configuration",
        ] {
            let document = at_origin(server, place).await;
            assert_eq!(document.member("issuer"), HERE, "{place}");
            assert_eq!(document.member("token_endpoint"), format!("{HERE}/oauth/token"));
            assert_eq!(document.header("access-control-allow-origin"), "*");
            let members = document.json();
            for (name, url) in members.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_endpoint") || name.ends_with("_uri")) {
                let path = url.as_str().unwrap().strip_prefix(OUR_ORIGIN).unwrap();
                assert_ne!(at_origin(server, path).await.status, 404, "{name}");
            }
        }
        for elsewhere in [
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server/",
            "/.well-known/oauth-authorization-server/tenant",
            "/.well-known/oauth-authorization-server/tenant/a/",
            "/.well-known/oauth-authorization-server/tenant/b",
            "/tenant/a/.well-known/oauth-authorization-server/tenant/a",
            "/.well-known/openid-configuration/tenant/b",
            "/tenant/a/.well-known/openid-configuration/tenant/a",
            "/.well-known/openid-configuration",
        ] {
            let answer = at_origin(server, elsewhere).await;
            answer.assert_error(404, "invalid_request");
            assert_eq!(answer.header("access-control-allow-origin"), "*", "{elsewhere}");
        }
    }

    /// Machines that know the port alone, and those that come by the proxy.
    async fn health_is_at_the_root_and_below_the_path(server, "GRANTOR_ISSUER" = "https://auth.example.com/tenant/a") {
        for path in ["/health/live", "/health/ready", "/tenant/a/health/live", "/tenant/a/health/ready"] {
            at_origin(server, path).await.assert_status(200);
        }
    }

    /// RFC 6454 §4: browsers say from which origin a form comes, and an origin has no path.
    async fn forms_come_from_the_origin(server, "GRANTOR_ISSUER" = "https://auth.example.com/tenant/a") {
        for (origin, status) in [(OUR_ORIGIN, 303), (HERE, 403), ("https://auth.example.com/", 403), ("https://evil.example", 403)] {
            let mut request = form_request("/account/sign-out", &[]);
            request.headers_mut().insert("origin", origin.parse().unwrap());
            server.send(request).await.assert_status(status);
        }
    }

    /// Two servers on one origin: each has its own cookie, and neither knows who is signed in at the other.
    async fn neighbours_do_not_disturb_one_another(server, "GRANTOR_ISSUER" = "https://auth.example.com/tenant/a") {
        let neighbour = TestServer::start(server.database.backend, &[("GRANTOR_ISSUER", BESIDE)]).await;
        let mut here = server.browser();
        here.sign_in_as_someone().await;
        let mut there = here.at(&neighbour);
        there.go("/account").await;
        assert!(there.is_asked_to_sign_in(), "a session here is none there");
        there.sign_in_as_someone().await;
        assert_eq!(there.cookies.len(), 2);
        assert!(there.cookies.keys().all(|name| name.starts_with("__Host-")));

        here.cookies = there.cookies.clone();
        here.go("/account").await.assert_status(200);
        here.submit("/account/sign-out", &[]).await;
        there.cookies = here.cookies.clone();
        assert_eq!(there.cookies.len(), 1);
        there.go("/account").await.assert_status(200);
        assert!(!there.is_asked_to_sign_in(), "signing out here ends nothing there");

        // Nor does the cookie of one count at the other under the other's name.
        let names: Vec<String> = [server, &neighbour].map(|server| server.path.clone()).into();
        let (name, value) = there.cookies.pop_first().unwrap();
        here.cookies.clear();
        here.sign_in_as_someone().await;
        let own = here.cookies.keys().next().unwrap().clone();
        assert_ne!(own, name, "{names:?}");
        here.cookies.insert(own, value);
        here.go("/account").await;
        assert!(here.is_asked_to_sign_in());
        neighbour.end().await;
    }

    /// OAuth 2.1 §3.1: a posted request, too, goes on below the path.
    async fn a_posted_request_goes_on_below_the_path(server, "GRANTOR_ISSUER" = "https://auth.example.com/tenant/a") {
        let app = server.client("app").await;
        let form = app.authorization_path(&[]).split_once('?').unwrap().1.to_owned();
        let request = Request::builder().method(Method::POST).uri("/oauth/authorize").header("content-type", "application/x-www-form-urlencoded");
        let answer = server.send(request.body(Body::from(form)).unwrap()).await;
        assert!(answer.location().starts_with("/tenant/a/consent?request="), "{}", answer.location());
    }
}

on_databases! { [Sqlite, Postgres]
    /// The binary, from discovery to sign-out.
    async fn a_server_with_a_path_serves_a_whole_journey(database) {
        let port = free_port();
        let issuer = format!("http://127.0.0.1:{port}/tenant/a");
        let server = Process::serve_on(database, port, &issuer, &[]);
        let metadata = get(&server.url("/.well-known/oauth-authorization-server/tenant/a")).await.json();
        assert_eq!(metadata["issuer"], *issuer);
        assert_eq!(metadata["authorization_endpoint"], format!("{issuer}/oauth/authorize"));

        let app = RemoteApp::create(database, "app");
        create_person(database, "alice@example.com");
        let mut browser = RemoteBrowser::signed_in(&issuer, "alice@example.com").await;
        let code = app.code(&mut browser).await;
        assert_eq!(browser.page().param("iss").as_ref(), Some(&issuer));
        let tokens = app.redeem(&issuer, &code).await;
        assert_eq!(tokens.claims()["iss"], *issuer);
        let tokens = app.refresh(&issuer, &tokens.refresh_token()).await;
        assert!(app.is_active(&issuer, &tokens.access_token()).await);
        app.revoke(&issuer, &tokens.refresh_token()).await.assert_status(200);
        assert!(!app.is_active(&issuer, &tokens.access_token()).await);

        browser.go(&format!("{issuer}/account")).await.assert_status(200);
        browser.submit("/account/sign-out", &[]).await.assert_status(200);
        assert!(browser.cookies.is_empty());
        assert!(browser.go(&format!("{issuer}/account")).await.body.contains("id=\"sign-in\""));

        let check = grantor(database).arg("healthcheck").env("GRANTOR_LISTEN", format!("127.0.0.1:{port}")).env("GRANTOR_ISSUER", &issuer).output();
        assert!(check.unwrap().status.success());
        assert!(server.log_text().contains(&issuer), "{}", server.log_text());
        assert_eq!(server.terminate(), Some(0));
    }
}
