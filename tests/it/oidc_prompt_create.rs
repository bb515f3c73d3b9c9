//! Making an account: `prompt=create` (OpenID Prompt Create 1.0) and the page `/signup`, where the operator lets people.

use std::net::SocketAddr;

use axum::body::Body;
use grantor::routes::Peer;
use http::Request;

use crate::{
    harness::{Answer, App, Browser, ISSUER, Registration, TestServer, browser::PASSWORD, encode, form_request},
    on_every_backend,
};

on_every_backend! {
    /// Prompt Create §4.1: the form comes first, and at its end the client has what it asked for.
    async fn whoever_makes_an_account_gets_on(server, "GRANTOR_SIGN_UP__OPEN" = "true") {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.authorize(&app, &[("prompt", "create"), ("login_hint", "new@example.com")]).await;
        assert!(browser.is_asked_to_sign_up() && browser.page().body.contains("value=\"new@example.com\""));
        browser.sign_up("new@example.com", PASSWORD).await;
        assert!(browser.is_asked_for_consent());
        let code = browser.allow().await.code();
        assert!(app.redeem(&code).await.claims()["sub"].is_string());

        let people = "SELECT email || ' ' || name || ' ' || CAST(roles AS TEXT) FROM people WHERE email_verified_at IS NULL";
        assert_eq!(server.database.strings(people).await, ["new@example.com New Comer []"]);
    }

    /// Prompt Create §4.1: also of who is signed in, once; or they sign in to the account that they have.
    async fn prompt_create_asks_also_who_is_signed_in(server, "GRANTOR_SIGN_UP__OPEN" = "true") {
        let app = ours(server).await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("prompt", "create")]).await;
        assert!(browser.is_asked_to_sign_up());
        let request = browser.page().field("request");
        browser.sign_up("second@example.com", PASSWORD).await.code();

        browser.go(&format!("/login?request={request}")).await.code();
        browser.authorize(&app, &[("prompt", "create")]).await;
        let request = browser.page().field("request");
        browser.go(&format!("/login?request={request}&another=1")).await;
        browser.sign_in(&person).await.code();
    }

    /// The sealed request remembers that an account was asked for: the other pages lead back to it, or ask for the password.
    async fn prompt_create_cannot_be_walked_around(server, "GRANTOR_SIGN_UP__OPEN" = "true") {
        let app = ours(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("prompt", "create")]).await;
        let request = browser.page().field("request");
        for path in ["/consent", "/select-account"] {
            browser.go(&format!("{path}?request={request}")).await;
            assert!(browser.is_asked_to_sign_up(), "{path}");
        }
        browser.go(&format!("/login?request={request}")).await;
        assert!(browser.is_asked_to_sign_in());
    }

    /// Prompt Create §4: what is not supported is not announced, and ignored.
    async fn without_sign_up_prompt_create_is_ignored(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        browser.authorize(&app, &[("prompt", "create")]).await;
        assert!(browser.is_asked_to_sign_in() && !browser.page().body.contains("signup"));
        browser.go("/signup").await.assert_page_error(404);
        browser.post("/signup", &[("email", "a@example.com"), ("name", "A"), ("password", PASSWORD)]).await.assert_page_error(404);
        assert_eq!(server.database.count("people").await, 0);
    }

    /// Prompt Create §4.2: announced where it works.
    async fn with_sign_up_prompt_create_is_announced(server, "GRANTOR_SIGN_UP__OPEN" = "true") {
        let metadata = server.get("/.well-known/openid-configuration").await.json();
        assert!(metadata["prompt_values_supported"].as_array().unwrap().contains(&"create".into()));
    }

    /// Without an app, the account page is next; and the sign-in page tells of the other.
    async fn the_pages_lead_to_one_another(server, "GRANTOR_SIGN_UP__OPEN" = "true") {
        let mut browser = server.browser();
        assert!(browser.go("/login").await.body.contains("href=\"/signup\""));
        assert!(browser.go("/signup").await.body.contains("href=\"/login\""));
        browser.sign_up("new@example.com", PASSWORD).await.assert_status(200);
        assert!(browser.page().body.contains("id=\"sign-out\""));
        assert!(browser.go("/signup").await.body.contains("id=\"sign-out\""));
    }

    /// The event is in the name of who made the account.
    async fn an_account_is_audited_in_the_name_of_its_person(server, "GRANTOR_SIGN_UP__OPEN" = "true") {
        let app = ours(server).await;
        let mut browser = server.browser();
        browser.authorize(&app, &[("prompt", "create")]).await;
        browser.sign_up("new@example.com", PASSWORD).await.code();
        let events = "SELECT name || ' ' || client_id FROM audit_events WHERE actor = 'person:' || CAST(subject AS TEXT) ORDER BY at, id";
        if server.database.backend == crate::harness::Backend::Postgres {
            assert_eq!(server.database.strings(events).await, ["person.created ours", "person.signed_in ours"]);
        }
        assert_eq!(server.audit().await, ["person.created", "person.signed_in"]);
    }

    /// An e-mail that is taken, however spelt, signs nobody in and changes nothing; the page does not say why.
    async fn an_email_that_is_taken_makes_no_account(server, "GRANTOR_SIGN_UP__OPEN" = "true") {
        let alice = server.person("alice").await;
        let hash = server.database.strings("SELECT password_hash FROM people").await;
        for (email, password) in [(alice.email.as_str(), PASSWORD), ("ALICE@example.com", "another password")] {
            let answer = sign_up(server, email, password).await;
            assert!(answer.assert_status(400).body.contains("No account can be made with this e-mail."));
            assert_eq!(answer.header("set-cookie"), "");
        }
        assert_eq!(server.database.strings("SELECT password_hash FROM people").await, hash);
        assert_eq!(server.audit().await, Vec::<String>::new());
    }

    /// What cannot be used is said, beside its field.
    async fn what_will_not_do_is_said(server, "GRANTOR_SIGN_UP__OPEN" = "true") {
        let (too_long, too_many_bytes) = ("x".repeat(257), "äöü".repeat(50));
        for (email, name, password, says) in [
            ("nobody", "N", PASSWORD, "not an e-mail address"),
            ("n@example.com", " ", PASSWORD, "Enter a name"),
            ("n@example.com", "N", "1234567", "at least 8"),
            ("n@example.com", "N", &too_long, "at most 250"),
            ("n@example.com", "N", &too_many_bytes, "too long"),
            ("n@example.com", "N", "", "at least 8"),
            ("n@example.com", "N", "Sunshine2026!", "everyone guesses first"),
            ("new.comer@example.com", "N", "New-Comer", "too like your e-mail address"),
        ] {
            let answer = server.browser().post("/signup", &[("email", email), ("name", name), ("password", password)]).await;
            assert!(answer.assert_status(400).body.contains(says), "{says}: {}", answer.body);
        }
        assert_eq!(server.database.count("people").await, 0);
    }

    /// NIST SP 800-63B §3.1.1.2: where nothing but a password is asked for, 15 characters.
    async fn the_operator_may_ask_for_longer_passwords(server, "GRANTOR_SIGN_UP__OPEN" = "true", "GRANTOR_PASSWORDS__MINIMUM_LENGTH" = "15") {
        let mut browser = server.browser();
        assert!(browser.go("/signup").await.body.contains("minlength=\"15\""));
        for (password, says) in [("14 characters.", "at least 15"), ("15 characters..", "")] {
            let form = [("email", "n@example.com"), ("name", "N"), ("password", password)];
            let answer = server.browser().post("/signup", &form).await;
            assert!(answer.body.contains(says), "{}", answer.body);
        }
        assert_eq!(server.database.count("people").await, 1);
    }

    /// Each attempt costs its network what a failed sign-in costs, whether or not an account came of it.
    async fn accounts_from_one_network_are_limited(server, "GRANTOR_SIGN_UP__OPEN" = "true", "GRANTOR_THROTTLE__ADDRESS_FAILURES" = "3") {
        for name in ["a", "b", "a"] {
            sign_up_from(server, "203.0.113.7", name).await;
        }
        let refused = sign_up_from(server, "203.0.113.7", "c").await;
        assert!(refused.assert_status(429).header("retry-after").parse::<u64>().unwrap() > 0);
        sign_up_from(server, "203.0.113.8", "d").await.assert_status(303);
        assert_eq!(server.database.count("people").await, 3);
    }

    /// Two who want one e-mail at once: one account, and no fault.
    async fn of_racing_sign_ups_one_makes_the_account(server, "GRANTOR_SIGN_UP__OPEN" = "true") {
        let (one, other) = tokio::join!(sign_up(server, "new@example.com", PASSWORD), sign_up(server, "new@example.com", PASSWORD));
        let mut statuses = [one.status.as_u16(), other.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 400]);
        assert_eq!(server.database.count("people").await, 1);
    }

    /// The form is held to the rule of every form.
    async fn nobody_signs_up_from_elsewhere(server, "GRANTOR_SIGN_UP__OPEN" = "true") {
        let form = [("email", "new@example.com"), ("name", "N"), ("password", PASSWORD)];
        server.send(form_request("/signup", &form)).await.assert_page_error(403);
        assert_eq!(server.database.count("people").await, 0);
    }
}

/// A client that need not ask for consent.
async fn ours(server: &TestServer) -> App<'_> {
    server.register("ours", Registration { first_party: true, ..Registration::default() }).await
}

async fn sign_up(server: &TestServer, email: &str, password: &str) -> Answer {
    Browser::new(server).post("/signup", &[("email", email), ("name", "New Comer"), ("password", password)]).await
}

/// Signs up at a browser with this address.
async fn sign_up_from(server: &TestServer, address: &str, name: &str) -> Answer {
    let email = format!("{name}@example.com");
    let mut request = Request::post("/signup")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", ISSUER)
        .body(Body::from(encode(&[("email", &email), ("name", "N"), ("password", PASSWORD)])))
        .unwrap();
    request.extensions_mut().insert(Peer(SocketAddr::new(address.parse().unwrap(), 1)));
    server.send(request).await
}
