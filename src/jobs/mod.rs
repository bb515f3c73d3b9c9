//! What happens without a request: one file per job.

pub(crate) mod purge_expired;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::server::Server;

/// How often this node looks whether a job is due.
const TICK: Duration = Duration::from_secs(30);

/// Runs what is due until `stop`.
pub(crate) async fn work(server: Server, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let done = tokio::select! {
            () = stop.cancelled() => return,
            done = purge_expired::run(&server) => done,
        };
        if let Err(error) = done {
            tracing::warn!(error = format!("{error:#}"), "the job purge_expired failed; it runs again later");
        }
    }
}
