//! A log line as one JSON object (RFC 8259), written in one go: there is one for every request.

use std::fmt::{self, Debug, Write};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

use super::RequestId;

/// `timestamp`, `level`, the fields of the event (the first is its `message`), `target`, and the `span` of the request.
pub(super) struct Lines {
    pub(super) time: SystemTime,
    pub(super) request_id: RequestId,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        writer.write_str("{\"timestamp\":\"")?;
        self.time.format_time(&mut writer)?;
        writer.write_str("\",\"level\":\"")?;
        writer.write_str(event.metadata().level().as_str())?;
        writer.write_char('"')?;
        let mut members = Members { writer: &mut writer, written: Ok(()) };
        event.record(&mut members);
        members.written?;
        writer.write_str(",\"target\":")?;
        string(&mut writer, event.metadata().target())?;
        if let Some(id) = (self.request_id)() {
            writer.write_str(",\"span\":{\"request.id\":\"")?;
            writer.write_str(id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()))?;
            writer.write_str("\",\"name\":\"request\"}")?;
        }
        writer.write_str("}\n")
    }
}

/// The fields of an event as members of an object that has some already.
struct Members<'a, W> {
    writer: &'a mut W,
    written: fmt::Result,
}

impl<W: Write> Members<'_, W> {
    fn member(&mut self, field: &Field, value: impl FnOnce(&mut W) -> fmt::Result) {
        if self.written.is_ok() {
            self.written = self.try_member(field, value);
        }
    }

    fn try_member(&mut self, field: &Field, value: impl FnOnce(&mut W) -> fmt::Result) -> fmt::Result {
        self.writer.write_char(',')?;
        string(self.writer, field.name())?;
        self.writer.write_char(':')?;
        value(self.writer)
    }
}

impl<W: Write> Visit for Members<'_, W> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, |writer| string(writer, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.member(field, |writer| {
            writer.write_char('"')?;
            write!(Escaped(writer), "{value:?}")?;
            writer.write_char('"')
        });
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, |writer| writer.write_str(if value { "true" } else { "false" }));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no number that is none.
        self.member(field, |writer| if value.is_finite() { write!(writer, "{value:?}") } else { writer.write_str("null") });
    }
}

fn string(writer: &mut impl Write, text: &str) -> fmt::Result {
    writer.write_char('"')?;
    Escaped(writer).write_str(text)?;
    writer.write_char('"')
}

/// The inside of a JSON string (RFC 8259 §7).
struct Escaped<'a, W>(&'a mut W);

impl<W: Write> Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
            self.0.write_str(&rest[..at])?;
            match rest.as_bytes()[at] {
                b'"' => self.0.write_str("\\\"")?,
                b'\\' => self.0.write_str("\\\\")?,
                b'\n' => self.0.write_str("\\n")?,
                control => write!(self.0, "\\u{control:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt};
    use uuid::Uuid;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// What `log` writes, without the time.
    fn written(request_id: RequestId, log: impl FnOnce()) -> Value {
        let written = Written::default();
        let layer = tracing_subscriber::fmt::layer().with_writer(written.clone()).event_format(Lines { time: SystemTime, request_id });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.find('\n'), Some(text.len() - 1), "{text}");
        let mut line: Value = serde_json::from_str(&text).unwrap();
        let timestamp = line.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(time::OffsetDateTime::parse(timestamp.as_str().unwrap(), &time::format_description::well_known::Rfc3339).is_ok());
        line
    }

    #[test]
    fn a_line_holds_message_fields_target_and_request() {
        let line = written(
            || Some(Uuid::nil()),
            || tracing::warn!(client.id = %"app", status = 200_u16, at = -1, is = true, load = 0.5, wrong = f64::NAN, none = Option::<u8>::None, "told"),
        );
        let request = json!({ "request.id": "00000000-0000-0000-0000-000000000000", "name": "request" });
        let expected = json!({
            "level": "WARN", "message": "told", "client.id": "app", "status": 200, "at": -1, "is": true, "load": 0.5, "wrong": null,
            "target": module_path!(), "span": request,
        });
        assert_eq!(line, expected);
        let line = written(|| None, || tracing::info!("nothing else"));
        assert_eq!(line, json!({ "level": "INFO", "message": "nothing else", "target": module_path!() }));
    }

    proptest! {
        /// What a caller sends stays within its string, and a line is one line.
        #[test]
        fn any_text_is_told_as_it_is(text in any::<String>()) {
            let line = written(|| None, || tracing::info!(said = text, shown = %text, "{text}"));
            for name in ["said", "shown", "message"] {
                prop_assert_eq!(&line[name], &json!(text));
            }
        }
    }
}
