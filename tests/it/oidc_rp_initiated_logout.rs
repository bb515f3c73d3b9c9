//! OpenID Connect RP-Initiated Logout 1.0: an app asks that a person be signed out here, too.

use axum::body::Body;
use http::Request;
use serde_json::json;

use crate::{
    harness::{Answer, App, Browser, ISSUER, Registration, TestServer, encode, form_request},
    on_every_backend,
};

const BACK: &str = "https://app.example/signed-out?tenant=1";

/// A client with a place to go back to.
async fn app<'a>(server: &'a TestServer, id: &str) -> App<'a> {
    let metadata = json!({ "post_logout_redirect_uris": [BACK] });
    server.register(id, Registration { metadata, first_party: true, ..Registration::default() }).await
}

/// An ID token for whoever is signed in at the browser.
async fn id_token(app: &App<'_>, browser: &mut Browser<'_>) -> String {
    let code = app.code_at(browser, &[("scope", "openid read")]).await;
    app.redeem(&code).await.member("id_token")
}

/// Somebody at a new browser, with an ID token for the app.
async fn someone<'a>(app: &App<'a>) -> (Browser<'a>, String) {
    let mut browser = app.server.browser();
    browser.sign_in_as_someone().await;
    let token = id_token(app, &mut browser).await;
    (browser, token)
}

fn path(params: &[(&str, &str)]) -> String {
    format!("/oauth/logout?{}", encode(params))
}

fn with_hint<'a>(token: &'a str, extra: &[(&'a str, &'a str)]) -> String {
    path(&[&[("id_token_hint", token), ("post_logout_redirect_uri", BACK), ("state", "af0 ifj&")], extra].concat())
}

async fn is_signed_in(browser: &mut Browser<'_>) -> bool {
    browser.fetch(Request::get("/account").body(Body::empty()).unwrap()).await.status == 200
}

fn asks(answer: &Answer) -> bool {
    answer.body.contains("id=\"sign-out\"")
}

/// Presses a button of the confirmation page.
async fn press<'a>(browser: &'a mut Browser<'_>, decision: &str) -> &'a Answer {
    let (request, bound) = (browser.page().field("request"), browser.page().field("bound"));
    browser.submit("/sign-out", &[("request", &request), ("bound", &bound), ("decision", decision)]).await
}

#[track_caller]
fn assert_went_back(answer: &Answer) {
    assert_eq!(answer.location(), format!("{BACK}&state=af0+ifj%26"));
}

/// Panics unless this is a page that leads nowhere and says what to change.
#[track_caller]
fn assert_told(answer: &Answer) {
    answer.assert_status(400);
    assert!(answer.body.contains("id=\"remedy\""), "{}", answer.body);
    assert!(!answer.body.contains("app.example"), "{}", answer.body);
    assert_eq!((answer.header("location"), answer.header("refresh")), ("", ""));
}

on_every_backend! {
    /// RP-Initiated Logout §2, §3: a hint of who is signed in signs them out, and the browser goes back with the state as it came.
    async fn a_hint_of_who_is_signed_in_signs_out_at_once(server) {
        let app = app(server, "app").await;
        let (mut browser, token) = someone(&app).await;
        let answer = browser.go(&with_hint(&token, &[("client_id", "app")])).await;
        assert_went_back(answer);
        assert_eq!((answer.header("cache-control"), answer.header("referrer-policy")), ("no-store", "no-referrer"));
        assert!(browser.cookies.is_empty() && !is_signed_in(&mut browser).await);
        assert_eq!(server.database.strings("SELECT client_id FROM audit_events WHERE name = 'session.ended'").await, ["app"]);
    }

    /// RP-Initiated Logout §3: nothing is added that was not sent.
    async fn without_a_state_none_comes_back(server) {
        let app = app(server, "app").await;
        let (mut browser, token) = someone(&app).await;
        assert_eq!(browser.go(&with_hint(&token, &[("state", "")]).replace("af0+ifj%26", "")).await.location(), BACK);
    }

    /// RP-Initiated Logout §2: without an address the person stays here, signed out.
    async fn without_an_address_the_person_stays_here(server) {
        let app = app(server, "app").await;
        let (mut browser, token) = someone(&app).await;
        let page = browser.go(&path(&[("id_token_hint", &token), ("state", "x")])).await.assert_status(200);
        assert!(page.body.contains("You are signed out"), "{}", page.body);
    }

    /// RP-Initiated Logout §2: it is a hint also when it has expired.
    async fn an_expired_hint_is_accepted(server) {
        let app = app(server, "app").await;
        let (mut browser, token) = someone(&app).await;
        server.advance(3_600);
        assert_went_back(browser.go(&with_hint(&token, &[])).await);
    }

    /// OpenID Core §8: a hint calls the person as the client that it was issued to knows them.
    async fn a_hint_with_a_pairwise_subject_is_understood(server) {
        let metadata = json!({ "post_logout_redirect_uris": [BACK], "subject_type": "pairwise" });
        let app = server.register("app", Registration { metadata, first_party: true, ..Registration::default() }).await;
        let (mut browser, token) = someone(&app).await;
        assert_went_back(browser.go(&with_hint(&token, &[])).await);
        assert!(!is_signed_in(&mut browser).await);
    }

    /// RP-Initiated Logout §2: without a hint the person must be asked, and who says yes with a `client_id` goes back.
    async fn without_a_hint_the_person_is_asked(server) {
        let app = app(server, "app").await;
        let (mut browser, _) = someone(&app).await;
        let asked = browser.go(&path(&[("client_id", "app"), ("post_logout_redirect_uri", BACK), ("state", "af0 ifj&")])).await;
        assert!(asks(asked.assert_status(200)) && asked.body.contains("The app"), "{}", asked.body);
        assert!(asked.body.contains("app.example"), "{}", asked.body);
        assert!(is_signed_in(&mut browser).await);
        assert_went_back(press(&mut browser, "sign_out").await);
        assert!(!is_signed_in(&mut browser).await);
    }

    /// RP-Initiated Logout §3: without hint and `client_id` nobody vouches for the address.
    async fn without_hint_and_client_there_is_no_way_back(server) {
        let app = app(server, "app").await;
        for params in [&[("post_logout_redirect_uri", BACK), ("state", "x")][..], &[("state", "x")], &[]] {
            let (mut browser, _) = someone(&app).await;
            assert!(asks(browser.go(&path(params)).await.assert_status(200)));
            let page = press(&mut browser, "sign_out").await.assert_status(200);
            assert!(page.body.contains("You are signed out") && !page.body.contains("app.example"), "{}", page.body);
            assert!(!is_signed_in(&mut browser).await);
        }
    }

    /// RP-Initiated Logout §2: a hint of someone else signs nobody out without being asked.
    async fn a_hint_of_someone_else_is_asked_about(server) {
        let app = app(server, "app").await;
        let (_, token) = someone(&app).await;
        let (mut browser, _) = someone(&app).await;
        assert!(asks(browser.go(&with_hint(&token, &[])).await.assert_status(200)));
        assert!(is_signed_in(&mut browser).await);
        assert_went_back(press(&mut browser, "sign_out").await);
    }

    /// RP-Initiated Logout §2: a token of a session that is over is suspect, also if it is of the same person.
    async fn a_hint_of_an_earlier_session_is_asked_about(server) {
        let app = app(server, "app").await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        let token = id_token(&app, &mut browser).await;
        browser.submit("/account/sign-out", &[]).await;
        browser.sign_in_at_account(&person).await;
        assert!(asks(browser.go(&with_hint(&token, &[])).await.assert_status(200)));
        assert!(is_signed_in(&mut browser).await);
    }

    /// Who wants to stay, stays, and is not sent anywhere.
    async fn who_stays_is_not_sent_back(server) {
        let app = app(server, "app").await;
        let (mut browser, _) = someone(&app).await;
        browser.go(&path(&[("client_id", "app"), ("post_logout_redirect_uri", BACK)])).await;
        let page = press(&mut browser, "stay").await.assert_status(200);
        assert!(page.body.contains("Your account"), "{}", page.body);
    }

    /// RP-Initiated Logout §4: that nobody is signed in is no error.
    async fn nobody_is_signed_in_is_no_error(server) {
        let app = app(server, "app").await;
        let (_, token) = someone(&app).await;
        assert_went_back(server.browser().go(&with_hint(&token, &[])).await);
        let mut stranger = server.browser();
        let page = stranger.go(&path(&[])).await.assert_status(200);
        assert!(page.body.contains("You are signed out"), "{}", page.body);

        // Without a hint the person goes back only if they want to.
        let page = stranger.go(&path(&[("client_id", "app"), ("post_logout_redirect_uri", BACK)])).await.assert_status(200);
        assert!(page.body.contains(r#"id="continue" href="https://app.example/signed-out?tenant=1""#), "{}", page.body);
        assert_eq!(page.header("refresh"), "");
    }

    /// RP-Initiated Logout §3: the address must be registered, byte for byte; else there is no way back.
    async fn an_address_that_is_not_registered_is_a_page(server) {
        let app = app(server, "app").await;
        let other = app_elsewhere(server).await;
        let (mut browser, token) = someone(&app).await;
        for uri in ["https://app.example/signed-out", "https://app.example/signed-out?tenant=1&a=b", "https://evil.example/", other] {
            assert_told(browser.go(&path(&[("id_token_hint", &token), ("post_logout_redirect_uri", uri)])).await);
            assert_told(browser.go(&path(&[("client_id", "app"), ("post_logout_redirect_uri", uri)])).await);
        }
        assert!(is_signed_in(&mut browser).await);
    }

    /// RP-Initiated Logout §4: the mistake is the app's; the person can sign out all the same, and stays here.
    async fn after_a_mistake_the_person_can_sign_out(server) {
        let app = app(server, "app").await;
        let (mut browser, _) = someone(&app).await;
        assert_told(browser.go(&with_hint("nonsense", &[])).await);
        let page = press(&mut browser, "sign_out").await.assert_status(200);
        assert!(page.body.contains("You are signed out"), "{}", page.body);
        assert!(!is_signed_in(&mut browser).await);
    }

    /// RP-Initiated Logout §2: the OP must have issued the hint.
    async fn a_hint_that_is_not_ours_is_a_page(server) {
        let app = app(server, "app").await;
        let (mut browser, token) = someone(&app).await;
        let access_token = app.redeem(&app.code_at(&mut browser, &[]).await).await.access_token();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (header, payload) = signed.split_once('.').unwrap();
        // {"alg":"none"}
        let unsigned = format!("eyJhbGciOiJub25lIn0.{payload}.");
        let changed = format!("{header}.{}.{signature}", payload.replacen('e', "f", 1));
        for hint in ["nonsense", "a.b.c", &access_token, &unsigned, &changed, &format!("{signed}.")] {
            assert_told(browser.go(&with_hint(hint, &[])).await);
            server.browser().go(&with_hint(hint, &[])).await.assert_page_error(400);
        }
        assert!(is_signed_in(&mut browser).await);
    }

    /// RP-Initiated Logout §2: `client_id` must be the client that the hint was issued to, and there must be such a client.
    async fn a_hint_of_another_client_is_a_page(server) {
        let (one, other) = (app(server, "app").await, app(server, "other").await);
        let (mut browser, token) = someone(&one).await;
        assert_told(browser.go(&with_hint(&token, &[("client_id", "other")])).await);
        for unknown in ["nobody", "67e55044-10b1-426f-9247-bb680e5fe0c8", "a b"] {
            assert_told(browser.go(&path(&[("client_id", unknown)])).await);
        }
        other.disable().await;
        let fresh = server.node_with(&[]).await;
        assert_told(browser.at(&fresh).go(&path(&[("client_id", "other")])).await);
        fresh.close().await;
        assert!(is_signed_in(&mut browser).await);
    }

    /// OAuth 2.1 §3.1: a parameter that is sent twice is a mistake, and leads nowhere.
    async fn a_repeated_parameter_is_a_page(server) {
        let app = app(server, "app").await;
        let (mut browser, token) = someone(&app).await;
        assert_told(browser.go(&with_hint(&token, &[("post_logout_redirect_uri", BACK)])).await);
        assert!(is_signed_in(&mut browser).await);
    }

    /// RP-Initiated Logout §2: POST is taken from apps' pages, which send none of our cookies: the session is seen where it leads.
    async fn a_posted_request_works_the_same(server) {
        let app = app(server, "app").await;
        let (mut browser, token) = someone(&app).await;
        let mut request = form_request("/oauth/logout", &[("id_token_hint", &token), ("post_logout_redirect_uri", BACK), ("state", "af0 ifj&")]);
        request.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
        let next = server.send(request).await.location();
        assert!(next.starts_with("/sign-out?request="), "{next}");
        assert!(is_signed_in(&mut browser).await);
        assert_went_back(browser.go(&next).await);

        let (mut browser, _) = someone(&app).await;
        let next = server.post("/oauth/logout", &[("client_id", "app")]).await.location();
        assert!(asks(browser.go(&next).await.assert_status(200)));
        server.post("/oauth/logout", &[("id_token_hint", "nonsense")]).await.assert_page_error(400);
        server.send(Request::post("/oauth/logout").body(Body::from("{}")).unwrap()).await.assert_page_error(400);
    }

    /// The form is ours, and of this session and person; a sealed request lives for half an hour.
    async fn nobody_else_presses_the_button(server) {
        let app = app(server, "app").await;
        let (mut browser, _) = someone(&app).await;
        browser.go(&path(&[("client_id", "app")])).await;
        let (request, bound) = (browser.page().field("request"), browser.page().field("bound"));
        let form = [("request", request.as_str()), ("bound", bound.as_str()), ("decision", "sign_out")];
        let mut from_elsewhere = form_request("/sign-out", &form);
        from_elsewhere.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
        browser.fetch(from_elsewhere).await.assert_page_error(403);

        let (mut other, _) = someone(&app).await;
        other.post("/sign-out", &form).await.assert_page_error(403);
        other.post("/sign-out", &[("request", &request), ("bound", ""), ("decision", "sign_out")]).await.assert_page_error(403);
        browser.post("/sign-out", &[("request", &request), ("bound", &bound)]).await.assert_page_error(400);
        browser.post("/sign-out", &[("request", &request[1..]), ("bound", &bound), ("decision", "sign_out")]).await.assert_page_error(400);
        server.advance(31 * 60);
        browser.post("/sign-out", &form).await.assert_page_error(400);
        assert!(is_signed_in(&mut browser).await && is_signed_in(&mut other).await);
    }

    /// Whoever looks at the address only, ends nothing.
    async fn head_has_no_effect(server) {
        let app = app(server, "app").await;
        let (mut browser, token) = someone(&app).await;
        browser.fetch(Request::head(with_hint(&token, &[])).body(Body::empty()).unwrap()).await.assert_status(204);
        assert!(is_signed_in(&mut browser).await);
    }

    /// OpenID Back-Channel Logout §2.7: what an app was to have until sign-out ends; what was to outlive it goes on.
    async fn what_ends_with_the_session_ends(server) {
        let app = app(server, "app").await;
        let (mut browser, token) = someone(&app).await;
        let bound = app.redeem(&app.code_at(&mut browser, &[("scope", "read")]).await).await;
        let kept = app.redeem(&app.code_at(&mut browser, &[("scope", "read offline_access")]).await).await;
        assert_went_back(browser.go(&with_hint(&token, &[])).await);
        app.refresh(&bound.refresh_token()).await.assert_error(400, "invalid_grant");
        app.refresh(&kept.refresh_token()).await.assert_status(200);
        let none = browser.authorize(&app, &[("prompt", "none"), ("scope", "openid")]).await;
        none.assert_redirected_error("login_required");
    }

    /// RP-Initiated Logout §2: `ui_locales` chooses the language of the page.
    async fn ui_locales_chooses_the_language(server) {
        let app = app(server, "app").await;
        let (mut browser, _) = someone(&app).await;
        let page = browser.go(&path(&[("client_id", "app"), ("ui_locales", "fr-CA de en")])).await.assert_status(200);
        assert!(page.body.contains("Angemeldet bleiben"), "{}", page.body);
    }

    /// What nobody vouches for is not kept: a stranger's state fills no table.
    async fn a_large_state_without_a_client_is_not_kept(server) {
        let state = "x".repeat(9_000);
        server.post("/oauth/logout", &[("state", &state), ("ui_locales", &state), ("id_token_hint", "")]).await.assert_status(303);
        assert_eq!(server.database.count("authorization_requests").await, 0);
        let app = app(server, "app").await;
        let (mut browser, token) = someone(&app).await;
        let back = [("id_token_hint", token.as_str()), ("post_logout_redirect_uri", BACK), ("state", &state)];
        let next = server.post("/oauth/logout", &back).await.location();
        assert_eq!(browser.go(&next).await.location(), format!("{BACK}&state={state}"));
    }

    /// Everything is below the issuer's path.
    async fn an_issuer_with_a_path_signs_out_below_it(server, "GRANTOR_ISSUER" = "https://auth.example.com/tenant") {
        let app = app(server, "app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let next = app.server.post("/oauth/logout", &[("client_id", "app")]).await.location();
        assert!(next.starts_with("/tenant/sign-out?request="), "{next}");
        assert!(browser.go(&next).await.body.contains(r#"action="/tenant/sign-out""#));
        assert!(!ISSUER.contains("tenant"));
    }
}

/// The address of another client.
async fn app_elsewhere(server: &TestServer) -> &'static str {
    const ELSEWHERE: &str = "https://elsewhere.example/signed-out";
    let metadata = json!({ "post_logout_redirect_uris": [ELSEWHERE] });
    server.register("elsewhere", Registration { metadata, ..Registration::default() }).await;
    ELSEWHERE
}
