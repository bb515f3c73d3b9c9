//! Client authentication (OAuth 2.1 §2.4), the same at every endpoint that asks for it.

use sha2::{Digest, Sha256};

use crate::{
    harness::{Answer, App, TestServer, app::basic, form_request},
    on_every_backend,
};

/// Each with the parameters of a request that is otherwise in order.
const ENDPOINTS: [(&str, &[(&str, &str)]); 3] = [
    ("/oauth/token", &[("grant_type", "client_credentials")]),
    ("/oauth/revoke", &[("token", "unknown")]),
    ("/oauth/introspect", &[("token", "unknown")]),
];

/// Sends such a request with these credentials to each.
async fn at_every_endpoint(server: &TestServer, header: Option<&str>, form: &[(&str, &str)]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for (path, base) in ENDPOINTS {
        let mut request = form_request(path, &[base, form].concat());
        if let Some(header) = header {
            request.headers_mut().insert("authorization", header.parse().unwrap());
        }
        answers.push(server.send(request).await);
    }
    answers
}

fn assert_challenged(answers: &[Answer]) {
    for answer in answers {
        answer.assert_error(401, "invalid_client");
        assert_eq!(answer.header("www-authenticate"), r#"Basic realm="grantor", charset="UTF-8""#);
        assert_eq!(answer.header("pragma"), "no-cache");
    }
}

fn assert_accepted(answers: &[Answer]) {
    for answer in answers {
        answer.assert_status(200);
    }
}

async fn add_secret(app: &App<'_>, secret: &str) {
    let backend = app.server.database.backend;
    let (id, hash) = (crate::harness::database::id(backend), crate::harness::app::bytes(backend, &Sha256::digest(secret)));
    let now = app.server.now();
    let insert = format!("INSERT INTO client_secrets (id, client_id, hash, created_at) VALUES ({id}, '{}', {hash}, {now})", app.id);
    app.server.database.execute(&insert).await;
}

on_every_backend! {
    /// OAuth 2.1 §2.4.1: `client_secret_basic`; the scheme's name has no case (RFC 9110 §11.1).
    async fn basic_is_accepted_at_every_endpoint(server) {
        server.client("app").await;
        let header = basic("app", "secret-of-app");
        assert_accepted(&at_every_endpoint(server, Some(&header), &[]).await);
        assert_accepted(&at_every_endpoint(server, Some(&header.replace("Basic", "bAsIc")), &[]).await);
        assert_accepted(&at_every_endpoint(server, Some(&header), &[("client_id", "app")]).await);
    }

    /// OAuth 2.1 §2.4.1: id and secret are form-encoded before they become Basic's user and password.
    async fn basic_is_percent_decoded(server) {
        let app = server.client("a:pp+%2B/\u{7e}").await;
        let (id, secret) = (app.id.as_str(), app.secret.clone().unwrap());
        assert_accepted(&at_every_endpoint(server, Some(&basic(id, &secret)), &[]).await);
    }

    /// OAuth 2.1 §2.4.1: `client_secret_post`.
    async fn post_is_accepted_at_every_endpoint(server) {
        server.client("app").await;
        assert_accepted(&at_every_endpoint(server, None, &[("client_id", "app"), ("client_secret", "secret-of-app")]).await);
    }

    /// OAuth 2.1 §2.4: a public client only says who it is. Introspection is not for it (RFC 7662 §2.1).
    async fn none_is_for_public_clients(server) {
        let app = server.register("app", Registration::spa()).await;
        let tokens = app.tokens().await;
        app.refresh(&tokens.refresh_token()).await.assert_status(200);
        app.revoke("unknown").await.assert_status(200);
        assert_challenged(&[app.introspect(&tokens.access_token()).await]);
    }

    /// OAuth 2.1 §2.4: not more than one method in a request, not even twice the same credentials.
    async fn two_methods_at_once_are_an_invalid_request(server) {
        server.client("app").await;
        for header in [basic("app", "secret-of-app"), basic("app", "wrong"), "Bearer x".to_owned()] {
            for answer in at_every_endpoint(server, Some(&header), &[("client_id", "app"), ("client_secret", "secret-of-app")]).await {
                answer.assert_error(400, "invalid_request");
            }
        }
    }

    /// A request that names two clients is not for us to guess about.
    async fn another_client_id_beside_basic_is_an_invalid_request(server) {
        server.client("app").await;
        server.client("other").await;
        for answer in at_every_endpoint(server, Some(&basic("app", "secret-of-app")), &[("client_id", "other")]).await {
            answer.assert_error(400, "invalid_request");
        }
    }

    /// OAuth 2.1 §3.2.4: `invalid_client` is a 401 with the scheme to use, at every endpoint alike.
    async fn a_wrong_secret_is_refused(server) {
        server.client("app").await;
        server.client("other").await;
        for secret in ["wrong", "", "secret-of-other", "secret-of-ap", "secret-of-app "] {
            assert_challenged(&at_every_endpoint(server, Some(&basic("app", secret)), &[]).await);
            assert_challenged(&at_every_endpoint(server, None, &[("client_id", "app"), ("client_secret", secret)]).await);
        }
    }

    /// An unknown client reads exactly like a wrong secret.
    async fn an_unknown_client_is_refused_like_a_wrong_secret(server) {
        server.client("app").await;
        let wrong = at_every_endpoint(server, Some(&basic("app", "wrong")), &[]).await;
        for id in ["nobody", "", "with space", "\u{e9}", "8f14e45f-ceea-467f-a8f2-2b5e7d3f6c11"] {
            let unknown = at_every_endpoint(server, Some(&basic(id, "secret-of-app")), &[]).await;
            assert_challenged(&unknown);
            assert_eq!(unknown[0].body, wrong[0].body);
        }
        assert_challenged(&at_every_endpoint(server, None, &[("client_id", "nobody")]).await);
    }

    /// OAuth 2.1 §2.4: no credentials, or credentials that cannot be read.
    async fn missing_and_unreadable_credentials_are_refused(server) {
        server.client("app").await;
        assert_challenged(&at_every_endpoint(server, None, &[]).await);
        for header in ["Basic", "Basic !!!", "Basic YXBw", "Bearer c2VjcmV0", "Basic /w==", "Digest username=app"] {
            assert_challenged(&at_every_endpoint(server, Some(header), &[]).await);
        }
    }

    /// A disabled client is refused like an unknown one.
    async fn a_disabled_client_is_refused(server) {
        let app = server.client("app").await;
        app.disable().await;
        assert_challenged(&at_every_endpoint(server, Some(&basic("app", "secret-of-app")), &[]).await);
    }

    /// OAuth 2.1 §2.4: a client has the method that it is registered for, and no easier one.
    async fn a_confidential_client_cannot_do_without_its_secret(server) {
        let app = server.client("app").await;
        let code = app.code().await;
        assert_challenged(&at_every_endpoint(server, None, &[("client_id", "app")]).await);
        let without = App { secret: None, ..app.at(server) };
        assert_challenged(&[without.redeem(&code).await]);
        app.redeem(&code).await.access_token();
    }

    /// A public client has no secret, so whatever is sent as one is wrong.
    async fn a_public_client_with_a_secret_is_refused(server) {
        let app = server.register("app", Registration::spa()).await;
        assert_challenged(&at_every_endpoint(server, Some(&basic(&app.id, "x")), &[]).await);
        assert_challenged(&at_every_endpoint(server, Some(&basic(&app.id, "")), &[]).await);
        assert_challenged(&at_every_endpoint(server, None, &[("client_id", "app"), ("client_secret", "x")]).await);
    }

    /// While a secret is replaced, the old and the new one are valid.
    async fn two_secrets_are_valid_at_once(server) {
        let app = server.client("app").await;
        add_secret(&app, "the-new-one").await;
        for secret in ["secret-of-app", "the-new-one"] {
            assert_accepted(&at_every_endpoint(server, Some(&basic("app", secret)), &[]).await);
        }
        assert_challenged(&at_every_endpoint(server, Some(&basic("app", "neither")), &[]).await);
    }

    /// Who cannot prove who they are learns nothing about a code or token, and changes nothing.
    async fn authentication_comes_before_code_and_token(server) {
        let app = server.client("app").await;
        let code = app.code().await;
        let thief = App { secret: Some("wrong".to_owned()), ..app.at(server) };
        assert_challenged(&[thief.redeem(&code).await, thief.redeem("unknown").await, thief.redeem_with("x", &[("code", "")]).await]);

        let tokens = app.redeem(&code).await;
        app.refresh(&tokens.refresh_token()).await.assert_status(200);
        server.advance(60);
        // Too old by now: in the right hands this would revoke the grant.
        assert_challenged(&[thief.refresh(&tokens.refresh_token()).await, thief.revoke(&tokens.refresh_token()).await]);
        assert_challenged(&[thief.introspect(&tokens.access_token()).await, thief.revoke(&tokens.access_token()).await]);
        assert_eq!(server.grants().await, ["1"]);
        assert!(server.is_active(&app, &tokens.access_token()).await);
    }
}
