//! The pages as an attacker would like them: names, addresses and e-mails are never markup.

use std::sync::LazyLock;

use askama::Template;

use super::*;
use crate::web::language::Language;

const MARKUP: &str = "\"><script>alert('&')</script>";
const ESCAPED: &str = "&#34;&#62;&#60;script&#62;alert(&#39;&#38;&#39;)&#60;/script&#62;";
const NOON: Moment<'_> = Moment { rfc3339: "2030-01-02T12:00:00Z", text: "2 January 2030" };

static PAGE: LazyLock<Page> = LazyLock::new(|| Page::new(Language::ENGLISH, "/auth"));

fn app(name: &str) -> App<'_> {
    App { name, returns_to: Place::Host("app.example.com") }
}

#[track_caller]
fn assert_escaped(html: &str, times: usize) {
    assert!(!html.contains("<script"), "{html}");
    assert_eq!(html.matches(ESCAPED).count(), times, "{html}");
}

fn login(person: SigningIn<'_>, problem: Option<SignInProblem>) -> String {
    let login = Login { page: &PAGE, app: Some(app("App")), request: Some("sealed"), person, sign_up_url: None, problem };
    login.render().expect("a page")
}

fn consent(app: App<'_>, scopes: &[ScopeLine<'_>], lasts: Lasts) -> String {
    let (person, other_account_url) = ("alice@example.com", "/login?request=sealed");
    let (apis, request, bound) = ("", "sealed", "bound");
    let (is_self_registered, links) = (false, &[][..]);
    Consent { page: &PAGE, app, person, other_account_url, scopes, apis, lasts, is_self_registered, links, request, bound }
        .render()
        .expect("a page")
}

fn account(sessions: &[Session<'_>]) -> String {
    let (app_turns, session_turns) = (Turns::default(), Turns::default());
    let account = Account { page: &PAGE, person: "alice@example.com", apps: &[], app_turns, sessions, session_turns };
    account.render().expect("a page")
}

#[test]
fn login_escapes_what_others_chose() {
    let html = Login {
        page: &PAGE,
        app: Some(App { name: MARKUP, returns_to: Place::Host(MARKUP) }),
        request: Some(MARKUP),
        person: SigningIn::Again { email: MARKUP, other_account_url: MARKUP },
        sign_up_url: Some(MARKUP),
        problem: None,
    }
    .render()
    .expect("a page");
    assert_escaped(&html, 7);
}

#[test]
fn signup_and_account_choice_escape_what_others_chose() {
    let app = App { name: MARKUP, returns_to: Place::Host(MARKUP) };
    let html = Signup {
        page: &PAGE,
        app: Some(app),
        request: Some(MARKUP),
        email: MARKUP,
        name: MARKUP,
        sign_in_url: MARKUP,
        minimum_length: 8,
        problem: Some(SignUpProblem::Refused),
    }
    .render()
    .expect("a page");
    // The monogram is none of it: it has letters alone.
    assert_escaped(&html, 6);
    let (other_account_url, request, session) = (MARKUP, MARKUP, MARKUP);
    let html = SelectAccount { page: &PAGE, app, person: MARKUP, other_account_url, request, session }.render().expect("a page");
    assert_escaped(&html, 6);
}

#[test]
fn consent_escapes_what_others_chose() {
    let scopes = [ScopeLine::new(&PAGE, MARKUP, None), ScopeLine::new(&PAGE, "calendar", Some(MARKUP))];
    let html = Consent {
        page: &PAGE,
        app: App { name: MARKUP, returns_to: Place::ThisDevice(MARKUP) },
        person: MARKUP,
        other_account_url: MARKUP,
        scopes: &scopes,
        apis: MARKUP,
        lasts: Lasts::UntilSignOut,
        is_self_registered: true,
        links: &[("tos_uri", MARKUP)],
        request: MARKUP,
        bound: MARKUP,
    }
    .render()
    .expect("a page");
    assert_escaped(&html, 10);
}

#[test]
fn the_way_back_escapes_what_others_chose() {
    let refused = |way| Refused { page: &PAGE, host: MARKUP, is_denied: false, remedy: MARKUP, way }.render().expect("a page");
    // The host and the remedy; the address, or the address and what is sent there.
    assert_escaped(&refused(ByHand::Link(MARKUP.to_owned())), 3);
    assert_escaped(&refused(ByHand::Form { action: MARKUP, fields: vec![("state", MARKUP)] }), 4);
}

#[test]
fn account_escapes_what_others_chose() {
    let moment = Moment { rfc3339: MARKUP, text: MARKUP };
    let html = Account {
        page: &PAGE,
        person: MARKUP,
        apps: &[AppAccess {
            client_id: MARKUP,
            app: App { name: MARKUP, returns_to: Place::Host(MARKUP) },
            scopes: &[ScopeLine::new(&PAGE, MARKUP, None)],
            since: moment,
            last_used: Some(moment),
            grants: 2,
            open_url: Some(MARKUP),
        }],
        app_turns: Turns::new(2, true, |_| MARKUP.to_owned()),
        sessions: &[Session { id: MARKUP, browser: Some(MARKUP), signed_in: moment, last_seen: moment, current: true }],
        session_turns: Turns::default(),
    }
    .render()
    .expect("a page");
    // The person; the app's id, name (three times), host, scope and address; the session's id and browser (twice); four times, twice each; two links.
    assert_escaped(&html, 1 + 7 + 3 + 8 + 2);
}

#[test]
fn error_escapes_what_others_chose() {
    let html = ErrorPage { page: &PAGE, kind: ErrorKind::BadRequest, id: MARKUP, remedy: Some(MARKUP) };
    assert_escaped(&html.render().expect("a page"), 2);
}

#[test]
fn every_address_is_below_the_issuers_path() {
    let html = consent(app("App"), &[], Lasts::UntilSignOut);
    assert!(html.contains(r#"action="/auth/consent""#), "{html}");
    assert!(html.contains(r#"href="/auth/assets/app-"#), "{html}");
}

#[test]
fn the_first_empty_field_has_the_focus() {
    let empty = login(SigningIn::Anyone { email: "" }, None);
    let filled = login(SigningIn::Anyone { email: "alice@example.com" }, None);

    let before_the_password = |html: &str| html.split(r#"id="password""#).next().is_some_and(|fields| fields.contains("autofocus"));
    assert!(before_the_password(&empty), "{empty}");
    assert!(!before_the_password(&filled), "{filled}");
    assert_eq!(empty.matches("autofocus").count() + filled.matches("autofocus").count(), 2);
}

#[test]
fn a_wrong_password_marks_both_fields_and_keeps_the_email() {
    let html = login(SigningIn::Anyone { email: "alice@example.com" }, Some(SignInProblem::WrongCredentials));
    assert!(html.contains(r#"value="alice@example.com""#), "{html}");
    assert!(html.contains(r#"id="problem" role="alert""#), "{html}");
    assert_eq!(html.matches(r#"aria-invalid="true" aria-describedby="problem""#).count(), 2);
}

#[test]
fn a_busy_server_blames_no_field() {
    let html = login(SigningIn::Anyone { email: "alice@example.com" }, Some(SignInProblem::Busy));
    assert!(html.contains(r#"role="alert""#) && !html.contains("aria-invalid"), "{html}");
}

#[test]
fn signing_in_again_keeps_the_person_and_offers_another() {
    let again = SigningIn::Again { email: "alice@example.com", other_account_url: "/login?other=1&request=x" };
    let html = login(again, None);
    assert!(html.contains("Signed in as <bdi>alice@example.com</bdi>"), "{html}");
    assert!(html.contains(r#"value="alice@example.com" autocomplete="username" readonly hidden>"#), "{html}");
    assert!(html.contains(r#"href="/auth/login?other=1&#38;request=x""#), "{html}");
}

/// RFC 8252 §8.6: an app on the device could be any program.
#[test]
fn an_app_on_this_device_comes_with_a_caution() {
    let native = App { name: "Tool", returns_to: Place::ThisDevice("127.0.0.1") };
    assert!(consent(native, &[], Lasts::UntilSignOut).contains("notice caution"));
    assert!(!consent(app("App"), &[], Lasts::UntilSignOut).contains("notice caution"));
}

#[test]
fn consent_says_for_how_long() {
    let text = |lasts| consent(app("App"), &[], lasts);
    assert!(text(Lasts::UntilSignOut).contains("until you sign out."));
    assert!(text(Lasts::UntilRemoved { days: 1 }).contains("at most 1 day."));
    assert!(text(Lasts::UntilRemoved { days: 90 }).contains("at most 90 days."));
}

#[test]
fn scopes_are_told_in_words_or_by_their_name() {
    let line = |name, configured| ScopeLine::new(&PAGE, name, configured).sentence;
    assert_eq!(line("email", None).as_deref(), Some("See your e-mail address"));
    assert_eq!(line("email", Some("Write to you")).as_deref(), Some("Write to you"));
    assert_eq!(line("calendar:write", None), None);

    let html = consent(app("App"), &[ScopeLine::new(&PAGE, "calendar:write", None)], Lasts::UntilSignOut);
    assert!(html.contains("<code><bdi>calendar:write</bdi></code>"), "{html}");
}

#[test]
fn a_monogram_is_one_letter_of_the_name() {
    for (name, monogram) in [("tandem", "T"), ("«éclair»", "É"), ("…", "·"), ("日本", "日")] {
        assert_eq!(app(name).monogram(), monogram);
    }
}

#[test]
fn an_account_without_apps_says_so() {
    let html = account(&[]);
    assert!(!html.contains("id=\"apps\"") && html.contains("muted empty"), "{html}");
}

#[test]
fn only_the_current_session_is_marked() {
    let session = |id, current| Session { id, browser: None, signed_in: NOON, last_seen: NOON, current };
    let sessions = [session("1", true), session("2", false)];
    let html = account(&sessions);
    assert_eq!(html.matches("class=\"badge\"").count(), 1);
    assert_eq!(html.matches("name=\"session\" value=").count(), 2);
}

#[test]
fn signed_out_leads_back_to_sign_in() {
    let html = SignedOut { page: &PAGE, everywhere: false, frames: &[], way_back: None }.render().expect("a page");
    assert!(html.contains(r#"href="/auth/login""#), "{html}");
}
