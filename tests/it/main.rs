//! The integration tests, by specification: this list is the compliance report.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod texts;
