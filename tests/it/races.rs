//! What ends access beats what is in flight: a change that began first leaves nothing alive behind it.

use std::time::Duration;

use axum::body::Body;
use futures_util::future::{join, join_all};
use http::{Method, Request};
use sqlx::{AssertSqlSafe, Executor, PgConnection, SqliteConnection};

use crate::{
    harness::{Answer, App, Backend, Browser, Registration, TestServer, browser::PASSWORD, browser::Person},
    on_every_backend,
};

/// Until requests in flight have come to where they write. One that comes later finds the change done, which is no race, but no fault.
const A_MOMENT: Duration = Duration::from_millis(100);
const ROUNDS: usize = 10;
const SESSION_BOUND: &[(&str, &str)] = &[("scope", "read write")];

/// A transaction that has changed rows and is not committed.
enum Change {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Change {
    async fn begin(server: &TestServer, statements: &[String]) -> Self {
        let statements = statements.join("; ");
        match server.database.backend {
            Backend::Sqlite => {
                let mut connection = server.database.sqlite().await;
                connection.execute(AssertSqlSafe(format!("BEGIN IMMEDIATE; {statements}"))).await.unwrap();
                Self::Sqlite(connection)
            }
            Backend::Postgres => {
                let mut connection = server.database.postgres().await;
                connection.execute(AssertSqlSafe(format!("BEGIN; {statements}"))).await.unwrap();
                Self::Postgres(connection)
            }
        }
    }

    async fn commit(self) {
        match self {
            Self::Sqlite(mut connection) => connection.execute("COMMIT").await.map(drop).unwrap(),
            Self::Postgres(mut connection) => connection.execute("COMMIT").await.map(drop).unwrap(),
        }
    }
}

/// The answers to requests that read before a change is committed, and write after it began.
async fn during<T>(server: &TestServer, statements: &[String], requests: impl Future<Output = T>) -> T {
    let change = Change::begin(server, statements).await;
    let (answers, ()) = join(requests, async {
        tokio::time::sleep(A_MOMENT).await;
        change.commit().await;
    })
    .await;
    answers
}

/// What ends everything of everyone.
fn end_of_everything(server: &TestServer, assignment: &str) -> Vec<String> {
    let now = server.now();
    vec![
        format!("UPDATE people SET {assignment}, tokens_not_before = {now}"),
        "DELETE FROM browser_sessions".to_owned(),
        "DELETE FROM authorization_codes".to_owned(),
        format!("UPDATE grants SET revoked_at = {now} WHERE revoked_at IS NULL"),
    ]
}

async fn post_sign_in(browser: &mut Browser<'_>, person: &Person) -> Answer {
    browser.post("/login", &[("email", &person.email), ("password", PASSWORD)]).await
}

async fn live_grants(server: &TestServer) -> usize {
    server.grants().await.iter().filter(|grant| !grant.ends_with(" revoked")).count()
}

/// Whether an answer to a redemption is one of the two that there may be.
fn assert_won_or_refused(answer: &Answer) {
    if answer.status != 200 {
        answer.assert_error(400, "invalid_grant");
    }
}

/// What a redemption obtained is of no use any more.
async fn assert_void(app: &App<'_>, redeemed: &Answer) {
    assert_won_or_refused(redeemed);
    if redeemed.status == 200 {
        app.refresh(&redeemed.refresh_token()).await.assert_error(400, "invalid_grant");
        assert!(!app.server.is_active(app, &redeemed.access_token()).await);
    }
}

on_every_backend! {
    /// A password that was checked before it changed, or before its person was disabled, begins no session.
    async fn a_sign_in_that_races_a_new_password_fails(server) {
        for (name, assignment) in [("alice", "password_hash = NULL".to_owned()), ("bob", format!("disabled_at = {}", server.now()))] {
            let person = server.person(name).await;
            let sign_ins = join_all((0..4).map(async |_| post_sign_in(&mut server.browser(), &person).await));
            for answer in during(server, &end_of_everything(server, &assignment), sign_ins).await {
                assert!(answer.assert_status(400).body.contains("id=\"problem\""), "{}", answer.body);
                assert_eq!(answer.header("set-cookie"), "");
            }
            assert_eq!((server.database.count("browser_sessions").await, server.audited("person.signed_in").await), (0, 0), "{name}");
        }
    }

    /// The same where a person is asked for the password once more: the session is not brought back to life.
    async fn a_new_sign_in_at_a_session_that_races_a_new_password_fails(server) {
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        let answer = during(server, &end_of_everything(server, "password_hash = NULL"), post_sign_in(&mut browser, &person)).await;
        assert!(answer.assert_status(400).body.contains("id=\"problem\""));
        assert_eq!(server.database.count("browser_sessions").await, 0);
    }

    /// Nobody loses, and nobody gets a fault; of the cookies for one session the last is valid.
    async fn of_12_new_sign_ins_at_one_session_each_succeeds(server, "GRANTOR_DATABASE__MAX_CONNECTIONS" = "16") {
        let mut browser = server.browser();
        let person = browser.sign_in_as_someone().await;
        let mut browsers: Vec<Browser<'_>> = (0..12).map(|_| browser.at(server)).collect();
        // They wait for this until all have read the session.
        let held = ["UPDATE people SET name = name".to_owned()];
        for answer in during(server, &held, join_all(browsers.iter_mut().map(|browser| post_sign_in(browser, &person)))).await {
            assert_eq!(answer.location(), "/account");
        }
        let mut signed_in = 0;
        for browser in &mut browsers {
            browser.go("/account").await;
            signed_in += i64::from(!browser.is_asked_to_sign_in());
        }
        // Whoever was too late to read it began a session of their own.
        assert!((1..12).contains(&signed_in), "{signed_in}");
        assert_eq!(server.database.count("browser_sessions").await, signed_in);
    }

    /// A code that is redeemed while its session ends obtains nothing.
    async fn a_redemption_that_races_the_end_of_its_session_obtains_nothing(server) {
        let app = server.client("app").await;
        let code = app.code_with(SESSION_BOUND).await;
        // In the order of the server, and only what concerns the session: nothing else may stop the redemption.
        let now = server.now();
        let ending = [
            "DELETE FROM browser_sessions".to_owned(),
            format!("UPDATE grants SET revoked_at = {now} WHERE revoked_at IS NULL"),
        ];
        during(server, &ending, app.redeem(&code)).await.assert_error(400, "invalid_grant");
        assert_eq!(server.database.count("grants").await, 0);
    }

    /// A code that is redeemed while its app is removed obtains nothing.
    async fn a_redemption_that_races_the_removal_of_its_app_obtains_nothing(server) {
        let app = server.client("app").await;
        let code = app.code_with(&[("prompt", "consent")]).await;
        let now = server.now();
        let removal = [
            "DELETE FROM authorization_codes".to_owned(),
            "DELETE FROM consents".to_owned(),
            format!("UPDATE grants SET revoked_at = {now} WHERE revoked_at IS NULL"),
        ];
        during(server, &removal, app.redeem(&code)).await.assert_error(400, "invalid_grant");
        assert_eq!(server.database.count("grants").await, 0);
    }

    /// A consent that was read before it was withdrawn gives no code: the person is asked again, or the app told, where nothing may be shown.
    async fn a_code_that_races_the_withdrawal_of_its_consent_is_not_issued(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let authorize = async |browser: &mut Browser<'_>, extra: &[(&str, &str)]| {
            browser.fetch(Request::get(app.authorization_path(extra)).body(Body::empty()).unwrap()).await
        };
        app.code_at(&mut browser, SESSION_BOUND).await;
        let withdrawal = ["DELETE FROM consents".to_owned(), "DELETE FROM authorization_codes".to_owned()];
        let answer = during(server, &withdrawal, authorize(&mut browser, SESSION_BOUND)).await;
        assert!(answer.assert_status(303).header("location").starts_with("/consent?request="), "{:?}", answer.headers);
        assert_eq!(server.database.count("authorization_codes").await, 0);

        app.code_at(&mut browser, SESSION_BOUND).await;
        let silent = [("scope", "read write"), ("prompt", "none")];
        during(server, &withdrawal, authorize(&mut browser, &silent)).await.assert_redirected_error("consent_required");
        assert_eq!(server.database.count("authorization_codes").await, 0);
    }

    /// Whoever comes first: what a session gave ends with it, be it a code, a grant, or a code that was on its way.
    async fn after_sign_out_nothing_of_the_session_works(server) {
        let app = server.register("app", Registration { first_party: true, ..Registration::default() }).await;
        let person = server.person("alice").await;
        for _ in 0..ROUNDS {
            let mut browser = server.browser();
            browser.sign_in_at_account(&person).await;
            let codes = [app.code_at(&mut browser, SESSION_BOUND).await, app.code_at(&mut browser, SESSION_BOUND).await];
            let (mut leaving, browser) = (browser.at(server), &browser);
            let authorize = join_all((0..3).map(async |_| {
                browser.at(server).fetch(Request::get(app.authorization_path(SESSION_BOUND)).body(Body::empty()).unwrap()).await
            }));
            let redeem = join_all(codes.iter().map(|code| app.redeem(code)));
            let (left, (authorized, redeemed)) = join(leaving.post("/account/sign-out", &[]), join(authorize, redeem)).await;

            assert_eq!(left.location(), "/signed-out");
            for redeemed in &redeemed {
                assert_void(&app, redeemed).await;
            }
            for code in authorized.iter().filter_map(|answer| answer.param("code")) {
                app.redeem(&code).await.assert_error(400, "invalid_grant");
            }
            assert_eq!(live_grants(server).await, 0);
        }
    }

    /// Whoever comes first: what an app had ends when it is removed.
    async fn after_removal_an_app_has_nothing(server) {
        let app = server.client("app").await;
        let person = server.person("alice").await;
        let mut browser = server.browser();
        browser.sign_in_at_account(&person).await;
        for _ in 0..ROUNDS {
            let codes = [app.code_at(&mut browser, &[("prompt", "consent")]).await, app.code_at(&mut browser, SESSION_BOUND).await];
            let redeem = join_all(codes.iter().map(|code| app.redeem(code)));
            let (mut removing, asking) = (browser.at(server), &browser);
            let authorize = join_all((0..3).map(async |_| {
                asking.at(server).fetch(Request::get(app.authorization_path(SESSION_BOUND)).body(Body::empty()).unwrap()).await
            }));
            let removal = removing.post("/account/apps/end", &[("client_id", "app")]);
            let (removed, (authorized, redeemed)) = join(removal, join(authorize, redeem)).await;

            assert_eq!(removed.location(), "/account");
            for code in authorized.iter().filter_map(|answer| answer.param("code")) {
                app.redeem(&code).await.assert_error(400, "invalid_grant");
            }
            for redeemed in &redeemed {
                assert_void(&app, redeemed).await;
            }
            assert_eq!((live_grants(server).await, server.database.count("authorization_codes").await), (0, 0));
        }
    }

    /// A code that an app with `offline_access` gets while the password changes is void, although it does not hang on the session.
    async fn a_code_on_its_way_when_the_password_changes_is_void(server) {
        let app = server.register("app", Registration { first_party: true, ..Registration::default() }).await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        let path = app.authorization_path(&[("scope", "read offline_access"), ("prompt", "consent")]);
        browser.go(&path).await;
        let (request, bound) = (browser.page().field("request"), browser.page().field("bound"));
        let ending = end_of_everything(server, "password_hash = NULL");
        // The change took its time before it is committed.
        server.advance(1);
        let form = [("request", request.as_str()), ("bound", bound.as_str()), ("decision", "allow")];
        let answer = during(server, &ending, browser.post("/consent", &form)).await;
        if answer.header("location").starts_with("https://app.example/") {
            app.redeem(&answer.code()).await.assert_error(400, "invalid_grant");
        }
        assert_eq!(live_grants(server).await, 0);
    }

    /// RFC 9110 §9.3.2: `HEAD` asks, and does nothing: no code is made for whoever only looks.
    async fn head_makes_no_code(server) {
        let app = server.client("app").await;
        let mut browser = server.browser();
        browser.sign_in_as_someone().await;
        browser.authorize(&app, SESSION_BOUND).await;
        let sealed = browser.page().field("request");
        browser.allow().await.code();
        let codes = server.database.count("authorization_codes").await;
        let audit = server.audit().await;

        let query = encode(&[("request", &sealed)]);
        for path in [format!("/login?{query}"), format!("/consent?{query}"), app.authorization_path(SESSION_BOUND)] {
            let request = Request::builder().method(Method::HEAD).uri(&path).body(Body::empty()).unwrap();
            let answer = browser.fetch(request).await;
            assert_eq!((answer.header("location"), answer.header("set-cookie")), ("", ""), "{path}");
            assert_eq!((server.database.count("authorization_codes").await, server.audit().await), (codes, audit.clone()), "{path}");
        }
        // What `HEAD` leaves out, `GET` does.
        browser.fetch(Request::get(format!("/consent?{query}")).body(Body::empty()).unwrap()).await.code();
    }
}
