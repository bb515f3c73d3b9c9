//! `grantor demo`: what a newcomer runs first, from the printed address to the last button.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use http::Request;
use regex::Regex;
use serde_json::json;

use crate::{
    harness::{
        Answer, Database,
        over_http::{RemoteApp, RemoteBrowser, http_client, send},
        process::{Outcome, PATIENCE, Process, free_port, grantor, run, wait_until},
    },
    on_databases,
};

/// A running demo, and what it printed.
struct Demo {
    process: Process,
    printed: PathBuf,
    temporary: PathBuf,
}

impl Demo {
    /// Starts it with these flags, waits until it has said where to go, and that its log has nothing to say.
    fn start(database: &Database, flags: &[&str]) -> Self {
        let [port, app, spa, api] = [(); 4].map(|()| free_port());
        let at = |port: u16| format!("127.0.0.1:{port}");
        let temporary = database.dir.join(format!("tmp-{port}"));
        std::fs::create_dir(&temporary).unwrap();
        let printed = temporary.join("printed");
        let mut command = grantor(database);
        command
            // The demo takes nothing from the environment, least of all a database.
            .env("GRANTOR_DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
            .env("TMPDIR", &temporary)
            .args(["demo", "--listen", &at(port), "--app-listen", &at(app), "--spa-listen", &at(spa), "--api-listen", &at(api)])
            .args(flags)
            .stdout(std::fs::File::create(&printed).unwrap());
        let mut process = Process::spawn(database, port, command);
        process.wait_until_ready();
        let demo = Self { process, printed, temporary };
        wait_until(PATIENCE, "it says how to end it", || demo.text().contains("Ctrl-C ends the demo."));
        demo
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.printed).unwrap()
    }

    /// The part of the text that a pattern encloses in parentheses.
    fn told(&self, pattern: &str) -> String {
        let text = self.text();
        let found = Regex::new(pattern).unwrap().captures(&text).unwrap_or_else(|| panic!("no {pattern}: {text}"));
        found[1].to_owned()
    }

    fn directories(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.temporary).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path: &PathBuf| Path::is_dir(path)).collect()
    }

    /// Ends it with SIGTERM: exit code 0, nothing left behind, nothing to warn of.
    fn end(mut self) {
        assert!(self.directories().iter().any(|path| path.file_name().unwrap().to_str().unwrap().starts_with("grantor-demo-")));
        self.process.signal("TERM");
        assert_eq!(self.process.ends_within(PATIENCE), Some(0));
        assert!(self.text().ends_with("The demo has ended.\n"), "{}", self.text());
        assert_eq!(self.directories(), Vec::<PathBuf>::new());
        assert_eq!(self.process.log_text(), "");
    }
}

/// Calls the API with this header.
async fn call(notes: &str, authorization: &str) -> Answer {
    let mut request = Request::get(notes);
    if !authorization.is_empty() {
        request = request.header("authorization", authorization);
    }
    send(&http_client(), request.body(Vec::new()).unwrap()).await.unwrap()
}

/// What a newcomer does, with what the terminal says: sign in, look at the tokens, press every button, sign out.
async fn tour(demo: &Demo) {
    let app = demo.told(r"Open the sample app +(http://\S+)\n");
    let server = demo.told(r"The server itself +(http://\S+)/account\n");
    let (email, password) = (demo.told(r"(alice@example\.com) "), demo.told(r"alice@example\.com +(\S+)\n"));
    assert!(demo.text().contains("bob@example.com"), "{}", demo.text());
    let mut browser = RemoteBrowser::new(&[&app, &server]);

    assert!(browser.go(&format!("{app}/")).await.body.contains("href=\"/start\""));
    browser.go(&format!("{app}/start")).await.assert_status(200);
    assert_eq!(browser.base, server, "the app sends the person to the server");
    assert!(browser.page().body.contains("Sample app"));
    browser.sign_in(&email, &password).await.assert_status(200);
    if browser.page().body.contains("id=\"allow\"") {
        browser.allow().await.assert_status(200);
    }
    assert_eq!(browser.base, app, "the server sends the person back");
    assert!(browser.page().body.contains("<h1>You are signed in</h1>"), "{}", browser.page().body);
    assert!(browser.page().body.contains("id=\"access-token\">eyJ"));

    let buttons = [
        ("/introspect", "The access token is active"),
        ("/call-api", "The API accepted the token"),
        ("/refresh", "Refreshed"),
        ("/refresh", "Refreshed"),
        ("/revoke", "Revoked"),
        ("/introspect", "The access token is not active"),
        // Which an API that verifies by itself learns when the token expires.
        ("/call-api", "The API accepted the token"),
    ];
    for (path, title) in buttons {
        let page = browser.submit(path, &[]).await.assert_status(200);
        assert!(page.body.contains(&format!("<h1>{title}</h1>")), "{path}: {}", page.body);
    }
    assert!(browser.submit("/refresh", &[]).await.body.contains("invalid_grant"), "{}", browser.page().body);
    browser.submit("/sign-out", &[]).await.assert_status(200);
    assert!(browser.go(&format!("{app}/session")).await.body.contains("href=\"/start\""), "the app has forgotten the person");
    assert!(browser.go(&format!("{server}/account")).await.body.contains(&email), "the server has not");
}

on_databases! { [Sqlite]
    /// Without any flag the database is a temporary one, which is gone afterwards.
    async fn the_tour_of_a_newcomer(database) {
        let demo = Demo::start(database, &[]);
        tour(&demo).await;
        demo.end();
    }

    /// The machine client: what is printed works as it is pasted, and so does the button of the sample app.
    async fn a_program_gets_a_token_and_calls_the_api(database) {
        let demo = Demo::start(database, &[]);
        let printed = demo.told(r"(?s)as a program would:\n(.*?)\n\n");
        let pasted = Outcome::of(Command::new("sh").args(["-c", &printed]).output().unwrap());
        assert_eq!(pasted.json(), json!({ "owner": "sample-machine", "notes": [] }));

        let app = demo.told(r"Open the sample app +(http://\S+)\n");
        let mut browser = RemoteBrowser::new(&[&app]);
        browser.go(&format!("{app}/machine")).await.assert_status(200);
        let page = browser.submit("/machine", &[]).await.assert_status(200);
        assert!(page.body.contains("The API accepted the token") && page.body.contains("client_credentials"), "{}", page.body);
        demo.end();
    }

    /// The API says why it refuses, to programs in the challenge and to developers in the body.
    async fn the_api_refuses_with_a_reason(database) {
        let demo = Demo::start(database, &[]);
        let notes = demo.told(r"The API that they call (http://\S+)\n");
        let command = demo.told(r"TOKEN=(\$\(.*\))\n");
        let issued = Command::new("sh").args(["-c", &format!("printf %s {command}")]).output().unwrap();
        let token = String::from_utf8(issued.stdout).unwrap();
        let other = RemoteApp::create(database, "other");
        let server = Process::serve(database, &[]);
        let foreign = other.client_credentials(&server.base()).await.access_token();

        for (authorization, status, error, why) in [
            (String::new(), 401, "scope=", "no access token"),
            ("Bearer garbage".to_owned(), 401, "invalid_token", "not a signed JWT"),
            (format!("Bearer {}", &token[..token.len() - 8]), 401, "invalid_token", "signature"),
            (format!("Bearer {foreign}"), 401, "invalid_token", "a key that the authorization server does not publish"),
        ] {
            let answer = call(&notes, &authorization).await;
            let challenge = answer.assert_status(status).header("www-authenticate");
            assert!(challenge.contains(error) && answer.body.contains(why), "{challenge} {}", answer.body);
        }
        call(&notes, &format!("Bearer {token}")).await.assert_status(200);
        drop(server);
        demo.end();
    }

    /// Its passwords are public, so nobody else may reach it: wrong usage, told before anything happens.
    async fn other_addresses_than_loopback_are_refused(database) {
        for flag in ["--listen", "--app-listen", "--spa-listen", "--api-listen"] {
            for address in ["0.0.0.0:0", "192.0.2.1:8080", "[::]:8080"] {
                run(database, &["demo", flag, address]).assert_refused(2, "loopback only");
            }
        }
        run(database, &["demo", "--listen", "localhost"]).assert_refused(2, "--listen");
        run(database, &["demo", "--app-listen", "127.0.0.1:65535"]).assert_refused(2, "--spa-listen");
    }

    /// A port that something else holds is told with the flag that chooses another.
    async fn a_port_in_use_is_told(database) {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let held = holder.local_addr().unwrap().to_string();
        let flags = ["--listen", "--app-listen", "--spa-listen", "--api-listen"];
        for taken in flags {
            let addresses = flags.map(|flag| if flag == taken { held.clone() } else { format!("127.0.0.1:{}", free_port()) });
            let arguments: Vec<&str> = flags.iter().zip(&addresses).flat_map(|(flag, address)| [*flag, address]).collect();
            run(database, &[&["demo"], &arguments[..]].concat()).assert_refused(1, taken);
        }
    }
}

on_databases! { [Sqlite, Postgres]
    /// A database that is named is kept: the next demo finds its people and its app there.
    async fn a_kept_database_serves_one_demo_after_the_other(copy) {
        // The copy has another master key than the demo's.
        let database = &Database::empty(copy.backend).await;
        for _ in 0..2 {
            let demo = Demo::start(database, &["--database-url", &database.url]);
            tour(&demo).await;
            demo.end();
        }
        assert_eq!(database.count("people").await, 2);
        assert_eq!(database.count("clients").await, 3);
        database.remove().await;
    }
}
