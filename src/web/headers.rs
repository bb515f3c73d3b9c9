//! Headers that protect pages (OAuth 2.1 §7.11, RFC 6797) and every other answer.

use std::{collections::BTreeSet, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use tower::util::MapResponseLayer;

use crate::{
    error::{Error, Result},
    oauth::{Issuer, WebOrigin},
    server::Server,
};

/// What a page may load and where its forms may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentPolicy {
    /// Sign-in, consent, errors. Without `form-action`: Chromium applies it to every hop behind a form post.
    Flow,
    /// The page that posts an authorization response by its one script.
    FormPost,
    /// Pages whose forms stay here.
    Account,
}

/// Nothing is loaded but our own style sheet and pictures.
const FLOW: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'";

impl ContentPolicy {
    const fn value(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Flow => FLOW,
            Self::FormPost => {
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
            }
            Self::Account => {
                "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
            }
        })
    }
}

/// Marks an answer to a browser: not kept, not framed, loading nothing that is not ours.
pub(crate) fn protect_page(mut response: Response, policy: ContentPolicy) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.value());
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Not `no-referrer`: then forms would be posted with `Origin: null`.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    // Not on pages between an app and its answer: apps that sign in by a popup wait for its opener.
    if policy == ContentPolicy::Account {
        headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Lets a page of the flow show frames from these origins, and from nowhere else.
pub(crate) fn with_frames(mut response: Response, origins: &BTreeSet<&WebOrigin>) -> Result<Response> {
    let mut policy = format!("{FLOW}; frame-src");
    for origin in origins {
        policy.push(' ');
        policy.push_str(&origin.to_string());
    }
    let policy = HeaderValue::try_from(policy).map_err(Error::internal)?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// Sends the browser on after a while, if the person does not go before.
pub(crate) fn with_refresh(mut response: Response, after: Duration, location: &str) -> Result<Response> {
    let refresh = HeaderValue::try_from(format!("{};url={location}", after.as_secs())).map_err(Error::internal)?;
    response.headers_mut().insert(header::REFRESH, refresh);
    Ok(response)
}

/// A redirect that the browser follows with GET (OAuth 2.1 §7.5.3: never 307). Nobody keeps it: it may carry a code.
/// A `location` of ours is what follows the issuer's path, which [`on_everything`] puts before it.
pub(crate) fn see_other(location: &str) -> Result<Response> {
    let location = HeaderValue::try_from(location).map_err(Error::internal)?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

/// Marks any answer: it is what it says it is, and comes by TLS where the issuer does (RFC 6797).
pub(crate) fn protect(mut response: Response, server: &Server) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if server.config().issuer.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

/// What every answer carries, and whole paths to ours.
pub(crate) fn on_everything(server: &Server) -> MapResponseLayer<impl Fn(Response) -> Response + Clone + use<>> {
    let server = server.clone();
    MapResponseLayer::new(move |response: Response| {
        let mut response = protect(response, &server);
        let (headers, issuer) = (response.headers_mut(), &server.config().issuer);
        if let Some(location) = headers.get(header::LOCATION).and_then(|location| on_our_origin(location, issuer)) {
            headers.insert(header::LOCATION, location);
        }
        response
    })
}

/// The path of a redirect to a page of ours, whole. Where the issuer has no path it is whole already; elsewhere lead full URLs.
fn on_our_origin(location: &HeaderValue, issuer: &Issuer) -> Option<HeaderValue> {
    let is_ours = !issuer.path().is_empty() && location.as_bytes().starts_with(b"/");
    is_ours.then(|| HeaderValue::from_bytes(&[issuer.path().as_bytes(), location.as_bytes()].concat()).ok()).flatten()
}
