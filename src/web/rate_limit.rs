//! Limits on requests, and the header fields that tell of them (draft-ietf-httpapi-ratelimit-headers-10, RFC 6585 §4).

use std::{fmt::Write, hash::Hash, net::IpAddr};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use tower_sessions::Session;
use uuid::Uuid;

use super::{
    caller,
    json_error::JsonError,
    request_log::{self, Envelope},
    session,
};
use crate::{
    accounts::throttle::telling,
    client_auth::AuthenticatedClient,
    error::{Error, Result},
    oauth::client::ClientType,
    server::{Counted, Limit, Server, Standing, network},
};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// The endpoint of whatever has no route.
const NOWHERE: &str = "-";

/// Whose request was one too many.
pub(super) struct Refused(pub Standing);

impl From<Refused> for Error {
    fn from(Refused(standing): Refused) -> Self {
        Self::TooMany { retry_after: standing.reset }
    }
}

/// Counts a request by its address, if that tells people apart.
pub(super) fn count_address(server: &Server, route: Option<&MatchedPath>, address: Option<IpAddr>) -> Result<Option<Standing>, Refused> {
    let Some(address) = telling(server.config().throttle.by_address, address) else { return Ok(None) };
    count(server, endpoint(route), Whom::Address(network(address)), Some(address))
}

/// Counts a request of a client that proved who it is. Whoever names a public client is anyone, and would spend what is others'.
pub(super) fn count_client(
    server: &Server,
    route: Option<&MatchedPath>,
    client: &AuthenticatedClient,
    address: Option<IpAddr>,
) -> Result<()> {
    if client.client_type == ClientType::Public {
        return Ok(());
    }
    let counted = count(server, endpoint(route), Whom::Client(client.id.as_str()), address);
    match counted {
        Ok(standing) => standing.into_iter().for_each(request_log::tell),
        Err(refused) => {
            request_log::tell(refused.0);
            return Err(refused.into());
        }
    }
    Ok(())
}

/// Counts a request to a page of those who are signed in by the person; of nobody, by its address.
pub(crate) async fn by_person(State(server): State<Server>, request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let (route, address) = (extensions.get::<MatchedPath>().cloned(), caller::address(extensions));
    let envelope = extensions.get::<Envelope>().copied().unwrap_or(|error| JsonError::from(error).into_response());
    let person = match extensions.get::<Session>().cloned() {
        Some(cookie) => session::person(&cookie).await,
        None => None,
    };
    let counted = match person {
        Some(person) => count(&server, endpoint(route.as_ref()), Whom::Person(person), address),
        None => count_address(&server, route.as_ref(), address),
    };
    match counted {
        Ok(standing) => {
            standing.into_iter().for_each(request_log::tell);
            next.run(request).await
        }
        Err(refused) => {
            request_log::tell(refused.0);
            envelope(refused.into())
        }
    }
}

fn endpoint(route: Option<&MatchedPath>) -> &str {
    route.map_or(NOWHERE, MatchedPath::as_str)
}

/// Whose requests are counted.
#[derive(Clone, Copy, Hash)]
enum Whom<'a> {
    /// Or the network of one.
    Address(IpAddr),
    Person(Uuid),
    Client(&'a str),
}

impl Whom<'_> {
    const fn limit(self) -> Limit {
        match self {
            Self::Address(_) => Limit::Public,
            Self::Person(_) => Limit::SignedIn,
            Self::Client(_) => Limit::Client,
        }
    }

    fn person(self) -> Option<Uuid> {
        if let Self::Person(person) = self { Some(person) } else { None }
    }

    fn client_id(&self) -> Option<&str> {
        if let Self::Client(id) = self { Some(id) } else { None }
    }
}

fn count(server: &Server, endpoint: &str, whom: Whom<'_>, address: Option<IpAddr>) -> Result<Option<Standing>, Refused> {
    match server.rate_limits().count(whom.limit(), (endpoint, whom), server.clock().now()) {
        None => Ok(None),
        Some(Counted::Admitted(standing)) => Ok(Some(standing)),
        Some(Counted::Refused { standing, tells }) => {
            if tells {
                tracing::warn!(
                    limit = whom.limit().as_str(),
                    person = whom.person().map(tracing::field::display),
                    client_id = whom.client_id(),
                    route = endpoint,
                    address = address.map(tracing::field::display),
                    window_s = standing.window.as_secs(),
                    "requests are refused with 429: more came than this limit allows; of others within its window nothing is logged"
                );
            }
            Err(Refused(standing))
        }
    }
}

/// What applied to the request. Of who is refused, the time is that of `Retry-After`.
pub(super) fn write<'a>(standings: impl Iterator<Item = &'a Standing>, headers: &mut HeaderMap) {
    let (mut field, mut policy) = (String::new(), String::new());
    for (index, standing) in standings.enumerate() {
        if index == 0 {
            (field, policy) = (String::with_capacity(96), String::with_capacity(96));
        } else {
            field.push_str(", ");
            policy.push_str(", ");
        }
        let (name, reset) = (standing.limit.as_str(), Error::seconds_of(standing.reset));
        let _ = write!(field, "\"{name}\";r={};t={reset}", standing.remaining);
        let _ = write!(policy, "\"{name}\";q={};w={}", standing.requests, standing.window.as_secs());
    }
    if field.is_empty() {
        return;
    }
    if let (Ok(field), Ok(policy)) = (HeaderValue::try_from(field), HeaderValue::try_from(policy)) {
        headers.insert(RATE_LIMIT, field);
        headers.insert(RATE_LIMIT_POLICY, policy);
    }
}
