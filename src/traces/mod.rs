//! Traces of requests, sent to a collector by OTLP (OpenTelemetry Protocol 1.0) where the operator names one.
//!
//! Only programs built with the feature `otlp` can; in others this is nothing.

#[cfg(not(feature = "otlp"))]
mod none;
#[cfg(feature = "otlp")]
mod otlp;

#[cfg(not(feature = "otlp"))]
pub(crate) use none::Traces;
#[cfg(feature = "otlp")]
pub(crate) use otlp::Traces;
