//! One log line, one id and one time limit for every request; a panic ends one request, not the server.

use std::{panic::AssertUnwindSafe, time::Duration};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use futures_util::FutureExt;
use http::HeaderValue;
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use super::caller::{Peer, RequestId};
use crate::{
    error::{Error, panic_message},
    secret,
    server::Server,
};

tokio::task_local! {
    static CURRENT: Uuid;
}

/// The id of the request that this task answers.
pub(crate) fn current_id() -> Option<Uuid> {
    CURRENT.try_with(|id| *id).ok()
}

/// How an error is told to the caller of a route: as JSON or as a page.
pub(crate) type Envelope = fn(Error) -> Response;

/// Wraps every route. Neither path parameters nor queries are logged: they hold codes, states and sealed requests.
pub(crate) async fn around(State((server, envelope)): State<(Server, Envelope)>, mut request: Request, next: Next) -> Response {
    let id = secret::new_id(server.clock().now());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "-".to_owned(), |path| path.as_str().to_owned());
    let address = request.extensions().get::<Peer>().map(|Peer(address)| address.ip());
    request.extensions_mut().insert(RequestId(id));
    request.extensions_mut().insert(envelope);
    let span = tracing::info_span!("request", request.id = %id);
    let started = Instant::now();
    let answer = async {
        let mut response = answered(next.run(request), server.config().limits.request_timeout, envelope).await;
        if let Ok(value) = HeaderValue::try_from(id.to_string()) {
            response.headers_mut().insert("x-request-id", value);
        }
        tracing::info!(
            method = %method,
            route,
            status = response.status().as_u16(),
            duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            address = address.map(tracing::field::display),
            "answered"
        );
        response
    };
    CURRENT.scope(id, answer.instrument(span)).await
}

async fn answered(answer: impl Future<Output = Response>, limit: Duration, envelope: Envelope) -> Response {
    match tokio::time::timeout(limit, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => envelope(Error::internal(format!("a handler panicked: {}", panic_message(&*panic)))),
        Err(_) => envelope(Error::unavailable("the request took too long")),
    }
}
