//! The client credentials grant (OAuth 2.1 §4.2): a client speaks for itself.

use crate::on_every_backend;

on_every_backend! {
    /// OAuth 2.1 §4.2.2: an access token, and no refresh token: the client can always ask again.
    async fn a_client_gets_an_access_token_and_no_refresh_token(server) {
        let app = server.client("app").await;
        let body = app.client_credentials(&[]).await.assert_status(200).json();
        let names: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(names, ["access_token", "expires_in", "scope", "token_type"]);
        assert_eq!((&body["token_type"], &body["expires_in"]), (&"Bearer".into(), &600.into()));
        assert!(server.is_active(&app, body["access_token"].as_str().unwrap()).await);
    }

    /// Asking for nothing gives the client's scopes, less the two that need a person.
    async fn without_scope_the_client_gets_what_needs_no_person(server) {
        let scope = "openid profile email address phone read offline_access write";
        let app = server.register("app", Registration { scope, ..Default::default() }).await;
        assert_eq!(app.client_credentials(&[]).await.member("scope"), "profile email address phone read write");
    }

    /// OAuth 2.1 §4.2.1: `scope` narrows what the client is registered for.
    async fn a_client_gets_the_scope_that_it_asks_for(server) {
        let app = server.client("app").await;
        let answer = app.client_credentials(&[("scope", " write  write ")]).await;
        assert_eq!((answer.member("scope"), &answer.claims()["scope"]), ("write".to_owned(), &"write".into()));
    }

    /// There is no person whom an ID token could be about, and nobody who could be away.
    async fn openid_and_offline_access_are_refused(server) {
        let app = server.client("app").await;
        for scope in ["openid", "read openid", "offline_access", "read offline_access"] {
            app.client_credentials(&[("scope", scope)]).await.assert_error(400, "invalid_scope");
        }
    }

    /// OAuth 2.1 §3.2.4: `invalid_scope` for what is unknown, malformed, or beyond the registration.
    async fn a_scope_beyond_the_registration_is_refused(server) {
        let app = server.client("app").await;
        for scope in ["admin", "read admin", "READ", "re\"ad", "\u{fc}", " "] {
            app.client_credentials(&[("scope", scope)]).await.assert_error(400, "invalid_scope");
        }
    }

    /// OAuth 2.1 §4.2: the grant must only be used by confidential clients, whatever is registered.
    async fn a_public_client_is_refused(server) {
        let public = Registration { grant_types: vec!["client_credentials"], ..Registration::spa() };
        let app = server.register("app", public).await;
        app.client_credentials(&[]).await.assert_error(400, "unauthorized_client");
    }

    /// RFC 8707 §2: the audience is the only resource of the client, or the one that it names, or the issuer.
    async fn the_audience_is_a_registered_resource(server) {
        let with = |resources| Registration { resources, ..Default::default() };
        let none = server.client("none").await;
        let one = server.register("one", with(vec!["https://a.example"])).await;
        let two = server.register("two", with(vec!["https://a.example", "https://b.example"])).await;

        assert_eq!(none.client_credentials(&[]).await.claims()["aud"], ISSUER);
        assert_eq!(one.client_credentials(&[]).await.claims()["aud"], "https://a.example");
        two.client_credentials(&[]).await.assert_error(400, "invalid_target");
        assert_eq!(two.client_credentials(&[("resource", "https://b.example")]).await.claims()["aud"], "https://b.example");
        for resource in ["https://c.example", "https://a.example/", "a.example", "https://a.example#x"] {
            one.client_credentials(&[("resource", resource)]).await.assert_error(400, "invalid_target");
        }
    }

    /// A token costs no row and is no news.
    async fn nothing_is_written(server) {
        let app = server.client("app").await;
        app.client_credentials(&[]).await.assert_status(200);
        assert!(server.grants().await.is_empty());
        assert!(server.audit().await.is_empty());
    }
}
