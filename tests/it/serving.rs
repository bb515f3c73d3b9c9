//! The server as a process: limits on what one client can take, and an end in order.

use std::{
    net::TcpStream,
    process::Stdio,
    time::{Duration, Instant},
};

use crate::{
    harness::{
        Backend,
        over_http::{RemoteApp, get},
        process::{Outcome, PATIENCE, Process, free_port, grantor, run, wait_until},
        wire::Wire,
    },
    on_databases,
};

/// What has no reason to take long takes less than this, even on a busy machine.
const SOON: Duration = Duration::from_secs(5);

/// How many connections a server has, by the operating system (`proc_pid_net(5)`).
fn connections_of(port: u16) -> usize {
    const ESTABLISHED: &str = "01";
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_one = |line: &&str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        columns[1].ends_with(&format!(":{port:04X}")) && columns[3] == ESTABLISHED
    };
    table.lines().filter(is_one).count()
}

fn body_of(answer: &str) -> serde_json::Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

on_databases! { [Sqlite, Postgres]
    /// SIGTERM: a request in progress is answered, idle connections are not waited for, and the database is left in order.
    async fn sigterm_lets_requests_finish(database) {
        let mut server = Process::serve(database, &[]);
        let mut silent = Wire::connect(server.port);
        let mut idle = Wire::connect(server.port);
        idle.send("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
        idle.read_head();
        let body = "grant_type=client_credentials&client_id=nobody&client_secret=x";
        let mut busy = Wire::begin_post(server.port, body.len());
        busy.send(&body[..10]);

        server.signal("TERM");
        wait_until(SOON, "it accepts no more connections", || TcpStream::connect(("127.0.0.1", server.port)).is_err());
        assert!(server.child.try_wait().unwrap().is_none(), "it waits for the request");
        for byte in body[10..].chars() {
            busy.send(&byte.to_string());
            assert!(!busy.is_closed_after(Duration::from_millis(5)));
        }
        let answer = busy.read_to_end();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert_eq!(body_of(&answer)["error"], "invalid_client");

        assert_eq!(server.ends_within(SOON), Some(0));
        assert_eq!((silent.read_to_end().as_str(), idle.read_to_end().as_str()), ("", "live\n"));
        let files = std::fs::read_dir(&database.dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let left: Vec<String> = files.filter(|name| name.contains("-wal") || name.contains("-shm")).collect();
        assert!(left.is_empty(), "the database is not one file: {left:?}");
        let log = server.log_text();
        for message in ["ready", "shutting down", "ended"] {
            assert!(log.contains(&format!(r#""message":"{message}""#)), "no {message}: {log}");
        }
    }

    /// A port that something else holds is a clear error.
    async fn a_port_in_use_is_told(database) {
        let server = Process::serve(database, &[]);
        let listen = format!("127.0.0.1:{}", server.port);
        run(database, &["serve", "--listen", &listen]).assert_refused(1, &format!("cannot listen on {listen}"));
        get(&server.url("/health/ready")).await.assert_status(200);
    }

    /// SQLite is for one server: a second one says so.
    async fn a_second_server_is_told_of(database) {
        let server = Process::serve(database, &[]);
        let second = Process::serve(database, &[]);
        let warns = |server: &Process| server.log_text().contains("another process serves this database");
        assert_eq!((warns(&server), warns(&second)), (false, database.backend == Backend::Sqlite));
    }

    /// Traces that would be lost for a typo are a clear error.
    async fn headers_for_the_collector_that_are_none_are_refused(database) {
        let serve = |headers: &str| {
            let mut command = grantor(database);
            command.args(["serve", "--listen", &format!("127.0.0.1:{}", free_port())]).env("GRANTOR_TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:9");
            Outcome::of(command.env("OTEL_EXPORTER_OTLP_HEADERS", headers).stdin(Stdio::null()).output().unwrap())
        };
        let refused = serve("x-tenant=acme, sesame");
        refused.assert_refused(1, "OTEL_EXPORTER_OTLP_HEADERS in the environment must be pairs NAME=VALUE");
        assert!(!refused.stderr.contains("sesame"), "{}", refused.stderr);
    }

    /// The command for container platforms: silent and 0 when ready, a reason and 1 otherwise.
    async fn healthcheck_tells_whether_the_server_is_ready(database) {
        let server = Process::serve(database, &[]);
        let check = |port: u16| {
            let output = grantor(database).arg("healthcheck").env("GRANTOR_LISTEN", format!("0.0.0.0:{port}")).env("GRANTOR_ISSUER", "https://id.example.com")
                .env_remove("GRANTOR_PASSWORDS__ARGON2_MEMORY_KIB").env_remove("GRANTOR_PASSWORDS__ARGON2_ITERATIONS").output().unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
        };
        assert_eq!(check(server.port), (Some(0), String::new(), String::new()));
        let port = server.port;
        assert_eq!(server.terminate(), Some(0));
        let (code, stdout, stderr) = check(port);
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        assert!(stderr.contains(&format!("no server answers on 127.0.0.1:{port}")), "{stderr}");
    }

    /// Every line of the log is JSON, and a request's lines carry the id that its answer names.
    async fn log_lines_carry_the_id_of_the_request(database) {
        let server = Process::serve(database, &[("GRANTOR_LOG_FORMAT", "json")]);
        let answer = RemoteApp::create(database, "app").client_credentials(&server.base()).await;
        answer.assert_status(200);
        let lines = || -> Vec<serde_json::Value> {
            server.log_text().lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
        };
        let id = answer.header("x-request-id");
        wait_until(SOON, "the request is logged", || lines().iter().any(|line| line["span"]["request.id"] == id));
        let line = lines().into_iter().find(|line| line["span"]["request.id"] == id).unwrap();
        assert_eq!((&line["message"], &line["level"]), (&"answered".into(), &"INFO".into()), "{line}");
        assert_eq!((&line["method"], &line["route"], &line["status"]), (&"POST".into(), &"/oauth/token".into(), &200.into()), "{line}");
    }
}

on_databases! { [Sqlite]
    /// Ctrl-C ends it like SIGTERM, and a request that never ends is not waited for longer than configured.
    async fn sigint_ends_what_does_not_finish(database) {
        let mut server = Process::serve(database, &[("GRANTOR_LIMITS__SHUTDOWN_TIMEOUT", "1s")]);
        let mut busy = Wire::begin_post(server.port, 100);
        server.signal("INT");
        assert_eq!(server.ends_within(SOON), Some(0));
        assert_eq!(busy.read_to_end(), "");
        assert!(server.log_text().contains("still in progress"), "{}", server.log_text());
    }

    /// A client that sends the head of its request slowly, or none, is not waited for.
    async fn slow_heads_are_cut_off(database) {
        let server = Process::serve(database, &[("GRANTOR_LIMITS__HEADER_TIMEOUT", "1s")]);
        let mut idle = Wire::connect(server.port);
        idle.send("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
        idle.read_head();
        let mut silent = Wire::connect(server.port);
        let mut slow = Wire::connect(server.port);
        slow.send("GET /health/live HTTP/1.1\r\n");
        let begin = Instant::now();
        wait_until(SOON, "the slow one is cut off", || {
            slow.send("X-Slow: 1\r\n");
            slow.is_closed_after(Duration::from_millis(50))
        });
        assert!(begin.elapsed() >= Duration::from_millis(500), "given a chance");
        assert_eq!(silent.read_to_end(), "");
        idle.read_to_end();
        get(&server.url("/health/live")).await.assert_status(200);
    }

    /// What one request may take: header fields, bytes of head and body, time. Other clients notice nothing.
    async fn a_request_is_bounded(database) {
        let settings = [
            ("GRANTOR_LIMITS__REQUEST_TIMEOUT", "1s"),
            ("GRANTOR_LIMITS__REQUEST_BODY", "4KiB"),
            ("GRANTOR_LIMITS__REQUEST_HEADERS", "8KiB"),
        ];
        let server = Process::serve(database, &settings);
        let mut unfinished = Wire::begin_post(server.port, 100);

        let ask = |head: &str| {
            let mut wire = Wire::connect(server.port);
            wire.send(head);
            wire.read_to_end()
        };
        let many = "X-Many: 1\r\n".repeat(101);
        let answer = ask(&format!("GET /health/live HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        let long = "x".repeat(9 * 1024);
        for head in [format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"), format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n")] {
            let answer = ask(&head);
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        }
        assert!(ask("HELO mail.example.com\r\n\r\n").starts_with("HTTP/1.1 400 "));

        let too_long = format!("token={}", "x".repeat(4096));
        let head = "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        for framed in [
            format!("Content-Length: {}\r\n\r\n{too_long}", too_long.len()),
            format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{too_long}\r\n0\r\n\r\n", too_long.len()),
        ] {
            let answer = ask(&format!("{head}{framed}"));
            assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("access-control-allow-origin: *"), "{answer}");
            assert_eq!(body_of(&answer)["error"], "invalid_request");
        }

        let answer = unfinished.read_head();
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("connection: close"), "{answer}");
        get(&server.url("/health/live")).await.assert_status(200);
    }

    /// Connections that do nothing do not keep others out.
    async fn idle_connections_do_not_stop_others(database) {
        let server = Process::serve(database, &[]);
        let idle: Vec<Wire> = (0..200).map(|_| Wire::connect(server.port)).collect();
        let begin = Instant::now();
        get(&server.url("/health/ready")).await.assert_status(200);
        assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
        drop(idle);
    }

    /// Beyond the limit, the connection that does nothing for the longest time makes room.
    async fn connections_beyond_the_limit_take_the_place_of_idle_ones(database) {
        let settings = [("GRANTOR_LIMITS__CONNECTIONS", "3"), ("GRANTOR_LIMITS__HEADER_TIMEOUT", "1m")];
        let server = Process::serve(database, &settings);
        let mut idle: Vec<Wire> = (0..6).map(|_| Wire::connect(server.port)).collect();
        let begin = Instant::now();
        get(&server.url("/health/ready")).await.assert_status(200);
        assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
        for first in &mut idle[..3] {
            assert_eq!(first.read_to_end(), "");
        }
        assert!(!idle[5].is_closed_after(Duration::from_millis(50)), "it came last");
    }

    /// A client that asks and asks and does not read what it is told loses its place.
    async fn who_does_not_read_is_let_go(database) {
        let server = Process::serve(database, &[("GRANTOR_LIMITS__REQUEST_TIMEOUT", "1s"), ("GRANTOR_LIMITS__HEADER_TIMEOUT", "1m")]);
        let mut deaf = Wire::connect(server.port);
        wait_until(SOON, "it is the only one", || connections_of(server.port) == 1);
        let requests = "GET /.well-known/openid-configuration HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
        // Until no more goes into the buffers between here and there: from then on the server waits to be read.
        while deaf.takes(&requests, Duration::from_millis(200)) {}
        wait_until(PATIENCE, "its connection is closed", || connections_of(server.port) == 0);
        drop(deaf);
    }

    /// A server ends with exit code 1, and says why, when it cannot use its database.
    async fn an_unusable_database_is_told(database) {
        let mut server = Process::start_on(database, free_port(), "http://127.0.0.1:1", &[("GRANTOR_DATABASE_URL", "sqlite:/proc/none/grantor.db")]);
        assert_eq!(server.ends_within(PATIENCE), Some(1));
        assert!(server.log_text().contains("/proc/none"), "{}", server.log_text());
        let other_key = [("GRANTOR_MASTER_KEY", "b2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=")];
        let mut server = Process::start_on(database, free_port(), "http://127.0.0.1:1", &other_key);
        assert_eq!(server.ends_within(PATIENCE), Some(1));
        assert!(server.log_text().contains("this is not the master key of the database"), "{}", server.log_text());
    }
}
