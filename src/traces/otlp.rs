//! Traces by OTLP over HTTP: a span for each sampled request, sent in batches by a thread of its own.

use std::{
    fmt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response};
use opentelemetry::{
    Context, KeyValue,
    propagation::TextMapPropagator,
    trace::{Span, SpanKind, Status, Tracer, TracerProvider},
};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider},
};
use tokio::runtime::Handle;
use url::Url;
use uuid::Uuid;

use crate::{
    config::Telemetry,
    outbound::{Limits, Outbound, Reach},
};

/// How long the collector may take; what it does not take by then is dropped.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// How many spans wait at most; further ones are dropped.
const QUEUE: usize = 2_048;

/// Whoever traces, if the operator named a collector.
pub(crate) struct Traces(Option<Exporting>);

struct Exporting {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
}

impl Traces {
    pub(crate) fn off() -> Self {
        Self(None)
    }

    pub(crate) fn begin(settings: &Telemetry, ca_file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(endpoint) = &settings.otlp_endpoint else { return Ok(Self(None)) };
        check_headers()?;
        let limits = Limits { timeout: EXPORT_TIMEOUT, ..Limits::default() };
        let outbound = Outbound::new(limits, Reach::anywhere(), ca_file)?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client { outbound, runtime: Handle::current(), fails: AtomicBool::new(false) })
            .with_endpoint(traces_url(endpoint))
            .with_timeout(EXPORT_TIMEOUT)
            .build()?;
        let batches = BatchConfigBuilder::default().with_max_queue_size(QUEUE).build();
        let ratio = f64::from(settings.otlp_sample_percent) / 100.0;
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
            .with_resource(
                Resource::builder_empty()
                    .with_service_name("grantor")
                    .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
                    .build(),
            )
            .build();
        let tracer = provider.tracer("grantor");
        Ok(Self(Some(Exporting { provider, tracer, propagator: TraceContextPropagator::new() })))
    }

    /// The span of a request that came, unless nobody traces. It continues the trace of the caller (W3C Trace Context). Where nothing
    /// is routed, its name has no route either (OpenTelemetry Semantic Conventions, "HTTP server span").
    pub(crate) fn request(&self, method: &Method, headers: &HeaderMap, route: Option<&str>, id: Uuid) -> Option<RequestSpan> {
        let Exporting { tracer, propagator, .. } = self.0.as_ref()?;
        let parent = propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers));
        let method = method_name(method);
        let mut attributes = vec![KeyValue::new("http.request.method", method), KeyValue::new("request.id", id.to_string())];
        attributes.extend(route.map(|route| KeyValue::new("http.route", route.to_owned())));
        let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
        let span = tracer.span_builder(name).with_kind(SpanKind::Server).with_attributes(attributes);
        Some(RequestSpan(span.start_with_context(tracer, &parent)))
    }

    /// Sends what waits. It blocks.
    pub(crate) fn end(&self) {
        if let Some(Exporting { provider, .. }) = &self.0 {
            // A collector that is gone holds nobody up, and is not news at the end.
            let _ = provider.shutdown_with_timeout(Duration::from_secs(2));
        }
    }
}

/// A request in progress.
pub(crate) struct RequestSpan(opentelemetry_sdk::trace::Span);

impl RequestSpan {
    pub(crate) fn answered(self, status: u16) {
        let Self(mut span) = self;
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 500 {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// A method of HTTP, or `_OTHER`: methods are the caller's to choose.
fn method_name(method: &Method) -> &'static str {
    const KNOWN: [Method; 7] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH];
    const NAMES: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    KNOWN.iter().position(|known| known == method).map_or("_OTHER", |index| NAMES[index])
}

/// Whoever gives headers wrongly must not wait for traces in vain: the exporter leaves out what it cannot read.
fn check_headers() -> anyhow::Result<()> {
    for name in ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"] {
        let is_header =
            |part: &str| part.split_once('=').is_some_and(|(header, _)| HeaderName::from_bytes(header.trim().as_bytes()).is_ok());
        let text = std::env::var(name).unwrap_or_default();
        if !text.split(',').all(|part| part.trim().is_empty() || is_header(part)) {
            anyhow::bail!("{name} in the environment must be pairs NAME=VALUE with commas between them");
        }
    }
    Ok(())
}

/// OTLP 1.0, "OTLP/HTTP request": `v1/traces` below the endpoint.
fn traces_url(endpoint: &Url) -> String {
    format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'))
}

/// The exporter's thread is none of the runtime's, which the client needs.
struct Client {
    outbound: Outbound,
    runtime: Handle,
    /// Said once, not for every batch.
    fails: AtomicBool,
}

impl Client {
    fn tell(&self, failure: Option<String>) {
        match failure {
            Some(error) if !self.fails.swap(true, Ordering::Relaxed) => {
                tracing::warn!(error, "traces cannot be sent, and are dropped until they can");
            }
            None if self.fails.swap(false, Ordering::Relaxed) => tracing::info!("traces are sent again"),
            _ => {}
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let outbound = self.outbound.clone();
        let sent = self.runtime.spawn(async move { outbound.send(request.map(|body| body.to_vec())).await });
        let sent = sent.await?;
        self.tell(match &sent {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(response.status().to_string()),
            Err(error) => Some(error.to_string()),
        });
        Ok(sent?.map(Bytes::from))
    }
}
