//! Client authentication by assertion (RFC 7521 §4.2, RFC 7523 §2.2, §3).

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::{
    harness::{
        Answer, Backend, ISSUER, Registration, TestServer,
        app::basic,
        form_request,
        signing::{ASSERTION_TYPE, ClientKey, form, token_request},
    },
    on_every_backend,
};

/// Panics unless this is the 401 of failed client authentication, whose description has these words.
#[track_caller]
fn assert_refused(answer: &Answer, words: &str) {
    answer.assert_error(401, "invalid_client");
    assert_eq!(answer.header("www-authenticate"), r#"Basic realm="grantor", charset="UTF-8""#);
    let description = answer.member("error_description");
    assert!(description.contains(words), "{description}");
}

on_every_backend! {
    /// RFC 7523 §2.2: at each endpoint where clients authenticate; `client_id` may come with it.
    async fn an_assertion_authenticates_at_every_endpoint(server) {
        let app = server.signing_client("app").await;
        let token = app.present(&app.assertion()).await.access_token();
        for path in ["/oauth/introspect", "/oauth/revoke"] {
            let answer = server.post(path, &form(&app.assertion(), &[("token", &token), ("client_id", "app")])).await;
            answer.assert_status(200);
        }
        assert_eq!(server.post("/oauth/introspect", &form(&app.assertion(), &[("token", &token)])).await.json()["active"], false);
    }

    /// RFC 7523 §3: `iss` and `sub` are both the client's id.
    async fn issuer_and_subject_are_the_client(server) {
        let app = server.signing_client("app").await;
        server.signing_client("other").await;
        for claims in [json!({"iss": "other"}), json!({"sub": "other"}), json!({"iss": "other", "sub": "other"}), json!({"iss": ISSUER})] {
            app.present_claims(claims).await.assert_error(401, "invalid_client");
        }
        assert_refused(&app.present_claims(json!({"sub": null})).await, "iss, sub, aud, exp and jti");
    }

    /// RFC 7521 §4.2: a `client_id` beside it is not needed, and names the same client.
    async fn another_client_id_beside_it_is_refused(server) {
        let app = server.signing_client("app").await;
        server.signing_client("other").await;
        let assertion = app.assertion();
        let answer = server.post("/oauth/token", &form(&assertion, &[("grant_type", "client_credentials"), ("client_id", "other")])).await;
        assert_refused(&answer, "client_id must be the sub");
    }

    /// RFC 7523 §3, RFC 7519 §4.1.3: the issuer or an endpoint of ours, as a text or in a list.
    async fn the_audience_is_this_server(server) {
        let app = server.signing_client("app").await;
        let endpoint = |path: &str| format!("{ISSUER}{path}");
        for aud in [json!(ISSUER), json!([ISSUER]), json!(endpoint("/oauth/token")), json!([ISSUER, endpoint("/oauth/token")])] {
            app.present_claims(json!({"aud": aud})).await.assert_status(200);
        }
        let introspect = app.key.sign(&app.claims_with(&json!({"aud": endpoint("/oauth/introspect")})));
        server.post("/oauth/introspect", &form(&introspect, &[("token", "x")])).await.assert_status(200);
    }

    /// RFC 7523 §3: for others it is not, nor for others as well, who could use it here.
    async fn an_assertion_for_someone_else_is_refused(server) {
        let app = server.signing_client("app").await;
        for aud in [
            json!("https://other.example"), json!([ISSUER, "https://other.example"]), json!([]), json!(""),
            json!(format!("{ISSUER}/")), json!(format!("{ISSUER}/oauth/authorize")), json!("app"),
        ] {
            assert_refused(&app.present_claims(json!({"aud": aud})).await, "aud");
        }
        for aud in [json!(null), json!(1), json!([1]), json!({})] {
            assert_refused(&app.present_claims(json!({"aud": aud})).await, "iss, sub, aud, exp and jti");
        }
    }

    /// RFC 7523 §3: `exp` is required; a clock that is 10 seconds off does no harm, one that is a minute off is told.
    async fn the_times_are_those_of_now(server) {
        let app = server.signing_client("app").await;
        let now = server.seconds();
        for claims in [
            json!({"exp": now - 10}), json!({"iat": now + 10, "nbf": now + 10, "exp": now + 70}), json!({"iat": null}),
            json!({"exp": now + 3_600}), serde_json::from_str(&format!(r#"{{"exp": {}.5}}"#, now + 60)).unwrap(),
        ] {
            app.present_claims(claims).await.assert_status(200);
        }
        for (claims, words) in [
            (json!({"exp": now - 61}), "expired"),
            (json!({"nbf": now + 61}), "yet to come"),
            (json!({"iat": now + 61}), "yet to come"),
            (json!({"exp": now + 3_700}), "more than an hour ahead"),
            (json!({"exp": null}), "iss, sub, aud, exp and jti"),
            (json!({"exp": (now + 60).to_string()}), "iss, sub, aud, exp and jti"),
        ] {
            assert_refused(&app.present_claims(claims).await, words);
        }
    }

    /// RFC 7523 §3, `OpenID` Core §9: `jti` is required, and works once.
    async fn an_assertion_works_once(server) {
        let app = server.signing_client("app").await;
        let assertion = app.assertion();
        app.present(&assertion).await.assert_status(200);
        assert_refused(&app.present(&assertion).await, "used before");
        // Wherever it is presented, however it is signed.
        assert_refused(&server.post("/oauth/revoke", &form(&assertion, &[("token", "x")])).await, "used before");
        let again = app.claims_with(&json!({"jti": "the same"}));
        app.present(&app.key.sign(&again)).await.assert_status(200);
        assert_refused(&app.present(&app.key.sign(&again)).await, "used before");
        for jti in [json!(null), json!(""), json!(1)] {
            assert_refused(&app.present_claims(json!({"jti": jti})).await, "iss, sub, aud, exp and jti");
        }
    }

    /// ... each client for itself.
    async fn clients_do_not_take_each_others_jti(server) {
        let (app, other) = (server.signing_client("app").await, server.signing_client("other").await);
        app.present_claims(json!({"jti": "1"})).await.assert_status(200);
        other.present_claims(json!({"jti": "1"})).await.assert_status(200);
    }

    /// Of many uses at once one wins, and none is a 500.
    async fn of_uses_at_once_one_wins(server) {
        let app = server.signing_client("app").await;
        let assertion = app.assertion();
        let answers = join_all((0..16).map(|_| app.present(&assertion))).await;
        let (won, lost): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(won.len(), 1);
        for answer in lost {
            assert_refused(answer, "used before");
        }
    }

    /// What is refused uses nothing up, and writes nothing: strangers cannot fill the table.
    async fn a_refused_assertion_is_not_remembered(server) {
        let app = server.signing_client("app").await;
        let claims = app.claims();
        assert_refused(&app.present(&ClientKey::es256("a").sign(&claims)).await, "signature");
        let mut late = claims.clone();
        late["exp"] = json!(server.seconds() - 100);
        assert_refused(&app.present(&app.key.sign(&late)).await, "expired");
        assert_eq!(server.database.count("client_assertions").await, 0);
        app.present(&app.key.sign(&claims)).await.assert_status(200);
    }

    /// It is remembered as long as it could be used, and no longer.
    async fn a_used_assertion_is_forgotten_when_it_expired(server) {
        let app = server.signing_client("app").await;
        let assertion = app.assertion();
        app.present(&assertion).await.assert_status(200);
        server.advance(89);
        server.run_jobs().await;
        app.present(&assertion).await.assert_error(401, "invalid_client");
        assert_eq!(server.database.count("client_assertions").await, 1);
        server.advance(10 * 60 + 2);
        server.run_jobs().await;
        assert_eq!(server.database.count("client_assertions").await, 0);
        assert_refused(&app.present(&assertion).await, "expired");
    }

    /// RFC 7521 §4.2: both parameters, and the one registered type.
    async fn the_type_is_that_of_jwt_bearer(server) {
        let app = server.signing_client("app").await;
        let assertion = app.assertion();
        let grant = ("grant_type", "client_credentials");
        for pairs in [
            vec![grant, ("client_assertion", assertion.as_str())],
            vec![grant, ("client_assertion_type", ASSERTION_TYPE)],
            vec![grant, ("client_assertion", &assertion), ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")],
            vec![grant, ("client_assertion", &assertion), ("client_assertion_type", "jwt-bearer")],
        ] {
            assert_refused(&server.post("/oauth/token", &pairs).await, "client_assertion");
        }
    }

    /// OAuth 2.1 §2.4: not more than one method in a request.
    async fn an_assertion_beside_a_secret_is_an_invalid_request(server) {
        let app = server.signing_client("app").await;
        let assertion = app.assertion();
        let mut with_basic = token_request(&assertion);
        with_basic.headers_mut().insert("authorization", basic("app", "secret-of-app").parse().unwrap());
        server.send(with_basic).await.assert_error(400, "invalid_request");
        let pairs = form(&assertion, &[("grant_type", "client_credentials"), ("client_secret", "secret-of-app")]);
        server.send(form_request("/oauth/token", &pairs)).await.assert_error(400, "invalid_request");
        app.present(&assertion).await.assert_status(200);
    }

    /// RFC 8725 §3.11: a JWT that says it is something else is not an assertion, whoever signed it.
    async fn a_jwt_for_another_purpose_is_no_assertion(server) {
        let app = server.signing_client("app").await;
        for (typ, is_one) in [("JWT", true), ("client-authentication+jwt", true), ("at+jwt", false), ("oauth-authz-req+jwt", false), ("dpop+jwt", false)] {
            let key = app.key.with_header(|header| header.typ = Some(typ.to_owned()));
            assert_eq!(app.present(&key.sign(&app.claims())).await.status == 200, is_one, "{typ}");
        }
    }

    /// RFC 7515 §3.1: what is no JWS is refused, and says how it must be.
    async fn what_is_no_jws_is_refused(server) {
        let app = server.signing_client("app").await;
        let assertion = app.assertion();
        let payload = assertion.split('.').nth(1).unwrap();
        let unsigned = format!("eyJhbGciOiJub25lIn0.{payload}.");
        for text in ["x", "x.y.z", "..", &assertion[..assertion.len() - 3], &format!("{assertion}.x"), &unsigned] {
            app.present(text).await.assert_error(401, "invalid_client");
        }
        assert_refused(&app.present(&unsigned).await, "JWS");
        let answers: Vec<Value> = vec![json!([]), json!("text"), json!(null), json!({})];
        for claims in answers {
            assert_refused(&app.present(&app.key.sign(&claims)).await, "iss, sub, aud, exp and jti");
        }
    }

    /// An unknown client and a disabled one are refused alike.
    async fn an_unknown_or_disabled_client_is_refused(server) {
        let app = server.signing_client("app").await;
        let unknown = app.present_claims(json!({"iss": "nobody", "sub": "nobody"})).await;
        app.app.disable().await;
        let disabled = app.present(&app.assertion()).await;
        assert_refused(&disabled, "Client authentication failed");
        assert_eq!(unknown.body, disabled.body);
    }

    /// Who only has to be named has nothing to sign with.
    async fn a_public_client_has_no_assertions(server) {
        let key = ClientKey::es256("a");
        let registration = Registration { metadata: json!({ "jwks": key.jwks() }), ..Registration::spa() };
        let app = crate::harness::signing::SigningApp { app: server.register("app", registration).await, key };
        app.present(&app.assertion()).await.assert_error(401, "invalid_client");
    }
}

/// RFC 7523 §3: an assertion that was used at one node is refused at the other, also when both get it at once.
#[tokio::test]
async fn a_replayed_assertion_is_refused_on_a_second_node() {
    let one = TestServer::start(Backend::Postgres, &[]).await;
    let other = one.another_node().await;
    let app = one.signing_client("app").await;
    let assertion = app.assertion();
    app.present(&assertion).await.assert_status(200);
    assert_refused(&other.send(token_request(&assertion)).await, "used before");

    let assertion = app.assertion();
    let here = join_all((0..16).map(|_| one.send(token_request(&assertion))));
    let there = join_all((0..16).map(|_| other.send(token_request(&assertion))));
    let (here, there) = join(here, there).await;
    let (won, lost): (Vec<&Answer>, Vec<&Answer>) = here.iter().chain(&there).partition(|answer| answer.status == 200);
    assert_eq!(won.len(), 1);
    for answer in lost {
        assert_refused(answer, "used before");
    }
    drop(app);
    other.close().await;
    one.end().await;
}
