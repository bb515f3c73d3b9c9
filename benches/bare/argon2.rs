//! `argon2`: what the machine hashes with every core, Grantor's crate, parameters and allocator.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::load::{Sample, Window};
use crate::process;

/// Hashes on every core, in this process.
pub fn run(window: Window) -> anyhow::Result<Sample> {
    let params = Params::new(19 * 1024, 2, 1, Some(32)).map_err(|error| anyhow!("{error}"))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let ended = AtomicBool::new(false);
    let pid = std::process::id();

    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let hashers: Vec<_> = (0..cores).map(|_| scope.spawn(|| hash(&argon2, window, &ended))).collect();
        thread::sleep(window.start().saturating_duration_since(Instant::now()));
        let before = (Instant::now(), process::cpu_time(pid));
        thread::sleep(window.end().saturating_duration_since(Instant::now()));
        let after = (Instant::now(), process::cpu_time(pid));
        ended.store(true, Ordering::Relaxed);

        let mut sample = Sample::new(window, after.0 - before.0);
        sample.server_cpu = after.1?.saturating_sub(before.1?);
        for hasher in hashers {
            let latencies = hasher.join().ok().context("a hashing thread panicked")??;
            sample.add(latencies);
        }
        Ok(sample)
    })
}

/// Microseconds of each hash that ended within the window.
fn hash(argon2: &Argon2<'_>, window: Window, ended: &AtomicBool) -> anyhow::Result<Vec<u32>> {
    let mut latencies = Vec::new();
    let mut out = [0; 32];
    while !ended.load(Ordering::Relaxed) {
        let began = Instant::now();
        argon2.hash_password_into(b"correct horse battery staple", b"sixteen bytes ok", &mut out).map_err(|error| anyhow!("{error}"))?;
        let done = Instant::now();
        if window.contains(done) {
            latencies.push(u32::try_from((done - began).as_micros()).unwrap_or(u32::MAX));
        }
    }
    std::hint::black_box(out);
    Ok(latencies)
}
