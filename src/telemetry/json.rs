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
        let mut line = String::with_capacity(512);
        line.push_str("{\"timestamp\":\"");
        self.time.format_time(&mut Writer::new(&mut line))?;
        line.push_str("\",\"level\":\"");
        line.push_str(event.metadata().level().as_str());
        line.push('"');
        let mut members = Members { line: &mut line, written: Ok(()) };
        event.record(&mut members);
        members.written?;
        line.push_str(",\"target\":");
        string(&mut line, event.metadata().target());
        if let Some(id) = (self.request_id)() {
            line.push_str(",\"span\":{\"request.id\":\"");
            line.push_str(id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
            line.push_str("\",\"name\":\"request\"}");
        }
        line.push_str("}\n");
        writer.write_str(&line)
    }
}

/// The fields of an event as members of an object that has some already.
struct Members<'a> {
    line: &'a mut String,
    written: fmt::Result,
}

impl Members<'_> {
    fn name(&mut self, field: &Field) {
        self.line.push(',');
        string(self.line, field.name());
        self.line.push(':');
    }

    /// A value whose digits or word are JSON.
    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        self.name(field);
        self.written = self.written.and_then(|()| write!(self.line, "{value}"));
    }
}

impl Visit for Members<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        string(self.line, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field);
        self.line.push('"');
        self.written = self.written.and_then(|()| write!(Escaped(self.line), "{value:?}"));
        self.line.push('"');
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.plain(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.plain(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no number that is none.
        if value.is_finite() { self.plain(field, value) } else { self.plain(field, "null") }
    }
}

fn string(line: &mut String, text: &str) {
    line.push('"');
    escape(line, text);
    line.push('"');
}

const HEX: [&str; 16] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];

/// The inside of a JSON string (RFC 8259 §7). Control characters are those below 32.
fn escape(line: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        line.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => line.push_str("\\\""),
            b'\\' => line.push_str("\\\\"),
            b'\n' => line.push_str("\\n"),
            control => line.extend(["\\u00", if control < 16 { "0" } else { "1" }, HEX[usize::from(control % 16)]]),
        }
        rest = &rest[at + 1..];
    }
    line.push_str(rest);
}

/// Escapes what is written to it.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
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
