//! What a flood of wrong passwords takes from a client that asks for tokens, and from the memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use tokio::runtime;
use tokio::task::JoinSet;

use crate::grantor::Grantor;
use crate::http::{self, Connection};
use crate::load::{self, Lane, Window};
use crate::process::{self, Meter};
use crate::report::percentile;

const CONNECTIONS: usize = 200;
/// How long the flood has been going on when the client is measured.
const RISE: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize)]
pub struct Flood {
    pub connections: usize,
    /// Wrong passwords that were compared, those that were refused by 429, and those by 503, each in a second.
    pub compared_per_second: f64,
    pub throttled_per_second: f64,
    pub busy_per_second: f64,
    pub before: Client,
    pub during: Client,
    /// Resident before.
    pub resident_bytes: u64,
    /// The highest during the flood.
    pub peak_bytes: u64,
    /// Other answers to a wrong password than these three.
    pub errors: u64,
    pub first_error: Option<String>,
}

/// One client with one connection.
#[derive(Debug, Serialize)]
pub struct Client {
    pub operations_per_second: f64,
    /// Microseconds.
    pub p50: u32,
    pub p99: u32,
}

/// What the flood was answered.
#[derive(Default)]
struct Answers {
    compared: AtomicU64,
    throttled: AtomicU64,
    busy: AtomicU64,
    errors: AtomicU64,
    first_error: std::sync::OnceLock<String>,
}

impl Flood {
    pub async fn measure(grantor: &Grantor, seconds: Duration) -> anyhow::Result<Self> {
        let pid = grantor.pid()?;
        let meter = Meter { server: pid, postmaster: None };
        let mut client = grantor.client_credentials(1);
        let (before, errors_before) = measured(&mut client, &meter, RISE, seconds).await?;
        let resident_bytes = process::resident_memory(pid)?;
        process::forget_peak(pid)?;

        let (answers, over) = (Arc::new(Answers::default()), Arc::new(AtomicBool::new(false)));
        let mut flood = JoinSet::new();
        for number in 0..CONNECTIONS {
            flood.spawn(guess(grantor.address(), number, Arc::clone(&answers), Arc::clone(&over)));
        }
        let began = Instant::now();
        let (during, errors_during) = measured(&mut client, &meter, RISE, seconds).await?;
        let peak_bytes = process::peak_memory(pid)?;
        let elapsed = began.elapsed().as_secs_f64();
        let per_second = |count: &AtomicU64| count.load(Relaxed) as f64 / elapsed;
        let [compared_per_second, throttled_per_second, busy_per_second] =
            [&answers.compared, &answers.throttled, &answers.busy].map(per_second);
        over.store(true, Relaxed);
        flood.join_all().await;
        Ok(Self {
            connections: CONNECTIONS,
            compared_per_second,
            throttled_per_second,
            busy_per_second,
            before,
            during,
            resident_bytes,
            peak_bytes,
            errors: answers.errors.load(Relaxed) + errors_before + errors_during,
            first_error: answers.first_error.get().cloned(),
        })
    }
}

/// Measures the client on a thread of its own: it must not wait for the flood within this process. Tells how many of its requests failed.
async fn measured(client: &mut Vec<Lane>, meter: &Meter, rise: Duration, seconds: Duration) -> anyhow::Result<(Client, u64)> {
    let (mut lanes, meter) = (std::mem::take(client), Meter { ..*meter });
    let run = move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let sample = runtime.block_on(load::run(&mut lanes, Window::from_now(rise, seconds), &meter))?;
        lanes.iter_mut().for_each(Lane::rest);
        anyhow::Ok((sample, lanes))
    };
    let (mut sample, lanes) = tokio::task::spawn_blocking(run).await.context("the client panicked")??;
    *client = lanes;
    sample.latencies.sort_unstable();
    let (p50, p99) = (percentile(&sample.latencies, 50), percentile(&sample.latencies, 99));
    Ok((Client { operations_per_second: sample.rate(), p50, p99 }, sample.errors))
}

/// Posts wrong passwords, each for another e-mail, until it is over.
async fn guess(address: SocketAddr, number: usize, answers: Arc<Answers>, over: Arc<AtomicBool>) {
    let headers = format!("Origin: http://{address}\r\nSec-Fetch-Site: same-origin\r\n");
    let head = http::post_head(address, "/login", &headers);
    let mut connection = Connection::new(address);
    for attempt in 0_u64.. {
        if over.load(Relaxed) {
            break;
        }
        let email = format!("nobody-{number}-{attempt}@example.com");
        let body = http::form([("email", email.as_str()), ("password", "a wrong password")]);
        let error = match connection.exchange(&http::post(&head, &body)).await.map(|response| response.status) {
            Ok(400) => {
                answers.compared.fetch_add(1, Relaxed);
                continue;
            }
            Ok(429) => {
                answers.throttled.fetch_add(1, Relaxed);
                continue;
            }
            Ok(503) => {
                answers.busy.fetch_add(1, Relaxed);
                continue;
            }
            Ok(status) => format!("a wrong password was answered {status}"),
            Err(error) => format!("{error:#}"),
        };
        answers.errors.fetch_add(1, Relaxed);
        answers.first_error.get_or_init(|| error);
        connection.close();
    }
}
