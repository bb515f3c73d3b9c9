//! What the consent page says: who asks, for whom, for what, for how long, and of what to beware.

use crate::{harness::Registration, on_every_backend};

/// The lines of the list of scopes.
fn scopes(page: &str) -> Vec<String> {
    let (_, list) = page.split_once("id=\"scopes\">").expect("a list of scopes");
    let (list, _) = list.split_once("</ul>").unwrap();
    let line = regex::Regex::new("(?s)<li>(.*?)</li>").unwrap();
    line.captures_iter(list).map(|found| found[1].to_owned()).collect()
}

const CAUTION: &str = "This app runs on your device, and its name cannot be checked.";

on_every_backend! {
    /// OAuth 2.1 §4.1.1: the person is told who asks and in whose name they answer.
    async fn the_page_names_app_person_and_place(server) {
        let app = server.client("app").await;
        let person = server.person("alice").await;
        let mut browser = server.browser();
        browser.authorize(&app, &[]).await;
        let page = browser.sign_in(&person).await.assert_status(200);
        assert!(page.body.contains("<bdi>The app</bdi> wants access to your account"), "{}", page.body);
        assert!(page.body.contains("You will return to <bdi>app.example</bdi>."));
        assert!(page.body.contains("Signed in as <bdi>alice@example.com</bdi>"));
        assert!(page.body.contains("id=\"allow\"") && page.body.contains("id=\"deny\""));
        assert!(!page.body.contains(CAUTION), "its address was checked");
    }

    /// Scopes in words; one without words by its name, as text.
    async fn scopes_are_said_in_words(server) {
        let scope = "openid profile email address phone offline_access notes.read <b>";
        let app = server.register("app", Registration { scope, ..Registration::default() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("prompt", "consent")]).await;
        assert_eq!(
            scopes(&browser.page().body),
            [
                "Know who you are here",
                "See your name and profile",
                "See your e-mail address",
                "See your postal address",
                "See your phone number",
                "Keep this access while you are away, even after you sign out",
                "Use the permission <code><bdi>notes.read</bdi></code>",
                "Use the permission <code><bdi>&#60;b&#62;</bdi></code>",
            ]
        );
    }

    /// `[scopes]` in the file: the operator's sentence goes before ours, and is text.
    async fn the_operators_sentence_is_shown(
        server,
        "grantor.toml" = "[scopes]\n\"notes.read\" = \"Read your <notes> & nothing else\"\nemail = \"Write to you\"\n"
    ) {
        let app = server.register("app", Registration { scope: "openid email notes.read notes.write", ..Registration::default() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[]).await;
        assert_eq!(
            scopes(&browser.page().body),
            [
                "Know who you are here",
                "Write to you",
                "Read your &#60;notes&#62; &#38; nothing else",
                "Use the permission <code><bdi>notes.write</bdi></code>",
            ]
        );
    }

    /// Only what would be granted is asked for.
    async fn only_what_would_be_granted_is_listed(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, &[("scope", "openid read offline_access unknown")]).await;
        let listed = scopes(&browser.page().body);
        assert_eq!(listed, ["Know who you are here", "Use the permission <code><bdi>read</bdi></code>"]);
    }

    /// With `offline_access` until removed, without until sign-out.
    async fn the_page_says_for_how_long(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let page = browser.authorize(&app, &[]).await;
        assert!(page.body.contains("This lasts until you sign out. You can remove it at any time on your account page."), "{}", page.body);
        let page = browser.authorize(&app, &[("prompt", "consent")]).await;
        assert!(page.body.contains("This lasts until you remove it, at most 90 days."), "{}", page.body);
    }

    /// The number of days follows the setting, rounded up.
    async fn the_days_are_those_that_are_set(server, "GRANTOR_TOKENS__REFRESH_TOKEN_TTL" = "20h") {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let page = browser.authorize(&app, &[("prompt", "consent")]).await;
        assert!(page.body.contains("This lasts until you remove it, at most 1 day."), "{}", page.body);
    }

    /// RFC 8252 §8.6: any program on the device could be behind a loopback address or a scheme of its own.
    async fn an_app_on_this_device_comes_with_a_caution(server) {
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        for (id, uri, place) in [("loopback", "http://127.0.0.1/callback", "127.0.0.1"), ("scheme", "com.example.app:/callback", "com.example.app")] {
            let app = server.register(id, Registration { redirect_uris: vec![uri], ..Registration::native() }).await;
            let page = browser.authorize(&app, &[]).await.assert_status(200);
            assert!(page.body.contains(CAUTION), "{}", page.body);
            assert!(page.body.contains(&format!("You will return to an app on this device (<bdi>{place}</bdi>).")), "{}", page.body);
        }
    }

    /// Shown to the wrong person, the page offers a way out that keeps the request.
    async fn another_account_can_be_used_instead(server) {
        let app = server.client("app").await;
        let bob = server.person("bob").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let page = browser.authorize(&app, &[]).await.body.clone();
        let link = regex::Regex::new(r#"href="(/login\?request=[^"]+)""#).unwrap();
        browser.go(&link.captures(&page).expect("a link")[1].replace("&#38;", "&")).await.assert_status(200);
        let page = browser.sign_in(&bob).await;
        assert!(page.body.contains("Signed in as <bdi>bob@example.com</bdi>"), "{}", page.body);
        browser.allow().await.code();
    }
}
