//! Whom an authentication request is about and how it is to be carried out: `id_token_hint`, `claims`, `select_account`,
//! `acr_values`, `ui_locales` and the like (OpenID Core §3.1.2, §5.5.1, §15.1).

use serde_json::json;

use crate::{
    harness::{App, Browser, Registration, TestServer, browser::Person},
    on_every_backend,
};

const DAY: u64 = 24 * 60 * 60;

on_every_backend! {
    /// OpenID Core §3.1.2.1: whom the hint names and who is signed in gets an answer, with and without a page.
    async fn a_hint_about_who_is_signed_in_is_answered(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let hint = id_token(&app, &mut browser).await;

        browser.authorize(&app, &[("id_token_hint", &hint), ("prompt", "none")]).await.code();
        browser.authorize(&app, &[("id_token_hint", &hint)]).await.code();
    }

    /// OpenID Core §3.1.2.2: the answer is never about another person.
    async fn a_hint_about_someone_else_shows_nothing_or_asks_for_them(server) {
        let app = ours(server).await;
        let (hint, alice) = hint_about(server, &app, "alice").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;

        browser.authorize(&app, &[("id_token_hint", &hint), ("prompt", "none")]).await.assert_redirected_error("login_required");
        browser.authorize(&app, &[("id_token_hint", &hint)]).await;
        assert!(browser.is_asked_to_sign_in() && !browser.page().body.contains("person"), "{}", browser.page().body);
        browser.sign_in(&alice).await.code();
    }

    /// OpenID Core §3.1.2.1: whoever else signs in instead, the client is told, and gets no code.
    async fn a_hint_is_checked_again_after_the_sign_in(server) {
        let app = ours(server).await;
        let (hint, _) = hint_about(server, &app, "alice").await;
        let mallory = server.person("mallory").await;
        let before = server.database.count("authorization_codes").await;
        let mut browser = server.browser();
        browser.authorize(&app, &[("id_token_hint", &hint)]).await;
        browser.sign_in(&mallory).await.assert_redirected_error("login_required");
        assert_eq!(server.database.count("authorization_codes").await, before);
    }

    /// OpenID Core §3.1.2.2: neither the consent page nor a new sign-in leads around the hint.
    async fn a_hint_cannot_be_walked_around(server) {
        let app = server.client("app").await;
        let (hint, _) = hint_about(server, &app, "alice").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("id_token_hint", &hint)]).await;
        let request = browser.page().field("request");

        for path in ["/consent", "/login", "/select-account"] {
            browser.go(&format!("{path}?request={request}")).await;
            assert!(browser.is_asked_to_sign_in(), "{path}");
        }
    }

    /// OpenID Core §3.1.2.2: a hint is as good when it has expired, and long after its key has retired.
    async fn an_old_hint_is_accepted(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        let hint = id_token(&app, &mut browser).await;
        for day in [90, 1, 2] {
            server.advance(day * DAY);
            server.run_jobs().await;
        }
        let kid = jsonwebtoken::decode_header(&hint).unwrap().kid.unwrap();
        let former = format!("keys WHERE purpose = 'former_signature' AND kid = '{kid}'");
        assert_eq!(server.database.count(&former).await, 1);

        browser.authorize(&app, &[("id_token_hint", &hint)]).await;
        browser.sign_in(&person).await.code();
    }

    /// OpenID Core §3.1.2.2: what this server did not issue, or to another client, or for another purpose, is no hint.
    async fn whatever_is_not_an_id_token_of_this_client_is_no_hint(server) {
        let app = ours(server).await;
        let other = server.register("other", Registration { first_party: true, ..Registration::default() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let hint = id_token(&app, &mut browser).await;
        let of_the_other = id_token(&other, &mut browser).await;
        let access_token = app.tokens().await.access_token();
        let (signed, signature) = hint.rsplit_once('.').unwrap();
        let (_, payload) = signed.split_once('.').unwrap();
        let forged = format!("{}A.{signature}", &signed[..signed.len() - 1]);
        let unsigned = format!("eyJhbGciOiJub25lIn0.{payload}.");

        for no_hint in [&of_the_other, &access_token, &forged, &unsigned, "not a token", "a.b.c"] {
            browser.authorize(&app, &[("id_token_hint", no_hint)]).await.assert_redirected_error("invalid_request");
        }
    }

    /// What a key signed that leaked proves nothing, not even as a hint.
    async fn a_hint_that_a_withdrawn_key_signed_is_none(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let hint = id_token(&app, &mut browser).await;
        let now = server.now();
        server.database.execute(&format!("UPDATE keys SET signs_until = {now}, removed_at = {now} WHERE algorithm = 'RS256'")).await;
        server.advance(1);
        browser.authorize(&app, &[("id_token_hint", &hint)]).await.assert_redirected_error("invalid_request");
    }

    /// OpenID Core §5.5.1, §3.1.2.2: `sub` with a value is a hint in other words.
    async fn a_sub_that_the_claims_name_is_who_must_sign_in(server) {
        let app = ours(server).await;
        let (hint, alice) = hint_about(server, &app, "alice").await;
        let sub = crate::harness::answer::claims(&hint)["sub"].clone();
        let mut browser = server.browser();
        let bob = browser.sign_in_as_someone().await;
        for named in [json!({"id_token": {"sub": {"value": sub}}}), json!({"userinfo": {"sub": {"values": ["nobody", sub]}}})] {
            let named = named.to_string();
            browser.authorize(&app, &[("claims", &named), ("prompt", "none")]).await.assert_redirected_error("login_required");
            browser.authorize(&app, &[("claims", &named)]).await;
            browser.sign_in(&bob).await.assert_redirected_error("login_required");
        }
        let named = json!({"id_token": {"sub": {"value": sub}}}).to_string();
        browser.authorize(&app, &[("claims", &named)]).await;
        browser.sign_in(&alice).await.code();
    }

    /// OpenID Core §5.5.1.1: an essential `acr` is met or the request fails (`unmet_authentication_requirements` 1.0 §1).
    async fn an_essential_acr_that_cannot_be_met_is_refused(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let ask = |acr: serde_json::Value| json!({"id_token": {"acr": acr}}).to_string();
        for unmet in [json!({"essential": true, "value": "gold"}), json!({"essential": true, "values": ["gold", "silver"]})] {
            browser.authorize(&app, &[("claims", &ask(unmet))]).await.assert_redirected_error("unmet_authentication_requirements");
        }
        let ours = id_token_claims(&app, &mut browser, &[]).await["acr"].clone();
        let met = [json!({"essential": true, "values": ["gold", ours]}), json!({"essential": true}), json!({"values": ["gold"]}), json!(null)];
        for met in met {
            let claims = id_token_claims(&app, &mut browser, &[("claims", &ask(met))]).await;
            assert_eq!(claims["acr"], ours);
        }
    }

    /// OpenID Core §3.1.2.1, §15.1: `acr_values` is a wish; `acr` says what happened. So are the registered values.
    async fn acr_values_is_a_wish(server) {
        let metadata = json!({"default_acr_values": ["gold"]});
        let app = server.register("app", Registration { first_party: true, metadata, ..Registration::default() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for extra in [("acr_values", "gold silver"), ("nonce", "n")] {
            assert!(id_token_claims(&app, &mut browser, &[extra]).await["acr"].is_string());
        }
    }

    /// OpenID Registration §2: `default_max_age` counts where the request says nothing, and `auth_time` is always there.
    async fn a_registered_max_age_counts_where_the_request_has_none(server) {
        let metadata = json!({"default_max_age": 60, "require_auth_time": true});
        let app = server.register("app", Registration { first_party: true, metadata, ..Registration::default() }).await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        server.advance(61);
        browser.authorize(&app, &[("max_age", "100")]).await.code();
        browser.authorize(&app, &[("prompt", "none")]).await.assert_redirected_error("login_required");
        browser.authorize(&app, &[]).await;
        assert!(browser.is_asked_to_sign_in());
        let code = browser.sign_in(&person).await.code();
        assert!(crate::harness::answer::claims(&app.redeem(&code).await.id_token())["auth_time"].is_number());
    }

    /// OpenID Core §3.1.2.1: the person goes on as who is signed in.
    async fn select_account_offers_who_is_signed_in(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("prompt", "select_account")]).await;
        assert!(browser.is_asked_for_an_account() && browser.page().body.contains(&person.email));
        browser.choose_account().await.code();

        // Each request asks anew.
        browser.authorize(&app, &[("prompt", "select_account")]).await;
        assert!(browser.is_asked_for_an_account());
    }

    /// OpenID Core §3.1.2.1: or as someone else, for which signing in is the choice.
    async fn select_account_lets_someone_else_sign_in(server) {
        let app = ours(server).await;
        let bob = server.person("bob").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("prompt", "select_account")]).await;
        let request = browser.page().field("request");
        browser.go(&format!("/login?request={request}&another=1")).await;
        browser.sign_in(&bob).await.code();

        let mut nobody = server.browser();
        nobody.authorize(&app, &[("prompt", "select_account")]).await;
        assert!(nobody.is_asked_to_sign_in());
        nobody.sign_in(&bob).await.code();
    }

    /// The choice is a form of ours, for the account that it showed.
    async fn select_account_cannot_be_walked_around(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("prompt", "select_account")]).await;
        let (request, session) = (browser.page().field("request"), browser.page().field("session"));
        for path in ["/consent", "/login", "/select-account"] {
            browser.go(&format!("{path}?request={request}")).await;
            assert!(browser.is_asked_for_an_account(), "{path}");
        }
        let form = [("request", request.as_str()), ("session", session.as_str())];
        let elsewhere = crate::harness::form_request("/select-account", &form);
        browser.fetch(elsewhere).await.assert_page_error(403);

        // Someone else signed in meanwhile, in another tab.
        browser.go("/login?another=1").await;
        let bob = server.person("bob").await;
        browser.sign_in(&bob).await;
        browser.submit("/select-account", &form).await.assert_page_error(403);
        assert_eq!(server.database.count("authorization_codes").await, 0);
    }

    /// OpenID Core §3.1.2.1: and then everything else that was asked for.
    async fn select_account_and_consent_asks_for_both(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        app.code_at(&mut browser, &[]).await;
        browser.authorize(&app, &[("prompt", "select_account consent")]).await;
        browser.choose_account().await;
        assert!(browser.is_asked_for_consent());
        browser.allow().await.code();
    }

    /// OpenID Core §3.1.2.1: `none` shows no choice either.
    async fn select_account_and_none_is_refused(server) {
        let app = ours(server).await;
        server.get(&app.authorization_path(&[("prompt", "none select_account")])).await.assert_redirected_error("invalid_request");
    }

    /// OpenID Core §3.1.2.1: the client's wish goes before the browser's, where we have the language.
    async fn ui_locales_chooses_the_language_of_the_pages(server) {
        let app = server.client("app").await;
        let mut browser = server.browser().with_languages("en");
        let person = server.person("alice").await;
        for (locales, language) in [("fr-CA de-AT en", "de"), ("fr", "en"), ("<b> de", "de"), ("en de", "en")] {
            browser.authorize(&app, &[("ui_locales", locales)]).await;
            assert!(browser.page().body.contains(&format!("<html lang=\"{language}\"")), "{locales}");
        }
        browser.authorize(&app, &[("ui_locales", "de")]).await;
        browser.sign_in(&person).await;
        assert!(browser.is_asked_for_consent() && browser.page().body.contains("<html lang=\"de\""));
        browser.authorize(&app, &[("ui_locales", "de"), ("prompt", "select_account")]).await;
        assert!(browser.is_asked_for_an_account() && browser.page().body.contains("<html lang=\"de\""));
    }

    /// OpenID Core §15.1: `display`, `claims_locales` and what nobody knows do not disturb.
    async fn display_and_claims_locales_are_accepted(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for display in ["page", "popup", "touch", "wap", "hologram"] {
            browser.authorize(&app, &[("display", display), ("claims_locales", "de fr"), ("extra", "foobar")]).await.code();
        }
    }
}

/// A client that need not ask for consent.
async fn ours(server: &TestServer) -> App<'_> {
    server.register("ours", Registration { first_party: true, ..Registration::default() }).await
}

async fn id_token(app: &App<'_>, browser: &mut Browser<'_>) -> String {
    let code = app.code_at(browser, &[]).await;
    app.redeem(&code).await.id_token()
}

async fn id_token_claims(app: &App<'_>, browser: &mut Browser<'_>, extra: &[(&str, &str)]) -> serde_json::Value {
    let code = app.code_at(browser, extra).await;
    crate::harness::answer::claims(&app.redeem(&code).await.id_token())
}

/// An ID token of a new person, who is signed in at a browser of their own.
async fn hint_about(server: &TestServer, app: &App<'_>, name: &str) -> (String, Person) {
    let person = server.person(name).await;
    let mut browser = server.browser();
    browser.sign_in_at_account(&person).await;
    (id_token(app, &mut browser).await, person)
}
