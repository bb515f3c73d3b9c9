//! Clients that refresh without a pause, and repeat their token when the server tells them to come back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::task::JoinHandle;

use super::{
    Database,
    over_http::{RemoteApp, RemoteBrowser, create_person, until},
    process::{PATIENCE, Process, wait_until},
};

/// How soon a client that was refused tries again.
const AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Several grants of one person and client, each in use.
pub struct Chains {
    app: RemoteApp,
    base: String,
    each: Vec<Arc<Chain>>,
    tasks: Vec<JoinHandle<String>>,
    pub browser: RemoteBrowser,
}

#[derive(Default)]
struct Chain {
    acknowledged: AtomicUsize,
    refused: AtomicUsize,
    ends: AtomicBool,
}

impl Chains {
    /// As many clients at a server, each of which was answered already.
    pub async fn begin(database: &Database, base: &str, count: usize) -> Self {
        let app = RemoteApp::create(database, "app");
        create_person(database, "alice@example.com");
        let mut browser = RemoteBrowser::signed_in(base, "alice@example.com").await;
        let (mut chains, mut tasks) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let token = app.tokens(&mut browser).await.refresh_token();
            let chain = Arc::<Chain>::default();
            tasks.push(tokio::spawn(Arc::clone(&chain).go_on(app.clone(), base.to_owned(), token)));
            chains.push(chain);
        }
        let load = Self { app, base: base.to_owned(), each: chains, tasks, browser };
        load.are_answered().await;
        load
    }

    /// Until each was given a token from now on. Tells how long the first and the last waited.
    pub async fn are_answered(&self) -> (Duration, Duration) {
        let begin = Instant::now();
        let before: Vec<usize> = self.acknowledged().collect();
        let answered = || self.acknowledged().zip(&before).filter(|(now, before)| now > *before).count();
        until("a client is answered", async || answered() > 0).await;
        let first = begin.elapsed();
        until("every client is answered", async || answered() == before.len()).await;
        (first, begin.elapsed())
    }

    /// Until each was told to come back, from now on.
    pub async fn are_refused(&self) {
        let refused = || self.each.iter().map(|chain| chain.refused.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let before = refused();
        until("every client is refused", async || refused().iter().zip(&before).all(|(now, before)| now > before)).await;
    }

    fn acknowledged(&self) -> impl Iterator<Item = usize> {
        self.each.iter().map(|chain| chain.acknowledged.load(Ordering::Relaxed))
    }

    /// Lets every client stop, and shows that nothing was lost or revoked: what each was given last works.
    pub async fn end(self, database: &Database) {
        for (chain, task) in self.each.iter().zip(self.tasks) {
            chain.ends.store(true, Ordering::Relaxed);
            let token = task.await.unwrap();
            let last = self.app.refresh(&self.base, &token).await;
            assert!(self.app.is_active(&self.base, &last.access_token()).await);
        }
        assert_eq!(database.count("grants WHERE revoked_at IS NOT NULL").await, 0);
        assert_eq!(database.count("audit_events WHERE name = 'refresh_token.reused'").await, 0);
    }
}

impl Chain {
    /// The last token that it was given.
    async fn go_on(self: Arc<Self>, app: RemoteApp, base: String, mut token: String) -> String {
        while !self.ends.load(Ordering::Relaxed) {
            let answer = app.try_refresh(&base, &token).await.expect("the server always answers");
            if answer.status == 200 {
                token = answer.refresh_token();
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            } else {
                answer.assert_error(503, "temporarily_unavailable");
                assert_eq!(answer.header("retry-after"), "1");
                self.refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
        token
    }
}

/// What a server said of its database from its start on: warnings and faults, and that it is back.
fn told(server: &Process) -> Vec<Value> {
    let log = server.log_text();
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    lines.filter(|line: &Value| line["level"] != "INFO" || line["message"] == "the database answers again").collect()
}

/// Panics unless the log says once that the database is away, once that it is back, and nothing else is wrong.
#[track_caller]
pub fn assert_told_once(server: &Process, gone: &str) {
    wait_until(PATIENCE, "the log says that the database is back", || told(server).iter().any(|line| line["level"] == "INFO"));
    let told = told(server);
    let lines: Vec<(&str, &str)> =
        told.iter().map(|line| (line["level"].as_str().unwrap_or_default(), line["message"].as_str().unwrap_or_default())).collect();
    assert_eq!(lines, [("WARN", gone), ("INFO", "the database answers again")], "{told:#?}");
    assert!(told[0]["error"].as_str().is_some_and(|error| !error.is_empty()) && told[1]["failures"].as_u64() > Some(0), "{told:#?}");
}

/// What the log says where nobody is answered, and where those who write are not.
pub const AWAY: &str = "the database cannot be reached or is busy: requests are answered with 503";
pub const TAKES_NO_WRITES: &str = "the database cannot be written to: requests that change something are answered with 503";
