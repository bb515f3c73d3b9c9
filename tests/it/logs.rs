//! What the log tells, and what it never does.

use http::Request;

use crate::{
    harness::{
        VERIFIER,
        app::basic,
        browser::PASSWORD,
        database::MASTER_KEY,
        over_http::{RemoteApp, RemoteBrowser, create_person, get, http_client, send},
        process::{Process, wait_until},
    },
    on_databases,
};

/// What this server mutes unless it is named, too.
const EVERYTHING: &str = "trace,sqlx=trace,tower_sessions=trace,tower_sessions_core=trace";

on_databases! { [Sqlite, Postgres]
    /// No secret reaches the log, at whatever level, not even one that was sent to the wrong place.
    async fn no_secret_is_logged(database) {
        for (log, format) in [(EVERYTHING, "json"), ("debug,sqlx=debug", "text")] {
            let server = Process::serve(database, &[("GRANTOR_LOG", log), ("GRANTOR_LOG_FORMAT", format)]);
            let base = server.base();
            let app = RemoteApp::create(database, &format!("app-{format}"));
            let email = format!("{format}@example.com");
            create_person(database, &email);
            let mut secrets: Vec<String> = [PASSWORD, "mistyped-password", MASTER_KEY, VERIFIER, app.secret.as_str(), "guessed-secret"].map(str::to_owned).into();
            secrets.extend([basic(&app.id, &app.secret)[6..].to_owned(), basic(&app.id, "guessed-secret")[6..].to_owned()]);

            let mut browser = RemoteBrowser::new(&[&base]);
            browser.go(&app.authorization_url(&base)).await.assert_status(200);
            secrets.push(browser.page().field("request"));
            browser.sign_in(&email, "mistyped-password").await;
            assert!(browser.page().body.contains("id=\"problem\""));
            browser.sign_in(&email, PASSWORD).await.assert_status(200);
            secrets.extend([browser.page().field("request"), browser.page().field("bound")]);
            secrets.extend(browser.cookies.values().cloned());
            let code = browser.allow().await.code();
            secrets.push(code.clone());
            let tokens = app.redeem(&base, &code).await;
            let refreshed = app.refresh(&base, &tokens.refresh_token()).await;
            app.refresh(&base, &tokens.refresh_token()).await.assert_status(200);
            app.is_active(&base, &refreshed.access_token()).await;
            app.redeem(&base, &code).await.assert_error(400, "invalid_grant");
            app.revoke(&base, &refreshed.refresh_token()).await;
            app.refresh(&base, &refreshed.refresh_token()).await.assert_error(400, "invalid_grant");
            for token in [&tokens, &refreshed] {
                // The signature is what makes it a token.
                secrets.push(token.access_token().rsplit('.').next().unwrap().to_owned());
                secrets.push(token.refresh_token());
            }
            let guessed = RemoteApp { secret: "guessed-secret".to_owned(), ..app.clone() };
            guessed.client_credentials(&base).await.assert_error(401, "invalid_client");
            get(&format!("{base}/oauth/token?client_secret={}&code={code}", app.secret)).await.assert_error(405, "invalid_request");
            get(&format!("{base}/{}", app.secret)).await.assert_status(404);
            get(&format!("{base}/account?password={PASSWORD}")).await;
            let unreadable = Request::post(format!("{base}/oauth/token")).header("content-type", "application/json");
            let body = format!("{{\"client_secret\":\"{}\"}}", app.secret);
            send(&http_client(), unreadable.body(body.into_bytes()).unwrap()).await.unwrap().assert_error(400, "invalid_request");
            if let Some(password) = url::Url::parse(&database.url).unwrap().password() {
                secrets.push(password.to_owned());
            }

            let answer = get(&format!("{base}/health/live")).await;
            wait_until(std::time::Duration::from_secs(5), "all of it is logged", || server.log_text().contains(answer.header("x-request-id")));
            let log = server.log_text();
            assert!(log.contains("/oauth/token") && log.contains("DEBUG"), "{log}");
            for secret in secrets {
                assert!(secret.len() > 8);
                let found = log.lines().find(|line| line.contains(&secret));
                assert_eq!(found, None, "{secret}");
            }
        }
    }
}
