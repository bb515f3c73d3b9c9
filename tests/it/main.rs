//! The integration tests, by specification: this list is the compliance report.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, reason = "the harness offers verbs before every one is used")]

mod harness;

mod architecture;
mod browser_sessions;
mod cross_site;
mod error_pages;
mod oauth21_code_grant;
mod pages_account;
mod pages_consent;
mod pages_login;
mod security_headers;
mod store;
mod texts;
