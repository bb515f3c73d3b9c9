//! What Grantor on SQLite weighs: its binary, its start, its memory.

use std::fs;
use std::time::Duration;

use serde::Serialize;

use crate::grantor::{BINARY, Grantor};
use crate::load::{self, Window};
use crate::process::{self, Meter};

const STARTS: usize = 5;

/// How long a fresh process rests before its memory is read.
const REST: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize)]
pub struct Footprint {
    pub binary_bytes: u64,
    /// From the start of the process to a 200 of `/health/ready`, on an existing database; the median of the starts.
    pub ready_milliseconds: f64,
    /// Resident, ten seconds after ready.
    pub idle_bytes: u64,
    /// The highest resident memory while people sign in on every connection.
    pub sign_in_peak_bytes: u64,
    pub sign_in_errors: u64,
}

impl Footprint {
    /// Restarts Grantor several times, lets it rest, then signs people in.
    pub async fn measure(grantor: &mut Grantor, connections: usize, seconds: Duration) -> anyhow::Result<Self> {
        let mut lanes = grantor.sign_in(connections).await?;
        let mut starts = Vec::with_capacity(STARTS);
        for _ in 0..STARTS {
            starts.push(grantor.restart().await?);
        }
        starts.sort_unstable();
        tokio::time::sleep(REST).await;
        let pid = grantor.pid()?;
        let idle_bytes = process::resident_memory(pid)?;

        process::forget_peak(pid)?;
        let meter = Meter { server: pid, postmaster: None };
        let sample = load::run(&mut lanes, Window::from_now(Duration::ZERO, seconds), &meter).await?;
        Ok(Self {
            binary_bytes: fs::metadata(BINARY)?.len(),
            ready_milliseconds: starts[STARTS / 2].as_secs_f64() * 1000.0,
            idle_bytes,
            sign_in_peak_bytes: process::peak_memory(pid)?,
            sign_in_errors: sample.errors,
        })
    }
}
