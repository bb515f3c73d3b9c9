//! Accepting connections, with limits on their number, their headers and their patience; and ending in order.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use futures_util::future::Either;
use http::{HeaderMap, StatusCode, Version, header::HOST};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_io_timeout::TimeoutStream;
use tower::Service;

use super::{
    caller::Peer,
    places::{Place, Places, room},
};
use crate::config::Limits;

/// That no connection can be accepted is told this often at most.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Serves until `shutdown`, then lets requests in progress finish for `limits.shutdown_timeout`.
pub(crate) async fn serve<S>(listener: TcpListener, routes: S, limits: &Limits, shutdown: impl Future<Output = ()>)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let mut door = Door { listener, places: Places::new(room(limits.connections)), told_at: None };
    let graceful = GracefulShutdown::new();
    let http = protocol(limits);
    tokio::pin!(shutdown);
    loop {
        let (stream, peer, place) = tokio::select! {
            accepted = door.accept() => accepted,
            () = &mut shutdown => break,
        };
        let routes = routes.clone();
        let idle = Arc::clone(place.idle());
        let service = service_fn(move |request: Request<Incoming>| {
            idle.end();
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(Arc::clone(&idle));
            let answer = if names_one_host(request.version(), request.headers()) {
                Either::Left(routes.clone().call(request))
            } else {
                Either::Right(std::future::ready(Ok(StatusCode::BAD_REQUEST.into_response())))
            };
            let idle = Arc::clone(&idle);
            async move {
                let answer = answer.await;
                idle.begin();
                answer
            }
        });
        // A peer that does not read its answer must not hold its place.
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(limits.request_timeout));
        let connection = graceful.watch(http.serve_connection(TokioIo::new(Box::pin(stream)), service));
        tokio::spawn(async move {
            tokio::select! {
                // Broken connections and broken HTTP are the other side's affair.
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(error = %error, "connection ended");
                },
                () = place.is_wanted() => tracing::debug!("an idle connection made room for another"),
            }
        });
    }
    drop(door);
    if tokio::time::timeout(limits.shutdown_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still in progress when the time for shutting down was over");
    }
}

fn protocol(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(limits.request_headers.max(8 * 1024));
    http
}

/// RFC 9112 §3.2: neither none nor several, which a proxy may read in another way than we do.
fn names_one_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    (hosts.next().is_some() || version < Version::HTTP_11) && hosts.next().is_none()
}

/// Where connections come in.
struct Door {
    listener: TcpListener,
    places: Places,
    told_at: Option<Instant>,
}

impl Door {
    /// Beyond the limit, one connection takes the place of another that waits for its client; where all are being answered, it
    /// waits, and others wait in the operating system's queue.
    async fn accept(&mut self) -> (TcpStream, Peer, Place) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    // Answers are small: none of them should wait for the next.
                    let _ = stream.set_nodelay(true);
                    return (stream, Peer(address), self.places.one().await);
                }
                Err(error) => {
                    // Out of file descriptors, mostly: others must end first.
                    if self.told_at.is_none_or(|told_at| told_at.elapsed() >= TOLD_EVERY) {
                        tracing::warn!(error = %error, "connections cannot be accepted");
                        self.told_at = Some(Instant::now());
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}
