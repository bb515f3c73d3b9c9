//! Grantor: an OAuth 2.1 authorization server and `OpenID` Provider. This is its map, each module using only those above it.

// They panic where nobody reads: `say!` and `tell!` of the command line do not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

// The blank lines keep this order, which tests/it/architecture.rs checks.

rust_i18n::i18n!("locales", fallback = "en");

/// Time.
pub mod clock;

/// Secrets, hashes, sealing, randomness.
mod secret;

/// What the specifications say: values and rules.
mod oauth;

/// What the operator may say.
pub mod config;

/// What can go wrong.
mod error;

/// What is remembered of it.
mod audit;

/// What is counted.
mod metrics;

/// HTTP to other servers.
mod outbound;

/// Traces of requests.
mod traces;

/// The database.
mod store;

/// The master key over it.
mod sealing;

/// Signatures and keys.
mod jose;

/// What lives as long as the process.
pub mod server;

/// The database in a file, and back.
mod backup;

/// Access and refresh tokens.
mod tokens;

/// People and their passwords.
mod accounts;

/// What files declare, applied.
mod declared;

/// How clients prove who they are.
mod client_auth;

/// How clients register themselves.
mod registration;

/// Signing out, and who is told.
mod logout;

/// What the person must still do.
mod interaction;

/// What the token endpoint exchanges.
mod grants;

/// What endpoints and pages share.
mod web;

/// How an authorization response travels.
mod response_modes;

/// The pages.
mod pages;

/// The endpoints.
mod endpoints;

/// What happens without a request.
pub mod jobs;

/// Every URL.
pub mod routes;

/// What is fed with any bytes.
#[cfg(any(test, fuzzing))]
pub mod fuzzing;

/// The sample app of `grantor demo`.
mod demo;

/// Logs. Used by the command line alone.
mod telemetry;

/// The command line.
pub mod cli;
