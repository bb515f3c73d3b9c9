//! The table that people read and the document that machines read.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::flood::{Client, Flood};
use crate::footprint::Footprint;
use crate::load::Sample;
use crate::machine::Machine;
use crate::plan::Row;

/// Everything that one run found.
#[derive(Serialize)]
pub struct Report {
    pub machine: Machine,
    pub optimised: bool,
    pub connections: usize,
    pub seconds: f64,
    pub rounds: u32,
    pub rows: Vec<Line>,
    pub footprint: Option<Footprint>,
    pub flood: Option<Flood>,
}

/// One row, measured.
#[derive(Serialize)]
pub struct Line {
    pub name: String,
    pub operations: usize,
    pub operations_per_second: f64,
    /// CPU microseconds per operation.
    pub server_cpu: f64,
    pub database_cpu: Option<f64>,
    /// Microseconds.
    pub p50: u32,
    pub p99: u32,
    pub errors: u64,
    pub first_error: Option<String>,
    pub against: Option<Against>,
}

/// A row's rate as a share of its baseline's.
#[derive(Serialize)]
pub struct Against {
    pub baseline: String,
    /// None when one of the two had errors.
    pub ratio: Option<f64>,
    /// The least and the greatest ratio of one round.
    pub spread: Option<(f64, f64)>,
    pub bar: Option<f64>,
}

impl Line {
    pub fn new(row: &Row, sample: &Sample) -> Self {
        let mut latencies = sample.latencies.clone();
        latencies.sort_unstable();
        let rate = sample.rate();
        // The meter's window and the load's differ by a wake-up, so both are taken per second.
        let each = |cpu: Duration| {
            if rate > 0.0 { cpu.as_secs_f64() / sample.metered.as_secs_f64() / rate * 1e6 } else { 0.0 }
        };
        Self {
            name: row.to_string(),
            operations: latencies.len(),
            operations_per_second: rate,
            server_cpu: each(sample.server_cpu),
            database_cpu: sample.database_cpu.map(each),
            p50: percentile(&latencies, 50),
            p99: percentile(&latencies, 99),
            errors: sample.errors,
            first_error: sample.first_error.clone(),
            against: None,
        }
    }

    /// Whether the row may be believed.
    pub fn is_valid(&self) -> bool {
        self.errors == 0 && self.operations > 0
    }

    /// Sets the row against its baseline, round by round.
    pub fn compare(&mut self, baseline: &Self, bar: Option<f64>, rounds: &[(f64, f64)]) {
        let valid = self.is_valid() && baseline.is_valid();
        let ratios = || rounds.iter().map(|(own, bare)| own / bare);
        self.against = Some(Against {
            baseline: baseline.name.clone(),
            ratio: valid.then(|| self.operations_per_second / baseline.operations_per_second),
            spread: valid.then(|| (ratios().fold(f64::INFINITY, f64::min), ratios().fold(0.0, f64::max))),
            bar,
        });
    }
}

impl Report {
    /// The report as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a string takes any text");
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let machine = &self.machine;
        writeln!(
            text,
            "{}, {} cores, {} MiB, Linux {}\n{}, fsync on; {}, fdatasync {:.0}/s\n\
             {} connections, {} s a row in {} rounds, baseline and rows in turns\n",
            machine.cpu,
            machine.cores,
            machine.memory_bytes >> 20,
            machine.kernel,
            machine.postgres,
            machine.file_system,
            machine.fdatasync_per_second,
            self.connections,
            self.seconds,
            self.rounds,
        )?;
        if !self.optimised {
            writeln!(text, "NOT OPTIMISED: a debug build, its figures mean nothing\n")?;
        }
        if !machine.has_disk() {
            writeln!(text, "NO DISK: the databases lie in memory, no commit is durable (choose another --dir)\n")?;
        }
        writeln!(
            text,
            "{:<30} {:>9} {:>10} {:>10} {:>9} {:>9} {:>6} {:>11} {:>5}  baseline",
            "", "ops/s", "server µs", "database", "p50 ms", "p99 ms", "ratio", "spread", "bar"
        )?;
        for line in &self.rows {
            line.write(text)?;
        }
        if let Some(footprint) = &self.footprint {
            footprint.write(text, machine.cores)?;
        }
        if let Some(flood) = &self.flood {
            flood.write(text)?;
        }
        Ok(())
    }
}

impl Line {
    fn write(&self, text: &mut String) -> std::fmt::Result {
        let database = self.database_cpu.map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.1}"));
        write!(
            text,
            "{:<30} {:>9.0} {:>10.1} {database:>10} {:>9.2} {:>9.2}",
            self.name,
            self.operations_per_second,
            self.server_cpu,
            f64::from(self.p50) / 1000.0,
            f64::from(self.p99) / 1000.0,
        )?;
        if let Some(against) = &self.against {
            let ratio = against.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            let spread = against.spread.map_or_else(String::new, |(least, most)| format!("{least:.2}-{most:.2}"));
            let bar = against.bar.map_or_else(String::new, |bar| format!("{bar:.2}"));
            let below = against.ratio.zip(against.bar).is_some_and(|(ratio, bar)| ratio < bar);
            let mark = if below { "  BELOW" } else { "" };
            write!(text, " {ratio:>6} {spread:>11} {bar:>5}  {}{mark}", against.baseline)?;
        }
        writeln!(text)?;
        if !self.is_valid() {
            let first = self.first_error.as_deref().unwrap_or("no operation ended in time");
            writeln!(text, "    INVALID, {} errors, the first: {first}", self.errors)?;
        }
        Ok(())
    }
}

impl Footprint {
    fn write(&self, text: &mut String, cores: usize) -> std::fmt::Result {
        // One hashing thread a core, 19 MiB each, and 10 MiB for everything else.
        let bound = mebibytes(self.idle_bytes) + 19.0 * cores as f64 + 10.0;
        writeln!(
            text,
            "\nGrantor on SQLite: binary {:.1} MiB; ready in {:.0} ms; {:.1} MiB resident after 10 s idle; \
             {:.1} MiB at most during sign-ins (bar {bound:.1})",
            mebibytes(self.binary_bytes),
            self.ready_milliseconds,
            mebibytes(self.idle_bytes),
            mebibytes(self.sign_in_peak_bytes),
        )?;
        if self.sign_in_errors > 0 {
            writeln!(text, "    INVALID, {} sign-ins failed", self.sign_in_errors)?;
        }
        Ok(())
    }
}

impl Flood {
    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "\nFlood on SQLite: {} connections post wrong passwords, {:.0}/s compared, {:.0}/s answered 429, {:.0}/s answered 503; \
             {:.1} MiB resident before, {:.1} MiB at most during it",
            self.connections,
            self.compared_per_second,
            self.throttled_per_second,
            self.busy_per_second,
            mebibytes(self.resident_bytes),
            mebibytes(self.peak_bytes),
        )?;
        for (when, client) in [("before", &self.before), ("during", &self.during)] {
            let Client { operations_per_second, p50, p99 } = client;
            let (p50, p99) = (f64::from(*p50) / 1000.0, f64::from(*p99) / 1000.0);
            writeln!(
                text,
                "    client_credentials on one connection, {when}: {operations_per_second:.0}/s, p50 {p50:.2} ms, p99 {p99:.2} ms"
            )?;
        }
        if self.errors > 0 {
            writeln!(text, "    INVALID, {} errors, the first: {}", self.errors, self.first_error.as_deref().unwrap_or("of the client"))?;
        }
        Ok(())
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

pub fn percentile(sorted: &[u32], percent: usize) -> u32 {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or_default()
}
