//! Standard error, line by line, in as few system calls as there can be without anybody waiting for a line.

use std::{
    cell::RefCell,
    io::{self, Write, stderr},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// A worker that is busy without a pause writes when so much waits ...
const BYTES: usize = 32 * 1024;
/// ... or when a line comes and the first that waits is so old.
const PATIENCE: Duration = Duration::from_millis(10);

/// Lines that could not be written.
static LOST: AtomicU64 = AtomicU64::new(0);

/// How many lines could not be written.
pub(crate) fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

thread_local! {
    static WAITING: RefCell<Waiting> = const { RefCell::new(Waiting { rests: false, lines: Vec::new(), since: None }) };
}

/// What a thread has not written yet.
struct Waiting {
    /// Whether the thread tells when it rests. Only then may a line wait.
    rests: bool,
    lines: Vec<u8>,
    since: Option<Instant>,
}

impl Waiting {
    fn is_due(&self) -> bool {
        let is_old = self.since.is_some_and(|since| since.elapsed() >= PATIENCE);
        !self.rests || is_old || self.lines.len() >= BYTES
    }

    fn write(&mut self) {
        // Where else should one say that the log cannot be written? Metrics do.
        if stderr().write_all(&self.lines).is_err() {
            let lines = self.lines.split(|byte| *byte == b'\n').count() - 1;
            LOST.fetch_add(lines as u64, Ordering::Relaxed);
        }
        self.lines.clear();
        self.since = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.write();
    }
}

/// Writes what this thread kept. The runtime calls it when a worker has nothing to do, which is as soon as it answered whoever
/// waited for it: then one call writes the lines of all of them.
pub(crate) fn rest() {
    WAITING.with_borrow_mut(|waiting| {
        waiting.rests = true;
        if !waiting.lines.is_empty() {
            waiting.write();
        }
    });
}

/// Lines about faults are written at once, and what waited before them.
#[derive(Clone, Copy)]
pub(super) struct Lines;

pub(super) struct Line {
    at_once: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { at_once: true }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        Line { at_once: *metadata.level() <= Level::WARN }
    }
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let kept = WAITING.try_with(|waiting| {
            let mut waiting = waiting.borrow_mut();
            waiting.lines.extend_from_slice(line);
            waiting.since.get_or_insert_with(Instant::now);
            if self.at_once || waiting.is_due() {
                waiting.write();
            }
        });
        // A thread that is ending keeps nothing.
        if kept.is_err() {
            stderr().write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes wait after this line; it has no text, so that the tests' own output is not disturbed.
    fn waiting_after(at_once: bool) -> usize {
        Line { at_once }.write_all(b"\n").unwrap();
        WAITING.with_borrow(|waiting| waiting.lines.len())
    }

    #[test]
    fn a_line_waits_only_where_the_thread_tells_when_it_rests() {
        std::thread::spawn(|| {
            assert_eq!(waiting_after(false), 0);
            rest();
            assert_eq!((waiting_after(false), waiting_after(false)), (1, 2));
            rest();
            assert_eq!(waiting_after(false), 1);
            assert_eq!(waiting_after(true), 0, "a fault does not wait, nor what came before it");
        })
        .join()
        .unwrap();
    }

    #[test]
    fn no_more_waits_than_a_little_for_a_little() {
        let since = Instant::now().checked_add(PATIENCE);
        let mut waiting = Waiting { rests: true, lines: vec![b' '; BYTES - 1], since };
        assert!(!waiting.is_due());
        waiting.lines.push(b' ');
        assert!(waiting.is_due());
        waiting.lines.clear();
        assert!(!waiting.is_due());
        waiting.since = Instant::now().checked_sub(PATIENCE);
        assert!(waiting.is_due());
    }
}
