//! `grantor demo`: what a newcomer runs first, from the printed address to the last button.

use std::path::{Path, PathBuf};

use regex::Regex;

use crate::{
    harness::{
        Database,
        over_http::RemoteBrowser,
        process::{PATIENCE, Process, free_port, grantor, run, wait_until},
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
        let (port, app_port) = (free_port(), free_port());
        let temporary = database.dir.join(format!("tmp-{port}"));
        std::fs::create_dir(&temporary).unwrap();
        let printed = temporary.join("printed");
        let mut command = grantor(database);
        command
            // The demo takes nothing from the environment, least of all a database.
            .env("GRANTOR_DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
            .env("TMPDIR", &temporary)
            .args(["demo", "--listen", &format!("127.0.0.1:{port}"), "--app-listen", &format!("127.0.0.1:{app_port}")])
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
        ("/refresh", "Refreshed"),
        ("/refresh", "Refreshed"),
        ("/revoke", "Revoked"),
        ("/introspect", "The access token is not active"),
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

    /// Its passwords are public, so nobody else may reach it: wrong usage, told before anything happens.
    async fn other_addresses_than_loopback_are_refused(database) {
        for flag in ["--listen", "--app-listen"] {
            for address in ["0.0.0.0:0", "192.0.2.1:8080", "[::]:8080"] {
                run(database, &["demo", flag, address]).assert_refused(2, "loopback only");
            }
        }
        run(database, &["demo", "--listen", "localhost"]).assert_refused(2, "--listen");
    }

    /// A port that something else holds is told with the flag that chooses another.
    async fn a_port_in_use_is_told(database) {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (held, free) = (holder.local_addr().unwrap().to_string(), format!("127.0.0.1:{}", free_port()));
        run(database, &["demo", "--listen", &held, "--app-listen", &free]).assert_refused(1, "--listen");
        run(database, &["demo", "--listen", &free, "--app-listen", &held]).assert_refused(1, "--app-listen");
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
        assert_eq!(database.count("clients").await, 1);
        database.remove().await;
    }
}
