//! Logs: text on a terminal, JSON otherwise, always to standard error.

mod json;
mod lines;

pub(crate) use lines::{lost, rest};

use std::io::{IsTerminal, stderr};

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Full, Writer},
        time::SystemTime,
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};
use uuid::Uuid;

use crate::config::{Config, LogFormat};

/// A cookie that is not ours is no news, and what libraries tell of themselves at `info` is none, either. That a database is slow
/// or goes away, which they tell of every statement and connection, the store tells once.
const ALWAYS: &str = "tower_sessions=off,tower_sessions_core=off,sqlx=warn,sqlx::query=error,sqlx::postgres::notice=error";

/// Tells the id of the request that a line is about, if it is about one. Asked once a line; a span would cost more than the line.
pub(crate) type RequestId = fn() -> Option<Uuid>;

/// Begins to log. Later calls change nothing.
pub(crate) fn begin(config: &Config, request_id: RequestId) {
    begin_with(config, &config.log, request_id);
}

/// Begins to log for a command whose own output is what matters.
pub(crate) fn begin_quietly(config: &Config) {
    begin_with(config, "warn", || None);
}

fn begin_with(config: &Config, directives: &str, request_id: RequestId) {
    let filter = EnvFilter::try_new(format!("{ALWAYS},{directives}")).unwrap_or_else(|_| EnvFilter::new("info"));
    let as_text = match config.log_format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => stderr().is_terminal(),
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(lines::Lines);
    let layer = if as_text {
        let format = Format::default().with_target(false).with_ansi(stderr().is_terminal());
        layer.event_format(Text { format, request_id }).boxed()
    } else {
        layer.event_format(json::Lines { time: SystemTime, request_id }).boxed()
    };
    // Not as a filter of the layer: whoever asks whether something would be logged and then logs nothing, as sqlx does, would
    // leave it behind for the next line of the same thread, which is lost.
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
}

/// Lines for people, which end with the request that they are about.
struct Text {
    format: Format<Full, SystemTime>,
    request_id: RequestId,
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        let Some(id) = (self.request_id)() else { return self.format.format_event(context, writer, event) };
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        writeln!(writer, "{} request.id={id}", line.trim_end_matches('\n'))
    }
}
