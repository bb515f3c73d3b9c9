//! A private, throw-away Postgres cluster that makes every commit durable.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::process::free_address;

/// The account that runs Postgres for root, which Postgres refuses to be.
const ACCOUNT: &str = "nobody";

/// A running cluster that is stopped and removed with this value.
pub struct Cluster {
    folder: PathBuf,
    port: u16,
    postmaster: u32,
}

impl Cluster {
    /// Makes and starts a cluster in a new folder below `parent`.
    pub fn start(parent: &Path) -> anyhow::Result<Self> {
        let folder = parent.join("postgres");
        fs::create_dir(&folder)?;
        if is_root()? {
            // The account must reach its folder, and owns nothing else.
            fs::set_permissions(parent, fs::Permissions::from_mode(0o755))?;
            run(Command::new("chown").arg(ACCOUNT).arg(&folder))?;
        }
        run(postgres("initdb")?
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"])
            .arg("--pgdata")
            .arg(folder.join("data")))?;

        let port = free_address()?.port();
        let settings = [
            &format!("-c port={port}"),
            &format!("-c unix_socket_directories={}", folder.display()),
            "-c listen_addresses=127.0.0.1",
            "-c fsync=on",
            "-c synchronous_commit=on",
            "-c full_page_writes=on",
            "-c shared_buffers=256MB",
            "-c max_wal_size=2GB",
            "-c max_connections=100",
        ]
        .join(" ");
        let mut cluster = Self { folder, port, postmaster: 0 };
        run(cluster.control()?.arg("--log").arg(cluster.folder.join("log")).args(["-w", "start", "-o", &settings]))
            .with_context(|| fs::read_to_string(cluster.folder.join("log")).unwrap_or_default())?;
        let pid = fs::read_to_string(cluster.folder.join("data/postmaster.pid"))?;
        cluster.postmaster = pid.lines().next().context("an empty postmaster.pid")?.parse()?;
        Ok(cluster)
    }

    /// Makes a database; gives its URL.
    pub fn create_database(&self, name: &str) -> anyhow::Result<String> {
        run(postgres("createdb")?.args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--username", "postgres", name]))?;
        Ok(format!("postgres://postgres@127.0.0.1:{}/{name}", self.port))
    }

    /// The process whose children do the work.
    pub fn postmaster(&self) -> u32 {
        self.postmaster
    }

    fn control(&self) -> anyhow::Result<Command> {
        let mut command = postgres("pg_ctl")?;
        command.arg("--silent").arg("--pgdata").arg(self.folder.join("data"));
        Ok(command)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stopped = self.control().and_then(|mut control| run(control.args(["-m", "immediate", "-w", "stop"])));
        if let Err(error) = stopped {
            eprintln!("bench: cannot stop Postgres in {}: {error:#}", self.folder.display());
        }
    }
}

/// What `postgres --version` says.
pub fn version() -> anyhow::Result<String> {
    let told = Command::new(programs()?.join("postgres")).arg("--version").output()?;
    Ok(String::from_utf8(told.stdout)?.trim().to_owned())
}

/// The folder of the newest installed Postgres programs, else the first on the search path.
pub fn programs() -> anyhow::Result<PathBuf> {
    let version = |folder: &PathBuf| -> Option<u32> { folder.file_name()?.to_str()?.parse().ok() };
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = installed.map(|entry| entry.path()).filter(|path| path.join("bin/initdb").exists()).max_by_key(version);
    if let Some(newest) = newest {
        return Ok(newest.join("bin"));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(|folder| folder.join("initdb").exists())
        .context("no Postgres programs found: apt-get install postgresql")
}

/// A Postgres program, as an account that Postgres accepts.
fn postgres(program: &str) -> anyhow::Result<Command> {
    let program = programs()?.join(program);
    let mut command = if is_root()? {
        let mut command = Command::new("runuser");
        command.args(["-u", ACCOUNT, "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // The account may not enter the folder that this process stands in.
    command.current_dir("/");
    Ok(command)
}

fn is_root() -> anyhow::Result<bool> {
    Ok(fs::metadata("/proc/self")?.uid() == 0)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    // The server that `pg_ctl` leaves behind must not hold a pipe open: its output goes to its log.
    let errors = tempfile::NamedTempFile::new()?;
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors.reopen()?).status();
    let status = status.with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{command:?} failed: {}", fs::read_to_string(errors.path())?.trim());
    }
    Ok(())
}
