//! The integration tests, by specification: this list is the compliance report.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, reason = "the harness offers verbs before every one is used")]

mod harness;

mod cli;
mod cli_beside_a_server;
mod consent;
mod demo;
mod form_post_response_mode;
mod logs;
mod oauth21_authorization_endpoint;
mod oauth21_code_grant;
mod oauth21_redirect_uris;
mod oauth2_crate;
mod oidc_core_prompt_and_max_age;
mod rfc7636_pkce;
mod rfc8707_resources;
mod rfc9207_iss;
mod serving;
mod sigkill;
mod texts;
mod two_nodes;
