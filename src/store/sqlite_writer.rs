//! The one writer of a `SQLite` database: whatever waits is committed together.
//!
//! A commit with `synchronous=FULL` costs a disk flush, so up to 64 waiting verbs share one. Nobody is answered before it.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};

use super::{
    backend::{Conn, Extent, Verb},
    health::{Access, Health},
};
use crate::error::{Error, Result, panic_message};

/// How many verbs share a commit at most.
const GROUP: usize = 64;
/// How many verbs may wait; further ones wait for a place, which the caller's time limit bounds.
const QUEUE: usize = 1024;
/// How long to wait for other processes (the command line) that write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long SQLite itself waits, before it says that it is busy.
pub(super) const PATIENCE: Duration = Duration::from_millis(8);
/// After writing without pause for this long, ...
const LEAVE_GAP_AFTER: Duration = Duration::from_millis(100);
/// ... the writer leaves the database to other processes for this long.
const GAP: Duration = Duration::from_millis(5);

/// A handle on the writer task.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Message>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

enum Message {
    Run(Box<dyn Job>),
    Close,
}

impl Writer {
    /// Opens the connection and starts the task.
    pub(super) async fn start(options: SqliteConnectOptions, health: Health) -> Result<Self, sqlx::Error> {
        let connection = options.connect().await?;
        let (jobs, inbox) = mpsc::channel(QUEUE);
        let task = tokio::spawn(Task { options, connection: Some(connection), inbox, busy_since: None, health }.work());
        Ok(Self { jobs, task: Arc::new(Mutex::new(Some(task))) })
    }

    /// Queues a verb and waits for the commit that it is part of.
    pub(super) async fn write<V: Verb>(&self, verb: V) -> Result<V::Told> {
        let (answer, answered) = oneshot::channel();
        let job = VerbJob { verb, asked_at: Instant::now(), outcome: None, answer };
        self.jobs.send(Message::Run(Box::new(job))).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// How many verbs wait.
    pub(super) fn queue_length(&self) -> usize {
        self.jobs.max_capacity() - self.jobs.capacity()
    }

    /// Lets the writer finish what waits, and ends it.
    pub(super) async fn close(&self) {
        if let Some(task) = self.task.lock().await.take() {
            let _ = self.jobs.send(Message::Close).await;
            let _ = task.await;
        }
    }
}

fn closed() -> Error {
    Error::unavailable("the server is shutting down")
}

/// A verb whose type is forgotten, with the one who waits for it.
trait Job: Send {
    fn extent(&self) -> Extent;
    /// Runs the verb and keeps what it says.
    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> BoxFuture<'a, Ran>;
    /// Tells the outcome, once it is committed.
    fn committed(self: Box<Self>, health: &Health);
    /// Tells that nothing happened.
    fn undone(self: Box<Self>, error: Error, health: &Health);
}

#[derive(Debug, PartialEq, Eq)]
enum Ran {
    Done,
    /// This verb failed; its statement undid itself.
    Failed,
    /// The database is in trouble (disk full, I/O), of this kind: it may have rolled back the whole transaction by itself.
    InTrouble(String),
}

struct VerbJob<V: Verb> {
    verb: V,
    asked_at: Instant,
    outcome: Option<Result<V::Told>>,
    answer: oneshot::Sender<Result<V::Told>>,
}

impl<V: Verb> Job for VerbJob<V> {
    fn extent(&self) -> Extent {
        V::EXTENT
    }

    fn run<'a>(&'a mut self, connection: &'a mut SqliteConnection) -> BoxFuture<'a, Ran> {
        Box::pin(async move {
            let outcome = self.verb.run(&mut Conn::Sqlite(connection)).await;
            let ran = match &outcome {
                Ok(_) => Ran::Done,
                Err(Error::Unavailable { reason, cause, .. }) => Ran::InTrouble(cause.clone().unwrap_or_else(|| (*reason).to_owned())),
                Err(_) => Ran::Failed,
            };
            self.outcome = Some(outcome);
            ran
        })
    }

    fn committed(self: Box<Self>, health: &Health) {
        let outcome = self.outcome.unwrap_or_else(|| Err(Error::internal("a write gave no answer")));
        // Whoever asked may be gone; the write stands all the same.
        let _ = self.answer.send(health.of(Access::Write, self.asked_at, outcome));
    }

    fn undone(self: Box<Self>, error: Error, health: &Health) {
        let outcome = match self.outcome {
            Some(Err(own)) => Err(own),
            _ => Err(error),
        };
        let _ = self.answer.send(health.of(Access::Write, self.asked_at, outcome));
    }
}

struct Task {
    options: SqliteConnectOptions,
    /// `None` after a failed BEGIN or COMMIT, until it is opened again.
    connection: Option<SqliteConnection>,
    inbox: mpsc::Receiver<Message>,
    busy_since: Option<Instant>,
    health: Health,
}

impl Task {
    async fn work(mut self) {
        let mut is_open = true;
        while is_open {
            self.leave_gap().await;
            let mut group: Vec<Box<dyn Job>> = Vec::with_capacity(GROUP);
            let first = if let Ok(message) = self.inbox.try_recv() {
                Some(message)
            } else {
                self.busy_since = None;
                self.inbox.recv().await
            };
            let mut next = first;
            while let Some(message) = next {
                match message {
                    Message::Run(job) => group.push(job),
                    Message::Close => {
                        // Those who come later are told so; those already waiting are still served.
                        self.inbox.close();
                    }
                }
                next = if group.len() < GROUP { self.inbox.try_recv().ok() } else { None };
            }
            is_open = !(self.inbox.is_closed() && self.inbox.is_empty());
            if !group.is_empty() {
                self.busy_since.get_or_insert_with(Instant::now);
                self.commit(group).await;
            }
        }
        if let Some(connection) = self.connection.take() {
            let _ = connection.close().await;
        }
    }

    async fn leave_gap(&mut self) {
        if self.busy_since.is_some_and(|since| since.elapsed() >= LEAVE_GAP_AFTER) {
            tokio::time::sleep(GAP).await;
            self.busy_since = Some(Instant::now());
        }
    }

    /// Runs a group in one transaction, which a statement alone is by itself. If it cannot be committed, nothing of it happened and the connection is opened anew.
    async fn commit(&mut self, mut group: Vec<Box<dyn Job>>) {
        match self.try_commit(&mut group).await {
            Ok(()) => {
                for job in group {
                    job.committed(&self.health);
                }
            }
            Err(error) => {
                self.connection = None;
                if let GroupFailed::Panicked(_) = error {
                    tracing::error!(error = %error, writes = group.len(), "writes were undone and refused with 503");
                }
                for job in group {
                    let cause = Some(error.to_string());
                    job.undone(
                        Error::Unavailable { reason: "the database could not commit", retry_after: Duration::from_secs(1), cause },
                        &self.health,
                    );
                }
            }
        }
    }

    async fn try_commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), GroupFailed> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.options.connect().await?),
        };
        if let [lone] = group
            && lone.extent() == Extent::OneStatement
            // In trouble nothing was done, and the trouble may be one that passes: another process writes.
            && !matches!(run(lone, connection).await?, Ran::InTrouble(_))
        {
            return Ok(());
        }
        begin(connection).await?;
        let is_alone = group.len() == 1;
        for job in group {
            match job.extent() {
                Extent::OneStatement => {
                    if let Ran::InTrouble(trouble) = run(job, connection).await? {
                        return Err(GroupFailed::InTrouble(trouble));
                    }
                }
                Extent::Several => {
                    // Alone it needs no way back but the whole transaction's.
                    if !is_alone {
                        sqlx::query("SAVEPOINT verb").execute(&mut *connection).await?;
                    }
                    let outcome = AssertUnwindSafe(job.run(connection)).catch_unwind().await;
                    if let Ok(Ran::InTrouble(trouble)) = outcome {
                        return Err(GroupFailed::InTrouble(trouble));
                    }
                    let is_done = matches!(outcome, Ok(Ran::Done));
                    if is_alone && !is_done {
                        sqlx::query("ROLLBACK").execute(connection).await?;
                        return Ok(());
                    }
                    if !is_done {
                        sqlx::query("ROLLBACK TO verb").execute(&mut *connection).await?;
                    }
                    if !is_alone {
                        sqlx::query("RELEASE verb").execute(&mut *connection).await?;
                    }
                }
            }
        }
        sqlx::query("COMMIT").execute(connection).await?;
        Ok(())
    }
}

async fn run(job: &mut Box<dyn Job>, connection: &mut SqliteConnection) -> Result<Ran, GroupFailed> {
    let ran = AssertUnwindSafe(job.run(connection)).catch_unwind().await;
    ran.map_err(|panic| GroupFailed::Panicked(panic_message(&*panic).to_owned()))
}

/// Other processes hold the lock for milliseconds: asking often finds the gap that a busy server leaves.
async fn begin(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await {
            Err(sqlx::Error::Database(error)) if is_busy(&*error) && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            begun => return begun.map(drop),
        }
    }
}

fn is_busy(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xFF == 5)
}

/// Why a whole group was undone.
#[derive(Debug, thiserror::Error)]
enum GroupFailed {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("{0}")]
    InTrouble(String),
    #[error("a write panicked: {0}")]
    Panicked(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inserts one number, in as many statements as it is told, and may panic behind the last one.
    struct Insert<const SEVERAL: bool> {
        number: i64,
        then_panic: bool,
    }

    impl<const SEVERAL: bool> Verb for Insert<SEVERAL> {
        type Told = u64;
        const EXTENT: Extent = if SEVERAL { Extent::Several } else { Extent::OneStatement };

        async fn run(&self, conn: &mut Conn<'_>) -> Result<u64> {
            let Conn::Sqlite(db) = conn else { return Err(Error::internal("not SQLite")) };
            let done = sqlx::query("INSERT INTO numbers VALUES ($1)").bind(self.number).execute(&mut **db).await?;
            assert!(!self.then_panic, "told to panic");
            Ok(done.rows_affected())
        }
    }

    struct Fixture {
        writer: Writer,
        other: SqliteConnection,
        _dir: tempfile::TempDir,
    }

    async fn fixture() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(dir.path().join("numbers.db"))
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
            .busy_timeout(PATIENCE);
        let mut other = options.connect().await.unwrap();
        sqlx::query("CREATE TABLE numbers (number INTEGER PRIMARY KEY)").execute(&mut other).await.unwrap();
        Fixture { writer: Writer::start(options, Health::good()).await.unwrap(), other, _dir: dir }
    }

    impl Fixture {
        async fn numbers(&mut self) -> Vec<i64> {
            sqlx::query_scalar("SELECT number FROM numbers ORDER BY 1").fetch_all(&mut self.other).await.unwrap()
        }
    }

    #[tokio::test]
    async fn a_failed_verb_undoes_itself_and_not_its_neighbours() {
        let mut fixture = fixture().await;
        let writer = fixture.writer.clone();
        let insert = |number| writer.write(Insert::<false> { number, then_panic: false });
        let (first, again, other) = tokio::join!(insert(1), insert(1), insert(2));
        assert_eq!(first.unwrap(), 1);
        assert!(matches!(again, Err(Error::Internal(_))));
        assert_eq!(other.unwrap(), 1);
        assert_eq!(fixture.numbers().await, [1, 2]);
    }

    #[tokio::test]
    async fn a_verb_that_panics_is_an_error_and_the_writer_goes_on() {
        let mut fixture = fixture().await;
        let writer = fixture.writer.clone();
        assert!(writer.write(Insert::<true> { number: 1, then_panic: true }).await.is_err());
        assert!(writer.write(Insert::<false> { number: 2, then_panic: true }).await.is_err());
        assert!(writer.write(Insert::<false> { number: 3, then_panic: false }).await.is_ok());
        // Of several statements nothing is left; a lone one is done before whatever follows it, as on Postgres.
        assert_eq!(fixture.numbers().await, [2, 3]);
    }

    #[tokio::test]
    async fn closing_serves_those_who_wait_and_refuses_those_who_come_later() {
        let mut fixture = fixture().await;
        let writer = fixture.writer.clone();
        let waiting: Vec<_> = (0..200)
            .map(|number| {
                tokio::spawn({
                    let writer = writer.clone();
                    async move { writer.write(Insert::<false> { number, then_panic: false }).await }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        writer.close().await;
        let mut acknowledged = 0;
        for task in waiting {
            acknowledged += usize::from(task.await.unwrap().is_ok());
        }
        assert_eq!(fixture.numbers().await.len(), acknowledged);
        let late = writer.write(Insert::<false> { number: 999, then_panic: false }).await;
        assert!(matches!(late, Err(Error::Unavailable { .. })));
    }

    #[tokio::test]
    async fn a_dropped_request_does_not_cancel_its_verb() {
        let mut fixture = fixture().await;
        let request = tokio::spawn({
            let writer = fixture.writer.clone();
            async move { writer.write(Insert::<false> { number: 7, then_panic: false }).await }
        });
        tokio::task::yield_now().await;
        request.abort();
        fixture.writer.write(Insert::<false> { number: 8, then_panic: false }).await.unwrap();
        assert!(fixture.numbers().await.contains(&8));
    }

    #[tokio::test]
    async fn while_another_process_writes_the_verb_waits() {
        let mut fixture = fixture().await;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut fixture.other).await.unwrap();
        let write = tokio::spawn({
            let writer = fixture.writer.clone();
            async move { writer.write(Insert::<false> { number: 1, then_panic: false }).await }
        });
        sqlx::query("INSERT INTO numbers VALUES (2)").execute(&mut fixture.other).await.unwrap();
        sqlx::query("COMMIT").execute(&mut fixture.other).await.unwrap();
        assert!(write.await.unwrap().is_ok());
        assert_eq!(fixture.numbers().await, [1, 2]);
    }
}
