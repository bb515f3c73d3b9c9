//! Redirect URIs (OAuth 2.1 §2.3, §4.1.1, §7.13.2, §8.4, RFC 8252 §7 and §8).

use crate::{
    harness::{App, Registration, TestServer},
    on_every_backend,
};

on_every_backend! {
    /// OAuth 2.1 §2.3.1, §4.1.2.1: byte for byte; anything else is told to the person, and nobody is sent anywhere.
    async fn a_redirect_uri_that_is_not_registered_is_a_page(server) {
        let app = server.client("app").await;
        for other in [
            "https://evil.example/callback",
            "https://app.example/callback/",
            "https://app.example/callback?x=1",
            "https://app.example/callback#x",
            "https://app.example/Callback",
            "https://APP.example/callback",
            "https://app.example:443/callback",
            "https://app.example/call%62ack",
            "https://app.example/x/../callback",
            "https://app.example.evil.example/callback",
            "https://app.example@evil.example/callback",
            "https://app.example/",
            "http://app.example/callback",
            "//app.example/callback",
            "/callback",
            "javascript:alert(1)",
            "https://app.example/callback\0",
            " https://app.example/callback",
            "https://app.example/callback\r\nx: y",
        ] {
            for prompt in ["", "none"] {
                let answer = server.get(&app.authorization_path(&[("redirect_uri", other), ("prompt", prompt)])).await;
                answer.assert_page_error(400);
                assert!(!answer.body.contains("evil"), "the page does not lead there either");
            }
        }
    }

    /// OAuth 2.1 §4.1.2.1: what another client registered is of no use.
    async fn the_redirect_uri_of_another_client_is_a_page(server) {
        let app = server.client("app").await;
        let elsewhere = Registration { redirect_uris: vec!["https://other.example/callback"], ..Registration::default() };
        let other = server.register("other", elsewhere).await;

        server.get(&app.authorization_path(&[("redirect_uri", &other.redirect_uri)])).await.assert_page_error(400);
    }

    /// OAuth 2.1 §3.1: which of two is meant is not guessed.
    async fn a_repeated_redirect_uri_is_a_page(server) {
        let app = server.client("app").await;
        let twice = [("redirect_uri", app.redirect_uri.as_str()), ("redirect_uri", app.redirect_uri.as_str())];
        server.get(&app.authorization_path(&twice)).await.assert_page_error(400);
    }

    /// OAuth 2.1 §4.1.1: the only registered URI is meant.
    async fn the_only_redirect_uri_may_be_left_out(server) {
        let app = server.client("app").await;
        let answer = server.get(&app.authorization_path(&[("redirect_uri", ""), ("scope", "read"), ("prompt", "none")])).await;

        answer.assert_redirected_error("login_required");
        assert!(answer.location().starts_with("https://app.example/callback?"));
    }

    /// OpenID Core §3.1.2.1: not in an authentication request.
    async fn with_openid_the_redirect_uri_is_required(server) {
        let app = server.client("app").await;
        let answer = server.get(&app.authorization_path(&[("redirect_uri", ""), ("scope", "openid read")])).await;
        answer.assert_redirected_error("invalid_request");
    }

    /// OAuth 2.1 §2.3.2, §4.1.1: of several one must be named, and the answer goes to that one.
    async fn of_several_redirect_uris_one_must_be_named(server) {
        let uris = ["https://app.example/callback", "https://app.example/other"];
        let app = server.register("app", Registration { redirect_uris: uris.to_vec(), ..Registration::default() }).await;
        server.get(&app.authorization_path(&[("redirect_uri", ""), ("scope", "read")])).await.assert_page_error(400);

        for uri in uris {
            let answer = server.get(&app.authorization_path(&[("redirect_uri", uri), ("prompt", "none")])).await;
            assert!(answer.location().starts_with(&format!("{uri}?")), "{}", answer.location());
        }
    }

    /// OAuth 2.1 §2.3: a query of its own is kept, and the answer goes behind it.
    async fn the_query_of_a_redirect_uri_is_kept(server) {
        let uri = "https://app.example/callback?tenant=a%20b&x";
        let app = server.register("app", Registration { redirect_uris: vec![uri], ..Registration::default() }).await;
        let code = app.code().await;
        app.redeem(&code).await.assert_status(200);

        let error = server.get(&app.authorization_path(&[("prompt", "none")])).await;
        assert!(error.location().starts_with(&format!("{uri}&error=login_required&")), "{}", error.location());
    }

    /// OAuth 2.1 §8.4.2, RFC 8252 §7.3: the port is chosen when the app starts, and the code is bound to it.
    async fn a_native_app_uses_any_port_of_its_loopback_host(server) {
        for (id, registered, started) in [
            ("v4", "http://127.0.0.1/callback", "http://127.0.0.1:51004/callback"),
            ("v6", "http://[::1]:8000/callback", "http://[::1]:51004/callback"),
            ("name", "http://localhost:3000/callback", "http://localhost/callback"),
        ] {
            let app = native(server, id, registered).await;
            let started = App { redirect_uri: started.to_owned(), ..app.at(server) };
            let code = started.code().await;

            app.redeem_with(&code, &[("redirect_uri", registered)]).await.assert_error(400, "invalid_grant");
            started.redeem(&code).await.assert_status(200);
        }
    }

    /// RFC 8252 §7.3, §8.3: nothing but the port varies, and hosts are not swapped for one another.
    async fn nothing_but_the_port_of_a_loopback_redirect_varies(server) {
        let app = native(server, "native", "http://127.0.0.1/callback").await;
        for other in [
            "http://localhost:51004/callback",
            "http://[::1]:51004/callback",
            "http://127.0.0.2:51004/callback",
            "http://127.1:51004/callback",
            "https://127.0.0.1:51004/callback",
            "http://127.0.0.1:51004/other",
            "http://127.0.0.1:51004/callback?x",
            "http://127.0.0.1:65536/callback",
            "http://127.0.0.1:/callback",
            "http://127.0.0.1:80@evil.example/callback",
            "http://127.0.0.1.evil.example/callback",
        ] {
            server.get(&app.authorization_path(&[("redirect_uri", other)])).await.assert_page_error(400);
        }
    }

    /// OAuth 2.1 §8.4.2: the port is free for native apps only.
    async fn a_web_app_has_the_port_that_it_registered(server) {
        let app = server.register("web", Registration { redirect_uris: vec!["http://127.0.0.1:3000/"], ..Registration::spa() }).await;
        server.get(&app.authorization_path(&[("redirect_uri", "http://127.0.0.1:3001/")])).await.assert_page_error(400);
        server.get(&app.authorization_path(&[("prompt", "none")])).await.assert_redirected_error("login_required");
    }

    /// OAuth 2.1 §8.4.3, RFC 8252 §7.1
    async fn a_native_app_gets_its_answer_at_a_private_use_scheme(server) {
        let app = native(server, "native", "com.example.app:/oauth2redirect").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[]).await;
        let answer = browser.allow().await;

        assert!(answer.location().starts_with("com.example.app:/oauth2redirect?code="), "{}", answer.location());
        app.redeem(&answer.code()).await.assert_status(200);
        server.get(&app.authorization_path(&[("redirect_uri", "com.example.app:/other")])).await.assert_page_error(400);
    }

    /// RFC 8252 §7.2: a claimed `https` URI is the best that a native app can have.
    async fn a_native_app_gets_its_answer_at_a_claimed_uri(server) {
        let app = native(server, "native", "https://app.example/oauth2redirect").await;
        let code = app.code().await;
        app.redeem(&code).await.assert_status(200);
        server.get(&app.authorization_path(&[("redirect_uri", "https://app.example:51004/oauth2redirect")])).await.assert_page_error(400);
    }
}

async fn native<'a>(server: &'a TestServer, id: &str, redirect_uri: &'static str) -> App<'a> {
    server.register(id, Registration { redirect_uris: vec![redirect_uri], ..Registration::native() }).await
}
