//! Grantor: an OAuth 2.1 authorization server. This is its map, each module using only those above it.

rust_i18n::i18n!("locales", fallback = "en");

/// Time.
pub mod clock;
/// Secrets, hashes, sealing, randomness.
mod secret;

/// What the specifications say: values and rules.
mod oauth;

/// What is remembered of it.
mod audit;
/// What the operator may say.
pub mod config;
/// What can go wrong.
mod error;
/// Signatures and keys.
mod jose;
/// HTTP to other servers.
mod outbound;
/// What lives as long as the process.
pub mod server;
/// The database.
mod store;

/// People and their passwords.
mod accounts;
/// The command line.
pub mod cli;
/// How clients prove who they are.
mod client_auth;
/// The sample app of `grantor demo`.
mod demo;
/// The endpoints.
mod endpoints;
/// What the token endpoint exchanges.
mod grants;
/// What the person must still do.
mod interaction;
/// What happens without a request.
mod jobs;
/// The pages.
mod pages;
/// How an authorization response travels.
mod response_modes;
/// Every URL.
pub mod routes;
/// Logs.
mod telemetry;
/// Access and refresh tokens.
mod tokens;
/// What endpoints and pages share.
mod web;
