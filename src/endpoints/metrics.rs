//! `GET /metrics`, on a listener of its own: what the server counted, and how it stands.

use std::fs;

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header::CONTENT_TYPE};

use crate::{
    error::Result,
    jose::Algorithm,
    jose::schedule::{Next, Schedule, State, newest},
    metrics::{Family, Page},
    server::{Limit, Server},
};

/// The page. `lost_lines`: how many log lines could not be written.
pub(crate) async fn get(server: &Server, lost_lines: u64) -> Response {
    let mut families = server.metrics().families();
    families.extend(of_load(server));
    // Without the database there is no news of keys, and all the more of the rest.
    families.extend(of_keys(server).await.unwrap_or_default());
    families.extend(of_process());
    families.push(Family::counter("grantor_log_lines_lost", "Log lines that could not be written").with(&[], lost_lines));
    match Page(families).into_text() {
        Ok(text) => ([(CONTENT_TYPE, Page::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Queues and pools.
fn of_load(server: &Server) -> Vec<Family> {
    let (hashing, pool) = (server.hashing().load(), server.store().pool_load());
    let connections = Family::gauge("grantor_database_connections", "Connections of the pool by state; on SQLite those that read")
        .with(&[("state", "in_use")], pool.in_use)
        .with(&[("state", "idle")], pool.idle);
    let mut families = vec![
        Family::gauge("grantor_hashing_threads", "Threads that hash passwords by state")
            .with(&[("state", "busy")], hashing.busy)
            .with(&[("state", "idle")], hashing.threads.saturating_sub(hashing.busy)),
        Family::gauge("grantor_hashing_queue_length", "Passwords that wait to be hashed").with(&[], hashing.waiting),
        Family::gauge("grantor_hashing_queue_limit", "How many passwords may wait").with(&[], hashing.queue),
        Family::counter("grantor_hashing_refusals", "Passwords that were not hashed because too many waited, or of one address")
            .with(&[], hashing.refused),
        Limit::ALL.iter().fold(Family::counter("grantor_rate_limit_refusals", "Requests that a limit refused"), |family, limit| {
            family.with(&[("limit", limit.as_str())], server.rate_limits().refusals(*limit))
        }),
        connections,
        Family::gauge("grantor_database_connections_limit", "How many connections there may be").with(&[], pool.limit),
        Family::gauge("grantor_database_waiting", "Who waits for a connection").with(&[], pool.waiting),
        Family::counter("grantor_database_wait_timeouts", "Who waited for a connection in vain").with(&[], pool.timeouts),
    ];
    if let Some(waiting) = server.store().writer_queue() {
        families.push(Family::gauge("grantor_sqlite_writer_queue_length", "Writes that wait for the writer of SQLite").with(&[], waiting));
    }
    families
}

/// Signing keys by state, when each leaves the JWKS, and when the next are due.
async fn of_keys(server: &Server) -> Result<Vec<Family>> {
    let now = server.clock().now();
    let keys = server.store().keys_ever().await?;
    let in_use = server.rotation().in_use().await?;
    let schedule = Schedule::of(server.config());
    let mut counts = Family::gauge("grantor_signing_keys", "Signing keys by algorithm and state");
    let mut due =
        Family::gauge("grantor_signing_key_rotation_due_timestamp_seconds", "When the newest key of an algorithm is to be replaced");
    for algorithm in Algorithm::ALL {
        let of_algorithm: Vec<_> = keys.iter().filter(|key| key.is_of_signatures() && key.algorithm == algorithm.as_str()).collect();
        for state in [State::Next, State::Active, State::Retiring, State::Retired] {
            let count = of_algorithm.iter().filter(|key| State::of(key, now) == state).count();
            if !of_algorithm.is_empty() {
                counts = counts.with(&[("alg", algorithm.as_str()), ("state", state.as_str())], count);
            }
        }
        if let Some(Next::Rotates(at)) = newest(&keys, *algorithm).map(|key| schedule.next(key, in_use.contains(algorithm), now)) {
            due = due.with(&[("alg", algorithm.as_str())], at.as_seconds());
        }
    }
    let mut signs_until = Family::gauge("grantor_signing_key_signs_until_timestamp_seconds", "When a published key signs its last token");
    let mut tokens_end = Family::gauge(
        "grantor_signing_key_tokens_end_timestamp_seconds",
        "When the last token of a published key that stops signing has expired everywhere, and the key leaves the JWKS",
    );
    for key in keys.iter().filter(|key| key.is_of_signatures() && State::of(key, now) != State::Retired) {
        let labels = [("kid", key.kid.as_str()), ("alg", key.algorithm.as_str()), ("state", State::of(key, now).as_str())];
        if let (Some(until), Some(removed_at)) = (key.signs_until, key.removed_at) {
            signs_until = signs_until.with(&labels, until.as_seconds());
            tokens_end = tokens_end.with(&labels, removed_at.as_seconds());
        }
    }
    Ok(vec![counts, due, signs_until, tokens_end])
}

/// What Linux tells of this process (proc(5)); elsewhere nothing.
fn of_process() -> Vec<Family> {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut families = Vec::new();
    // The name may hold spaces; after its parenthesis utime and stime are the 12th and 13th, in hundredths of a second.
    let times: Vec<f64> =
        stat.rsplit(')').next().unwrap_or_default().split(' ').skip(12).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
    if let [user, system] = times[..] {
        families.push(
            Family::counter("process_cpu_seconds", "Processor time, of the program and of the system for it")
                .with(&[], (user + system) / 100.0),
        );
    }
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    if let Some(kilobytes) = resident {
        families.push(Family::gauge("process_resident_memory_bytes", "Memory in use").with(&[], kilobytes * 1024));
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        families.push(Family::gauge("process_open_fds", "Open file descriptors").with(&[], open.count()));
    }
    families
}
