//! What endpoints and pages share: envelopes for errors, sessions, cross-site checks, headers, limits.

pub(crate) mod assets;
pub(crate) mod bearer;
pub(crate) mod caller;
pub(crate) mod client_request;
pub(crate) mod cors;
pub(crate) mod cross_site;
pub(crate) mod entity_tag;
pub(crate) mod form;
pub(crate) mod headers;
pub(crate) mod json_error;
pub(crate) mod json_object;
pub(crate) mod known_device;
pub(crate) mod language;
pub(crate) mod listener;
pub(crate) mod page;
mod places;
pub(crate) mod proxies;
pub(crate) mod rate_limit;
pub(crate) mod request_log;
pub(crate) mod session;
