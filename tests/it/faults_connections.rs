//! Clients that send slowly, or nothing, by the thousand: others are answered (docs/operations.md, Faults).

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use crate::{
    harness::{
        over_http::{RemoteApp, get, until},
        process::Process,
        wire::Wire,
    },
    on_databases,
};

/// How long a client waits that has done nothing wrong, also on a busy machine.
const SOON: Duration = Duration::from_secs(5);
/// Between two bytes of a client that sends slowly.
const DRIP: Duration = Duration::from_millis(100);

/// A client that sends byte after byte for ever, and begins anew whenever it is cut off.
fn drip(port: u16, head: &'static str, byte: &'static str, ended: Arc<AtomicUsize>) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let _ = stream.write_all(head.as_bytes()).await;
            let mut answer = [0; 1024];
            loop {
                match tokio::time::timeout(DRIP, stream.read(&mut answer)).await {
                    // Nothing yet.
                    Err(_) if stream.write_all(byte.as_bytes()).await.is_ok() => {}
                    Ok(Ok(1..)) => {}
                    _ => break,
                }
            }
            ended.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(DRIP).await;
        }
    })
}

/// Memory that a process has, in KiB.
fn memory_of(server: &Process) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Lets this process have so many files open.
fn allow_files(count: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < count) {
        assert!(maximum.is_none_or(|maximum| maximum >= count), "this test needs {count} open files: raise the hard limit (ulimit -Hn)");
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    }
}

/// So many connections on which nothing is said.
async fn connect(port: u16, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    while streams.len() < count {
        let some = (0..100.min(count - streams.len())).map(|_| TcpStream::connect(("127.0.0.1", port)));
        streams.extend(join_all(some).await.into_iter().map(Result::unwrap));
    }
    streams
}

/// Asks over a new connection each time; panics if one has to wait.
async fn assert_answered_soon(app: &RemoteApp, server: &Process, times: usize) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..times {
        let begin = Instant::now();
        get(&server.url("/health/ready")).await.assert_status(200);
        app.client_credentials(&server.base()).await.assert_status(200);
        longest = longest.max(begin.elapsed());
    }
    assert!(longest < SOON, "{longest:?}");
    longest
}

on_databases! { [Sqlite]
    /// Twice as many slow clients as there are places, half of them slow with the head and half with the body: those who wait longest
    /// make room for whoever comes.
    async fn clients_that_drip_keep_nobody_out(database) {
        let settings = [("GRANTOR_LIMITS__CONNECTIONS", "100"), ("GRANTOR_LIMITS__HEADER_TIMEOUT", "1m")];
        let server = Process::serve(database, &settings);
        let app = RemoteApp::create(database, "app");
        let ended = Arc::<AtomicUsize>::default();
        let head = "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\n";
        let body = "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\n";
        let slow: Vec<_> = (0..100)
            .flat_map(|_| [drip(server.port, head, "X: y\r\n", Arc::clone(&ended)), drip(server.port, body, "a", Arc::clone(&ended))])
            .collect();
        until("slow clients make room for one another", async || ended.load(Ordering::Relaxed) > 100).await;

        let longest = assert_answered_soon(&app, &server, 20).await;
        println!("among 200 slow clients on 100 places, others waited {longest:?} at most");
        slow.iter().for_each(JoinHandle::abort);
        assert!(!server.log_text().contains("\"WARN\""), "{}", server.log_text());
    }

    /// RFC 9110 §15.5.9: a body that does not come in time is the client's failure, not the server's.
    async fn a_body_that_drips_is_408(database) {
        let server = Process::serve(database, &[("GRANTOR_LIMITS__REQUEST_TIMEOUT", "1s")]);
        let mut slow = Wire::begin_post(server.port, 1_000);
        let begin = Instant::now();
        while !slow.is_closed_after(DRIP) && begin.elapsed() < Duration::from_millis(800) {
            slow.send("a");
        }
        let answer = slow.read_to_end();
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("connection: close"), "{answer}");
        assert!(answer.contains("\"error\":\"invalid_request\""), "{answer}");
    }

    /// As many idle connections as there may be, and more: memory is bounded, and whoever comes is answered.
    async fn ten_thousand_idle_connections_keep_nobody_out(database) {
        const IDLE: usize = 10_000;
        allow_files(IDLE as u64 + 1_000);
        let server = Process::serve(database, &[]);
        let app = RemoteApp::create(database, "app");
        let before = memory_of(&server);

        let begin = Instant::now();
        let idle = connect(server.port, IDLE).await;
        let opened = begin.elapsed();
        let longest = assert_answered_soon(&app, &server, 5).await;
        let grown = memory_of(&server).saturating_sub(before);
        println!("{IDLE} idle connections, opened in {opened:?}: {grown} KiB more, others waited {longest:?} at most");
        assert!(grown < 20 * IDLE, "{grown} KiB");
        let more = connect(server.port, 200).await;
        assert_answered_soon(&app, &server, 5).await;
        assert!(!server.log_text().contains("\"WARN\""), "{}", server.log_text());
        drop((idle, more));
    }
}
