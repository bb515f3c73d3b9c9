//! The binary: everything is in the library.

use std::process::ExitCode;

/// More than pays for itself in Argon2, whose memory it keeps mapped between hashes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    grantor::cli::run()
}
