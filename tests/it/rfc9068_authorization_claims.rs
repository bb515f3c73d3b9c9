//! Roles, groups and attributes in access tokens (RFC 9068 §2.2.3.1): the operator's to give, never the client's to take.

use serde_json::{Value, json};

use crate::{
    harness::{Answer, App, Registration, TestServer, answer::claims},
    on_every_backend,
};

/// What the operator says of everyone here.
fn known() -> Value {
    json!({ "roles": ["admin", "staff"], "groups": ["wonderland"], "claims": { "department": "Wonder", "level": 3 } })
}

async fn app<'a>(server: &'a TestServer, granted: &[&str]) -> App<'a> {
    let scope = "openid profile read roles offline_access";
    server.register("app", Registration { scope, metadata: json!({ "claims": granted }), ..Default::default() }).await
}

/// Tokens for a person of whom everything is known.
async fn tokens(server: &TestServer, app: &App<'_>, extra: &[(&str, &str)]) -> Answer {
    let mut browser = server.browser();
    let person = browser.sign_in_as_someone().await;
    server.set_profile(&person, known()).await;
    let code = app.code_at(&mut browser, extra).await;
    app.redeem_with(&code, &extra.iter().copied().filter(|(name, _)| *name == "roles").collect::<Vec<_>>()).await
}

/// Of [`known`], what is there.
fn told(claims: &Value) -> Vec<&str> {
    ["roles", "groups", "department", "level"].into_iter().filter(|name| claims.get(name).is_some()).collect()
}

on_every_backend! {
    /// RFC 9068 §2.2.3.1: nothing unless it is granted, whatever the request asks for.
    async fn nothing_is_told_that_is_not_granted(server) {
        let app = app(server, &[]).await;
        let wanted = r#"{"userinfo":{"roles":null,"department":{"essential":true}},"id_token":{"roles":null},"access_token":{"roles":null}}"#;
        for extra in [&[][..], &[("claims", wanted)], &[("roles", "admin")], &[("scope", "openid roles")]] {
            let tokens = tokens(server, &app, extra).await;
            assert_eq!(told(&tokens.claims()), [""; 0]);
            assert_eq!(told(&claims(&tokens.member("id_token"))), [""; 0]);
            assert_eq!(told(&app.userinfo(&tokens.access_token()).await.assert_status(200).json()), [""; 0]);
        }
    }

    /// RFC 9068 §2.2.3.1, RFC 7662 §2.2: what the client's registration grants, in the access token, where introspection sees
    /// it, and at UserInfo; nothing beside it, and nothing in ID tokens that do not ask.
    async fn what_the_clients_registration_grants_is_told(server) {
        let app = app(server, &["roles", "level", "unknown"]).await;
        let tokens = tokens(server, &app, &[]).await;
        let answers = [
            tokens.claims(),
            app.introspect(&tokens.access_token()).await.json(),
            app.userinfo(&tokens.access_token()).await.json(),
        ];
        for claims in answers {
            assert_eq!(told(&claims), ["roles", "level"]);
            assert_eq!((&claims["roles"], &claims["level"]), (&json!(["admin", "staff"]), &json!(3)));
        }
        assert_eq!(told(&claims(&tokens.member("id_token"))), [""; 0]);
        assert_eq!(app.refresh(&tokens.refresh_token()).await.claims()["roles"], json!(["admin", "staff"]));
    }

    /// RFC 9068 §2.2.3.1: what a resource is registered for is in tokens for it, beside what the client gets, and nowhere else.
    async fn what_the_resources_registration_grants_is_in_tokens_for_it(server) {
        let (api, other) = ("https://api.example", "https://other.example");
        server.database.execute(&format!("INSERT INTO resources (uri, name, claims, created_at) VALUES ('{api}', 'API', '[\"roles\", \"level\"]', {})", server.now())).await;
        let metadata = json!({ "claims": ["groups"] });
        let app = server.register("app", Registration { resources: vec![api, other], metadata, ..Default::default() }).await;
        let tokens = tokens(server, &app, &[("resource", api), ("resource", other)]).await;
        assert_eq!(told(&tokens.claims()), ["roles", "groups", "level"]);
        assert_eq!(told(&app.userinfo(&tokens.access_token()).await.json()), ["groups"]);
        let for_the_other = app.refresh_with(&tokens.refresh_token(), &[("resource", other)]).await;
        assert_eq!(told(&for_the_other.claims()), ["groups"]);
        let for_it = app.refresh_with(&for_the_other.refresh_token(), &[("resource", api)]).await;
        assert_eq!(told(&for_it.claims()), ["roles", "groups", "level"]);
    }

    /// What is taken from a person is in no later token, and at UserInfo at once.
    async fn what_a_person_loses_is_in_no_later_token(server) {
        let app = app(server, &["roles", "groups", "department"]).await;
        let tokens = tokens(server, &app, &[]).await;
        server.database.execute("UPDATE people SET roles = '[]', claims = '{}'").await;
        let later = app.refresh(&tokens.refresh_token()).await;
        assert_eq!((&later.claims()["roles"], &later.claims()["groups"]), (&json!([]), &json!(["wonderland"])));
        assert_eq!(told(&app.userinfo(&tokens.access_token()).await.json()), ["roles", "groups"]);
    }

    /// RFC 9068 §2.2: a client that speaks for itself has no person's roles.
    async fn a_client_has_no_roles(server) {
        let app = app(server, &["roles", "groups"]).await;
        tokens(server, &app, &[]).await;
        assert_eq!(told(&app.client_credentials(&[("scope", "read")]).await.claims()), [""; 0]);
    }

    /// RFC 9068 §2.2: whatever a row says, nothing of a person takes the place of what a token says of itself.
    async fn no_attribute_takes_the_place_of_a_tokens_own_claims(server) {
        let metadata = json!({ "claims": ["sub", "scope", "aud", "client_id", "exp", "gid", "active"] });
        let app = server.register("app", Registration { metadata, ..Default::default() }).await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        let forged = json!({ "sub": "mallory", "scope": "everything", "aud": "https://x.example", "client_id": "x", "exp": 9, "gid": "x", "active": false });
        server.set_profile(&person, json!({ "claims": forged })).await;
        let code = app.code_at(&mut browser, &[("claims", r#"{"id_token":{"sub":null,"exp":null,"aud":null}}"#)]).await;
        let tokens = app.redeem(&code).await;
        let told = app.introspect(&tokens.access_token()).await.json();
        assert_eq!((&told["active"], &told["client_id"], &told["scope"]), (&true.into(), &"app".into(), &"openid read write".into()));
        for claims in [tokens.claims(), claims(&tokens.member("id_token")), app.userinfo(&tokens.access_token()).await.json()] {
            assert!(uuid::Uuid::parse_str(claims["sub"].as_str().unwrap()).is_ok() && claims["aud"] != "https://x.example", "{claims}");
        }
    }
}
