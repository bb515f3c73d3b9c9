//! The authorization endpoint (OAuth 2.1 §3.1, §4.1.1, §4.1.2).

use http::Method;

use crate::{
    harness::{App, Browser, Registration, encode},
    on_every_backend,
};

on_every_backend! {
    /// OAuth 2.1 §4.1.2: from the request to the code, each step a redirect that the browser follows with GET (§7.5.3).
    async fn a_request_ends_in_a_code(server) {
        let app = server.client("app").await;
        let person = server.person("alice").await;
        let mut browser = server.browser();
        let begun = server.get(&app.authorization_path(&[])).await;
        assert!(begun.location().starts_with("/login?request="));
        assert_eq!(begun.header("cache-control"), "no-store");

        browser.authorize(&app, &[]).await;
        browser.sign_in(&person).await;
        assert!(browser.is_asked_for_consent());
        let answer = browser.allow().await;
        let names: Vec<String> = url::Url::parse(&answer.location()).unwrap().query_pairs().map(|(name, _)| name.into_owned()).collect();
        assert_eq!(names, ["code", "state", "iss"]);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(answer.code().len() >= 43 && !answer.location().contains('#'));
    }

    /// OAuth 2.1 §4.1.2.1: without a client that can be trusted the person is told, and nobody is sent anywhere.
    async fn without_a_known_client_nothing_is_redirected(server) {
        let app = server.client("app").await;
        let other = server.client("other").await;
        for client_id in ["", "unknown", "APP", "app ", "app\0", "ä", "67e55044-10b1-426f-9247-bb680e5fe0c8", &"x".repeat(5000)] {
            for prompt in ["", "none"] {
                server.get(&app.authorization_path(&[("client_id", client_id), ("prompt", prompt)])).await.assert_page_error(400);
            }
        }
        server.get(&app.authorization_path(&[("client_id", "app"), ("client_id", "app")])).await.assert_page_error(400);
        server.get(&app.authorization_path(&[("client_id", "app"), ("client_id", &other.id)])).await.assert_page_error(400);
        server.get("/oauth/authorize").await.assert_page_error(400);
    }

    /// A client that is switched off is as good as unknown.
    async fn a_disabled_client_is_a_page(server) {
        let app = server.client("app").await;
        app.disable().await;
        server.get(&app.authorization_path(&[])).await.assert_page_error(400);
    }

    /// The page says what a developer must change, and repeats nothing of what was sent.
    async fn the_page_does_not_echo(server) {
        let app = server.client("app").await;
        let page = server.get(&app.authorization_path(&[("client_id", "<b>evil</b>"), ("state", "secret-state")])).await;

        page.assert_page_error(400);
        assert!(page.body.contains("client_id"));
        assert!(!page.body.contains("evil") && !page.body.contains("secret-state"));
    }

    /// OAuth 2.1 §4.1.2.1: everything else is told to the client, before anyone signs in.
    async fn every_other_refusal_goes_to_the_client(server) {
        let app = server.client("app").await;
        let refusals: [(&[(&str, &str)], &str); 17] = [
            (&[("response_type", "")], "invalid_request"),
            (&[("response_type", "token")], "unsupported_response_type"),
            (&[("response_type", "id_token")], "unsupported_response_type"),
            (&[("response_type", "code id_token")], "unsupported_response_type"),
            (&[("response_type", "CODE")], "unsupported_response_type"),
            (&[("response_type", "code"), ("response_type", "code")], "invalid_request"),
            (&[("response_mode", "fragment")], "invalid_request"),
            (&[("scope", "read"), ("scope", "write")], "invalid_request"),
            (&[("nonce", "1"), ("nonce", "2")], "invalid_request"),
            (&[("unknown", "1"), ("unknown", "1")], "invalid_request"),
            (&[("scope", "read\0")], "invalid_request"),
            (&[("unknown\0", "1")], "invalid_request"),
            (&[("scope", "admin")], "invalid_scope"),
            (&[("prompt", "none login")], "invalid_request"),
            (&[("max_age", "-1")], "invalid_request"),
            (&[("request", "eyJhbGciOiJub25lIn0.e30.")], "request_not_supported"),
            (&[("request_uri", "urn:ietf:params:oauth:request_uri:x")], "invalid_request_uri"),
        ];
        for (extra, error) in refusals {
            let answer = server.get(&app.authorization_path(extra)).await;
            answer.assert_redirected_error(error);
            assert_eq!(answer.param("state").as_deref(), Some("af0ifjsldkj"), "{extra:?}");
            assert!(answer.location().starts_with(&format!("{}?error=", app.redirect_uri)) && !answer.location().contains('#'));
            let description = answer.param("error_description").unwrap();
            assert!(description.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)), "{description}");
        }
        assert_eq!(server.database.count("authorization_codes").await, 0);
    }

    /// OAuth 2.1 §4.1.2.1
    async fn a_client_without_the_grant_type_is_refused(server) {
        let app = server.register("machine", Registration { grant_types: vec!["client_credentials"], ..Registration::default() }).await;
        server.get(&app.authorization_path(&[])).await.assert_redirected_error("unauthorized_client");
    }

    /// OAuth 2.1 §4.1.2: exactly what was sent, in every answer.
    async fn the_state_comes_back_unchanged(server) {
        let app = server.register("ours", Registration { first_party: true, ..Registration::default() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for state in ["a b+c&d=e%20#f", "\"'<>\\", "ümläut \u{1F511}", "a\r\nb: c", &"s".repeat(3000)] {
            assert_eq!(browser.authorize(&app, &[("state", state)]).await.param("state").as_deref(), Some(state));
            let error = browser.authorize(&app, &[("state", state), ("max_age", "x")]).await;
            assert_eq!(error.param("state").as_deref(), Some(state));
        }
    }

    /// OAuth 2.1 §3.1: an empty state is none, and none is not made up.
    async fn an_empty_state_is_not_echoed(server) {
        let app = server.client("app").await;
        let without = app.authorization_path(&[("state", ""), ("prompt", "none")]);
        for path in [without.clone(), format!("{without}&state="), format!("{without}&state")] {
            let answer = server.get(&path).await;
            answer.assert_redirected_error("login_required");
            assert!(!answer.location().contains("state"), "{}", answer.location());
        }
    }

    /// OAuth 2.1 §3.1: what is sent without a value is as good as absent, also when it is sent twice.
    async fn empty_parameters_are_absent(server) {
        let app = server.client("app").await;
        let path = format!("{}&scope=&max_age=&response_mode=&request=&request_uri=&scope=&redirect_uri=&client_id=", app.authorization_path(&[("prompt", "none")]));
        server.get(&path).await.assert_redirected_error("login_required");
    }

    /// OAuth 2.1 §3.1: unrecognised parameters are ignored.
    async fn unknown_parameters_are_ignored(server) {
        let app = server.client("app").await;
        let code = app.code_with(&[("display", "page"), ("ui_locales", "de"), ("sparkle", "\u{1F984}")]).await;
        app.redeem(&code).await.assert_status(200);
    }

    /// What is not UTF-8 or not encoded properly is refused or ignored, never a fault.
    async fn garbage_is_no_fault(server) {
        let app = server.client("app").await;
        for garbage in ["%", "%zz", "%ff%fe", "&&&==&", "scope=%ff", "=x&=y", "code_challenge=%00"] {
            let status = server.get(&format!("{}&{garbage}", app.authorization_path(&[]))).await.status;
            assert_eq!(status, 303, "{garbage}");
            assert_eq!(server.get(&format!("/oauth/authorize?{garbage}")).await.status, 400, "{garbage}");
        }
    }

    /// RFC 9110 §9.3.2: HEAD asks nothing and issues nothing.
    async fn head_has_no_effect(server) {
        let app = server.register("ours", Registration { first_party: true, ..Registration::default() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let request = http::Request::head(app.authorization_path(&[])).body(axum::body::Body::empty()).unwrap();
        let answer = browser.fetch(request).await;

        assert!(answer.status.is_success());
        assert_eq!((answer.header("location"), answer.body.as_str()), ("", ""));
        assert_eq!(server.database.count("authorization_codes").await, 0);
    }

    /// OAuth 2.1 §3.1: GET and POST are supported; the answer to anything else says so, from whatever site it comes.
    async fn other_methods_are_not_allowed(server) {
        let app = server.client("app").await;
        for (method, site) in [(Method::PUT, "cross-site"), (Method::DELETE, "none"), (Method::OPTIONS, "same-origin")] {
            let request = http::Request::builder().method(&method).uri(app.authorization_path(&[])).header("sec-fetch-site", site);
            let answer = server.send(request.body(axum::body::Body::empty()).unwrap()).await;
            answer.assert_page_error(405);
            assert_eq!(answer.header("allow"), "GET,HEAD,POST", "{method} {site}");
        }
    }

    /// OAuth 2.1 §7.11: a form of ours is posted from a page of ours.
    async fn no_other_site_posts_our_forms(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.authorize(&app, &[]).await;
        let request = browser.page().field("request");
        let person = browser.sign_in_as_someone().await;
        for path in ["/login", "/consent", "/account/sign-out", "/account/sessions/end", "/account/apps/end"] {
            let form = [("request", request.as_str()), ("email", &person.email), ("password", browser::PASSWORD), ("client_id", "app")];
            let mut post = form_request(path, &form);
            post.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
            browser.fetch(post).await.assert_page_error(403);
        }
        assert_eq!(server.audited("person.signed_in").await, 1);
        browser.go("/account").await.assert_status(200);
    }

    /// Nothing is remembered of people who only look: neither a cookie nor a row.
    async fn before_sign_in_nothing_is_kept(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.authorize(&app, &[]).await;

        assert!(browser.is_asked_to_sign_in() && browser.cookies.is_empty());
        for table in ["authorization_requests", "authorization_codes", "browser_sessions", "audit_events"] {
            assert_eq!(server.database.count(table).await, 0, "{table}");
        }
    }

    /// Sign-in names the app that asks.
    async fn sign_in_names_the_app(server) {
        let app = server.client("app").await;
        let page = server.browser().authorize(&app, &[]).await.body.clone();
        assert!(page.contains("The app") && page.contains("app.example"), "{page}");
    }

    /// What was sealed cannot be changed, cut, made up, or taken from another server.
    async fn a_sealed_request_that_is_changed_is_refused(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[]).await;
        let sealed = browser.page().field("request");
        let middle = sealed.len() / 2;
        let swapped = if sealed.as_bytes()[middle] == b'A' { "B" } else { "A" };
        let changed = format!("{}{swapped}{}", &sealed[..middle], &sealed[middle + 1..]);

        for request in [&changed, &sealed[1..], &sealed[..sealed.len() - 4], &format!("{sealed}A"), "x", "", "e30"] {
            browser.go(&format!("/consent?{}", encode(&[("request", request)]))).await.assert_page_error(400);
            browser.submit("/consent", &[("request", request), ("decision", "allow")]).await.assert_page_error(400);
            if !request.is_empty() {
                browser.go(&format!("/login?{}", encode(&[("request", request)]))).await.assert_page_error(400);
                browser.submit("/login", &[("request", request), ("email", "x"), ("password", "y")]).await.assert_page_error(400);
            }
        }
        browser.go(&format!("/consent?request={sealed}")).await;
        assert!(browser.is_asked_for_consent());
    }

    /// A person has half an hour, for sign-in and consent together.
    async fn a_sealed_request_lasts_half_an_hour(server) {
        let app = server.client("app").await;
        let person = server.person("alice").await;
        let mut browser = server.browser();
        browser.authorize(&app, &[]).await;
        let sealed = browser.page().field("request");
        server.advance(1799);
        browser.sign_in(&person).await;
        assert!(browser.is_asked_for_consent());

        server.advance(1);
        browser.allow().await.assert_page_error(400);
        browser.go(&format!("/login?request={sealed}")).await.assert_page_error(400);
        browser.go(&format!("/consent?request={sealed}")).await.assert_page_error(400);
        assert_eq!(server.database.count("authorization_codes").await, 0);
    }

    /// Above 2 KB it is the id of a row that is sealed: URLs have limits.
    async fn a_large_request_is_kept_in_a_row(server) {
        let app = server.client("app").await;
        let person = server.person("alice").await;
        let mut browser = server.browser();
        let state = "s".repeat(6000);
        let begun = server.get(&app.authorization_path(&[("state", &state)])).await;
        assert!(begun.location().len() < 500, "{}", begun.location().len());
        assert_eq!(server.database.count("authorization_requests").await, 1);

        browser.go(&begun.location()).await;
        browser.sign_in(&person).await;
        assert!(browser.is_asked_for_consent());
        let answer = browser.allow().await;
        assert_eq!(answer.param("state").as_deref(), Some(state.as_str()));
        app.redeem(&answer.code()).await.assert_status(200);
    }

    /// The row does not outlive the seal.
    async fn a_large_request_lasts_half_an_hour(server) {
        let app = server.client("app").await;
        let person = server.person("alice").await;
        let mut browser = server.browser();
        browser.authorize(&app, &[("state", &"s".repeat(6000))]).await;
        server.advance(1800);
        browser.sign_in(&person).await.assert_page_error(400);
    }

    /// Tabs do not fight: each has its own request, wherever the person signs in.
    async fn two_tabs_at_once_each_get_their_own_answer(server) {
        let (app, other) = (server.client("app").await, server.client("other").await);
        let person = server.person("alice").await;
        let mut browser = server.browser();
        browser.authorize(&app, &[("state", "first")]).await;
        let first = browser.page().field("request");
        browser.authorize(&other, &[("state", "second")]).await;
        browser.sign_in(&person).await;
        let second = browser.allow().await;
        assert_eq!(second.param("state").as_deref(), Some("second"));
        let code = second.code();

        // The first tab still shows the sign-in form; it is sent, though someone is signed in by now.
        let form = [("request", first.as_str()), ("email", &person.email), ("password", browser::PASSWORD)];
        browser.submit("/login", &form).await;
        assert!(browser.is_asked_for_consent());
        let first = browser.allow().await;
        assert_eq!(first.param("state").as_deref(), Some("first"));
        app.redeem(&first.code()).await.assert_status(200);
        other.redeem(&code).await.assert_status(200);
    }

    /// Someone who is signed in and comes back by an old sign-in link goes on.
    async fn an_old_sign_in_link_goes_on_for_who_is_signed_in(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.authorize(&app, &[]).await;
        let request = browser.page().field("request");
        browser.sign_in_as_someone().await;

        browser.go(&format!("/login?request={request}")).await;
        assert!(browser.is_asked_for_consent());
    }

    /// After sign-in everything is checked again: the address is not trusted any more.
    async fn a_redirect_uri_removed_meanwhile_is_a_page(server) {
        let app = server.client("app").await;
        let (signing_in, consenting) = (at_sign_in(&app).await, at_consent(&app).await);
        app.move_to("https://moved.example/").await;
        let node = server.fresh_node().await;

        let mut browser = signing_in.moved_to(&node);
        browser.sign_in_with("person0@example.com", browser::PASSWORD).await.assert_page_error(400);
        let mut browser = consenting.moved_to(&node);
        browser.allow().await.assert_page_error(400);
        node.stop().await;
        assert_eq!(server.database.count("authorization_codes").await, 0);
    }

    /// After sign-in everything is checked again: there is no such client any more.
    async fn a_client_disabled_meanwhile_is_a_page(server) {
        let app = server.client("app").await;
        let (signing_in, consenting) = (at_sign_in(&app).await, at_consent(&app).await);
        app.disable().await;
        let node = server.fresh_node().await;

        let mut browser = signing_in.moved_to(&node);
        browser.sign_in_with("person0@example.com", browser::PASSWORD).await.assert_page_error(400);
        let mut browser = consenting.moved_to(&node);
        browser.allow().await.assert_page_error(400);
        node.stop().await;
        assert_eq!(server.database.count("authorization_codes").await, 0);
    }

    /// After sign-in everything is checked again: the client may not ask for this any more, and is told.
    async fn a_scope_taken_away_meanwhile_is_refused(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("scope", "read write")]).await;
        app.limit_to("read").await;
        let node = server.fresh_node().await;

        browser.moved_to(&node).allow().await.assert_redirected_error("invalid_scope");
        node.stop().await;
    }

    /// Flow pages are not framed, not kept, and load nothing that is not ours (OAuth 2.1 §7.11).
    async fn flow_pages_are_protected(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let person = server.person("alice").await;
        for _ in 0..2 {
            if browser.shown.is_none() {
                browser.authorize(&app, &[]).await;
            } else {
                browser.sign_in(&person).await;
            }
            let page = browser.page().assert_status(200);
            let policy = page.header("content-security-policy");
            assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(!policy.contains("script-src") && !policy.contains("form-action"), "{policy}");
            assert_eq!((page.header("x-frame-options"), page.header("cache-control")), ("DENY", "no-store"));
            assert_eq!(page.header("referrer-policy"), "same-origin");
        }
    }
}

/// A browser that shows the sign-in form; someone with an account is expected.
async fn at_sign_in<'a>(app: &App<'a>) -> Browser<'a> {
    let mut browser = app.server.browser();
    browser.authorize(app, &[]).await;
    assert!(browser.is_asked_to_sign_in());
    browser
}

/// A browser that shows the consent form.
async fn at_consent<'a>(app: &App<'a>) -> Browser<'a> {
    let mut browser = app.server.browser();
    browser.sign_in_as_someone().await;
    browser.authorize(app, &[]).await;
    assert!(browser.is_asked_for_consent());
    browser
}
