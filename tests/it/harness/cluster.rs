//! A Postgres of a test's own, which it may stop, start and pause. Needs the server's binaries, as `tests/with-postgres` does.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use sqlx::{Connection, Executor, PgConnection};

use super::{
    Database,
    over_http::until,
    process::{PATIENCE, wait_until},
};

/// One that runs until the test ends.
pub struct Cluster {
    /// `tests/with-postgres`, which removes the cluster when nobody is at its input any more.
    keeper: Child,
    pub url: String,
    data: PathBuf,
    restarted: Option<Child>,
}

impl Cluster {
    pub async fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(root.join("tests/with-postgres"));
        command.args(["sh", "-c", "echo \"$TEST_DATABASE_URL\"; cat"]).env_remove("TEST_DATABASE_URL");
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        let mut connection = PgConnection::connect(&url).await.expect("a Postgres of the test's own, see above");
        let data: String = sqlx::query_scalar("SHOW data_directory").fetch_one(&mut connection).await.unwrap();
        // What is acknowledged outlives the server's process, as in production.
        connection.execute("ALTER DATABASE postgres SET synchronous_commit = on").await.unwrap();
        Self { keeper, url, data: data.into(), restarted: None }
    }

    /// Its one database, empty at first.
    pub fn database(&self) -> Database {
        Database::in_cluster(&self.url)
    }

    /// Ends it as a crash would: every connection is cut.
    pub fn stop_at_once(&mut self) {
        let postmaster = self.postmaster();
        signal("QUIT", &[postmaster]);
        if let Some(mut restarted) = self.restarted.take() {
            restarted.wait().unwrap();
        }
        wait_until(PATIENCE, "Postgres ends", || !self.data.join("postmaster.pid").exists());
    }

    /// Starts it again as it was, and waits until it takes connections.
    pub async fn start_again(&mut self) {
        let options = fs::read_to_string(self.data.join("postmaster.opts")).unwrap();
        let command = format!("exec {options}");
        let mut as_owner = if fs::metadata("/proc/self").unwrap().uid() == 0 {
            // Postgres refuses to run as root.
            let mut as_owner = Command::new("runuser");
            as_owner.args(["-u", "nobody", "--"]).arg("sh");
            as_owner
        } else {
            Command::new("sh")
        };
        as_owner.args(["-c", &command]).current_dir(&self.data).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.restarted = Some(as_owner.spawn().unwrap());
        until("Postgres takes connections", async || PgConnection::connect(&self.url).await.is_ok()).await;
    }

    /// Stops it in the middle of whatever it does; connections stay open.
    pub fn pause(&self) {
        let postmaster = self.postmaster();
        signal("STOP", &[postmaster]);
        signal("STOP", &children(postmaster));
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        let postmaster = self.postmaster();
        signal("CONT", &children(postmaster));
        signal("CONT", &[postmaster]);
    }

    fn postmaster(&self) -> u32 {
        let file = fs::read_to_string(self.data.join("postmaster.pid")).unwrap();
        file.lines().next().unwrap().parse().unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.data.join("postmaster.pid").exists() {
            self.go_on();
        }
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        if let Some(mut restarted) = self.restarted.take() {
            let _ = restarted.wait();
        }
    }
}

fn signal(name: &str, processes: &[u32]) {
    // One that has just ended is no fault of the test's.
    let _ = Command::new("kill").arg(format!("-{name}")).args(processes.iter().map(u32::to_string)).stderr(Stdio::null()).status().unwrap();
}

/// The processes that this one started.
fn children(parent: u32) -> Vec<u32> {
    let parent_of = |process: u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name, in parentheses, may hold anything.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    processes.filter(|process| parent_of(*process) == Some(parent)).collect()
}
