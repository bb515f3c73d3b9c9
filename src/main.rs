//! The binary: everything is in the library.

use std::process::ExitCode;

/// Quick with many small pieces from several threads. Built without huge pages, each of which keeps 2 MiB resident for what is in it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    grantor::cli::run()
}
