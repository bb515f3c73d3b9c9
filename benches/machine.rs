//! What the figures were measured on.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde::Serialize;

use crate::cluster;

/// The machine, as its own tools describe it.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_bytes: u64,
    pub kernel: String,
    pub postgres: String,
    /// Where the databases lie.
    pub file_system: String,
    /// What `pg_test_fsync` measured there.
    pub fdatasync_per_second: f64,
}

impl Machine {
    /// Looks at the machine and at the disk below `folder`.
    pub fn look(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism()?.get(),
            memory_bytes: memory().context("no MemTotal in /proc/meminfo")?,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            postgres: cluster::version()?,
            file_system: file_system(folder)?,
            fdatasync_per_second: fdatasync(folder)?,
        })
    }

    /// Whether a commit can be durable where the databases lie.
    pub fn has_disk(&self) -> bool {
        !matches!(self.file_system.as_str(), "tmpfs" | "ramfs")
    }
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory() -> Option<u64> {
    let kilobytes = field("/proc/meminfo", "MemTotal")?;
    Some(kilobytes.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The type of the file system with the longest mount point above `folder`.
fn file_system(folder: &Path) -> anyhow::Result<String> {
    let folder = folder.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let above = mounts.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        folder.starts_with(point).then_some((point.len(), kind))
    });
    // Of two mounts on one point the later hides the earlier, and `max_by_key` gives the last.
    Ok(above.max_by_key(|(length, _)| *length).map_or("unknown", |(_, kind)| kind).to_owned())
}

/// Durable 8 kB writes per second: the `fdatasync` line of `pg_test_fsync`.
fn fdatasync(folder: &Path) -> anyhow::Result<f64> {
    let file = folder.join("pg_test_fsync");
    let mut child = Command::new(cluster::programs()?.join("pg_test_fsync"))
        .args(["--secs-per-test", "1", "--filename"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run pg_test_fsync")?;
    let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let line = lines.map_while(Result::ok).find(|line| line.trim_start().starts_with("fdatasync"));
    // The first of its three tables is all that is wanted.
    child.kill()?;
    child.wait()?;
    fs::remove_file(&file).ok();
    let line = line.context("pg_test_fsync printed no fdatasync line")?;
    let rate = line.split_whitespace().nth(1).context("pg_test_fsync printed no rate")?;
    rate.parse().with_context(|| format!("not a rate: {line}"))
}
