//! Who sent a request, as far as the connection and headers tell.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

use axum::extract::FromRequestParts;
use http::{Extensions, header::USER_AGENT, request::Parts};

use super::request_log;
use crate::audit::Origin;

/// Longer ones are cut: the header is the caller's to choose.
const USER_AGENT_MAX: usize = 300;

/// The address that a request comes from: the other end of the connection, or whom [trusted proxies](super::proxies) name.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The address that a request comes from.
pub(crate) fn address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<Peer>().map(|Peer(address)| address.ip().to_canonical())
}

/// Whence the request comes that this task answers.
pub(super) fn origin(extensions: &Extensions) -> Origin {
    Origin { address: address(extensions), request_id: request_log::current_id() }
}

/// Where a request comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    pub origin: Origin,
    pub user_agent: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let user_agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self { origin: origin(&parts.extensions), user_agent: user_agent.map(|text| text.chars().take(USER_AGENT_MAX).collect()) })
    }
}
