//! Postgres goes, comes back, and stops in the middle, while clients refresh (docs/operations.md, Faults).

use std::time::{Duration, Instant};

use crate::harness::{
    chains::{AWAY, Chains, assert_told_once},
    cluster::Cluster,
    over_http::{get, until},
    process::{Process, free_port},
};

/// Longer than a server takes to notice that Postgres is back, also on a busy machine.
const SOON: Duration = Duration::from_secs(5);
/// A second to repeat a request in, which every fault here outlasts.
const WINDOW: (&str, &str) = ("GRANTOR_TOKENS__REFRESH_RETRY_WINDOW", "1s");

/// Until the fault has lasted for longer than [`WINDOW`].
async fn outlast_the_window(since: Instant) {
    until("the window is over", async || since.elapsed() > Duration::from_secs(2)).await;
}

/// Postgres crashes and stays away for longer than an answer may be asked for again: documents are still served, all else is
/// 503 at once, and no client loses its grant. A node that nobody asks notices, too.
#[tokio::test]
async fn a_postgres_that_goes_and_comes_back_costs_no_token() {
    let mut cluster = Cluster::start().await;
    let database = cluster.database();
    let server = Process::serve(&database, &[WINDOW]);
    let idle = Process::serve_on(&database, free_port(), &server.base(), &[]);
    let mut load = Chains::begin(&database, &server.base(), 8).await;

    let gone = Instant::now();
    cluster.stop_at_once();
    load.are_refused().await;
    let noticed = gone.elapsed();
    for path in ["/oauth/jwks", "/.well-known/openid-configuration", "/health/live"] {
        get(&server.url(path)).await.assert_status(200);
    }
    get(&server.url("/health/ready")).await.assert_status(503);
    let page = load.browser.go(&server.url("/account")).await.assert_page_error(503);
    assert_eq!(page.header("retry-after"), "1");
    outlast_the_window(gone).await;

    cluster.start_again().await;
    let (first, all) = load.are_answered().await;
    println!("Postgres was restarted: refused within {noticed:?}, the first client was answered after {first:?}, all after {all:?}");
    assert!(noticed < SOON && all < SOON, "{noticed:?} {all:?}");
    load.browser.go(&server.url("/account")).await.assert_status(200);
    load.end(&database).await;
    assert_told_once(&server, AWAY);
    assert_told_once(&idle, AWAY);
}

/// Postgres is paused, as a virtual machine is: it neither answers nor hangs up, and does later what nobody waits for any more.
#[tokio::test]
async fn a_postgres_that_is_paused_costs_no_token() {
    let cluster = Cluster::start().await;
    let database = cluster.database();
    let settings = [
        WINDOW,
        ("GRANTOR_LIMITS__REQUEST_TIMEOUT", "3s"),
        ("GRANTOR_DATABASE__ACQUIRE_TIMEOUT", "1s"),
        ("GRANTOR_DATABASE__MAX_CONNECTIONS", "4"),
    ];
    let server = Process::serve(&database, &settings);
    let load = Chains::begin(&database, &server.base(), 8).await;

    let paused = Instant::now();
    cluster.pause();
    load.are_refused().await;
    let noticed = paused.elapsed();
    get(&server.url("/oauth/jwks")).await.assert_status(200);
    outlast_the_window(paused).await;

    cluster.go_on();
    let (first, all) = load.are_answered().await;
    println!("Postgres was paused: refused within {noticed:?}, the first client was answered after {first:?}, all after {all:?}");
    assert!(noticed < SOON && all < SOON, "{noticed:?} {all:?}");
    load.end(&database).await;
    assert_told_once(&server, AWAY);
}
