//! What can go wrong while answering a request.

use std::time::Duration;

use crate::oauth::OAuthError;

/// The result of everything that talks to the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Each endpoint picks the envelope (JSON, challenge, redirect, page) for what is in here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request broke a rule of the protocol. Safe to show.
    #[error(transparent)]
    Protocol(#[from] OAuthError),
    /// We cannot answer now, but soon: 503 with `Retry-After`, never a 500.
    #[error("temporarily unavailable: {reason}")]
    Unavailable {
        reason: &'static str,
        retry_after: Duration,
        /// What the database said, or that it said nothing: for the log.
        cause: Option<String>,
    },
    /// More requests came than a limit allows: 429 with `Retry-After` (RFC 6585 §4).
    #[error("too many requests")]
    TooMany { retry_after: Duration },
    /// A fault of ours. Logged with an id; the client learns `server_error`.
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

/// What a panic said.
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

impl Error {
    /// [`Error::Unavailable`] with a second to wait.
    pub fn unavailable(reason: &'static str) -> Self {
        Self::Unavailable { reason, retry_after: Duration::from_secs(1), cause: None }
    }

    /// How long to wait as `Retry-After` tells it (RFC 9110 §10.2.3): in whole seconds, not before the time has come.
    pub fn seconds_of(wait: Duration) -> u64 {
        (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
    }

    /// [`Error::Internal`] with a message for the log.
    pub fn internal(message: impl std::fmt::Display + std::fmt::Debug + Send + Sync + 'static) -> Self {
        Self::Internal(anyhow::Error::msg(message))
    }
}
