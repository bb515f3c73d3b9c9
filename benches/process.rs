//! Server processes: started, watched through `/proc`, and always ended.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::http::{self, Connection};

/// A server that ends with this value.
pub struct Server {
    child: Child,
    log: PathBuf,
    pub address: SocketAddr,
}

/// Whose CPU time an operation costs.
pub struct Meter {
    pub server: u32,
    /// The postmaster; its whole family is counted.
    pub postmaster: Option<u32>,
}

/// What a meter shows at one instant.
pub struct Reading {
    pub at: Instant,
    pub server: Duration,
    pub database: Option<Duration>,
}

impl Server {
    /// Starts a server that will listen on `address`, with its output in the file `log`.
    pub fn start(command: &mut Command, address: SocketAddr, log: PathBuf) -> anyhow::Result<Self> {
        let output = File::options().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child, log, address })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a GET of `path` is answered 200; tells how long after `since` that was.
    pub async fn ready(&mut self, path: &str, since: Instant) -> anyhow::Result<Duration> {
        let request = http::get(self.address, path, "");
        let mut connection = Connection::new(self.address);
        while since.elapsed() < Duration::from_mins(1) {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended ({status}) instead of answering:\n{}", self.log_tail());
            }
            if connection.exchange(&request).await.is_ok_and(|response| response.status == 200) {
                return Ok(since.elapsed());
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        bail!("the server is not ready after a minute:\n{}", self.log_tail())
    }

    /// SIGTERM, and the exit that a server owes it.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        Command::new("kill").arg("-TERM").arg(self.pid().to_string()).status()?;
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(20) {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(status.success(), "the server ended with {status}:\n{}", self.log_tail());
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!("the server did not end within 20 s of SIGTERM:\n{}", self.log_tail())
    }

    /// The last lines of what the server said.
    pub fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way nobody is left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Meter {
    pub fn read(&self) -> anyhow::Result<Reading> {
        Ok(Reading { at: Instant::now(), server: cpu_time(self.server)?, database: self.postmaster.map(family_cpu_time).transpose()? })
    }
}

/// A loopback address that nobody listens on.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// User and system time of a process so far, all its threads (proc(5), `/proc/pid/stat`).
pub fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = Stat::of(pid).with_context(|| format!("process {pid} is gone"))?;
    Ok(stat.own)
}

/// The resident memory of a process in bytes, now.
pub fn resident_memory(pid: u32) -> anyhow::Result<u64> {
    status_bytes(pid, "VmRSS:")
}

/// The highest resident memory since the last [`forget_peak`].
pub fn peak_memory(pid: u32) -> anyhow::Result<u64> {
    status_bytes(pid, "VmHWM:")
}

/// Makes the present resident memory the highest one seen (proc(5), `/proc/pid/clear_refs`).
pub fn forget_peak(pid: u32) -> anyhow::Result<()> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

/// A process and its children: those that ended count through their parent.
fn family_cpu_time(parent: u32) -> anyhow::Result<Duration> {
    let stat = Stat::of(parent).with_context(|| format!("process {parent} is gone"))?;
    let mut sum = stat.own + stat.ended_children;
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process that ended meanwhile is not an error.
        if let Some(child) = Stat::of(pid)
            && child.parent == parent
        {
            sum += child.own;
        }
    }
    Ok(sum)
}

struct Stat {
    parent: u32,
    own: Duration,
    ended_children: Duration,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
        // The name in parentheses may hold anything; the state (field 3) follows the last one.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<u32>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: tick() * (ticks(11)? + ticks(12)?),
            ended_children: tick() * (ticks(13)? + ticks(14)?),
        })
    }
}

/// The unit of CPU time in `/proc`.
fn tick() -> Duration {
    static TICK: OnceLock<Duration> = OnceLock::new();
    *TICK.get_or_init(|| {
        let told = Command::new("getconf").arg("CLK_TCK").output().ok();
        let per_second = told.and_then(|told| String::from_utf8(told.stdout).ok()?.trim().parse().ok());
        // 100 on every Linux that matters (time(7)).
        Duration::from_secs(1) / per_second.unwrap_or(100)
    })
}

fn status_bytes(pid: u32, field: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()).context("no memory in /proc")?;
    Ok(kilobytes.parse::<u64>()? * 1024)
}
