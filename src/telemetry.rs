//! Logs: text on a terminal, JSON otherwise, always to standard error.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Config, LogFormat};

/// A cookie that is not ours is no news, and what libraries tell of themselves at `info` is none, either.
const ALWAYS: &str = "tower_sessions=off,tower_sessions_core=off,sqlx=warn";

/// Begins to log. Later calls change nothing.
pub(crate) fn begin(config: &Config) {
    begin_with(config, &config.log);
}

/// Begins to log for a command whose own output is what matters.
pub(crate) fn begin_quietly(config: &Config) {
    begin_with(config, "warn");
}

fn begin_with(config: &Config, directives: &str) {
    let filter = EnvFilter::try_new(format!("{ALWAYS},{directives}")).unwrap_or_else(|_| EnvFilter::new("info"));
    let as_text = match config.log_format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => stderr().is_terminal(),
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
    let layer = if as_text {
        layer.with_target(false).with_ansi(stderr().is_terminal()).boxed()
    } else {
        layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    };
    // Not as a filter of the layer: whoever asks whether something would be logged and then logs nothing, as sqlx does, would
    // leave it behind for the next line of the same thread, which is lost.
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
}
