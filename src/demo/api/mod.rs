//! The sample API: a resource server (OAuth 2.1 §5) that believes an access token only after checking it by itself.
//!
//! It is told its issuer and its own name, and knows nothing else of the server that it runs beside.

mod bearer;
mod key_set;
mod notes;
mod refusal;
#[cfg(test)]
mod tests;
mod verifier;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use self::notes::Notes;
use self::verifier::Verifier;
use crate::clock::Clock;
use crate::outbound::{Limits, Outbound, Reach};

/// The scopes that the API knows.
pub const READ: &str = "notes:read";
pub const WRITE: &str = "notes:write";

/// The largest body that the API reads, in bytes.
const BODY: usize = 4 * 1024;

/// What the API must be told; it finds the keys by itself.
pub struct SampleApi {
    /// The authorization server that it trusts, exactly as it calls itself.
    pub issuer: String,
    /// What a token must name as its audience: the API's own resource identifier (RFC 8707).
    pub resource: String,
    /// The one web origin whose pages may read the answers, such as `http://127.0.0.1:8082`.
    pub allowed_origin: String,
}

struct Api {
    verifier: Verifier,
    notes: Notes,
    allowed_origin: HeaderValue,
}

impl SampleApi {
    /// # Errors
    ///
    /// If no HTTP client can be made, or the origin is not one.
    pub fn router(self, clock: Clock) -> anyhow::Result<Router> {
        let outbound = Outbound::new(Limits::default(), Reach::loopback(), None)?;
        let api = Arc::new(Api {
            verifier: Verifier::new(self.issuer, self.resource, outbound, clock),
            notes: Notes::default(),
            allowed_origin: HeaderValue::try_from(self.allowed_origin)?,
        });
        Ok(Router::new()
            .route("/notes", get(notes::list).post(notes::add))
            .layer(DefaultBodyLimit::max(BODY))
            .layer(middleware::from_fn_with_state(Arc::clone(&api), answer_the_allowed_origin))
            .with_state(api))
    }
}

/// CORS: pages of one origin may call, and read also why they are refused. No cookies are involved, so no credentials.
async fn answer_the_allowed_origin(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let is_preflight = request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let is_allowed = request.headers().get(header::ORIGIN) == Some(&api.allowed_origin);
    let mut response = if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    // Whoever asks with a token gets what is for its bearer alone.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, api.allowed_origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("WWW-Authenticate, Retry-After"));
    }
    if is_allowed && is_preflight {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Authorization, Content-Type"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response
}
