//! The keys of clients behind `jwks_uri` (`OpenID` Core §10.1, §10.1.1): fetched, kept, and asked for again, within bounds.

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::json;

use crate::{
    harness::{
        TestServer,
        signing::{ClientKey, KeyServer, SigningApp},
    },
    on_every_backend,
};

/// A client whose keys are on a server of its own.
async fn app(server: &TestServer) -> (SigningApp<'_>, KeyServer) {
    let key = ClientKey::es256("a");
    let keys = KeyServer::start(&key.jwks()).await;
    (server.signing_client_with("app", keys.metadata(), key).await, keys)
}

on_every_backend! {
    /// `OpenID` Core §10.1: the set is fetched once for many requests, and anew when its time is over.
    async fn a_set_is_kept_as_long_as_it_says(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let (app, keys) = app(server).await;
        for answer in join_all((0..8).map(|_| async { app.present(&app.assertion()).await })).await {
            answer.assert_status(200);
        }
        assert_eq!(keys.asked(), 1);
        server.advance(599);
        app.present(&app.assertion()).await.assert_status(200);
        assert_eq!(keys.asked(), 1);
        server.advance(2);
        app.present(&app.assertion()).await.assert_status(200);
        assert_eq!(keys.asked(), 2);
    }

    /// `OpenID` Core §10.1.1: a client changes its key by publishing another; the first use of it makes us look.
    async fn an_unknown_kid_is_looked_for(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let (mut app, keys) = app(server).await;
        app.present(&app.assertion()).await.assert_status(200);
        server.advance(31);
        let before = std::mem::replace(&mut app.key, ClientKey::es256("b"));
        keys.publish(&app.key.jwks());
        app.present(&app.assertion()).await.assert_status(200);
        assert_eq!(keys.asked(), 2);
        // The one before is no longer published.
        app.present(&before.sign(&app.claims())).await.assert_error(401, "invalid_client");
    }

    /// ... but not more often than twice a minute, whatever kids strangers think of.
    async fn unknown_kids_do_not_make_us_a_nuisance(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let (app, keys) = app(server).await;
        app.present(&app.assertion()).await.assert_status(200);
        server.advance(31);
        let answers = join_all((0..8).map(|number| {
            let stranger = ClientKey::es256(&format!("unknown-{number}")).sign(&app.claims());
            let app = &app;
            async move { app.present(&stranger).await }
        }));
        for answer in answers.await {
            let description = answer.assert_error(401, "invalid_client").member("error_description");
            assert!(description.contains("no key for its kid"), "{description}");
        }
        for kid in ["one-more", "and-one"] {
            app.present(&ClientKey::es256(kid).sign(&app.claims())).await.assert_error(401, "invalid_client");
        }
        assert_eq!(keys.asked(), 2);
        app.present(&app.assertion()).await.assert_status(200);
        server.advance(31);
        app.present(&ClientKey::es256("unknown").sign(&app.claims())).await.assert_error(401, "invalid_client");
        assert_eq!(keys.asked(), 3);
    }

    /// A known key with a wrong signature is wrong, and nobody is asked.
    async fn a_wrong_signature_makes_us_ask_nobody(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let (app, keys) = app(server).await;
        app.present(&app.assertion()).await.assert_status(200);
        server.advance(31);
        app.present(&ClientKey::es256("a").sign(&app.claims())).await.assert_error(401, "invalid_client");
        assert_eq!(keys.asked(), 1);
    }

    /// Without a `kid` a key that does not match may be a new one.
    async fn a_key_without_a_kid_can_be_changed(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let (mut app, keys) = app(server).await;
        app.present(&app.assertion()).await.assert_status(200);
        server.advance(31);
        app.key = ClientKey::es256("a").with_header(|header| header.kid = None);
        keys.publish(&app.key.jwks());
        app.present(&app.assertion()).await.assert_status(200);
    }

    /// Its server may be away for an hour; then nobody knows any more whether the keys are good.
    async fn a_set_is_used_for_an_hour_while_its_server_is_away(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let (app, keys) = app(server).await;
        app.present(&app.assertion()).await.assert_status(200);
        keys.answer_with(StatusCode::SERVICE_UNAVAILABLE, "", "");
        server.advance(601);
        app.present(&app.assertion()).await.assert_status(200);
        app.present(&app.assertion()).await.assert_status(200);
        assert_eq!(keys.asked(), 2, "asked again at a bounded rate");
        server.advance(3_600);
        let answer = app.present(&app.assertion()).await;
        assert!(answer.assert_error(401, "invalid_client").member("error_description").contains("jwks_uri"));
        keys.answer_with(StatusCode::OK, "", &app.key.jwks().to_string());
        server.advance(31);
        app.present(&app.assertion()).await.assert_status(200);
    }

    /// What is no key set, too large, elsewhere or private is none, and is asked for at a bounded rate.
    async fn what_is_no_set_is_refused(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let (app, keys) = app(server).await;
        let set = app.key.jwks().to_string();
        let private = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "d": "x" }] }).to_string();
        for (status, body) in [
            (StatusCode::OK, ""), (StatusCode::OK, "{}"), (StatusCode::OK, &private), (StatusCode::OK, &" ".repeat(300_000)),
            (StatusCode::OK, &format!("{set}{}", " ".repeat(70_000))), (StatusCode::NOT_FOUND, &set), (StatusCode::FOUND, &set),
        ] {
            server.advance(31);
            keys.answer_with(status, "", body);
            let asked = keys.asked();
            for _ in 0..2 {
                let description = app.present(&app.assertion()).await.assert_error(401, "invalid_client").member("error_description");
                assert!(description.contains("jwks_uri"), "{description}");
            }
            assert_eq!(keys.asked(), asked + 1);
        }
    }

    /// A client cannot make us connect to a network that the operator did not list.
    async fn a_set_in_a_network_that_is_not_listed_is_not_fetched(server) {
        let (app, keys) = app(server).await;
        let answer = app.present(&app.assertion()).await;
        assert!(answer.assert_error(401, "invalid_client").member("error_description").contains("reachable over https"));
        assert_eq!(keys.asked(), 0);
    }
}
