//! The load: a fixed number of connections, each with one operation under way, for a bounded time.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::http::{self, Connection, Response};
use crate::process::Meter;

/// How long an answer may still take after the window has closed.
const GRACE: Duration = Duration::from_secs(30);

/// What one connection does again and again.
pub enum Operation {
    /// The same request each time, answered with `status` and a body (or head) that holds `holds`.
    Fixed {
        request: Vec<u8>,
        status: u16,
        holds: &'static str,
    },
    /// A refresh with the token that the last answer gave. The body is `prefix` and the token.
    Refresh {
        head: String,
        prefix: String,
        token: String,
    },
    CodeFlow(CodeFlow),
}

/// GET of the authorization request, then POST of `prefix` and the code that its redirect carries.
pub struct CodeFlow {
    pub authorize: Vec<u8>,
    pub head: String,
    pub prefix: String,
    /// What the token response must have.
    pub member: &'static str,
}

/// One connection and its operation.
pub struct Lane {
    connection: Connection,
    operation: Operation,
}

/// When to warm up and when to measure.
#[derive(Clone, Copy)]
pub struct Window {
    start: Instant,
    end: Instant,
}

/// What was measured in one window or several.
pub struct Sample {
    pub elapsed: Duration,
    /// The time between the two readings of CPU time.
    pub metered: Duration,
    pub server_cpu: Duration,
    pub database_cpu: Option<Duration>,
    /// Microseconds, one per operation.
    pub latencies: Vec<u32>,
    pub errors: u64,
    pub first_error: Option<String>,
}

impl Window {
    /// Warming up from now on, then measuring.
    pub fn from_now(warm_up: Duration, measured: Duration) -> Self {
        let start = Instant::now() + warm_up;
        Self { start, end: start + measured }
    }

    pub fn start(&self) -> Instant {
        self.start
    }

    pub fn end(&self) -> Instant {
        self.end
    }

    pub fn contains(&self, instant: Instant) -> bool {
        self.start <= instant && instant < self.end
    }
}

impl Sample {
    pub fn new(window: Window, metered: Duration) -> Self {
        Self {
            elapsed: window.end - window.start,
            metered,
            server_cpu: Duration::ZERO,
            database_cpu: None,
            latencies: Vec::new(),
            errors: 0,
            first_error: None,
        }
    }

    /// Adds the operations of one connection.
    pub fn add(&mut self, latencies: Vec<u32>) {
        self.latencies.extend(latencies);
    }

    /// Operations per second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// Joins another window of the same row.
    pub fn join(&mut self, other: Self) {
        self.elapsed += other.elapsed;
        self.metered += other.metered;
        self.server_cpu += other.server_cpu;
        self.database_cpu = self.database_cpu.zip(other.database_cpu).map(|(one, two)| one + two);
        self.latencies.extend(other.latencies);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}

/// What one connection saw.
#[derive(Default)]
struct Tally {
    latencies: Vec<u32>,
    errors: u64,
    first_error: Option<String>,
}

/// Drives every lane through the window, and reads the meter at its two ends.
pub async fn run(lanes: &mut Vec<Lane>, window: Window, meter: &Meter) -> anyhow::Result<Sample> {
    let mut driven = JoinSet::new();
    for mut lane in lanes.drain(..) {
        driven.spawn(async move {
            let tally = lane.drive(window).await;
            (lane, tally)
        });
    }
    tokio::time::sleep_until(window.start.into()).await;
    let before = meter.read()?;
    tokio::time::sleep_until(window.end.into()).await;
    let after = meter.read()?;

    let mut sample = Sample::new(window, after.at - before.at);
    sample.server_cpu = after.server.saturating_sub(before.server);
    sample.database_cpu = after.database.zip(before.database).map(|(after, before)| after.saturating_sub(before));
    let collect = async {
        while let Some(ended) = driven.join_next().await {
            let (lane, tally) = ended.context("a connection of the load panicked")?;
            lanes.push(lane);
            sample.add(tally.latencies);
            sample.errors += tally.errors;
            sample.first_error = sample.first_error.take().or(tally.first_error);
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(GRACE, collect).await.context("the server stopped answering")??;
    Ok(sample)
}

impl Lane {
    pub fn new(connection: Connection, operation: Operation) -> Self {
        Self { connection, operation }
    }

    /// Ends the connection, which belongs to the runtime that it was made in.
    pub fn rest(&mut self) {
        self.connection.close();
    }

    /// An operation that is under way when the window closes is finished, so that no token is lost, but not counted.
    async fn drive(&mut self, window: Window) -> Tally {
        // A server may have closed a connection that rested while others were measured.
        self.connection.close();
        let mut tally = Tally::default();
        let mut began = Instant::now();
        while began < window.end {
            let outcome = self.operation.perform(&mut self.connection).await;
            let done = Instant::now();
            match outcome {
                Ok(()) if window.contains(done) => {
                    tally.latencies.push(u32::try_from((done - began).as_micros()).unwrap_or(u32::MAX));
                }
                Ok(()) => {}
                Err(error) => {
                    tally.errors += 1;
                    tally.first_error.get_or_insert_with(|| format!("{error:#}"));
                    // A server that refuses at once must not be measured by how fast it refuses.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            began = Instant::now();
        }
        tally
    }
}

impl Operation {
    async fn perform(&mut self, connection: &mut Connection) -> anyhow::Result<()> {
        match self {
            Self::Fixed { request, status, holds } => {
                let response = connection.exchange(request).await?.expect(*status)?;
                anyhow::ensure!(response.holds(holds), "an answer without `{holds}`");
            }
            Self::Refresh { head, prefix, token } => {
                let request = http::post(head, &format!("{prefix}{token}"));
                let response = connection.exchange(&request).await?.expect(200)?;
                let successor = response.member("refresh_token")?;
                anyhow::ensure!(successor != token, "the refresh token was not rotated");
                successor.clone_into(token);
            }
            Self::CodeFlow(flow) => {
                flow.perform(connection).await?.member(flow.member)?;
            }
        }
        Ok(())
    }
}

impl CodeFlow {
    /// The whole flow of somebody who has signed in; gives the token response.
    pub async fn perform<'a>(&self, connection: &'a mut Connection) -> anyhow::Result<Response<'a>> {
        let response = connection.exchange(&self.authorize).await?.expect(303)?;
        let location = response.header("location").unwrap_or_default();
        let request = http::post(&self.head, &format!("{}{}", self.prefix, code(location)?));
        connection.exchange(&request).await?.expect(200)
    }
}

/// The authorization code in a redirect's query, still percent-encoded.
fn code(location: &str) -> anyhow::Result<&str> {
    let query = location.split_once('?').map_or("", |(_, query)| query);
    query.split('&').find_map(|pair| pair.strip_prefix("code=")).with_context(|| format!("redirected without a code, to {location}"))
}
