//! `UserInfo` (`OpenID` Core §5.3, §5.4; RFC 6750).

use axum::body::Body;
use http::{Request, header};
use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, App, ISSUER, Registration, START, TestServer, answer::claims, form_request},
    on_every_backend,
};

const PATH: &str = "/oauth/userinfo";
const ALL: &str = "openid profile email address phone offline_access";

/// Everything of `OpenID` Core §5.1 that is not known in another way.
fn profile() -> Value {
    json!({
        "family_name": "Liddell", "given_name": "Alice", "middle_name": "Pleasance", "nickname": "Al", "preferred_username": "alice",
        "profile": "https://example.com/alice", "picture": "https://example.com/alice.png", "website": "https://alice.example",
        "gender": "female", "birthdate": "1852-05-04", "zoneinfo": "Europe/London", "locale": "en-GB",
        "phone_number": "+441865276150", "phone_number_verified": true,
        "address": { "formatted": "Christ Church\nOxford", "country": "United Kingdom" },
        "department": "Wonder",
    })
}

async fn app(server: &TestServer) -> App<'_> {
    server.register("app", Registration { scope: ALL, ..Default::default() }).await
}

/// Tokens for a person with [`profile`], with this scope.
async fn tokens(server: &TestServer, app: &App<'_>, scope: &str) -> Answer {
    let mut browser = server.browser();
    let person = browser.sign_in_as_someone().await;
    server.set_profile(&person, json!({ "claims": profile() })).await;
    let code = app.code_at(&mut browser, &[("scope", scope)]).await;
    app.redeem(&code).await
}

fn names(claims: &Value) -> Vec<&str> {
    claims.as_object().unwrap().keys().map(String::as_str).collect()
}

/// RFC 6750 §3: the status, the challenge and the body say the same.
#[track_caller]
fn assert_challenged(answer: &Answer, status: u16, code: &str) {
    answer.assert_error(status, code);
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with(&format!("Bearer error=\"{code}\", error_description=\"")), "{challenge}");
}

on_every_backend! {
    /// OpenID Core §5.3.1, RFC 6750 §2.1, §2.2: by GET or POST, with the token in the header, or in the form that is posted.
    async fn it_answers_get_and_post_with_the_token_in_header_or_form(server) {
        let app = app(server).await;
        let token = tokens(server, &app, "openid email").await.access_token();
        let bearer = |method: &str, scheme: &str| {
            Request::builder().method(method).uri(PATH).header(header::AUTHORIZATION, format!("{scheme} {token}")).body(Body::empty()).unwrap()
        };
        let first = app.userinfo(&token).await;
        assert_eq!(first.assert_status(200).header("content-type"), "application/json");
        assert_eq!((first.header("cache-control"), first.header("pragma")), ("no-store", "no-cache"));
        for request in [bearer("POST", "Bearer"), bearer("GET", "bearer"), form_request(PATH, &[("access_token", &token)])] {
            assert_eq!(server.send(request).await.assert_status(200).body, first.body);
        }
        assert_eq!(server.send(bearer("HEAD", "Bearer")).await.assert_status(200).body, "");
    }

    /// OpenID Core §5.3.2: `sub` always, as in the ID token; nothing else unless a scope asks for it.
    async fn with_openid_alone_it_says_who_and_no_more(server) {
        let app = app(server).await;
        let tokens = tokens(server, &app, "openid").await;
        let answer = app.userinfo(&tokens.access_token()).await.assert_status(200).json();
        assert_eq!(answer, json!({ "sub": claims(&tokens.member("id_token"))["sub"] }));
    }

    /// OpenID Core §5.4: each scope asks for its claims, with the types of §5.1.
    async fn each_scope_asks_for_its_claims(server) {
        let app = app(server).await;
        let mut profile = profile();
        profile.as_object_mut().unwrap().remove("department");
        for (scope, expected) in [
            ("email", json!({ "email_verified": false })),
            ("address", json!({ "address": profile["address"] })),
            ("phone", json!({ "phone_number": "+441865276150", "phone_number_verified": true })),
        ] {
            let token = tokens(server, &app, &format!("openid {scope}")).await.access_token();
            let mut answer = app.userinfo(&token).await.assert_status(200).json();
            let answer = answer.as_object_mut().unwrap();
            assert!(answer.remove("sub").is_some());
            assert_eq!(answer.remove("email").is_some(), scope == "email");
            assert_eq!(Value::Object(answer.clone()), expected, "{scope}");
        }
        let token = tokens(server, &app, "openid profile").await.access_token();
        assert_eq!(names(&app.userinfo(&token).await.json()), [
            "birthdate", "family_name", "gender", "given_name", "locale", "middle_name", "name", "nickname", "picture",
            "preferred_username", "profile", "sub", "updated_at", "website", "zoneinfo",
        ]);
        let token = tokens(server, &app, ALL).await.access_token();
        let answer = app.userinfo(&token).await.json();
        for (name, value) in profile.as_object().unwrap() {
            assert_eq!(&answer[name], value);
        }
        assert_eq!(answer["updated_at"], START.as_seconds());
    }

    /// OpenID Core §5.3.2: what is not known is left out, and not empty.
    async fn what_is_not_known_is_left_out(server) {
        let app = app(server).await;
        let code = app.code_with(&[("scope", ALL)]).await;
        server.database.execute("UPDATE people SET name = NULL").await;
        let token = app.redeem(&code).await.access_token();
        assert_eq!(names(&app.userinfo(&token).await.json()), ["email", "email_verified", "sub", "updated_at"]);
    }

    /// OpenID Core §5.1: `phone_number_verified` is false where nobody verified it.
    async fn a_phone_number_that_nobody_verified_is_not_verified(server) {
        let app = app(server).await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        server.set_profile(&person, json!({ "claims": { "phone_number": "+1 (604) 555-1234;ext=5678" } })).await;
        let code = app.code_at(&mut browser, &[("scope", "openid phone")]).await;
        let answer = app.userinfo(&app.redeem(&code).await.access_token()).await.json();
        assert_eq!((&answer["phone_number"], &answer["phone_number_verified"]), (&"+1 (604) 555-1234;ext=5678".into(), &false.into()));
    }

    /// OAuth 2.1 §4.3: a token of fewer scopes says less.
    async fn a_narrowed_token_says_less(server) {
        let app = app(server).await;
        let refresh_token = tokens(server, &app, "openid profile email").await.refresh_token();
        let narrow = app.refresh_with(&refresh_token, &[("scope", "openid email")]).await.access_token();
        assert_eq!(names(&app.userinfo(&narrow).await.json()), ["email", "email_verified", "sub"]);
    }

    /// OpenID Core §5.3.2, OpenID Registration §2: signed for a client that registered for it, with `iss` and `aud`.
    async fn it_is_signed_for_a_client_that_registered_for_it(server) {
        let jwks: JwkSet = serde_json::from_value(server.get("/oauth/jwks").await.json()).unwrap();
        for algorithm in ["RS256", "ES256", "EdDSA"] {
            let metadata = json!({ "userinfo_signed_response_alg": algorithm });
            let app = server.register(algorithm, Registration { scope: ALL, metadata, ..Default::default() }).await;
            let tokens = tokens(server, &app, "openid email").await;
            let answer = app.userinfo(&tokens.access_token()).await;
            assert_eq!(answer.assert_status(200).header("content-type"), "application/jwt");

            let header = jsonwebtoken::decode_header(&answer.body).unwrap();
            assert_eq!((format!("{:?}", header.alg).as_str(), header.typ.as_deref()), (algorithm, Some("JWT")));
            let mut validation = Validation::new(header.alg);
            validation.set_required_spec_claims(&["iss", "aud", "sub"]);
            validation.set_issuer(&[ISSUER]);
            validation.set_audience(&[algorithm]);
            validation.validate_exp = false;
            let key = DecodingKey::from_jwk(jwks.find(&header.kid.unwrap()).unwrap()).unwrap();
            let claims = jsonwebtoken::decode::<Value>(&answer.body, &key, &validation).unwrap().claims;
            assert_eq!(names(&claims), ["aud", "email", "email_verified", "iss", "sub"]);
            // What is no access token opens nothing (RFC 8725 §3.11).
            assert_challenged(&app.userinfo(&answer.body).await, 401, "invalid_token");
        }
    }

    /// RFC 6750 §3.1: whoever shows no token learns the scheme, and of no error.
    async fn without_a_token_there_is_a_bare_challenge(server) {
        let text = Request::post(PATH).header(header::CONTENT_TYPE, "text/plain").body(Body::from("access_token=x")).unwrap();
        let basic = Request::get(PATH).header(header::AUTHORIZATION, "Basic YTpi").body(Body::empty()).unwrap();
        let in_a_get = Request::get(PATH).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::from("access_token=x")).unwrap();
        let empty = form_request(PATH, &[("access_token", "")]);
        for request in [Request::get(PATH).body(Body::empty()).unwrap(), text, basic, in_a_get, empty] {
            let answer = server.send(request).await;
            assert_eq!((answer.assert_status(401).header("www-authenticate"), answer.body.as_str()), ("Bearer", ""));
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }

    /// RFC 6750 §2, §3.1: in one place, once, and never in the address.
    async fn a_token_in_two_places_or_in_the_address_is_an_invalid_request(server) {
        let app = app(server).await;
        let token = tokens(server, &app, "openid").await.access_token();
        let mut both = form_request(PATH, &[("access_token", &token)]);
        both.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        let twice_in_the_form = form_request(PATH, &[("access_token", &token), ("access_token", &token)]);
        let with_headers = |values: &[String]| {
            let request = values.iter().fold(Request::get(PATH), |request, value| request.header(header::AUTHORIZATION, value));
            request.body(Body::empty()).unwrap()
        };
        let bearer = format!("Bearer {token}");
        for request in [
            both,
            twice_in_the_form,
            with_headers(&[bearer.clone(), bearer.clone()]),
            with_headers(&["Bearer".to_owned()]),
            with_headers(&[format!("{bearer}, {bearer}")]),
            Request::get(format!("{PATH}?access_token={token}")).body(Body::empty()).unwrap(),
        ] {
            assert_challenged(&server.send(request).await, 400, "invalid_request");
        }
    }

    /// RFC 6750 §3.1: expired, revoked, malformed, of another kind.
    async fn what_is_no_live_access_token_is_an_invalid_token(server) {
        let app = app(server).await;
        let tokens = tokens(server, &app, ALL).await;
        let access_token = tokens.access_token();
        for token in ["x", "a.b.c", &tokens.refresh_token(), &tokens.member("id_token"), &format!("{access_token}A")] {
            assert_challenged(&app.userinfo(token).await, 401, "invalid_token");
        }
        let revoked = app.refresh(&tokens.refresh_token()).await;
        app.revoke(&revoked.access_token()).await.assert_status(200);
        assert_challenged(&app.userinfo(&revoked.access_token()).await, 401, "invalid_token");
        app.userinfo(&access_token).await.assert_status(200);
        server.advance(599);
        app.userinfo(&access_token).await.assert_status(200);
        server.advance(1);
        assert_challenged(&app.userinfo(&access_token).await, 401, "invalid_token");
    }

    /// OAuth 2.1 §7.1.3: what stands behind a token is asked of the database each time.
    async fn it_answers_no_longer_than_person_client_and_grant_stand(server) {
        let app = app(server).await;
        let ended = [
            ("UPDATE people SET disabled_at = created_at", "UPDATE people SET disabled_at = NULL"),
            ("UPDATE clients SET disabled_at = created_at", "UPDATE clients SET disabled_at = NULL"),
            ("UPDATE grants SET revoked_at = created_at", "UPDATE grants SET revoked_at = NULL"),
        ];
        let token = tokens(server, &app, "openid").await.access_token();
        for (end, resume) in ended {
            app.userinfo(&token).await.assert_status(200);
            server.database.execute(end).await;
            assert_challenged(&app.userinfo(&token).await, 401, "invalid_token");
            server.database.execute(resume).await;
        }
        server.void_everyones_tokens().await;
        assert_challenged(&app.userinfo(&token).await, 401, "invalid_token");
        server.database.execute("DELETE FROM people").await;
        assert_challenged(&app.userinfo(&token).await, 401, "invalid_token");
    }

    /// RFC 6750 §3.1, OpenID Core §5.3: a token without `openid` is good, but not for this.
    async fn a_token_without_openid_has_an_insufficient_scope(server) {
        let app = server.client("app").await;
        let code = app.code_with(&[("scope", "read")]).await;
        for token in [app.redeem(&code).await.access_token(), app.client_credentials(&[]).await.access_token()] {
            let answer = app.userinfo(&token).await;
            assert_challenged(&answer, 403, "insufficient_scope");
            assert!(answer.header("www-authenticate").ends_with(", scope=\"openid\""));
        }
    }

    /// RFC 8707 §2, RFC 9068 §4: a token that was narrowed to an API is for that API alone.
    async fn a_token_that_is_not_for_the_issuer_is_an_invalid_token(server) {
        let app = server.register("app", Registration { resources: vec!["https://api.example"], ..Default::default() }).await;
        let code = app.code().await;
        let narrowed = app.redeem_with(&code, &[("resource", "https://api.example")]).await;
        assert_eq!(narrowed.claims()["aud"], "https://api.example");
        assert_challenged(&app.userinfo(&narrowed.access_token()).await, 401, "invalid_token");
        let whole = app.refresh(&narrowed.refresh_token()).await;
        assert_eq!(whole.claims()["aud"], json!(["https://api.example", ISSUER]));
        app.userinfo(&whole.access_token()).await.assert_status(200);
    }

    /// OpenID Core §8: a pairwise client is told the pairwise subject here, too.
    async fn a_pairwise_client_is_told_its_subject(server) {
        let metadata = json!({ "subject_type": "pairwise" });
        let app = server.register("app", Registration { metadata, ..Default::default() }).await;
        let tokens = tokens(server, &app, "openid").await;
        assert_eq!(app.userinfo(&tokens.access_token()).await.json()["sub"], claims(&tokens.member("id_token"))["sub"]);
    }

    /// 405 with `Allow` for what has no meaning here.
    async fn other_methods_are_refused(server) {
        let answer = server.send(Request::put(PATH).body(Body::empty()).unwrap()).await;
        answer.assert_error(405, "invalid_request");
        assert_eq!(answer.header("allow"), "GET,HEAD,POST");
    }
}
