//! Subject identifiers (`OpenID` Core §8): public ones, and pairwise ones, by which clients cannot tell whether they know the
//! same person.

use serde_json::json;

use crate::{
    harness::{Answer, App, Registration, TestServer, answer::claims, browser::Person, process::run_json},
    on_every_backend,
};

fn pairwise(redirect_uri: &'static str) -> Registration {
    Registration {
        redirect_uris: vec![redirect_uri],
        resources: vec!["https://api.example"],
        metadata: json!({ "subject_type": "pairwise" }),
        ..Default::default()
    }
}

/// What `app` is told of Alice; she signs in at a new browser.
async fn tokens_for_alice(server: &TestServer, app: &App<'_>) -> Answer {
    let mut browser = server.browser();
    browser.sign_in_at_account(&Person { email: "alice@example.com".to_owned() }).await.assert_status(200);
    let code = app.code_at(&mut browser, &[]).await;
    app.redeem(&code).await
}

fn subjects(answer: &Answer) -> [String; 2] {
    [answer.access_token(), answer.member("id_token")].map(|token| claims(&token)["sub"].as_str().unwrap().to_owned())
}

on_every_backend! {
    /// OpenID Core §8: `public` is the default: every client calls a person the same.
    async fn a_public_subject_is_the_same_to_every_client(server) {
        server.person("alice").await;
        let (app, other) = (server.client("app").await, server.client("other").await);
        let [access, id] = subjects(&tokens_for_alice(server, &app).await);
        assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 4);
        assert_eq!(access, id);
        assert_eq!(subjects(&tokens_for_alice(server, &other).await), [access, id]);
    }

    /// OpenID Core §8.1: clients of one sector see one subject, those of another a different one, and none the person's id.
    async fn a_pairwise_subject_belongs_to_a_sector(server) {
        server.person("alice").await;
        let app = server.register("app", pairwise("https://app.example/callback")).await;
        let same_host = server.register("same", pairwise("https://app.example:8443/other")).await;
        let elsewhere = server.register("elsewhere", pairwise("https://elsewhere.example/callback")).await;
        let metadata = json!({ "subject_type": "pairwise", "sector_identifier_uri": "https://APP.example/uris.json" });
        let by_uri = server.register("by-uri", Registration { metadata, ..pairwise("https://elsewhere.example/callback") }).await;

        let first = subjects(&tokens_for_alice(server, &app).await);
        assert_eq!(first[0], first[1]);
        assert_eq!(subjects(&tokens_for_alice(server, &same_host).await), first);
        assert_eq!(subjects(&tokens_for_alice(server, &by_uri).await), first);
        let other = subjects(&tokens_for_alice(server, &elsewhere).await);
        assert_ne!(other, first);
        for subject in first.iter().chain(&other) {
            assert!(uuid::Uuid::parse_str(subject).is_err() && subject.len() == 43, "{subject}");
        }
    }

    /// OpenID Core §8.1, Back-Channel Logout §2.1: nor does `sid` tell clients of two sectors that they know one person; within a
    /// sector it names the session. A hint with it signs out, of an earlier session it does not.
    async fn a_session_of_pairwise_clients_belongs_to_a_sector(server) {
        let app = server.register("app", pairwise("https://app.example/callback")).await;
        let same_host = server.register("same", pairwise("https://app.example:8443/other")).await;
        let elsewhere = server.register("elsewhere", pairwise("https://elsewhere.example/callback")).await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        let mut hint = async |app: &App<'_>| {
            let code = app.code_at(&mut browser, &[]).await;
            app.redeem(&code).await.member("id_token")
        };
        let hints = [hint(&app).await, hint(&same_host).await, hint(&elsewhere).await];
        let [first, same, other] = hints.each_ref().map(|hint| claims(hint)["sid"].as_str().unwrap().to_owned());
        assert_eq!((&first, first.len()), (&same, 43));
        assert_ne!(first, other);
        assert_ne!(first, claims(&hints[0])["sub"]);

        let logout = |hint: &str| format!("/oauth/logout?id_token_hint={hint}");
        let mut later = server.browser();
        later.sign_in_at_account(&person).await;
        assert!(later.go(&logout(&hints[0])).await.body.contains("id=\"sign-out\""));
        assert!(browser.go(&logout(&hints[0])).await.body.contains("You are signed out"));
    }

    /// OpenID Core §8.1: of one sector, no two people have one subject.
    async fn a_pairwise_subject_is_of_one_person(server) {
        let app = server.register("app", pairwise("https://app.example/callback")).await;
        assert_ne!(subjects(&app.tokens().await), subjects(&app.tokens().await));
    }

    /// OpenID Core §8.1, §12.2: it is the same at the next sign-in, after a refresh, and whatever becomes of the signing keys.
    async fn a_pairwise_subject_never_changes(server) {
        server.person("alice").await;
        let app = server.register("app", pairwise("https://app.example/callback")).await;
        let tokens = tokens_for_alice(server, &app).await;
        let first = subjects(&tokens);
        assert_eq!(subjects(&app.refresh(&tokens.refresh_token()).await), first);
        run_json(&server.database, &["keys", "rotate", "--now", "--json"]);
        server.advance(1);
        assert_eq!(subjects(&tokens_for_alice(server, &app).await), first);
    }

    /// OpenID Core §8, RFC 7662 §2.2: introspection says what the tokens say, also to the API, and to no one who the person is.
    async fn introspection_tells_the_pairwise_subject(server) {
        let app = server.register("app", pairwise("https://app.example/callback")).await;
        let api = server.register("api", Registration { introspects: vec!["https://api.example"], ..Default::default() }).await;
        let tokens = app.tokens().await;
        let [subject, _] = subjects(&tokens);
        for answer in [
            app.introspect(&tokens.access_token()).await,
            app.introspect(&tokens.refresh_token()).await,
            api.introspect(&tokens.access_token()).await,
        ] {
            assert_eq!((answer.json()["active"].clone(), answer.member("sub")), (true.into(), subject.clone()));
        }
    }
}
