//! Real processes that rotate their keys every few seconds under load: a JWKS kept for its `max-age` always has the key.
//!
//! For longer, with counts: `KEYS_UNDER_LOAD_SECONDS=300 tests/with-postgres cargo test --test it keys_under_load -- --nocapture`

use std::{
    collections::{BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use crate::{
    harness::{
        Backend, Database,
        over_http::{RemoteApp, get},
        process::{Process, free_port},
        resource_server::ResourceServer,
    },
    on_databases,
};

/// A key is made every four seconds, signs three seconds later, and stays for four seconds behind its end.
const SHORT: &[(&str, &str)] = &[
    ("GRANTOR_KEYS__JWKS_MAX_AGE", "1s"),
    ("GRANTOR_KEYS__CLOCK_MARGIN", "2s"),
    ("GRANTOR_KEYS__ROTATION_INTERVAL", "4s"),
    ("GRANTOR_TOKENS__ACCESS_TOKEN_TTL", "2s"),
    ("GRANTOR_LOG", "warn"),
];
/// Tokens are verified when they come, and again when they are nearly as old as they may become.
const NEARLY_EXPIRED: Duration = Duration::from_millis(900);
/// How many keys of one algorithm the run must see when nobody says how long it takes.
const KEYS_IN_TURN: usize = 3;
const LOADERS: usize = 2;
const PATIENCE: Duration = Duration::from_mins(1);

/// Nodes of one issuer: as many as the database serves.
fn start_nodes(database: &Database) -> Vec<Process> {
    let count = if database.backend == Backend::Postgres { 2 } else { 1 };
    let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
    let issuer = format!("http://127.0.0.1:{}", ports[0]);
    let mut nodes: Vec<Process> = ports.iter().map(|port| Process::start_on(database, *port, &issuer, SHORT)).collect();
    nodes.iter_mut().for_each(Process::wait_until_ready);
    nodes
}

/// Whether the run goes on, after so much time and so many keys.
fn goes_on(since: Instant, keys: usize) -> bool {
    let seconds = std::env::var("KEYS_UNDER_LOAD_SECONDS").ok().map(|seconds| seconds.parse().expect("a number of seconds"));
    match seconds {
        Some(seconds) => since.elapsed() < Duration::from_secs(seconds),
        None => keys < KEYS_IN_TURN && since.elapsed() < PATIENCE,
    }
}

/// One client that asks for tokens, at each node in turn, and one resource server that verifies them.
async fn load(app: RemoteApp, bases: Vec<String>) -> ResourceServer {
    let since = Instant::now();
    let mut api = ResourceServer::default();
    let mut waiting: VecDeque<(Instant, String)> = VecDeque::new();
    for turn in 0.. {
        if !goes_on(since, api.kids.len()) {
            break;
        }
        let base = &bases[turn % bases.len()];
        let token = app.client_credentials(base).await.access_token();
        keep_jwks(&mut api, &bases, since).await;
        api.verify(&token);
        waiting.push_back((Instant::now() + NEARLY_EXPIRED, token));
        while waiting.front().is_some_and(|(due, _)| *due <= Instant::now()) {
            let (due, token) = waiting.pop_front().unwrap();
            // A busy machine may be late: what has expired is refused anyway.
            if due.elapsed() < Duration::from_millis(50) {
                api.verify(&token);
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    api
}

/// As RFC 9111 §4.2 has it: a copy is used while it is fresh, and fetched anew before it is used when it is not.
async fn keep_jwks(api: &mut ResourceServer, bases: &[String], since: Instant) {
    if api.must_fetch(since.elapsed()) {
        let base = &bases[api.fetches % bases.len()];
        let answer = get(&format!("{base}/oauth/jwks")).await;
        api.keep(&answer, since.elapsed());
    }
}

on_databases! { [Sqlite, Postgres]
    async fn no_resource_server_meets_an_unknown_key(database) {
        // First: a command has the default settings, and waits as long for caches with keys that are not signing yet.
        let app = RemoteApp::create(database, "app");
        let nodes = start_nodes(database);
        let bases: Vec<String> = nodes.iter().map(Process::base).collect();
        let loaders = (0..LOADERS).map(|_| tokio::spawn(load(app.clone(), bases.clone())));
        let apis: Vec<ResourceServer> = futures_util::future::try_join_all(loaders).await.unwrap();

        let rotations = database.count("audit_events WHERE name = 'keys.rotated' AND actor = 'server'").await;
        let unknown: Vec<&String> = apis.iter().flat_map(|api| &api.unknown).collect();
        let kids: BTreeSet<&String> = apis.iter().flat_map(|api| &api.kids).collect();
        let sum = |of: fn(&ResourceServer) -> usize| apis.iter().map(of).sum::<usize>();
        eprintln!(
            "{:?}, {} nodes: {} verifications by {} JWKS, {rotations} rotations, {} keys signed, {} unknown",
            database.backend, nodes.len(), sum(|api| api.verified), sum(|api| api.fetches), kids.len(), unknown.len(),
        );
        assert_eq!(unknown, Vec::<&String>::new());
        assert!(kids.len() >= KEYS_IN_TURN && rotations >= 2, "{rotations} rotations, {} keys", kids.len());
        for node in nodes {
            assert_eq!(node.log_text().matches("rotate_keys failed").count(), 0, "{}", node.log_text());
            assert_eq!(node.terminate(), Some(0));
        }
    }
}
