//! No traces: this program was built without the feature `otlp`.

use std::path::Path;

use http::{HeaderMap, Method};
use uuid::Uuid;

use crate::config::Telemetry;

/// Nobody traces.
pub(crate) struct Traces;

/// There is none.
pub(crate) enum RequestSpan {}

impl Traces {
    pub(crate) fn off() -> Self {
        Self
    }

    #[expect(clippy::unnecessary_wraps, reason = "the same as with the feature")]
    pub(crate) fn begin(_: &Telemetry, _: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "the same as with the feature")]
    pub(crate) fn request(&self, _: &Method, _: &HeaderMap, _: Option<&str>, _: Uuid) -> Option<RequestSpan> {
        None
    }

    #[expect(clippy::unused_self, reason = "the same as with the feature")]
    pub(crate) fn end(&self) {}
}

impl RequestSpan {
    pub(crate) fn answered(self, _: u16) {
        match self {}
    }
}
