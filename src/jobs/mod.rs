//! What happens without a request: one file per job.

pub(crate) mod purge_expired;
pub(crate) mod rotate_keys;

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    error::{Error, Result},
    logout::backchannel,
    metrics::Job,
    oauth::client::Trust,
    server::Server,
};

/// How often this node looks whether a job is due.
const TICK: Duration = Duration::from_secs(30);

/// How often this node looks whether a client is to be told of a logout that a command or another node did not tell it of.
const LOGOUT_TICK: Duration = Duration::from_secs(1);

/// Runs what is due until `stop`. Clients that are slow to answer hold nothing else up.
pub(crate) async fn work(server: Server, stop: CancellationToken) {
    let maintaining = async {
        let mut ticks = every(tick(server.config().keys.rotation_interval));
        let mut turn = async || {
            ticks.tick().await;
            Box::pin(maintain(&server)).await;
        };
        while stop.run_until_cancelled(turn()).await.is_some() {}
    };
    let telling = async |trust| {
        let mut ticks = every(LOGOUT_TICK);
        let mut turn = async || {
            ticks.tick().await;
            tell_of_logouts(&server, trust).await;
        };
        while stop.run_until_cancelled(turn()).await.is_some() {}
    };
    tokio::join!(maintaining, telling(Trust::Operator), telling(Trust::SelfRegistered));
}

fn every(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Does what is due now. What fails is logged, and runs again later.
pub async fn run_due(server: &Server) {
    tokio::join!(tell_of_logouts(server, Trust::Operator), tell_of_logouts(server, Trust::SelfRegistered));
    maintain(server).await;
}

async fn maintain(server: &Server) {
    run(server, Job::PurgeExpired, Box::pin(purge_expired::run(server))).await;
    run(server, Job::RotateKeys, Box::pin(rotate_keys::run(server))).await;
}

async fn tell_of_logouts(server: &Server, trust: Trust) {
    run(server, Job::TellOfLogouts, Box::pin(backchannel::tell_due(server, trust))).await;
}

async fn run(server: &Server, job: Job, work: impl Future<Output = Result<()>>) {
    let started = Instant::now();
    let done = work.await;
    server.metrics().job_ran(job, done.is_ok(), started.elapsed(), server.clock().now());
    match done {
        Ok(()) => {}
        // Of a database that is away the store tells, once; jobs ask every second.
        Err(error @ Error::Unavailable { .. }) => tracing::debug!(error = format!("{error:#}"), "the job {} waits", job.as_str()),
        Err(error) => tracing::warn!(error = format!("{error:#}"), "the job {} failed; it runs again later", job.as_str()),
    }
}

/// Often enough that a rotation is not late by much.
fn tick(rotation_interval: Duration) -> Duration {
    if rotation_interval.is_zero() { TICK } else { TICK.min(rotation_interval / 8) }
}
