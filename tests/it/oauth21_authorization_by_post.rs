//! The authorization request as a form that an app's page posts (OAuth 2.1 §3.1, OpenID Core §3.1.2.1).

use axum::body::Body;
use http::Request;

use crate::{
    harness::{Answer, App, Browser, Registration, TestServer, form_request},
    on_every_backend,
};

/// What every browser sends along with a form of another site: no cookie of ours, as these are `SameSite=Lax`.
const FROM_THE_APP: [(&str, &str); 2] = [("sec-fetch-site", "cross-site"), ("origin", "https://app.example")];

/// The form that asks for what [`App::authorization_path`] asks for.
fn form_of(app: &App<'_>, extra: &[(&str, &str)]) -> String {
    app.authorization_path(extra).split_once('?').unwrap().1.to_owned()
}

fn posted(body: String) -> Request<Body> {
    let mut request = form_request("/oauth/authorize", &[]);
    for (name, value) in FROM_THE_APP {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    *request.body_mut() = Body::from(body);
    request
}

async fn post(app: &App<'_>, extra: &[(&str, &str)]) -> Answer {
    app.server.send(posted(form_of(app, extra))).await
}

/// Posts from the app's page, and goes where that leads, with the cookies that go there.
async fn post_at<'a>(browser: &'a mut Browser<'_>, app: &App<'_>, extra: &[(&str, &str)]) -> &'a Answer {
    let next = post(app, extra).await.location();
    browser.go(&next).await
}

async fn ours(server: &TestServer) -> App<'_> {
    server.register("ours", Registration { first_party: true, ..Registration::default() }).await
}

/// A page without what differs from one request to the next.
fn without_its_id(answer: &Answer) -> String {
    answer.body.replace(answer.header("x-request-id"), "")
}

on_every_backend! {
    /// OAuth 2.1 §7.5.3: a redirect that is followed with GET, and from there on the way of every request.
    async fn a_posted_request_ends_in_a_code(server) {
        let app = server.client("app").await;
        let person = server.person("alice").await;
        let begun = post(&app, &[]).await;
        assert!(begun.location().starts_with("/consent?request="), "{}", begun.location());
        assert_eq!((begun.header("cache-control"), begun.header("referrer-policy")), ("no-store", "no-referrer"));

        let mut browser = server.browser();
        browser.go(&begun.location()).await;
        assert!(browser.is_asked_to_sign_in());
        browser.sign_in(&person).await;
        assert!(browser.is_asked_for_consent());
        let answer = browser.allow().await;
        assert_eq!((answer.param("state").as_deref(), answer.param("iss").as_deref()), (Some("af0ifjsldkj"), Some(ISSUER)));
        app.redeem(&answer.code()).await.assert_status(200);
    }

    /// The session is seen where the post leads: who is signed in, and has said yes before, is asked nothing.
    async fn who_is_signed_in_is_asked_nothing_again(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        post_at(&mut browser, &app, &[]).await;
        assert!(browser.is_asked_for_consent());
        browser.allow().await;

        let code = post_at(&mut browser, &app, &[]).await.code();
        app.redeem(&code).await.assert_status(200);
    }

    /// OpenID Core §3.1.2.6: nothing is refused before it is known who is there.
    async fn prompt_none_works_by_post(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        let silent = [("prompt", "none")];
        post_at(&mut browser, &app, &silent).await.assert_redirected_error("login_required");
        browser.sign_in_as_someone().await;
        post_at(&mut browser, &app, &silent).await.assert_redirected_error("consent_required");
        app.code_at(&mut browser, &[]).await;
        post_at(&mut browser, &app, &silent).await.code();
    }

    /// The post itself issues nothing, whatever cookies come with it: it is what any page can make a browser do.
    async fn the_post_knows_nobody(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let answer = browser.fetch(posted(form_of(&app, &[("prompt", "none")]))).await;

        assert!(answer.location().starts_with("/consent?request="));
        assert_eq!(answer.header("set-cookie"), "");
        for table in ["authorization_codes", "authorization_requests"] {
            assert_eq!(server.database.count(table).await, 0, "{table}");
        }
        assert_eq!(server.audit().await, ["person.signed_in"]);
    }

    /// It comes from the pages of others: that is what it is for.
    async fn it_is_taken_from_every_site(server) {
        let app = server.client("app").await;
        let sites: [&[(&str, &str)]; 6] = [
            &[],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://app.example")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "same-origin")],
            &[("origin", "null")],
            &[("origin", "https://evil.example")],
        ];
        for headers in sites {
            let mut request = posted(form_of(&app, &[]));
            for (name, _) in FROM_THE_APP {
                request.headers_mut().remove(name);
            }
            for (name, value) in headers {
                request.headers_mut().insert(*name, value.parse().unwrap());
            }
            assert!(server.send(request).await.location().starts_with("/consent?request="), "{headers:?}");
        }
    }

    /// OAuth 2.1 §4.1.2.1: whatever is wrong is told as it is told of a request by GET, at once.
    async fn mistakes_are_told_as_by_get(server) {
        let app = server.client("app").await;
        let mistakes: [&[(&str, &str)]; 18] = [
            &[("client_id", "")],
            &[("client_id", "unknown")],
            &[("client_id", "app"), ("client_id", "app")],
            &[("redirect_uri", "https://evil.example/")],
            &[("redirect_uri", "https://app.example/callback"), ("redirect_uri", "https://app.example/callback")],
            &[("response_type", "")],
            &[("response_type", "token")],
            &[("response_type", "code"), ("response_type", "code")],
            &[("response_mode", "fragment")],
            &[("scope", "admin")],
            &[("scope", "read"), ("scope", "read")],
            &[("code_challenge", "")],
            &[("code_challenge_method", "plain")],
            &[("prompt", "none login")],
            &[("max_age", "soon")],
            &[("request", "eyJhbGciOiJub25lIn0.e30.")],
            &[("request_uri", "urn:ietf:params:oauth:request_uri:x")],
            &[("response_mode", "form_post"), ("scope", "admin")],
        ];
        for extra in mistakes {
            let (by_get, by_post) = (server.get(&app.authorization_path(extra)).await, post(&app, extra).await);
            assert!(by_get.header("location").contains("error=") || !by_get.body.is_empty(), "{extra:?}");
            assert_eq!((by_post.status, by_post.header("location")), (by_get.status, by_get.header("location")), "{extra:?}");
            assert_eq!(without_its_id(&by_post), without_its_id(&by_get), "{extra:?}");
        }
    }

    /// OpenID Core §3.1.2.1: the parameters are those of the form; what the address carries is none of them.
    async fn the_query_of_a_post_says_nothing(server) {
        let app = server.client("app").await;
        let at = |query: &str, body: String| {
            let mut request = posted(body);
            *request.uri_mut() = format!("/oauth/authorize?{query}").parse().unwrap();
            request
        };
        let whole = form_of(&app, &[]);
        server.send(at(&whole, String::new())).await.assert_page_error(400);
        let without_scope = form_of(&app, &[("scope", "read")]);
        for query in ["client_id=other", "client_id=app&client_id=app", "scope=admin", "state=x", "redirect_uri=https://evil.example/", "max_age=x"] {
            let next = server.send(at(query, without_scope.clone())).await.location();
            assert!(next.starts_with("/consent?request="), "{query}: {next}");
        }
    }

    /// A body that is no form, or too much of one, is a page, and says what to send.
    async fn what_is_not_a_form_is_a_page(server) {
        let app = server.client("app").await;
        for content_type in ["", "text/plain", "application/json", "multipart/form-data; boundary=x"] {
            let mut request = posted(form_of(&app, &[]));
            request.headers_mut().insert("content-type", content_type.parse().unwrap());
            let page = server.send(request).await;
            page.assert_page_error(400);
            assert!(page.body.contains("Content-Type: application/x-www-form-urlencoded"), "{}", page.body);
        }
        post(&app, &[("state", &"s".repeat(70_000))]).await.assert_page_error(413);
        let mut request = posted(form_of(&app, &[]));
        request.headers_mut().insert("content-type", "Application/X-WWW-Form-Urlencoded; charset=UTF-8".parse().unwrap());
        server.send(request).await.assert_status(303);
    }

    /// How old a sign-in may be is reckoned from when the app asked.
    async fn a_request_is_as_old_as_its_post(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        server.advance(50);
        let young = post(&app, &[("max_age", "60")]).await.location();
        server.advance(20);
        browser.go(&young).await.code();
        post_at(&mut browser, &app, &[("max_age", "60")]).await;
        assert!(browser.is_asked_to_sign_in());
    }

    /// A sign-in after the post is the one that was asked for; one before it is not.
    async fn prompt_login_is_answered_by_a_sign_in_after_the_post(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        server.advance(1);
        let next = post(&app, &[("prompt", "login")]).await.location();
        browser.go(&next).await;
        assert!(browser.is_asked_to_sign_in());
        server.advance(1);
        browser.sign_in(&person).await.code();
    }

    /// What is too large for a URL is kept in a row, for half an hour.
    async fn a_large_request_is_kept_in_a_row(server) {
        let app = ours(server).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let state = "s".repeat(20_000);
        let begun = post(&app, &[("state", &state)]).await.location();
        assert!(begun.len() < 500, "{}", begun.len());
        assert_eq!(server.database.count("authorization_requests").await, 1);
        assert_eq!(browser.go(&begun).await.param("state").as_deref(), Some(state.as_str()));

        server.advance(30 * 60);
        browser.go(&begun).await.assert_page_error(400);
    }
}
