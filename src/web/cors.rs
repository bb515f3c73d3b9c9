//! Cross-origin requests by browser-based apps: allowed where no cookie counts, on every status.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use futures_util::{
    TryFutureExt,
    future::{Either, MapOk},
};
use http::{HeaderValue, Method, StatusCode, header};
use tower::{Layer, Service, layer::layer_fn};

/// Wraps the routes that apps call from their own origin.
pub(crate) fn allow_any_origin<S>() -> impl Layer<S, Service = AllowAnyOrigin<S>> + Clone {
    layer_fn(AllowAnyOrigin)
}

#[derive(Clone)]
pub(crate) struct AllowAnyOrigin<S>(S);

impl<S: Service<Request, Response = Response, Error = Infallible>> Service<Request> for AllowAnyOrigin<S> {
    type Response = Response;
    type Error = Infallible;
    type Future = MapOk<Either<Ready<Result<Response, Infallible>>, S::Future>, fn(Response) -> Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let is_preflight = request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let answer = if is_preflight { Either::Left(ready(Ok(preflight()))) } else { Either::Right(self.0.call(request)) };
        answer.map_ok(readable)
    }
}

/// Lets scripts of any origin read an answer.
pub(crate) fn readable(mut response: Response) -> Response {
    const EXPOSED: HeaderValue = HeaderValue::from_static("WWW-Authenticate, DPoP-Nonce, Retry-After, RateLimit, RateLimit-Policy");
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    response
}

fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, DPoP, MCP-Protocol-Version"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}
