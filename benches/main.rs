//! `make bench`: Grantor beside bare servers that do the least possible on the same machine, in one run.
//!
//! How to run it and how to read its table: `docs/performance.md`.

#![allow(clippy::cast_precision_loss, reason = "figures are rounded to three digits anyway")]
#![allow(clippy::disallowed_methods, reason = "a benchmark has its own clock and its own ids")]

mod bare;
mod cluster;
mod flood;
mod footprint;
mod grantor;
mod http;
mod load;
mod machine;
mod plan;
mod process;
mod report;
mod sign_in;
mod stage;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use flood::Flood;
use footprint::Footprint;
use load::{Sample, Window};
use machine::Machine;
use plan::Group;
use report::{Line, Report};
use stage::Stage;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The warm-up of a target that has already been measured in an earlier round.
const REWARM: Duration = Duration::from_millis(300);

/// Measures Grantor beside bare servers.
#[derive(clap::Parser)]
struct Options {
    /// Seconds measured per row.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Seconds of warm-up before a row is measured for the first time.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Turns into which each row's seconds are divided.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Only rows whose name contains NAME (and their baselines), `footprint` or `flood`; may be repeated.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Also writes the report as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where the databases lie, on a real disk.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
    /// Given by `cargo bench`; `cargo test` runs benchmarks without it.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// One of the bare servers; the benchmark starts itself so.
    #[command(subcommand)]
    Bare(bare::Bare),
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    if let Some(Command::Bare(server)) = options.command {
        let runtime = tokio::runtime::Runtime::new()?;
        return runtime.block_on(server.serve()).map(|()| ExitCode::SUCCESS);
    }
    if !options.bench {
        println!("bench: nothing measured; run `make bench` or `cargo bench`");
        return Ok(ExitCode::SUCCESS);
    }
    // The load gets half of the cores, the servers share all of them.
    let cores = std::thread::available_parallelism()?.get();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads((cores / 2).max(1)).enable_all().build()?;
    runtime.block_on(async {
        // Dropping the run ends its servers and removes its files.
        tokio::select! {
            done = run(&options) => done,
            () = interrupted() => {
                eprintln!("bench: interrupted");
                Ok(ExitCode::from(130))
            }
        }
    })
}

async fn interrupted() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}

async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("grantor-bench-").tempdir_in(&options.dir)?;
    eprintln!("bench: looking at the machine");
    let machine = Machine::look(folder.path())?;

    let groups = plan::groups(&options.only);
    let with = |part: &str| options.only.is_empty() || options.only.iter().any(|name| name == part);
    let (with_footprint, with_flood) = (with("footprint"), with("flood"));
    let rows: Vec<_> = groups.iter().flat_map(|group| group.rows.iter().chain([&group.baseline])).copied().collect();
    anyhow::ensure!(with_footprint || with_flood || !rows.is_empty(), "no row is named so");
    eprintln!("bench: starting the databases and Grantor in {}", folder.path().display());
    let mut stage = Stage::set(folder.path(), options.connections, &rows).await?;

    let mut lines = Vec::new();
    for group in &groups {
        lines.extend(measure(options, &mut stage, group).await?);
    }
    let mut footprint = None;
    if with_footprint {
        eprintln!("bench: footprint");
        let seconds = Duration::try_from_secs_f64(options.seconds)?;
        let grantor = stage.start_on_sqlite().await?;
        footprint = Some(Footprint::measure(grantor, options.connections, seconds).await?);
    }
    let mut flood = None;
    if with_flood {
        eprintln!("bench: flood");
        let seconds = Duration::try_from_secs_f64(options.seconds)?;
        flood = Some(Flood::measure(stage.start_on_sqlite().await?, seconds).await?);
    }

    let report = Report {
        machine,
        optimised: !cfg!(debug_assertions),
        connections: options.connections,
        seconds: options.seconds,
        rounds: options.rounds,
        rows: lines,
        footprint,
        flood,
    };
    println!("{}", report.text());
    if let Some(file) = &options.json {
        fs::write(file, serde_json::to_vec_pretty(&report)?).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let valid = report.rows.iter().all(Line::is_valid) && report.flood.as_ref().is_none_or(|flood| flood.errors == 0);
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures a baseline and its rows in turns; the baseline's line comes first.
async fn measure(options: &Options, stage: &mut Stage, group: &Group) -> anyhow::Result<Vec<Line>> {
    let rows: Vec<_> = std::iter::once(&group.baseline).chain(&group.rows).collect();
    let mut targets = Vec::with_capacity(rows.len());
    for row in &rows {
        eprintln!("bench: preparing {row}");
        targets.push(stage.prepare(row).await.with_context(|| format!("{row}\n{}", stage.log_tail(row)))?);
    }

    let warm_up = Duration::try_from_secs_f64(options.warm_up)?;
    let measured = Duration::try_from_secs_f64(options.seconds)? / options.rounds;
    let mut samples: Vec<Option<Sample>> = rows.iter().map(|_| None).collect();
    let mut rates = vec![Vec::new(); rows.len()];
    for round in 0..options.rounds {
        for (index, target) in targets.iter_mut().enumerate() {
            let warm_up = if round == 0 { warm_up } else { REWARM.min(warm_up) };
            let sample = target.measure(Window::from_now(warm_up, measured)).await?;
            eprintln!("bench: {:<30} round {}: {:>9.0}/s", rows[index], round + 1, sample.rate());
            rates[index].push(sample.rate());
            match &mut samples[index] {
                Some(joined) => joined.join(sample),
                first => *first = Some(sample),
            }
        }
    }

    let samples = samples.into_iter().flatten();
    let mut lines: Vec<Line> = rows.iter().zip(samples).map(|(row, sample)| Line::new(row, &sample)).collect();
    let (baseline, others) = lines.split_first_mut().context("a group has a baseline")?;
    for (index, line) in others.iter_mut().enumerate() {
        let rounds: Vec<_> = rates[index + 1].iter().copied().zip(rates[0].iter().copied()).collect();
        line.compare(baseline, rows[index + 1].bar, &rounds);
        if !line.is_valid() {
            eprintln!("bench: {} failed; the log ends so:\n{}", line.name, stage.log_tail(rows[index + 1]));
        }
    }
    Ok(lines)
}
