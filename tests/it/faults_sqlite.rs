//! The disk of an SQLite database is full, and then it is not (docs/operations.md, Faults).

use std::{
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    harness::{
        Database,
        chains::{Chains, TAKES_NO_WRITES, assert_told_once},
        over_http::{RemoteApp, get},
        process::{Process, free_port, grantor},
    },
    on_databases,
};

const SOON: Duration = Duration::from_secs(5);

/// A server that is told of a full disk by an error, as it is by the file system, and not by a signal that would end it.
fn serve_with_room(database: &Database) -> Process {
    let port = free_port();
    let serve = grantor(database);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" serve"]).arg(serve.get_program()).current_dir(&database.dir);
    command.env_clear().envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("GRANTOR_LISTEN", format!("127.0.0.1:{port}")).env("GRANTOR_ISSUER", format!("http://127.0.0.1:{port}"));
    // The log is on the disk that fills up, too: it stays small.
    command.env("GRANTOR_LOG", "warn,grantor::store=info");
    let mut process = Process::spawn(database, port, command);
    process.wait_until_ready();
    process
}

/// Nothing may be written behind this place of any file from now on, for which nobody needs a privilege.
fn limit_files_of(server: &Process, bytes: &str) {
    let limit = ["--pid".to_owned(), server.child.id().to_string(), format!("--fsize={bytes}:")];
    assert!(Command::new("prlimit").args(limit).status().expect("prlimit of util-linux").success());
}

on_databases! { [Sqlite]
    /// Whoever reads is answered; who writes is told to come back, and does as soon as there is room.
    async fn a_full_disk_costs_no_token(database) {
        let server = serve_with_room(database);
        let mut load = Chains::begin(database, &server.base(), 8).await;
        let machine = RemoteApp::create(database, "machine");
        machine.client_credentials(&server.base()).await.assert_status(200);

        let full = Instant::now();
        limit_files_of(&server, "32768");
        load.are_refused().await;
        let noticed = full.elapsed();
        machine.client_credentials(&server.base()).await.assert_status(200);
        get(&server.url("/health/ready")).await.assert_status(200);
        load.browser.go(&server.url("/account")).await.assert_status(200);

        limit_files_of(&server, "unlimited");
        let (first, all) = load.are_answered().await;
        println!("the disk was full: refused within {noticed:?}, the first client was answered after {first:?}, all after {all:?}");
        assert!(noticed < SOON && all < SOON, "{noticed:?} {all:?}");
        load.end(database).await;
        assert_told_once(&server, TAKES_NO_WRITES);
        assert_eq!(server.terminate(), Some(0));
        assert_eq!(database.strings("PRAGMA integrity_check").await, ["ok"]);
    }
}
