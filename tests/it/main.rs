//! The integration tests, by specification: this list is the compliance report.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, reason = "the harness offers verbs before every one is used")]

mod harness;

mod architecture;
mod audit;
mod audit_events;
mod broken_rules;
mod browser_sessions;
mod cli;
mod cli_beside_a_server;
mod consent;
mod cors;
mod cross_site;
mod demo;
mod error_pages;
mod form_post_response_mode;
mod hostile_bytes;
mod issuer_with_a_path;
mod logs;
mod nodes;
mod oauth21_authorization_by_post;
mod oauth21_authorization_endpoint;
mod oauth21_client_authentication;
mod oauth21_client_credentials;
mod oauth21_code_grant;
mod oauth21_redirect_uris;
mod oauth21_refresh;
mod oauth21_refresh_endings;
mod oauth21_refresh_races;
mod oauth21_token_endpoint;
mod oauth2_crate;
mod oidc_core_prompt_and_max_age;
mod pages_account;
mod pages_consent;
mod pages_language;
mod pages_login;
mod races;
mod rfc7009_revocation;
mod rfc7517_jwks;
mod rfc7636_pkce;
mod rfc7662_introspection;
mod rfc8414_announcements;
mod rfc8414_metadata;
mod rfc8707_resources;
mod rfc9068_access_tokens;
mod rfc9207_iss;
mod security_claims;
mod security_headers;
mod security_md;
mod serving;
mod sigkill;
mod sign_out_everywhere;
mod store;
mod texts;
mod two_nodes;
