//! OpenID Connect Back-Channel Logout 1.0: clients are told by logout tokens that sessions ended.

use std::collections::BTreeSet;

use futures_util::future::join;
use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Value, json};

use crate::{
    harness::{
        App, Backend, Browser, ISSUER, Registration, TestServer, answer::claims, app::timestamp, encode, eventually,
        process::run_with_input, relying_party::RelyingParty, silent::Silent,
    },
    on_every_backend,
};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const BACK: &str = "https://app.example/signed-out";

/// A client that is to be told.
async fn app<'a>(server: &'a TestServer, id: &str, party: &RelyingParty, extra: Value) -> App<'a> {
    let mut metadata = json!({ "backchannel_logout_uri": party.uri(), "post_logout_redirect_uris": [BACK] });
    metadata.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    server.register(id, Registration { metadata, first_party: true, ..Registration::default() }).await
}

/// A client that registered itself, to be told at this address.
async fn stranger<'a>(server: &'a TestServer, id: &str, uri: &str) -> App<'a> {
    server.register(id, Registration { metadata: json!({ "backchannel_logout_uri": uri }), ..Registration::by_itself() }).await
}

/// An ID token of a sign-in at the app.
async fn id_token(app: &App<'_>, browser: &mut Browser<'_>) -> String {
    let code = app.code_at(browser, &[("scope", "openid"), ("nonce", "n-0S6")]).await;
    app.redeem(&code).await.member("id_token")
}

/// Somebody who is signed in at the app.
async fn someone<'a>(app: &App<'a>) -> (Browser<'a>, String) {
    let mut browser = app.server.browser();
    browser.sign_in_as_someone().await;
    let token = id_token(app, &mut browser).await;
    (browser, token)
}

/// Ends all sessions as a command or another node would, at some time, so that the job has to tell.
async fn end_in_the_database(server: &TestServer) {
    let now = server.now();
    server.database.execute(&format!("UPDATE session_clients SET ended_at = {now}, due_at = {now}")).await;
}

fn sids(party: &RelyingParty) -> Vec<String> {
    party.requests().iter().map(|request| request.claims()["sid"].as_str().unwrap().to_owned()).collect()
}

async fn remembered(server: &TestServer) -> i64 {
    server.database.count("session_clients").await
}

on_every_backend! {
    /// Back-Channel Logout §2.4, §2.5: what is posted when an app signs the person out, before the browser goes back.
    async fn an_app_is_told_before_the_browser_goes_back(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let party = RelyingParty::start().await;
        let app = app(server, "app", &party, json!({ "backchannel_logout_session_required": true })).await;
        let (mut browser, hint) = someone(&app).await;
        let query = encode(&[("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BACK)]);
        assert_eq!(browser.go(&format!("/oauth/logout?{query}")).await.location(), BACK);

        let request = party.requests().remove(0);
        assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
        let (told, known) = (request.claims(), claims(&hint));
        assert_eq!((&told["iss"], &told["aud"]), (&json!(ISSUER), &json!("app")));
        assert_eq!((&told["sub"], &told["sid"]), (&known["sub"], &known["sid"]));
        assert_eq!(told["events"], json!({ EVENT: {} }));
        assert_eq!(told["iat"], server.clock.now().as_seconds());
        assert!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap() <= 120, "{told}");
        let names: BTreeSet<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, BTreeSet::from(["aud", "events", "exp", "iat", "iss", "jti", "sid", "sub"]));
        assert_eq!(jsonwebtoken::decode_header(request.token()).unwrap().typ.as_deref(), Some("logout+jwt"));
        assert_eq!((remembered(server).await, server.audited("logout_token.accepted").await), (0, 1));
    }

    /// OpenID Core §8: a logout token calls the person as the client's ID tokens do.
    async fn a_pairwise_client_is_told_of_the_subject_that_it_knows(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let party = RelyingParty::start().await;
        let app = app(server, "app", &party, json!({ "subject_type": "pairwise" })).await;
        let (mut browser, token) = someone(&app).await;
        browser.submit("/account/sign-out", &[]).await.assert_status(200);
        assert_eq!((&party.only_claims()["sub"], &party.only_claims()["sid"]), (&claims(&token)["sub"], &claims(&token)["sid"]));
        let ids = server.database.strings("SELECT actor FROM audit_events WHERE name = 'session.ended'").await;
        assert!(!ids[0].contains(party.only_claims()["sub"].as_str().unwrap()), "{ids:?}");
    }

    /// Back-Channel Logout §2.6: RS256, or what the client's ID tokens are signed with, by a key of the JWKS.
    async fn the_token_is_signed_as_id_tokens_are(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let party = RelyingParty::start().await;
        for (id, extra) in [("RS256", json!({})), ("ES256", json!({ "id_token_signed_response_alg": "ES256" })), ("EdDSA", json!({ "id_token_signed_response_alg": "EdDSA" }))] {
            let (mut browser, _) = someone(&app(server, id, &party, extra).await).await;
            browser.submit("/account/sign-out", &[]).await.assert_status(200);
        }
        let jwks: JwkSet = serde_json::from_value(server.get("/oauth/jwks").await.json()).unwrap();
        for request in party.requests() {
            let header = jsonwebtoken::decode_header(request.token()).unwrap();
            let mut validation = Validation::new(header.alg);
            validation.validate_exp = false;
            validation.set_audience(&[format!("{:?}", header.alg)]);
            let key = DecodingKey::from_jwk(jwks.find(&header.kid.unwrap()).unwrap()).unwrap();
            jsonwebtoken::decode::<Value>(request.token(), &key, &validation).unwrap();
        }
        assert_eq!(party.requests().len(), 3);
    }

    /// Back-Channel Logout §2.3: every client of the session is told, once, however often the person was sent there.
    async fn every_client_of_the_session_is_told_once(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let parties = [RelyingParty::start().await, RelyingParty::start().await];
        let one = app(server, "one", &parties[0], json!({})).await;
        let other = app(server, "other", &parties[1], json!({})).await;
        let (mut browser, _) = someone(&one).await;
        id_token(&one, &mut browser).await;
        let token = id_token(&other, &mut browser).await;
        let (_elsewhere, _) = someone(&one).await;
        browser.submit("/account/sign-out", &[]).await.assert_status(200);
        server.run_jobs().await;
        for party in parties {
            assert_eq!(party.only_claims()["sid"], claims(&token)["sid"]);
        }
        assert_eq!(remembered(server).await, 1);
    }

    /// However a session ends at a browser, its clients are told: here, elsewhere, everywhere, or because someone else signs in.
    async fn every_end_at_a_browser_is_told(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let party = RelyingParty::start().await;
        let app = app(server, "app", &party, json!({})).await;
        let (mut here, mut there) = (server.browser(), server.browser());
        let person = here.sign_in_as_someone().await;
        there.sign_in_at_account(&person).await;
        let mut sid = Vec::new();
        for browser in [&mut there, &mut here] {
            sid.push(claims(&id_token(&app, browser).await)["sid"].as_str().unwrap().to_owned());
        }
        here.submit("/account/sessions/end", &[("session", &sid[0])]).await.assert_status(200);
        assert_eq!(sids(&party), sid[..1]);
        here.submit("/account/sign-out-everywhere", &[]).await.assert_status(200);
        assert_eq!(sids(&party), sid);

        let other = server.person("someone-else").await;
        let (mut shared, token) = someone(&app).await;
        shared.go("/login?another=1").await;
        shared.sign_in(&other).await.assert_status(200);
        server.run_jobs().await;
        assert_eq!(sids(&party).last().unwrap(), claims(&token)["sid"].as_str().unwrap());
    }

    /// Commands end sessions, too: revoke-sessions, set-password, disable and delete.
    async fn commands_that_end_sessions_are_told_of(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let party = RelyingParty::start().await;
        let app = app(server, "app", &party, json!({})).await;
        for (told, command) in [["revoke-sessions"].as_slice(), &["set-password", "--password-stdin"], &["disable"], &["delete"]].iter().enumerate() {
            let mut browser = server.browser();
            let person = browser.sign_in_as_someone().await;
            let token = id_token(&app, &mut browser).await;
            let arguments = [&["user", command[0], &person.email], &command[1..]].concat();
            run_with_input(&server.database, &arguments, "a-new-password\n").assert_code(0);
            server.run_jobs().await;
            assert_eq!(party.requests().len(), told + 1, "{command:?}");
            assert_eq!(party.requests()[told].claims()["sub"], claims(&token)["sub"]);
        }
        assert_eq!(remembered(server).await, 0);
    }

    /// Clients that registered no logout URI, and sign-ins without openid, cost no row.
    async fn who_hears_of_nothing_is_not_remembered(server) {
        let plain = server.client("plain").await;
        let party = RelyingParty::start().await;
        let app = app(server, "app", &party, json!({})).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        plain.code_at(&mut browser, &[("scope", "openid")]).await;
        app.code_at(&mut browser, &[("scope", "read")]).await;
        assert_eq!(remembered(server).await, 0);
    }

    /// Back-Channel Logout §2.8: 204 is a success; 400 is final.
    async fn what_is_answered_decides(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let party = RelyingParty::start().await;
        let app = app(server, "app", &party, json!({})).await;
        for (status, name) in [(204, "logout_token.accepted"), (400, "logout_token.refused")] {
            party.answers(status);
            someone(&app).await.0.submit("/account/sign-out", &[]).await.assert_status(200);
            assert_eq!((remembered(server).await, server.audited(name).await), (0, 1), "{status}");
        }
        server.advance(86_400);
        server.run_jobs().await;
        assert_eq!(party.requests().len(), 2);
    }

    /// Back-Channel Logout §2.5: what may pass is tried again, ever later and not for ever, each time with a token of its own.
    async fn what_may_pass_is_tried_again_ever_later(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let party = RelyingParty::start().await;
        let app = app(server, "app", &party, json!({})).await;
        let (mut browser, _) = someone(&app).await;
        party.answers(503);
        browser.submit("/account/sign-out", &[]).await.assert_status(200);
        let delays = [30, 120, 600, 3_600, 14_400, 43_200];
        for (tried, delay) in delays.into_iter().enumerate() {
            server.advance(delay - 1);
            server.run_jobs().await;
            assert_eq!(party.requests().len(), tried + 1);
            server.advance(1);
            server.run_jobs().await;
            assert_eq!(party.requests().len(), tried + 2);
        }
        assert_eq!((remembered(server).await, server.audited("logout_token.given_up").await), (0, 1));
        let jtis: BTreeSet<String> = party.requests().iter().map(|request| request.claims()["jti"].to_string()).collect();
        assert_eq!(jtis.len(), 7);
    }

    /// A client that is back is told then, and that is that.
    async fn a_client_that_comes_back_is_told(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let party = RelyingParty::start().await;
        let app = app(server, "app", &party, json!({})).await;
        let (mut browser, _) = someone(&app).await;
        party.answers(500);
        browser.submit("/account/sign-out", &[]).await.assert_status(200);
        party.answers(200);
        server.advance(30);
        server.run_jobs().await;
        assert_eq!((party.requests().len(), remembered(server).await), (2, 0));
        assert_eq!(server.audited("logout_token.accepted").await, 1);
    }

    /// A client that fails is asked once at a time, whatever there is to tell it.
    async fn a_client_that_fails_is_asked_once_at_a_time(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let party = RelyingParty::start().await;
        let app = app(server, "app", &party, json!({})).await;
        for _ in 0..3 {
            someone(&app).await;
        }
        party.answers(500);
        end_in_the_database(server).await;
        server.run_jobs().await;
        assert_eq!(party.requests().len(), 1);
        party.answers(200);
        server.advance(30);
        server.run_jobs().await;
        assert_eq!((party.requests().len(), remembered(server).await), (4, 0));
    }

    /// Back-Channel Logout §2.5: clients that never answer hold nobody up: the operator's are told at once, others after the
    /// time-out, and those that hung are tried again.
    async fn clients_that_never_answer_hold_nobody_up(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let (silent, party, other) = (Silent::start().await, RelyingParty::start().await, RelyingParty::start().await);
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for number in 0..16 {
            id_token(&stranger(server, &format!("a{number}"), &silent.uri("logout")).await, &mut browser).await;
        }
        id_token(&stranger(server, "b", &other.uri()).await, &mut browser).await;
        id_token(&app(server, "operators", &party, json!({})).await, &mut browser).await;
        browser.submit("/account/sign-out", &[]).await.assert_status(200);
        eventually(|| async { party.requests().len() == 1 }).await;
        assert_eq!(silent.given_up(), 0);

        eventually(|| async { silent.given_up() == 16 }).await;
        eventually(|| async { other.requests().len() == 1 && remembered(server).await == 16 }).await;
        server.advance(30);
        server.run_jobs().await;
        assert!(silent.asked() > 16);
    }

    /// Whoever dies between taking a notice and telling it loses nothing: it is told later.
    async fn what_a_node_died_with_is_told_later(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let party = RelyingParty::start().await;
        let app = app(server, "app", &party, json!({})).await;
        someone(&app).await;
        end_in_the_database(server).await;
        let until = timestamp(server.database.backend, server.clock.now().as_micros() + 30_000_000);
        server.database.execute(&format!("UPDATE session_clients SET attempts = attempts + 1, due_at = {until}")).await;
        server.run_jobs().await;
        assert_eq!(party.requests().len(), 0);
        server.advance(30);
        server.run_jobs().await;
        assert_eq!((party.requests().len(), remembered(server).await), (1, 0));
    }

    /// An address that the server may not reach is not asked, and the person is signed out all the same.
    async fn an_address_out_of_reach_is_not_asked(server) {
        let party = RelyingParty::start().await;
        let app = app(server, "app", &party, json!({})).await;
        let (mut browser, _) = someone(&app).await;
        let page = browser.submit("/account/sign-out", &[]).await.assert_status(200);
        assert!(page.body.contains("You are signed out"), "{}", page.body);
        assert_eq!((party.requests().len(), remembered(server).await), (0, 1));
    }

    /// Nobody is told whose client is gone, or no longer wants to hear of it.
    async fn who_no_longer_hears_of_it_is_forgotten(server, "GRANTOR_OUTBOUND__ALLOW_NETWORKS" = "127.0.0.0/8") {
        let party = RelyingParty::start().await;
        let app = app(server, "app", &party, json!({})).await;
        let (browser, _) = someone(&app).await;
        app.change("metadata = '{}'").await;
        let fresh = server.node_with(&[("GRANTOR_OUTBOUND__ALLOW_NETWORKS", "127.0.0.0/8")]).await;
        browser.at(&fresh).submit("/account/sign-out", &[]).await.assert_status(200);
        assert_eq!((party.requests().len(), remembered(server).await), (0, 0));
        assert_eq!(fresh.audited("logout_token.accepted").await, 0);
        fresh.close().await;
    }

    /// Rows go when the longest session is over, and when it was tried for a day; not while the session lives.
    async fn what_nobody_needs_is_purged(server) {
        let party = RelyingParty::start().await;
        let app = app(server, "app", &party, json!({})).await;
        let (_browser, _) = someone(&app).await;
        let past = timestamp(server.database.backend, server.clock.now().as_micros() - 3_600_000_000);
        server.database.execute(&format!("UPDATE session_clients SET expires_at = {past}")).await;
        server.run_jobs().await;
        assert_eq!(remembered(server).await, 1);
        server.database.execute("DELETE FROM browser_sessions").await;
        server.advance(61);
        server.run_jobs().await;
        assert_eq!(remembered(server).await, 0);
    }
}

/// Back-Channel Logout §2.5: of several nodes that look at the same time one tells.
#[tokio::test]
async fn of_two_nodes_one_tells() {
    let reach = [("GRANTOR_OUTBOUND__ALLOW_NETWORKS", "127.0.0.0/8")];
    let one = TestServer::start(Backend::Postgres, &reach).await;
    let other = one.node_with(&reach).await;
    let party = RelyingParty::start().await;
    let app = app(&one, "app", &party, json!({})).await;
    for _ in 0..8 {
        someone(&app).await;
    }
    end_in_the_database(&one).await;
    Box::pin(join(one.run_jobs(), other.run_jobs())).await;
    one.run_jobs().await;
    let told: BTreeSet<String> = sids(&party).into_iter().collect();
    assert_eq!((told.len(), party.requests().len()), (8, 8));
    assert_eq!((remembered(&one).await, one.audited("logout_token.accepted").await), (0, 8));
    other.close().await;
    one.end().await;
}
