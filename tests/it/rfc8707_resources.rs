//! Resource indicators (RFC 8707).

use serde_json::{Value, json};

use crate::{
    harness::{Answer, App, ISSUER, Registration, TestServer, eventually},
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
        assert_eq!(audience(&app.tokens().await), json!([MAIL, ISSUER]));
    }

    /// RFC 8707 §2: of several none can be guessed.
    async fn of_several_resources_one_must_be_named(server) {
        let app = client_of(server, &[MAIL, FILES]).await;
        server.get(&app.authorization_path(&[])).await.assert_redirected_error("invalid_target");

        let code = app.code_with(&[("resource", FILES)]).await;
        assert_eq!(audience(&app.redeem(&code).await), json!([FILES, ISSUER]));
    }

    /// RFC 8707 §2: the only parameter that may be sent more than once.
    async fn several_resources_can_be_named(server) {
        let app = client_of(server, &[MAIL, FILES]).await;
        let code = app.code_with(&[("resource", MAIL), ("resource", FILES), ("resource", MAIL)]).await;

        assert_eq!(audience(&app.redeem(&code).await), json!([MAIL, FILES, ISSUER]));
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
        assert_eq!(audience(&app.refresh(&other.refresh_token()).await), json!([MAIL, FILES, ISSUER]));
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
        assert_eq!(audience(&tokens), json!([MAIL, ISSUER]));
        app.refresh_with(&tokens.refresh_token(), &[("resource", FILES)]).await.assert_error(400, "invalid_target");
        app.refresh(&tokens.refresh_token()).await.assert_status(200);
    }

    /// RFC 8707 §2: of several, the client's default resource is meant where none is named, and `aud` follows.
    async fn the_default_resource_need_not_be_named(server) {
        let metadata = json!({"default_resource": FILES});
        let app = server.register("app", Registration { resources: vec![MAIL, FILES], metadata, ..Registration::default() }).await;
        assert_eq!(audience(&app.tokens().await), json!([FILES, ISSUER]));
        assert_eq!(audience(&app.client_credentials(&[]).await), json!([FILES]));
        assert_eq!(audience(&app.client_credentials(&[("resource", MAIL)]).await), json!([MAIL]));
    }

    /// RFC 9068 §2.2.3: a token carries what its resource knows of the granted scope, and what is OpenID's.
    async fn a_token_carries_what_its_resource_knows(server) {
        resource(server, MAIL, json!({"scope": "read"})).await;
        let app = client_of(server, &[MAIL, FILES]).await;
        let code = app.code_with(&[("resource", MAIL), ("scope", "openid read write offline_access"), ("prompt", "consent")]).await;
        let tokens = app.redeem(&code).await;
        assert_eq!((tokens.member("scope"), &tokens.claims()["scope"]), ("openid read offline_access".to_owned(), &"openid read offline_access".into()));
        let refreshed = app.refresh_with(&tokens.refresh_token(), &[("scope", "read")]).await;
        assert_eq!(refreshed.claims()["scope"], "read");
        assert_eq!(app.client_credentials(&[("resource", MAIL)]).await.claims()["scope"], "read");
        // Of one that nobody registered nothing is known.
        assert_eq!(app.client_credentials(&[("resource", FILES)]).await.claims()["scope"], "read write");
        assert_eq!(app.client_credentials(&[("resource", FILES), ("resource", MAIL)]).await.claims()["scope"], "read write");
    }

    /// RFC 9068 §2.2.3: nothing that a resource knows is left: nobody is asked, and nothing is issued.
    async fn a_scope_that_no_resource_knows_is_refused(server) {
        resource(server, MAIL, json!({"scope": "mail"})).await;
        let app = client_of(server, &[MAIL]).await;
        server.get(&app.authorization_path(&[("scope", "read")])).await.assert_redirected_error("invalid_scope");
        app.client_credentials(&[("scope", "read")]).await.assert_error(400, "invalid_scope");
    }

    /// RFC 9068 §2.2.3: at a token or refresh request that narrows, too; the refusal spends and rotates nothing.
    async fn a_narrowed_token_needs_a_scope_that_its_resource_knows(server) {
        resource(server, MAIL, json!({"scope": "read"})).await;
        resource(server, FILES, json!({"scope": "write"})).await;
        let app = client_of(server, &[MAIL, FILES]).await;
        let code = app.code_with(&[("resource", MAIL), ("resource", FILES), ("scope", "read write")]).await;
        let tokens = app.redeem(&code).await;
        assert_eq!(tokens.member("scope"), "read write");
        let wrong = [("resource", MAIL), ("scope", "write")];
        app.refresh_with(&tokens.refresh_token(), &wrong).await.assert_error(400, "invalid_scope");
        assert_eq!(server.grants().await, ["0"]);
        assert_eq!(app.refresh_with(&tokens.refresh_token(), &[("resource", FILES)]).await.member("scope"), "write");
    }

    /// OAuth 2.1 §3.2.3: `expires_in` and `exp` follow the resource; of several, the strictest one.
    async fn a_token_lives_as_long_as_its_resource_says(server) {
        resource(server, MAIL, json!({"access_token_ttl": 3600})).await;
        resource(server, FILES, json!({"access_token_ttl": 60})).await;
        let app = client_of(server, &[MAIL, FILES]).await;
        for (resources, seconds) in [(&[MAIL][..], 3600), (&[FILES], 60), (&[MAIL, FILES], 60)] {
            let named: Vec<_> = resources.iter().map(|uri| ("resource", *uri)).collect();
            let answer = app.client_credentials(&named).await;
            let claims = answer.claims();
            assert_eq!((&answer.json()["expires_in"], claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()), (&json!(seconds), seconds));
        }
        let code = app.code_with(&[("resource", MAIL), ("resource", FILES)]).await;
        let tokens = app.redeem_with(&code, &[("resource", MAIL)]).await;
        assert_eq!(tokens.json()["expires_in"], 3600);
        assert_eq!(app.refresh(&tokens.refresh_token()).await.json()["expires_in"], 60);
        server.advance(3599);
        assert!(server.is_active(&app, &tokens.access_token()).await);
        server.advance(1);
        assert!(!server.is_active(&app, &tokens.access_token()).await);
    }

    /// A client without refresh tokens: what it obtained is known for as long as its long-lived token.
    async fn the_grant_of_a_long_lived_token_is_kept(server) {
        resource(server, MAIL, json!({"access_token_ttl": 86400})).await;
        let grant_types = vec!["authorization_code"];
        let app = server.register("app", Registration { resources: vec![MAIL], grant_types, ..Registration::default() }).await;
        let token = app.tokens().await.access_token();
        server.advance(86_000);
        server.run_jobs().await;
        assert!(server.is_active(&app, &token).await);
    }

    /// RFC 9068 §2.1: what signs is said by the resource, else by the client, else by the configuration.
    async fn a_token_is_signed_as_its_resource_says(server) {
        resource(server, MAIL, json!({"access_token_signing_alg": "RS256"})).await;
        let metadata = json!({"access_token_signing_alg": "EdDSA"});
        let app = server.register("app", Registration { resources: vec![MAIL, FILES], metadata, ..Registration::default() }).await;
        let plain = server.client("plain").await;
        assert_eq!(algorithm(&app.client_credentials(&[("resource", MAIL)]).await), "RS256");
        assert_eq!(algorithm(&app.client_credentials(&[("resource", FILES)]).await), "EdDSA");
        assert_eq!(algorithm(&plain.client_credentials(&[]).await), "ES256");
        let token = app.client_credentials(&[("resource", MAIL)]).await.access_token();
        assert!(server.is_active(&app, &token).await);
    }

    /// RFC 8707 §2: no algorithm signs for resources that demand different ones; one token for each is refused nobody.
    async fn resources_that_agree_on_no_algorithm_get_no_token_together(server) {
        resource(server, MAIL, json!({"access_token_signing_alg": "RS256"})).await;
        resource(server, FILES, json!({"access_token_signing_alg": "ES256"})).await;
        let app = client_of(server, &[MAIL, FILES]).await;
        let both = [("resource", MAIL), ("resource", FILES)];
        server.get(&app.authorization_path(&both)).await.assert_redirected_error("invalid_target");
        app.client_credentials(&both).await.assert_error(400, "invalid_target");
        app.client_credentials(&both[1..]).await.assert_status(200);
    }

    /// RFC 8707 §2: `invalid_target` for a resource that an operator disabled; what was granted waits for it.
    async fn a_disabled_resource_gets_no_tokens(server) {
        resource(server, MAIL, json!({})).await;
        let app = client_of(server, &[MAIL]).await;
        let (tokens, code) = (app.tokens().await, app.code().await);
        server.database.execute(&format!("UPDATE resources SET disabled_at = {}", server.now())).await;
        eventually(async || app.client_credentials(&[]).await.status == 400).await;
        app.client_credentials(&[]).await.assert_error(400, "invalid_target");
        server.get(&app.authorization_path(&[])).await.assert_redirected_error("invalid_target");
        app.redeem(&code).await.assert_error(400, "invalid_target");
        app.refresh(&tokens.refresh_token()).await.assert_error(400, "invalid_target");

        server.database.execute("UPDATE resources SET disabled_at = NULL").await;
        eventually(async || app.client_credentials(&[]).await.status == 200).await;
        app.redeem(&code).await.assert_status(200);
        app.refresh(&tokens.refresh_token()).await.assert_status(200);
    }

    /// OAuth 2.1 §7.3: people read where the access is used, and only what it comes to there.
    async fn consent_names_the_resource_and_what_it_knows(server) {
        resource(server, MAIL, json!({"name": "Mail & more", "scope": "read"})).await;
        let app = client_of(server, &[MAIL, FILES]).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let page = browser.authorize(&app, &[("resource", MAIL), ("scope", "read write")]).await.body.clone();
        assert!(page.contains("id=\"apis\"") && page.contains("Mail &#38; more"), "{page}");
        assert!(page.contains(">read<") && !page.contains(">write<"), "{page}");
        let page = browser.authorize(&app, &[("resource", FILES), ("scope", "read write")]).await.body.clone();
        assert!(!page.contains("id=\"apis\"") && page.contains(">write<"), "{page}");
    }

    /// RFC 7517 §5: a key stays published until the longest-lived token that it signed has expired.
    async fn keys_stay_for_the_tokens_of_the_resource_that_live_longest(server) {
        resource(server, MAIL, json!({"access_token_ttl": 86400})).await;
        let app = client_of(server, &[MAIL]).await;
        server.advance(90 * 86_400);
        server.run_jobs().await;
        server.advance(600);
        let token = app.client_credentials(&[]).await.access_token();
        let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
        server.advance(60);
        let next = app.client_credentials(&[]).await.access_token();
        assert_ne!(jsonwebtoken::decode_header(next).unwrap().kid.unwrap(), kid, "the next key signs");

        server.advance(86_400 - 61);
        server.run_jobs().await;
        assert!(server.get("/oauth/jwks").await.body.contains(&kid));
        assert!(server.is_active(&app, &token).await);
        server.advance(86_400);
        server.run_jobs().await;
        assert!(!server.get("/oauth/jwks").await.body.contains(&kid));
    }

    /// OpenID Core §5.3, decision 0018: with `openid` a token is for UserInfo, too, unless the token request names what it is for.
    async fn with_openid_the_issuer_is_in_the_audience_unless_the_token_request_narrows_it(server) {
        let resources = vec![MAIL, FILES];
        let app = server.register("app", Registration { resources, ..Registration::default() }).await;
        let code = app.code_with(&[("resource", MAIL), ("resource", FILES), ("scope", "openid read")]).await;
        let tokens = app.redeem(&code).await;
        assert_eq!(audience(&tokens), json!([MAIL, FILES, ISSUER]));
        let narrowed = app.refresh_with(&tokens.refresh_token(), &[("resource", MAIL)]).await;
        assert_eq!(audience(&narrowed), json!([MAIL]));
        let without = app.refresh_with(&narrowed.refresh_token(), &[("scope", "read")]).await;
        assert_eq!(audience(&without), json!([MAIL, FILES]));
        let code = app.code_with(&[("resource", MAIL), ("scope", "read")]).await;
        assert_eq!(audience(&app.redeem(&code).await), json!([MAIL]));
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

/// Registers a resource with these members, as the command line does.
pub async fn resource(server: &TestServer, uri: &str, members: Value) {
    let text = |member: &str| members[member].as_str().map_or_else(|| "NULL".to_owned(), |text| format!("'{text}'"));
    let name = members["name"].as_str().unwrap_or("An API");
    let ttl = members["access_token_ttl"].as_u64().map_or_else(|| "NULL".to_owned(), |ttl| ttl.to_string());
    let (scope, algorithm) = (text("scope"), text("access_token_signing_alg"));
    let columns = "uri, name, scope, access_token_ttl, access_token_signing_alg, claims, created_at";
    let values = format!("'{uri}', '{name}', {scope}, {ttl}, {algorithm}, '[]', {}", server.now());
    server.database.execute(&format!("INSERT INTO resources ({columns}) VALUES ({values})")).await;
    if ttl != "NULL" {
        let upsert = "INSERT INTO settings (name, value) VALUES ('longest_access_token_ttl', $) ON CONFLICT (name) DO NOTHING";
        server.database.execute(&upsert.replace('$', &format!("'{ttl}'"))).await;
    }
}

/// What signed the access token.
#[track_caller]
fn algorithm(answer: &Answer) -> String {
    format!("{:?}", jsonwebtoken::decode_header(answer.access_token()).unwrap().alg)
}

/// The `aud` of the access token, as a list.
#[track_caller]
fn audience(answer: &Answer) -> Value {
    match answer.claims()["aud"].clone() {
        Value::Array(list) => Value::Array(list),
        one => json!([one]),
    }
}
