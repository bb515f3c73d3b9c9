//! One log line, one id and one time limit for every request; a panic ends one request, not the server.

use std::{
    cell::Cell,
    convert::Infallible,
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::{MatchedPath, Request},
    response::Response,
};
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderName, HeaderValue, Method, StatusCode, header::CONNECTION};
use tokio::time::Instant;
use tower::{Layer, Service, layer::layer_fn};
use uuid::Uuid;

use super::{caller, places::Idle, rate_limit};
use crate::{
    error::{Error, panic_message},
    metrics::RouteMetrics,
    oauth::{ErrorCode, OAuthError},
    secret,
    server::{Server, Standing},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: Current;
}

/// The request that this task answers.
struct Current {
    id: Uuid,
    standings: Cell<Standings>,
}

/// How whoever sent the request stands: by address or person, and by client.
type Standings = [Option<Standing>; 2];

/// The id of the request that this task answers.
pub(crate) fn current_id() -> Option<Uuid> {
    CURRENT.try_with(|current| current.id).ok()
}

/// Keeps how someone stands for the header of the answer.
pub(super) fn tell(standing: Standing) {
    let _ = CURRENT.try_with(|current| {
        let [first, _] = current.standings.get();
        current.standings.set(if first.is_none() { [Some(standing), None] } else { [first, Some(standing)] });
    });
}

/// How an error is told to the caller of a route: as JSON or as a page.
pub(crate) type Envelope = fn(Error) -> Response;

/// Which answers of a route are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logged {
    All,
    /// Of what anyone may read, and probes and caches read all the time, a success is told on the level `debug` only.
    Failures,
}

/// Where the requests of a route are counted against a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limited {
    /// Here, by their address.
    ByAddress,
    /// Inside, where it is known who sends them; or nowhere.
    Elsewhere,
}

/// With which code a request was refused, as an extension of its answer: refusals are counted by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused(pub ErrorCode);

/// What is logged of an answer.
struct Line {
    method: Method,
    route: Option<MatchedPath>,
    status: StatusCode,
    duration: Duration,
    address: Option<IpAddr>,
}

/// The line on a level, which `tracing` wants to know when it is compiled.
macro_rules! line {
    ($level:ident) => {
        fn $level(&self) {
            tracing::$level!(
                method = self.method.as_str(),
                route = self.route.as_ref().map_or("-", MatchedPath::as_str),
                status = self.status.as_u16(),
                duration_us = u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX),
                address = self.address.map(tracing::field::display),
                "answered"
            );
        }
    };
}

impl Line {
    line!(info);
    line!(debug);
}

/// Wraps every route. Neither path parameters nor queries are logged: they hold codes, states and sealed requests.
pub(crate) fn around<S>(
    server: &Server,
    envelope: Envelope,
    logged: Logged,
    limited: Limited,
) -> impl Layer<S, Service = Around<S>> + Clone + use<S> {
    let server = server.clone();
    layer_fn(move |inner| {
        let shared = Shared { server: server.clone(), envelope, logged, limited, route: OnceLock::new() };
        Around { shared: Arc::new(shared), inner }
    })
}

#[derive(Clone)]
pub(crate) struct Around<S> {
    shared: Arc<Shared>,
    inner: S,
}

struct Shared {
    server: Server,
    envelope: Envelope,
    logged: Logged,
    limited: Limited,
    /// Each route is wrapped by itself: which one this is, its first request tells.
    route: OnceLock<Arc<RouteMetrics>>,
}

impl Shared {
    fn count(&self, line: &Line, refused: Option<ErrorCode>) {
        let pattern = line.route.as_ref().map(MatchedPath::as_str);
        let route = self.route.get_or_init(|| self.server.metrics().route(pattern));
        if pattern.is_none_or(|pattern| pattern == route.pattern()) {
            return route.answered(line.status.as_u16(), refused, line.duration);
        }
        self.server.metrics().route(pattern).answered(line.status.as_u16(), refused, line.duration);
    }
}

impl<S> Service<Request> for Around<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        let id = secret::new_id(shared.server.clock().now());
        let method = request.method().clone();
        let route = request.extensions().get::<MatchedPath>().cloned();
        let address = caller::address(request.extensions());
        let idle = request.extensions().get::<Arc<Idle>>().cloned();
        request.extensions_mut().insert(shared.envelope);
        let span = shared.server.traces().request(&method, request.headers(), route.as_ref().map(MatchedPath::as_str), id);
        let started = Instant::now();
        let counted = match shared.limited {
            Limited::ByAddress => rate_limit::count_address(&shared.server, route.as_ref(), address),
            Limited::Elsewhere => Ok(None),
        };
        let standings = Cell::new([counted.as_ref().map_or_else(|refused| Some(refused.0), |standing| *standing), None]);
        let answer = match counted {
            Ok(_) => {
                let limit = shared.server.config().limits.request_timeout;
                Ok(answered(self.inner.call(request), limit, shared.envelope, idle))
            }
            Err(refused) => Err(refused),
        };
        // The id stands in the log by itself: see `telemetry`.
        Box::pin(CURRENT.scope(Current { id, standings }, async move {
            let mut response = match answer {
                Ok(answer) => answer.await,
                Err(refused) => (shared.envelope)(refused.into()),
            };
            let standings = CURRENT.with(|current| current.standings.get());
            rate_limit::write(standings.iter().flatten(), response.headers_mut());
            if let Ok(value) = HeaderValue::from_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer())) {
                response.headers_mut().insert(REQUEST_ID, value);
            }
            let status = response.status();
            let line = Line { method, route, status, duration: started.elapsed(), address };
            if let Some(span) = span {
                span.answered(status.as_u16());
            }
            shared.count(&line, response.extensions().get::<Refused>().map(|Refused(code)| *code));
            match shared.logged {
                // Of those whom a limit refuses, `rate_limit` tells once in a while.
                _ if standings.iter().flatten().any(|standing| standing.is_refused) => line.debug(),
                Logged::Failures if !status.is_client_error() && !status.is_server_error() => line.debug(),
                _ => line.info(),
            }
            Ok(response)
        }))
    }
}

async fn answered(
    answer: impl Future<Output = Result<Response, Infallible>>,
    limit: Duration,
    envelope: Envelope,
    idle: Option<Arc<Idle>>,
) -> Response {
    match tokio::time::timeout(limit, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Err(panic)) => envelope(Error::internal(format!("a handler panicked: {}", panic_message(&*panic)))),
        // RFC 9110 §15.5.9: the client has not sent what it announced.
        Err(_) if idle.is_some_and(|idle| idle.is_so()) => {
            let mut response = envelope(OAuthError::invalid_request("The body of the request did not come in time.").into());
            *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
        Err(_) => envelope(Error::unavailable("the request took too long")),
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware::from_fn_with_state, response::IntoResponse, routing::get};
    use http::StatusCode;
    use tower::ServiceExt;

    use super::*;
    use crate::{
        clock::Clock,
        config::Config,
        pages::error::PageError,
        web::{json_error::JsonError, page},
    };

    const AS_JSON: Envelope = |error| JsonError::from(error).into_response();

    /// A server with little patience.
    async fn server(dir: &tempfile::TempDir) -> Server {
        let settings = [
            ("GRANTOR_DATABASE_URL", format!("sqlite:{}", dir.path().join("grantor.db").display())),
            ("GRANTOR_DATA_DIR", dir.path().display().to_string()),
        ];
        let environment = settings.map(|(key, value)| (key.to_owned(), value)).into();
        let mut config = Config::from_sources(crate::config::Sources { environment, ..Default::default() }).expect("a configuration");
        config.limits.request_timeout = Duration::from_millis(200);
        Server::start(config, Clock::system()).await.expect("a server")
    }

    /// Handlers that panic, never end, and tell under which id they answer.
    fn router(server: &Server, envelope: Envelope) -> Router {
        Router::new()
            .route("/panics", get(async || -> StatusCode { panic!("the secret of {}", "the handler") }))
            .route("/hangs", get(async || std::future::pending::<StatusCode>().await))
            .route("/tells", get(async || current_id().map(|id| id.to_string()).unwrap_or_default()))
            .layer(around(server, envelope, Logged::All, Limited::ByAddress))
            .layer(from_fn_with_state(server.clone(), page::around))
    }

    async fn fetch(router: &Router, path: &str) -> (StatusCode, http::HeaderMap, String) {
        let request = Request::get(path).header("accept-language", "de").body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        (parts.status, parts.headers, String::from_utf8(body.into()).expect("a text"))
    }

    #[tokio::test]
    async fn a_panic_is_a_500_with_an_id_and_the_server_goes_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let server = server(&dir).await;
        for envelope in [AS_JSON, PageError::envelope] {
            let router = router(&server, envelope);
            let (status, headers, body) = fetch(&router, "/panics").await;
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
            assert!(!body.contains("secret"), "{body}");
            let id = headers["x-request-id"].to_str().expect("an id");
            if headers["content-type"] == "application/json" {
                assert!(body.contains("\"server_error\""), "{body}");
            } else {
                assert!(body.contains(id) && body.contains("Da ist etwas schiefgegangen"), "{body}");
            }

            let (status, headers, body) = fetch(&router, "/tells").await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(headers["x-request-id"], body);
        }
        server.close().await;
    }

    #[tokio::test]
    async fn a_request_that_takes_too_long_is_a_503_to_be_tried_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let server = server(&dir).await;
        for envelope in [AS_JSON, PageError::envelope] {
            let (status, headers, body) = fetch(&router(&server, envelope), "/hangs").await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(headers["content-type"] == "application/json" || body.contains("Einen Moment, bitte"), "{body}");
            assert_eq!(headers["retry-after"], "1");
            assert!(headers.contains_key("x-request-id"));
        }
        server.close().await;
    }
}
