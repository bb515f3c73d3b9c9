//! OpenID Connect Front-Channel Logout 1.0: clients' pages in frames on ours.

use serde_json::{Value, json};

use crate::{
    harness::{App, Browser, Registration, TestServer, answer::claims, encode},
    on_every_backend,
};

const BACK: &str = "https://app.example/signed-out";

async fn register<'a>(server: &'a TestServer, id: &str, metadata: Value) -> App<'a> {
    server.register(id, Registration { metadata, first_party: true, ..Registration::default() }).await
}

/// A client with a page that wants `iss` and `sid`, and one that does not.
async fn apps(server: &TestServer) -> [App<'_>; 2] {
    let one = json!({ "frontchannel_logout_uri": "https://app.example/out?tenant=1", "frontchannel_logout_session_required": true,
        "post_logout_redirect_uris": [BACK] });
    let other = json!({ "frontchannel_logout_uri": "https://other.example:8443/out" });
    [register(server, "app", one).await, register(server, "other", other).await]
}

/// An ID token for the app.
async fn id_token(app: &App<'_>, browser: &mut Browser<'_>) -> String {
    let code = app.code_at(browser, &[("scope", "openid")]).await;
    app.redeem(&code).await.member("id_token")
}

on_every_backend! {
    /// Front-Channel Logout §3: a frame for each client of the session, with `iss` and `sid` where they are required; the page may
    /// frame these origins and no other, and goes back to the app after a while.
    async fn the_page_has_a_frame_for_each_client(server) {
        let [app, other] = apps(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let token = id_token(&app, &mut browser).await;
        id_token(&other, &mut browser).await;
        let query = encode(&[("id_token_hint", &token), ("post_logout_redirect_uri", BACK), ("state", "a b")]);
        let page = browser.go(&format!("/oauth/logout?{query}")).await.assert_status(200);

        let sid = claims(&token)["sid"].as_str().unwrap().to_owned();
        let framed = |url: &str| page.body.contains(&format!(r#"<iframe hidden src="{}" sandbox="#, url.replace('&', "&#38;")));
        assert!(framed(&format!("https://app.example/out?tenant=1&iss=https%3A%2F%2Fauth.example.com&sid={sid}")), "{}", page.body);
        assert!(framed("https://other.example:8443/out"), "{}", page.body);
        assert_eq!(page.body.matches("<iframe").count(), 2);
        let policy = page.header("content-security-policy");
        assert!(policy.ends_with("; frame-src https://app.example https://other.example:8443"), "{policy}");
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert_eq!(page.header("refresh"), format!("3;url={BACK}?state=a+b"));
        assert!(page.body.contains(&format!(r#"id="continue" href="{BACK}?state=a+b""#)), "{}", page.body);
        assert!(browser.cookies.is_empty());
    }

    /// The same when the person signs out on the account page, also everywhere: frames reach this browser alone.
    async fn signing_out_at_the_account_page_shows_them(server) {
        let [app, _] = apps(server).await;
        for path in ["/account/sign-out", "/account/sign-out-everywhere"] {
            let (mut here, mut there) = (server.browser(), server.browser());
            let person = here.sign_in_as_someone().await;
            there.sign_in_at_account(&person).await;
            id_token(&app, &mut there).await;
            let sid = claims(&id_token(&app, &mut here).await)["sid"].as_str().unwrap().to_owned();
            let page = here.submit(path, &[]).await.assert_status(200);
            assert!(page.body.matches("<iframe").count() == 1 && page.body.contains(&format!("sid={sid}")), "{}", page.body);
            assert_eq!(page.header("refresh"), "");
        }
    }

    /// OpenID Core §8.1: a pairwise client's frame has the `sid` of its ID token.
    async fn a_pairwise_clients_frame_has_its_sid(server) {
        let metadata = json!({ "frontchannel_logout_uri": "https://app.example/out", "frontchannel_logout_session_required": true,
            "subject_type": "pairwise" });
        let app = register(server, "app", metadata).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let sid = claims(&id_token(&app, &mut browser).await)["sid"].as_str().unwrap().to_owned();
        let page = browser.submit("/account/sign-out", &[]).await.assert_status(200);
        assert!(page.body.contains(&format!("sid={sid}")) && sid.len() == 43, "{}", page.body);
    }

    /// Without a client that has one there is no frame, and no page may show any.
    async fn without_such_clients_nothing_is_framed(server) {
        let app = register(server, "app", json!({ "post_logout_redirect_uris": [BACK] })).await;
        let [_, other] = [&app, &register(server, "other", json!({ "frontchannel_logout_uri": "https://other.example/" })).await];
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        // Without openid nobody is signed in at the client.
        other.code_at(&mut browser, &[("scope", "read")]).await;
        let token = id_token(&app, &mut browser).await;
        let query = encode(&[("id_token_hint", token.as_str()), ("post_logout_redirect_uri", BACK)]);
        assert_eq!(browser.go(&format!("/oauth/logout?{query}")).await.location(), BACK);
        assert!(!browser.go("/signed-out").await.header("content-security-policy").contains("frame-src"));
    }

    /// Where a client's page was registered since, or is gone, the frames are those of today.
    async fn the_frames_are_those_of_today(server) {
        let [app, _] = apps(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        id_token(&app, &mut browser).await;
        app.change("metadata = '{}'").await;
        let fresh = server.node_with(&[]).await;
        let page = browser.at(&fresh).submit("/account/sign-out", &[]).await.assert_status(200).body.clone();
        assert!(!page.contains("<iframe"), "{page}");
        fresh.close().await;
    }

    /// Content-Security-Policy: a host is a name or an address. One that could say more cannot be registered; were it in the
    /// store all the same, it would not be framed.
    async fn a_host_adds_nothing_to_the_policy(server) {
        let uri = "https://a;script-src.'unsafe-inline'.example/out";
        let [app, other] = apps(server).await;
        other.change(&format!("metadata = '{}'", json!({ "frontchannel_logout_uri": uri }).to_string().replace('\'', "''"))).await;
        let fresh = server.node_with(&[]).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        id_token(&app, &mut browser).await;
        id_token(&other, &mut browser).await;
        let mut there = browser.at(&fresh);
        let page = there.submit("/account/sign-out", &[]).await.assert_status(200);
        assert!(page.header("content-security-policy").ends_with("; frame-src https://app.example"), "{page:?}");
        assert!(!page.body.contains("script-src"), "{}", page.body);
        fresh.close().await;
    }
}
