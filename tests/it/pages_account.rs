//! The account page: where I am signed in, what may act for me, and a button to end each; for nobody else's.

use axum::body::Body;
use http::Request;

use crate::{
    harness::{Browser, Registration, browser::PASSWORD, browser::Person, form_request},
    on_every_backend,
};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// The items of a list of the page, tags left out.
fn items(browser: &Browser<'_>, list: &str) -> Vec<String> {
    let Some((_, rest)) = browser.page().body.split_once(&format!("<ul class=\"rows\" id=\"{list}\">")) else { return vec![] };
    let (rows, _) = rest.split_once("</section>").unwrap();
    let tag = regex::Regex::new("<[^>]*>").unwrap();
    let space = regex::Regex::new(r"\s+").unwrap();
    let text = |row: &str| space.replace_all(&tag.replace_all(row, " "), " ").trim().to_owned();
    let (rows, _) = rows.split_once("</ul>\n\n").or_else(|| rows.split_once("<details")).unwrap_or((rows, ""));
    rows.split("</form>").map(text).filter(|row| !row.is_empty()).collect()
}

/// The id that the form to end a session sends, of the row that is, or is not, this browser's.
fn session_id(browser: &Browser<'_>, current: bool) -> String {
    let (_, rows) = browser.page().body.split_once("id=\"sessions\">").expect("sessions");
    let row = rows.split("</li>").find(|row| row.contains("name=\"session\"") && row.contains("This browser") == current).expect("a row");
    let value = regex::Regex::new(r#"name="session" value="([^"]*)""#).unwrap();
    value.captures(row).unwrap()[1].to_owned()
}

async fn is_signed_in(browser: &mut Browser<'_>) -> bool {
    browser.fetch(Request::get("/account").body(Body::empty()).unwrap()).await.status == 200
}

/// Signs in with a browser that says what it is.
async fn sign_in_with_agent(browser: &mut Browser<'_>, person: &Person, user_agent: &str) {
    let mut request = form_request("/login", &[("email", &person.email), ("password", PASSWORD)]);
    request.headers_mut().insert("sec-fetch-site", "same-origin".parse().unwrap());
    request.headers_mut().insert("user-agent", user_agent.parse().unwrap());
    browser.fetch(request).await.assert_status(303);
}

on_every_backend! {
    /// Each browser with what its owner knows it by.
    async fn the_page_lists_where_i_am_signed_in(server) {
        let alice = server.person("alice").await;
        let (mut here, mut there, mut elsewhere) = (server.browser(), server.browser(), server.browser());
        sign_in_with_agent(&mut here, &alice, FIREFOX).await;
        server.advance(60);
        sign_in_with_agent(&mut there, &alice, "<script>").await;
        elsewhere.sign_in_as_someone().await;

        here.go("/account").await.assert_status(200);
        assert!(here.page().body.contains("Signed in as <bdi>alice@example.com</bdi>"));
        let sessions = items(&here, "sessions");
        assert_eq!(sessions.len(), 2, "{sessions:?}");
        assert!(sessions[1].starts_with("Unknown browser Signed in 15 January 2027, 08:01 UTC"), "{sessions:?}");
        assert!(sessions[0].starts_with("Firefox on Linux This browser Signed in 15 January 2027, 08:00 UTC"), "{sessions:?}");
        assert!(here.page().body.contains("No app has access to your account."));
    }

    /// An app with what it may do, since when, and when it last did.
    async fn the_page_lists_what_may_act_for_me(server) {
        let app = server.client("app").await;
        server.register("quiet", Registration::default()).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let tokens = app.redeem(&app.code_at(&mut browser, &[("scope", "openid read")]).await).await;
        server.advance(3600);
        app.refresh(&tokens.refresh_token()).await.assert_status(200);

        browser.go("/account").await;
        let apps = items(&browser, "apps");
        assert_eq!(apps.len(), 1, "{apps:?}");
        for text in ["The app app.example", "Know who you are here", "Use the permission read", "Since 15 January 2027, 08:00 UTC", "Last used 15 January 2027, 09:00 UTC"] {
            assert!(apps[0].contains(text), "{text}: {apps:?}");
        }
    }

    /// An app that came twice is listed once, with all that it may do, and how often it came.
    async fn what_an_app_got_at_several_times_is_one_entry(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        app.redeem(&app.code_at(&mut browser, &[("scope", "read")]).await).await.assert_status(200);
        server.advance(60);
        app.redeem(&app.code_at(&mut browser, &[("scope", "openid")]).await).await.assert_status(200);
        browser.go("/account").await;
        let apps = items(&browser, "apps");
        assert_eq!(apps.len(), 1, "{apps:?}");
        for text in ["Know who you are here", "Use the permission read", "Since 15 January 2027, 08:00 UTC", "Last used 15 January 2027, 08:01 UTC", "2 active sign-ins"] {
            assert!(apps[0].contains(text), "{text}: {apps:?}");
        }
        assert_eq!(apps[0].matches("Use the permission read").count(), 1);
    }

    /// Consent alone, without anything obtained by it, was never used.
    async fn an_app_that_only_may_is_listed_without_a_use(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        app.code_at(&mut browser, &[]).await;
        browser.go("/account").await;
        let apps = items(&browser, "apps");
        assert!(apps.len() == 1 && apps[0].contains("Since 15 January 2027") && !apps[0].contains("Last used"), "{apps:?}");
    }

    /// A long list is shown in parts, this browser's session at the very beginning.
    async fn hundreds_of_sessions_are_shown_in_parts(server) {
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        server.more_sessions(300).await;
        browser.go("/account").await;
        let first = items(&browser, "sessions");
        assert_eq!(first.len(), 20);
        assert!(first[0].contains("This browser"), "{first:?}");
        assert!(browser.page().body.contains("href=\"/account?apps=1&#38;sessions=2#sessions-title\""), "{}", browser.page().body);
        assert!(!browser.page().body.contains("rel=\"prev\""));

        browser.go("/account?apps=1&sessions=16").await;
        assert_eq!(items(&browser, "sessions").len(), 1, "301 in all");
        assert!(browser.page().body.contains("rel=\"prev\"") && !browser.page().body.contains("rel=\"next\""));
        for beyond in ["sessions=17", "apps=2", "sessions=1000"] {
            let request = Request::get(format!("/account?{beyond}")).body(Body::empty()).unwrap();
            assert_eq!(browser.fetch(request).await.location(), "/account", "{beyond}");
        }
        for junk in ["sessions=0", "sessions=-1", "sessions=x", "apps=4294967295", "apps=1&apps=2"] {
            browser.go(&format!("/account?{junk}")).await.assert_status(200);
            assert_eq!(items(&browser, "sessions"), first, "{junk}");
        }
    }

    /// The one used last comes first, and none is left out or shown twice.
    async fn many_apps_are_shown_in_parts(server) {
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for number in 0..23 {
            let id = format!("app{number:02}");
            let app = server.client(&id).await;
            app.redeem(&app.code_at(&mut browser, &[]).await).await.assert_status(200);
        }
        browser.go("/account").await;
        let mut apps = items(&browser, "apps");
        assert_eq!(apps.len(), 20);
        assert!(browser.page().body.contains("href=\"/account?apps=2&#38;sessions=1#apps-title\""), "{}", browser.page().body);
        browser.go("/account?apps=2").await;
        apps.extend(items(&browser, "apps"));
        let expected: Vec<String> = (0..23).rev().map(|number| format!("T The app{number:02} ")).collect();
        assert_eq!(apps.len(), 23);
        for (app, expected) in apps.iter().zip(&expected) {
            assert!(app.starts_with(expected), "{app} is not {expected}");
        }
    }

    /// A first-party app is not asked for, and is listed all the same.
    async fn an_app_that_never_asked_is_listed_too(server) {
        let app = server.register("ours", Registration { first_party: true, ..Registration::default() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let tokens = app.redeem(&app.code_at(&mut browser, &[]).await).await;
        browser.go("/account").await;
        assert_eq!(items(&browser, "apps").len(), 1);
        browser.submit("/account/apps/end", &[("client_id", &app.id)]).await;
        assert!(!server.is_active(&app, &tokens.access_token()).await);
        assert_eq!(items(&browser, "apps").len(), 0);
    }

    /// The other browser is out at once, with what hung on it.
    async fn another_session_can_be_ended(server) {
        let app = server.client("app").await;
        let (mut here, mut there) = (server.browser(), server.browser());
        let person = here.sign_in_as_someone().await;
        there.sign_in_at_account(&person).await;
        let tokens = app.redeem(&app.code_at(&mut there, &[("scope", "read")]).await).await;

        here.go("/account").await;
        let id = session_id(&here, false);
        here.submit("/account/sessions/end", &[("session", &id)]).await.assert_status(200);
        assert_eq!(items(&here, "sessions").len(), 1);
        assert!(!is_signed_in(&mut there).await);
        assert!(!server.is_active(&app, &tokens.access_token()).await);
        app.refresh(&tokens.refresh_token()).await.assert_error(400, "invalid_grant");
        assert_eq!(server.audited("session.ended").await, 1);
    }

    /// Ending the session of this browser is signing out.
    async fn ending_this_session_signs_out(server) {
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.go("/account").await;
        let id = session_id(&browser, true);
        let page = browser.submit("/account/sessions/end", &[("session", &id)]).await;
        assert!(page.body.contains("You are signed out"));
        assert!(browser.cookies.is_empty());
        assert!(!is_signed_in(&mut browser).await);
    }

    /// Removing an app ends its grants, the code it has not redeemed, and the consent.
    async fn a_removed_app_can_do_nothing_more(server) {
        let (app, other) = (server.client("app").await, server.client("other").await);
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let extra = [("scope", "read offline_access"), ("prompt", "consent")];
        let tokens = app.redeem(&app.code_at(&mut browser, &extra).await).await;
        let second = app.redeem(&app.code_at(&mut browser, &[("scope", "write")]).await).await;
        let code = app.code_at(&mut browser, &[("scope", "read")]).await;
        let kept = other.redeem(&other.code_at(&mut browser, &[]).await).await;

        browser.submit("/account/apps/end", &[("client_id", &app.id)]).await.assert_status(200);
        assert_eq!(items(&browser, "apps").len(), 1);
        for tokens in [tokens, second] {
            assert!(!server.is_active(&app, &tokens.access_token()).await);
            app.refresh(&tokens.refresh_token()).await.assert_error(400, "invalid_grant");
        }
        app.redeem(&code).await.assert_error(400, "invalid_grant");
        assert!(browser.authorize(&app, &[("scope", "read")]).await.body.contains("id=\"allow\""), "asked again");
        assert!(server.is_active(&other, &kept.access_token()).await, "the other app goes on");
        assert_eq!(server.audited("consent.withdrawn").await, 1);
    }

    /// Knowing an id is not enough.
    async fn nobody_ends_what_is_somebody_elses(server) {
        let app = server.client("app").await;
        let (mut alice, mut mallory) = (server.browser(), server.browser());
        alice.sign_in_as_someone().await;
        let tokens = app.redeem(&app.code_at(&mut alice, &[("scope", "read")]).await).await;
        alice.go("/account").await;
        let id = session_id(&alice, true);
        mallory.sign_in_as_someone().await;

        mallory.submit("/account/sessions/end", &[("session", &id)]).await.assert_status(200);
        mallory.submit("/account/apps/end", &[("client_id", &app.id)]).await.assert_status(200);
        assert!(is_signed_in(&mut alice).await);
        assert!(server.is_active(&app, &tokens.access_token()).await);
        alice.go("/account").await;
        assert_eq!((items(&alice, "apps").len(), items(&alice, "sessions").len()), (1, 1));
        assert_eq!(server.audited("session.ended").await, 0);
    }

    /// What is not an id is refused, what names nothing does nothing.
    async fn junk_in_the_forms_does_nothing(server) {
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.submit("/account/sessions/end", &[]).await.assert_page_error(400);
        browser.submit("/account/sessions/end", &[("session", "x")]).await.assert_page_error(400);
        browser.submit("/account/sessions/end", &[("session", &uuid::Uuid::from_u128(1).to_string())]).await.assert_status(200);
        browser.submit("/account/apps/end", &[]).await.assert_page_error(400);
        browser.submit("/account/apps/end", &[("client_id", "not one")]).await.assert_page_error(400);
        browser.submit("/account/apps/end", &[("client_id", "nothing")]).await.assert_status(200);
        assert!(is_signed_in(&mut browser).await);
    }

    /// The log says what was ended, not what was asked to be.
    async fn to_remove_an_app_that_was_never_there_is_no_event(server) {
        server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let audit = server.audit().await;
        for client_id in ["app", "nothing"] {
            browser.submit("/account/apps/end", &[("client_id", client_id)]).await.assert_status(200);
        }
        assert_eq!(server.audit().await, audit);
    }

    /// Strangers are led to the sign-in form, whatever they ask for.
    async fn strangers_sign_in_first(server) {
        let mut browser = server.browser();
        let (mut owner, app) = (server.browser(), server.client("app").await);
        owner.sign_in_as_someone().await;
        owner.go("/account").await;
        let id = session_id(&owner, true);
        for path in ["/", "/account"] {
            assert!(browser.go(path).await.assert_status(200).body.contains("id=\"sign-in\""));
        }
        assert_eq!(browser.post("/account/sessions/end", &[("session", &id)]).await.location(), "/login");
        assert_eq!(browser.post("/account/apps/end", &[("client_id", &app.id)]).await.location(), "/login");
        assert_eq!(browser.post("/account/sign-out", &[]).await.location(), "/signed-out");
        assert!(is_signed_in(&mut owner).await);
    }
}
