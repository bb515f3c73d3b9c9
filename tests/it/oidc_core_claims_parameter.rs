//! Single claims at `UserInfo` by the `claims` parameter (`OpenID` Core §5.5), which the person must have allowed.

use serde_json::{Value, json};

use crate::{
    harness::{
        App, Registration, TestServer,
        answer::claims,
        registration::{changed, manage},
    },
    on_every_backend,
};

async fn app<'a>(server: &'a TestServer, id: &str) -> App<'a> {
    server.register(id, Registration { scope: "openid profile email", ..Default::default() }).await
}

fn userinfo(claims: &Value) -> String {
    json!({ "userinfo": claims }).to_string()
}

fn names(claims: &Value) -> Vec<&str> {
    claims.as_object().unwrap().keys().map(String::as_str).collect()
}

/// A client that registered itself for `openid` alone, and asks for an e-mail address in both places.
async fn stranger(server: &TestServer) -> (Value, App<'_>) {
    let redirect_uris = ["https://app.example/callback"];
    let document = json!({ "redirect_uris": redirect_uris, "scope": "openid", "grant_types": ["authorization_code", "refresh_token"] });
    let answer = server.register_itself(document).await;
    (answer.json(), App::of_registration(server, &answer))
}

const EMAIL_IN_BOTH: &str = r#"{ "userinfo": { "email": null }, "id_token": { "email": null } }"#;

on_every_backend! {
    /// OpenID Core §5.5, §5.5.1: a claim by its name, of a scope that was not asked for; the scope of the token stays what it is.
    async fn a_claim_can_be_asked_for_by_its_name(server) {
        let app = app(server, "app").await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        server.set_profile(&person, json!({ "claims": { "nickname": "Al", "website": "https://alice.example" } })).await;
        let wanted = userinfo(&json!({ "name": { "essential": true }, "nickname": null, "picture": null, "email_verified": { "value": true } }));
        let tokens = app.redeem(&app.code_at(&mut browser, &[("scope", "openid"), ("claims", &wanted)]).await).await;
        assert_eq!(tokens.member("scope"), "openid");
        assert_eq!(names(&app.userinfo(&tokens.access_token()).await.assert_status(200).json()), ["name", "nickname", "sub"]);
    }

    /// OpenID Core §5.5.1: names of claims are a shorthand's parts, so consent is asked to the scope that has them, once.
    async fn the_person_is_asked_for_the_scope_that_has_the_claim(server) {
        let app = app(server, "app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        app.code_at(&mut browser, &[("scope", "openid")]).await;
        let with_name = userinfo(&json!({ "name": null }));
        let request = [("scope", "openid"), ("claims", with_name.as_str())];

        let silent = [("scope", "openid"), ("claims", with_name.as_str()), ("prompt", "none")];
        browser.authorize(&app, &silent).await.assert_redirected_error("consent_required");
        let asked = browser.authorize(&app, &request).await.body.clone();
        assert!(asked.contains("See your name and profile") && !asked.contains("See your e-mail"), "{asked}");
        browser.allow().await.code();
        browser.authorize(&app, &request).await.code();
        browser.authorize(&app, &[("scope", "openid profile")]).await.code();
        let with_email = json!({ "id_token": { "email": null } }).to_string();
        browser.authorize(&app, &[("scope", "openid"), ("claims", &with_email)]).await;
        assert!(browser.is_asked_for_consent());
    }

    /// OpenID Core §5.5: nobody is asked for what the client cannot have, or what is no claim of a scope.
    async fn nobody_is_asked_for_what_the_client_cannot_have(server) {
        let app = app(server, "app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        app.code_at(&mut browser, &[("scope", "openid")]).await;
        for wanted in [json!({ "phone_number": { "essential": true } }), json!({ "roles": null, "horoscope": null })] {
            browser.authorize(&app, &[("scope", "openid"), ("claims", &userinfo(&wanted))]).await.code();
        }
    }

    /// What the client is no longer registered for it is no longer told.
    async fn a_claim_is_told_as_long_as_the_client_may_ask_for_it(server) {
        let app = app(server, "app").await;
        let tokens = app.redeem(&app.code_with(&[("scope", "openid"), ("claims", &userinfo(&json!({ "email": null })))]).await).await;
        assert_eq!(names(&app.userinfo(&tokens.access_token()).await.json()), ["email", "sub"]);
        server.database.execute("UPDATE clients SET scope = 'openid profile'").await;
        crate::harness::eventually(async || names(&app.userinfo(&tokens.access_token()).await.json()) == ["sub"]).await;
    }

    /// OpenID Core §5.5.1: what a client registers for later is not what the person was asked for.
    async fn a_client_that_widens_its_scope_is_told_no_more_than_was_allowed(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let (registration, app) = stranger(server).await;
        let tokens = app.redeem(&app.code_with(&[("claims", EMAIL_IN_BOTH)]).await).await;

        manage(server, "PUT", &registration, &changed(&registration, "scope", json!("openid email"))).await.assert_status(200);

        assert_eq!(names(&app.userinfo(&tokens.access_token()).await.assert_status(200).json()), ["sub"]);
        let refreshed = app.refresh(&tokens.refresh_token()).await;
        assert!(claims(&refreshed.assert_status(200).member("id_token")).get("email").is_none());
    }

    /// RFC 7591 §5: nor is what the operator gave it, and took back.
    async fn what_the_operator_takes_back_no_scope_brings_back(server, "GRANTOR_REGISTRATION__MODE" = "open") {
        let (registration, app) = stranger(server).await;
        server.database.execute(r#"UPDATE clients SET metadata = '{"claims":["email"],"token_endpoint_auth_method":"client_secret_basic"}'"#).await;
        let tokens = app.redeem(&app.code_with(&[("claims", EMAIL_IN_BOTH)]).await).await;
        assert_eq!(names(&app.userinfo(&tokens.access_token()).await.json()), ["email", "sub"]);

        server.database.execute(r#"UPDATE clients SET metadata = '{"token_endpoint_auth_method":"client_secret_basic"}'"#).await;
        manage(server, "PUT", &registration, &changed(&registration, "scope", json!("openid email"))).await.assert_status(200);

        assert_eq!(names(&app.userinfo(&tokens.access_token()).await.json()), ["sub"]);
    }

    /// RFC 8259 §7: a NUL may be written in JSON, and no database keeps one.
    async fn nul_in_the_parameter_is_an_invalid_request(server) {
        let app = app(server, "app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for wanted in [r#"{"userinfo":{"a\u0000":null}}"#, r#"{"id_token":{"sub":{"values":["\u0000"]}}}"#, r#"{"other":[{"\u0000":1}]}"#] {
            browser.authorize(&app, &[("scope", "openid"), ("claims", wanted)]).await.assert_redirected_error("invalid_request");
        }
    }
}
