//! What happens without a request: one file per job.

pub(crate) mod purge_expired;
pub(crate) mod rotate_keys;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{error::Result, server::Server};

/// How often this node looks whether a job is due.
const TICK: Duration = Duration::from_secs(30);

/// Runs what is due until `stop`.
pub(crate) async fn work(server: Server, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(tick(server.config().keys.rotation_interval));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = run_due(&server) => {}
        }
    }
}

/// Does what is due now. What fails is logged, and runs again later.
pub async fn run_due(server: &Server) {
    told("purge_expired", purge_expired::run(server).await);
    told("rotate_keys", rotate_keys::run(server).await);
}

fn told(job: &'static str, done: Result<()>) {
    if let Err(error) = done {
        tracing::warn!(error = format!("{error:#}"), "the job {job} failed; it runs again later");
    }
}

/// Often enough that a rotation is not late by much.
fn tick(rotation_interval: Duration) -> Duration {
    if rotation_interval.is_zero() { TICK } else { TICK.min(rotation_interval / 8) }
}
