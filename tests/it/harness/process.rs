//! The binary as a process, for what only a real one shows: signals, ports, the command line.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use super::{Database, database::MASTER_KEY};

/// The built binary with nothing of this environment but what is given.
pub fn grantor(database: &Database) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grantor"));
    command
        .env_clear()
        .env("GRANTOR_DATABASE_URL", &database.url)
        .env("GRANTOR_DATA_DIR", &database.dir)
        .env("GRANTOR_MASTER_KEY", MASTER_KEY)
        .current_dir(&database.dir);
    command
}

/// Runs a command to its end.
pub fn run(database: &Database, arguments: &[&str]) -> Output {
    grantor(database).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Runs a command that prints JSON and succeeds.
#[track_caller]
pub fn run_json(database: &Database, arguments: &[&str]) -> serde_json::Value {
    let output = run(database, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// `grantor serve` on a port of its own, killed when dropped.
pub struct Process {
    pub child: Child,
    pub port: u16,
    pub log: std::path::PathBuf,
}

impl Process {
    /// Starts a server and waits until it is ready.
    pub fn serve(database: &Database, settings: &[(&str, &str)]) -> Self {
        let port = free_port();
        Self::serve_on(database, port, &format!("http://127.0.0.1:{port}"), settings)
    }

    /// The same on a given port, as a node of a given issuer.
    pub fn serve_on(database: &Database, port: u16, issuer: &str, settings: &[(&str, &str)]) -> Self {
        let log = database.dir.join(format!("log-{port}"));
        let child = grantor(database)
            .arg("serve")
            .env("GRANTOR_LISTEN", format!("127.0.0.1:{port}"))
            .env("GRANTOR_ISSUER", issuer)
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut process = Self { child, port, log };
        process.wait_until_ready();
        process
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_ready(self.port) {
            assert!(Instant::now() < deadline && self.child.try_wait().unwrap().is_none(), "not ready: {}", self.log_text());
            std::thread::yield_now();
        }
    }

    /// What it logged so far.
    pub fn log_text(&self) -> String {
        read(&self.log)
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sends SIGTERM and waits for the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let killed = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn is_ready(port: u16) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return false };
    let request = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request).is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
}

/// A port that nobody holds now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
