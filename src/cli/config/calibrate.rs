//! `grantor config calibrate`

use std::{
    fs,
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use clap::Args;
use serde::Serialize;

use crate::{
    accounts::calibration::{self, Cost, LADDER},
    cli::{CommonArgs, Failure, print_json, print_table},
    config::Passwords,
};

/// However slow the machine is.
const AT_MOST: Duration = Duration::from_secs(8);

#[derive(Args)]
#[command(after_help = "\
Hashes with as many threads at once as 'passwords.hashing_threads' says, for a few seconds. Run it on the machine that will
serve, while that has nothing else to do.

Examples:
  grantor config calibrate
  grantor config calibrate --target 250ms
  GRANTOR_PASSWORDS__HASHING_THREADS=8 grantor config calibrate --json")]
pub(in crate::cli) struct Calibrate {
    #[command(flatten)]
    common: CommonArgs,
    /// How long one password may take, 20ms to 2000ms
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = target)]
    target: Duration,
}

fn target(text: &str) -> Result<Duration, &'static str> {
    text.strip_suffix("ms")
        .and_then(|digits| digits.parse().ok())
        .filter(|millis| (20..=2_000).contains(millis))
        .map(Duration::from_millis)
        .ok_or("a duration from 20ms to 2000ms, written like 100ms")
}

/// What `--json` prints.
#[derive(Serialize)]
struct Shown {
    target_ms: f64,
    hashing_threads: usize,
    measured: Vec<ShownCost>,
    suggested: ShownCost,
    /// Whether the suggestion keeps to the target.
    within_target: bool,
}

#[derive(Serialize)]
struct ShownCost {
    argon2_memory_kib: u32,
    argon2_iterations: u32,
    hash_ms: f64,
    sign_ins_per_second: f64,
    /// Of all threads.
    memory_mib: u64,
}

impl ShownCost {
    fn of(cost: &Cost, threads: usize) -> Self {
        Self {
            argon2_memory_kib: cost.memory_kib,
            argon2_iterations: cost.iterations,
            hash_ms: millis(cost.each),
            sign_ins_per_second: (cost.per_second * 10.0).round() / 10.0,
            memory_mib: memory_mib(cost, threads),
        }
    }
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

fn memory_mib(cost: &Cost, threads: usize) -> u64 {
    (u64::from(cost.memory_kib) * threads as u64).div_ceil(1024)
}

impl Calibrate {
    pub(in crate::cli) async fn run(self) -> Result<(), Failure> {
        let passwords = self.common.config.load()?.passwords;
        let (target, threads) = (self.target, passwords.hashing_threads);
        let measured = tokio::task::spawn_blocking(move || measure(&passwords, target)).await.map_err(anyhow::Error::new)??;
        let Some(suggested) = calibration::suggestion(&measured, target) else {
            return Err(Failure::Refused("nothing was measured".to_owned()));
        };
        if self.common.json {
            return print_json(&Shown {
                target_ms: millis(target),
                hashing_threads: threads,
                measured: measured.iter().map(|cost| ShownCost::of(cost, threads)).collect(),
                suggested: ShownCost::of(&suggested, threads),
                within_target: suggested.each <= target,
            });
        }
        print(&measured, &suggested, target, threads)
    }
}

/// Half of the memory that this process can still have, in KiB: of the machine's, and of its container's where it runs in one.
fn memory_limit() -> u64 {
    const UNKNOWN: u64 = 1024 * 1024;
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let of_machine = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let bytes = |name: &str| fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse::<u64>().ok();
    let of_container = bytes("memory.max").map(|limit| limit.saturating_sub(bytes("memory.current").unwrap_or(0)) / 1024);
    of_machine.into_iter().chain(of_container).min().unwrap_or(UNKNOWN) / 2
}

/// Step by step, until one takes clearly longer than it may, or more memory than there is.
fn measure(passwords: &Passwords, target: Duration) -> Result<Vec<Cost>, Failure> {
    let begin = Instant::now();
    let mut measured = Vec::new();
    let memory_limit = memory_limit();
    for step in LADDER {
        if !measured.is_empty() && u64::from(step.0) * passwords.hashing_threads as u64 > memory_limit {
            break;
        }
        if stderr().is_terminal() {
            tell!("measuring {} MiB with {} passes ...", step.0 / 1024, step.1);
        }
        let cost = calibration::measure(passwords, *step)?;
        measured.push(cost);
        if cost.each > target + target / 4 || begin.elapsed() > AT_MOST {
            break;
        }
    }
    Ok(measured)
}

fn print(measured: &[Cost], suggested: &Cost, target: Duration, threads: usize) -> Result<(), Failure> {
    let row = |cost: &Cost| {
        vec![
            cost.memory_kib.to_string(),
            cost.iterations.to_string(),
            format!("{:.1}", millis(cost.each)),
            format!("{:.1}", cost.per_second),
            memory_mib(cost, threads).to_string(),
        ]
    };
    let header = ["MEMORY_KIB", "ITERATIONS", "HASH_MS", "SIGN_INS_PER_SECOND", "MEMORY_MIB_IN_ALL"];
    print_table(&header, &measured.iter().map(row).collect::<Vec<_>>())?;
    if suggested.each > target {
        say!("\n# Nothing that is safe takes less than {} ms here. This is the least:", millis(target))?;
    }
    say!(
        "\n# {} ms a password, {:.1} sign-ins a second, and up to {} MiB for {threads} at a time",
        millis(suggested.each),
        suggested.per_second,
        memory_mib(suggested, threads),
    )?;
    say!("[passwords]\nargon2_memory_kib = {}\nargon2_iterations = {}", suggested.memory_kib, suggested.iterations)
}
