//! The binary as a process, for what only a real one shows: signals, ports, the command line.

use std::{
    fs::File,
    io::Write,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use super::{Database, database::MASTER_KEY};

/// How long a test waits for what should happen soon.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The built binary with nothing of this environment but what is given.
pub fn grantor(database: &Database) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grantor"));
    command
        .env_clear()
        .env("GRANTOR_DATABASE_URL", &database.url)
        .env("GRANTOR_DATA_DIR", &database.dir)
        .env("GRANTOR_MASTER_KEY", MASTER_KEY)
        // As cheap as a loopback issuer may have it: hashing is not what these tests are about.
        .env("GRANTOR_PASSWORDS__ARGON2_MEMORY_KIB", "7168")
        .env("GRANTOR_PASSWORDS__ARGON2_ITERATIONS", "1")
        .current_dir(&database.dir);
    command
}

/// What a command did.
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Panics unless this is the exit code.
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    /// Panics unless the command was refused with this exit code and a message, and printed nothing else.
    #[track_caller]
    pub fn assert_refused(&self, code: i32, message: &str) -> &Self {
        self.assert_code(code);
        assert!(self.stderr.contains(message), "{}", self.stderr);
        assert_eq!(self.stdout, "");
        self
    }

    /// The one JSON document that a command that succeeded printed, and nothing else.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        self.assert_code(0);
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// Runs a command to its end. Nobody is at its standard input.
pub fn run(database: &Database, arguments: &[&str]) -> Outcome {
    Outcome::of(grantor(database).args(arguments).stdin(Stdio::null()).output().unwrap())
}

/// Runs a command that reads this from its standard input.
pub fn run_with_input(database: &Database, arguments: &[&str], input: &str) -> Outcome {
    let mut command = grantor(database);
    let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that is refused before it reads closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Outcome::of(child.wait_with_output().unwrap())
}

/// Runs a command that prints JSON and succeeds.
#[track_caller]
pub fn run_json(database: &Database, arguments: &[&str]) -> serde_json::Value {
    run(database, arguments).json()
}

/// A process that serves on a port of its own, killed when dropped.
pub struct Process {
    pub child: Child,
    pub port: u16,
    log: PathBuf,
}

impl Process {
    /// Starts a server and waits until it is ready.
    pub fn serve(database: &Database, settings: &[(&str, &str)]) -> Self {
        let port = free_port();
        Self::serve_on(database, port, &format!("http://127.0.0.1:{port}"), settings)
    }

    /// The same on a given port, as a node of a given issuer.
    pub fn serve_on(database: &Database, port: u16, issuer: &str, settings: &[(&str, &str)]) -> Self {
        let mut process = Self::start_on(database, port, issuer, settings);
        process.wait_until_ready();
        process
    }

    /// Starts a server without waiting for it.
    pub fn start_on(database: &Database, port: u16, issuer: &str, settings: &[(&str, &str)]) -> Self {
        let mut command = grantor(database);
        command.arg("serve").env("GRANTOR_LISTEN", format!("127.0.0.1:{port}")).env("GRANTOR_ISSUER", issuer);
        command.envs(settings.iter().copied());
        Self::spawn(database, port, command)
    }

    /// Starts a command that will serve on `port`. Its log continues that of the one before on the same port.
    pub fn spawn(database: &Database, port: u16, mut command: Command) -> Self {
        let log = database.dir.join(format!("log-{port}"));
        let stderr = File::options().append(true).create(true).open(&log).unwrap();
        Self { child: command.stdin(Stdio::null()).stderr(stderr).spawn().unwrap(), port, log }
    }

    /// Waits until it answers that it is ready.
    pub fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !is_ready(self.port) {
            assert!(Instant::now() < deadline && self.child.try_wait().unwrap().is_none(), "not ready: {}", self.log_text());
            pause();
        }
    }

    /// What it logged so far.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where it is.
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base())
    }

    /// Sends a signal: `TERM`, `INT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// The exit code, if it ends by itself within this time.
    #[track_caller]
    pub fn ends_within(&mut self, limit: Duration) -> Option<i32> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it did not end: {}", self.log_text());
            pause();
        }
    }

    /// Sends SIGTERM and waits for the exit code.
    #[track_caller]
    pub fn terminate(mut self) -> Option<i32> {
        self.signal("TERM");
        self.ends_within(PATIENCE)
    }

    /// Ends it as a power failure would, with SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Until `condition` holds, for at most `limit`.
#[track_caller]
pub fn wait_until(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not happen within {limit:?}: {what}");
        pause();
    }
}

/// Between two looks at something that takes its time.
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

fn is_ready(port: u16) -> bool {
    use std::io::Read;
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return false };
    let request = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request).is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
}

/// A port that nobody holds, and no other test of this run gets. Below the range from which the system
/// takes the ports of outgoing connections, which would otherwise take it between here and its use.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 8_000).unwrap();
    loop {
        let port = 10_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 9_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
