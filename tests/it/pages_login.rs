//! Sign-in: one sentence for every failure, the same work for everyone, and an app that is named as what it is.

use std::time::{Duration, Instant};

use argon2::{Argon2, Params, PasswordHasher, password_hash::phc::PasswordHash};

use crate::{
    harness::{
        Answer, Browser, TestServer,
        app::{Registration, timestamp},
        browser::{PASSWORD, Person},
        process::run_with_input,
    },
    metrics, on_every_backend,
};

const WRONG: &str = "The e-mail or the password is not right.";

/// Sets a password, hashed with a memory in KiB and a number of passes.
async fn set_password(server: &TestServer, person: &Person, password: &str, memory: u32, passes: u32) -> String {
    let argon2 = Argon2::from(Params::new(memory, passes, 1, None).unwrap());
    let hash: PasswordHash = argon2.hash_password_with_salt(password.as_bytes(), b"fedcba9876543210").unwrap();
    server.database.execute(&format!("UPDATE people SET password_hash = '{hash}' WHERE email = '{}'", person.email)).await;
    hash.to_string()
}

async fn password_hash(server: &TestServer, person: &Person) -> String {
    server.database.strings(&format!("SELECT password_hash FROM people WHERE email = '{}'", person.email)).await.remove(0)
}

async fn disable(server: &TestServer, person: &Person) {
    let at = timestamp(server.database.backend, server.clock.now().as_micros());
    server.database.execute(&format!("UPDATE people SET disabled_at = {at} WHERE email = '{}'", person.email)).await;
}

async fn try_password(server: &TestServer, email: &str, password: &str) -> Answer {
    server.browser().post("/login", &[("email", email), ("password", password)]).await
}

/// The page without what was typed, and without the id of nothing.
fn without(page: &Answer, email: &str) -> String {
    page.body.replace(email, "")
}

on_every_backend! {
    /// Nobody learns who has an account: one sentence, one status, one page.
    async fn every_failure_is_the_same_page(server) {
        let (alice, bob, carol) = (server.person("alice").await, server.person("bob").await, server.person("carol").await);
        disable(server, &bob).await;
        server.database.execute(&format!("UPDATE people SET password_hash = NULL WHERE email = '{}'", carol.email)).await;
        let too_long = "x".repeat(257);
        let wrong = try_password(server, &alice.email, "wrong").await;
        assert!(wrong.assert_status(400).body.contains(WRONG));

        for (email, password) in [
            (alice.email.as_str(), ""),
            (alice.email.as_str(), too_long.as_str()),
            (bob.email.as_str(), PASSWORD),
            (bob.email.as_str(), "wrong"),
            (carol.email.as_str(), PASSWORD),
            (carol.email.as_str(), ""),
            ("nobody@example.com", PASSWORD),
            ("no address", PASSWORD),
        ] {
            let answer = try_password(server, email, password).await;
            assert_eq!(without(answer.assert_status(400), email), without(&wrong, &alice.email), "{email}");
            assert_eq!(answer.headers.keys().collect::<Vec<_>>(), wrong.headers.keys().collect::<Vec<_>>());
            assert_eq!(answer.header("set-cookie"), "");
        }
        assert_eq!(server.audited("sign_in.failed").await, 9);
        assert_eq!(server.database.count("browser_sessions").await, 0);
    }

    /// The e-mail need not be typed again, the password must be; what was typed stays text.
    async fn a_failure_keeps_the_email_and_not_the_password(server) {
        let page = try_password(server, "\"><script>a@b</script>", "open-sesame-zq7").await;
        assert!(page.body.contains("value=\"&#34;&#62;&#60;script&#62;a@b&#60;/script&#62;\""), "{}", page.body);
        assert!(!page.body.contains("<script"));
        assert!(!page.body.contains("zq7"));
    }

    /// Keyboards capitalise, and people paste spaces.
    async fn an_email_is_the_same_in_any_case_and_with_spaces_around(server) {
        let person = server.person("alice").await;
        for email in [" alice@example.com ", "Alice@Example.COM", "ａlice@example.com"] {
            assert_eq!(try_password(server, email, PASSWORD).await.location(), "/account");
        }
        assert!(try_password(server, &person.email, &format!(" {PASSWORD} ")).await.body.contains(WRONG), "a password is kept as it is");
    }

    /// RFC 8265 §4.2: how a keyboard composes letters does not matter.
    async fn a_password_is_the_same_composed_and_decomposed(server) {
        let person = server.person("alice").await;
        set_password(server, &person, "caf\u{e9} noir", 8, 1).await;
        for typed in ["caf\u{e9} noir", "cafe\u{301} noir"] {
            assert_eq!(try_password(server, &person.email, typed).await.location(), "/account");
        }
        try_password(server, &person.email, "cafe noir").await.assert_status(400);
    }

    /// The command line and the page read passwords alike; and its hash, made with other parameters, is replaced.
    async fn a_password_of_the_command_line_signs_in(server) {
        let create = ["user", "create", "--email", "Zoe@Example.com", "--password-stdin"];
        run_with_input(&server.database, &create, "cafe\u{301} au lait\n").assert_code(0);
        assert_eq!(try_password(server, "zoe@example.com", "caf\u{e9} au lait").await.location(), "/account");
        let person = Person { email: "Zoe@Example.com".to_owned() };
        assert!(password_hash(server, &person).await.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        assert_eq!(try_password(server, "zoe@example.com", "caf\u{e9} au lait").await.location(), "/account");
    }

    /// What the operator sets reaches everyone with time, and nobody's row is written for nothing.
    async fn a_hash_with_other_parameters_is_replaced_at_sign_in(server) {
        let person = server.person("alice").await;
        let current = password_hash(server, &person).await;
        try_password(server, &person.email, PASSWORD).await.assert_status(303);
        assert_eq!(password_hash(server, &person).await, current, "made with the parameters of today");

        for (memory, passes) in [(16, 1), (8, 2)] {
            let old = set_password(server, &person, PASSWORD, memory, passes).await;
            try_password(server, &person.email, "wrong").await.assert_status(400);
            assert_eq!(password_hash(server, &person).await, old, "only who knows the password");
            try_password(server, &person.email, PASSWORD).await.assert_status(303);
            let new = password_hash(server, &person).await;
            assert!(new.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{new}");
            try_password(server, &person.email, PASSWORD).await.assert_status(303);
            assert_eq!(password_hash(server, &person).await, new);
        }
    }

    /// Beyond those who hash and those who wait, people are told to come back; nobody is told apart by it, since everyone is hashed for.
    async fn a_full_hashing_queue_is_503(server, "GRANTOR_PASSWORDS__HASHING_THREADS" = "1", "GRANTOR_PASSWORDS__HASHING_QUEUE" = "1") {
        let (slow, slower) = (server.person("slow").await, server.person("slower").await);
        let (alice, bob) = (server.person("alice").await, server.person("bob").await);
        for person in [&slow, &slower] {
            set_password(server, person, PASSWORD, 128 * 1024, 8).await;
        }
        disable(server, &bob).await;
        let too_long = "x".repeat(257);
        // The requests of a test come from one address, which may have both places.
        let others = async {
            let deadline = Instant::now() + Duration::from_secs(20);
            let is_full = |page: String| {
                let lines = ["grantor_hashing_threads{state=\"busy\"} 1", "grantor_hashing_queue_length 1"];
                lines.iter().all(|expected| page.lines().any(|line| line == *expected))
            };
            while !is_full(metrics::page(server).await) {
                assert!(Instant::now() < deadline, "the queue never fills");
                tokio::task::yield_now().await;
            }
            for (email, password) in [
                (alice.email.as_str(), PASSWORD),
                (bob.email.as_str(), PASSWORD),
                ("nobody@example.com", PASSWORD),
                ("no address", PASSWORD),
                (alice.email.as_str(), too_long.as_str()),
            ] {
                let page = try_password(server, email, password).await;
                page.assert_status(503);
                assert_eq!(page.header("retry-after"), "1");
                assert!(page.body.contains("Too many people are signing in right now."), "{}", page.body);
                assert!(page.body.contains(&format!("value=\"{email}\"")), "keeps the e-mail");
                assert!(page.body.contains("id=\"password\""), "the form is there to try again");
            }
        };
        let (one, other, ()) = tokio::join!(try_password(server, &slow.email, PASSWORD), try_password(server, &slower.email, PASSWORD), others);
        one.assert_status(303);
        other.assert_status(303);
        assert_eq!(try_password(server, &alice.email, PASSWORD).await.location(), "/account", "and then there is room again");
    }

    /// OAuth 2.1 §7.12: the person sees who asks and where it leads.
    async fn the_app_is_named_with_the_host_that_one_returns_to(server) {
        let app = server.client("app").await;
        let native = server.register("tool", Registration::native()).await;
        let mut browser = server.browser();
        let page = &browser.authorize(&app, &[]).await.assert_status(200).body;
        assert!(page.contains("<bdi>The app</bdi> asks you to sign in."), "{page}");
        assert!(page.contains("You will return to <bdi>app.example</bdi>."), "{page}");
        let page = &browser.authorize(&native, &[]).await.assert_status(200).body;
        assert!(page.contains("You will return to an app on this device (<bdi>127.0.0.1</bdi>)."), "{page}");
        assert!(!browser.go("/login").await.body.contains("asks you to sign in"));
    }

    /// A name is its developer's choice: text, on this and on every page.
    async fn a_hostile_name_stays_text(server) {
        let app = server.client("app").await;
        server.database.execute("UPDATE clients SET name = '<script>alert(1)</script>\"''&'").await;
        let mut browser = server.browser();
        let person = server.person("alice").await;
        browser.authorize(&app, &[]).await;
        let escaped = "&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39;&#38;";
        assert!(browser.page().body.contains(escaped) && !browser.page().body.contains("<script"), "{}", browser.page().body);
        browser.sign_in(&person).await;
        assert!(browser.page().body.contains(escaped) && !browser.page().body.contains("<script"), "{}", browser.page().body);
        browser.allow().await.code();
        browser.go("/account").await;
        assert!(browser.page().body.contains(escaped) && !browser.page().body.contains("<script"), "{}", browser.page().body);
    }

    /// `login_hint` fills the field in and is text, too.
    async fn a_hint_fills_the_email_in(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let page = &browser.authorize(&app, &[("login_hint", "\"><script>@example.com")]).await.body;
        assert!(page.contains("value=\"&#34;&#62;&#60;script&#62;@example.com\"") && !page.contains("<script"), "{page}");
    }

    /// OpenID Core §3.1.2.1: `prompt=login` asks again, for the one who is there, or for someone else by a link.
    async fn re_authentication_asks_the_same_person_and_offers_another(server) {
        let app = server.client("app").await;
        let bob = server.person("bob").await;
        let mut browser = server.browser();
        let alice = browser.sign_in_as_someone().await;
        let page = browser.authorize(&app, &[("prompt", "login")]).await.assert_status(200).body.clone();
        assert!(page.contains("Sign in again to continue"));
        assert!(page.contains(&format!("value=\"{}\"", alice.email)) && page.contains(" readonly"), "{page}");

        let wrong = browser.sign_in_with(&alice.email, "wrong").await.assert_status(400).body.clone();
        assert!(wrong.contains(WRONG) && wrong.contains(" readonly"), "{wrong}");
        let link = regex::Regex::new(r#"href="(/login\?request=[^"]+another=1)""#).unwrap();
        let other = link.captures(&wrong).expect("a link")[1].replace("&#38;", "&");
        let page = browser.go(&other).await.assert_status(200).body.clone();
        assert!(!page.contains(&alice.email) && !page.contains(" readonly"), "{page}");
        browser.sign_in(&bob).await;
        assert!(browser.page().body.contains("Signed in as <bdi>bob@example.com</bdi>"), "{}", browser.page().body);
        browser.allow().await.code();
    }

    /// A cookie that is still valid is no answer to `prompt=login`: going on without the form shows the form.
    async fn re_authentication_cannot_be_gone_around(server) {
        let app = server.register("app", Registration { first_party: true, ..Registration::default() }).await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        let request = browser.authorize(&app, &[("prompt", "login")]).await.field("request");
        for path in ["/consent", "/login"] {
            let page = browser.go(&format!("{path}?request={request}")).await.assert_status(200);
            assert!(page.body.contains("Sign in again to continue"));
        }
        browser.sign_in(&person).await.code();
    }

    /// Who is signed in has nothing to do here.
    async fn a_person_who_is_signed_in_is_led_on(server) {
        let app = server.register("app", Registration { first_party: true, ..Registration::default() }).await;
        let mut browser: Browser<'_> = server.browser();
        let request = browser.authorize(&app, &[]).await.field("request");
        browser.sign_in_as_someone().await;
        let fetch = |path: &str| http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        assert_eq!(browser.fetch(fetch("/login")).await.location(), "/account");
        assert!(!browser.fetch(fetch(&format!("/login?request={request}"))).await.code().is_empty(), "an old link goes on to the app");
        browser.fetch(fetch("/login?another=1")).await.assert_status(200);
    }
}
