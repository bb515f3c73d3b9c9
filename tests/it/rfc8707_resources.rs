//! Resource indicators (RFC 8707).

use serde_json::{Value, json};

use crate::{
    harness::{Answer, App, Registration, TestServer},
    on_every_backend,
};

const MAIL: &str = "https://mail.example/api";
const FILES: &str = "https://files.example";

on_every_backend! {
    /// Without any resource the token is for the server itself.
    async fn without_a_resource_the_issuer_is_the_audience(server) {
        let app = server.client("app").await;
        assert_eq!(audience(&app.tokens().await), json!([ISSUER]));
    }

    /// RFC 8707 §2: a client with one resource need not name it.
    async fn the_only_resource_need_not_be_named(server) {
        let app = client_of(server, &[MAIL]).await;
        assert_eq!(audience(&app.tokens().await), json!([MAIL]));
    }

    /// RFC 8707 §2: of several none can be guessed.
    async fn of_several_resources_one_must_be_named(server) {
        let app = client_of(server, &[MAIL, FILES]).await;
        server.get(&app.authorization_path(&[])).await.assert_redirected_error("invalid_target");

        let code = app.code_with(&[("resource", FILES)]).await;
        assert_eq!(audience(&app.redeem(&code).await), json!([FILES]));
    }

    /// RFC 8707 §2: the only parameter that may be sent more than once.
    async fn several_resources_can_be_named(server) {
        let app = client_of(server, &[MAIL, FILES]).await;
        let code = app.code_with(&[("resource", MAIL), ("resource", FILES), ("resource", MAIL)]).await;

        assert_eq!(audience(&app.redeem(&code).await), json!([MAIL, FILES]));
    }

    /// RFC 8707 §2: unknown, malformed, or another client's.
    async fn a_resource_that_is_not_the_clients_is_refused(server) {
        let app = client_of(server, &[MAIL]).await;
        let near = format!("{MAIL}/");
        let with_fragment = format!("{MAIL}#x");
        for resource in [FILES, &near, &with_fragment, "/api", "mail", "https://MAIL.example/api", "https://mail.example/api?x"] {
            server.get(&app.authorization_path(&[("resource", resource)])).await.assert_redirected_error("invalid_target");
        }
        let one_of_two = app.authorization_path(&[("resource", MAIL), ("resource", FILES)]);
        server.get(&one_of_two).await.assert_redirected_error("invalid_target");
        let none_registered = server.client("other").await.authorization_path(&[("resource", MAIL)]);
        server.get(&none_registered).await.assert_redirected_error("invalid_target");
    }

    /// RFC 8707 §2.2: the token request narrows what was granted, for this token only.
    async fn a_token_can_be_for_fewer_resources_than_the_grant(server) {
        let app = client_of(server, &[MAIL, FILES]).await;
        let code = app.code_with(&[("resource", MAIL), ("resource", FILES)]).await;
        let narrow = app.redeem_with(&code, &[("resource", FILES)]).await;
        assert_eq!(audience(&narrow), json!([FILES]));

        let other = app.refresh_with(&narrow.refresh_token(), &[("resource", MAIL)]).await;
        assert_eq!(audience(&other), json!([MAIL]));
        assert_eq!(audience(&app.refresh(&other.refresh_token()).await), json!([MAIL, FILES]));
    }

    /// RFC 8707 §2.2: registered is not granted. The refusal spends nothing.
    async fn a_token_cannot_be_for_more_than_was_granted(server) {
        let app = client_of(server, &[MAIL, FILES]).await;
        let code = app.code_with(&[("resource", MAIL)]).await;
        for resource in [FILES, ISSUER, "https://unknown.example", "mail", "https://mail.example/api#x"] {
            app.redeem_with(&code, &[("resource", resource)]).await.assert_error(400, "invalid_target");
            app.redeem_with(&code, &[("resource", MAIL), ("resource", resource)]).await.assert_error(400, "invalid_target");
        }
        let tokens = app.redeem(&code).await;
        assert_eq!(audience(&tokens), json!([MAIL]));
        app.refresh_with(&tokens.refresh_token(), &[("resource", FILES)]).await.assert_error(400, "invalid_target");
        app.refresh(&tokens.refresh_token()).await.assert_status(200);
    }

    /// What a person allowed at one resource is not allowed at another.
    async fn another_resource_needs_another_consent(server) {
        let app = client_of(server, &[MAIL, FILES]).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        app.code_at(&mut browser, &[("resource", MAIL)]).await;

        browser.authorize(&app, &[("resource", MAIL)]).await.code();
        browser.authorize(&app, &[("resource", FILES)]).await;
        assert!(browser.is_asked_for_consent());
        browser.allow().await.code();
        browser.authorize(&app, &[("resource", MAIL), ("resource", FILES)]).await.code();
    }
}

/// A client that may ask for these resources.
async fn client_of<'a>(server: &'a TestServer, resources: &[&'static str]) -> App<'a> {
    server.register("app", Registration { resources: resources.to_vec(), ..Registration::default() }).await
}

/// The `aud` of the access token, as a list.
#[track_caller]
fn audience(answer: &Answer) -> Value {
    match answer.claims()["aud"].clone() {
        Value::Array(list) => Value::Array(list),
        one => json!([one]),
    }
}
