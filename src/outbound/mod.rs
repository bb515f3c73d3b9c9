//! HTTP to other servers: bounded in time, size and reach, no redirects, no proxy from the environment.

mod reach;
mod tls;

use std::{error::Error, net::IpAddr, path::Path, sync::Arc, time::Duration};

use http::{Request, Response, header};
use reqwest::{Url, redirect};

pub use reach::Reach;
use reach::{OutOfReach, Resolver, Scheme};

/// How long an exchange may take, and how much of the answer is read.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the connection alone.
    pub connect_timeout: Duration,
    /// From the first byte sent to the last one read, connecting included.
    pub timeout: Duration,
    /// The largest body accepted, in bytes.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(3), timeout: Duration::from_secs(10), body: 256 * 1024 }
    }
}

/// Why there is no answer. An answer with an error status is an answer.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    #[error("the HTTP client could not be set up")]
    Setup(#[source] anyhow::Error),
    #[error("the request cannot be sent as it is")]
    Request(#[source] anyhow::Error),
    #[error("the address is out of reach: https on the Internet is allowed, and what outbound.allow_networks lists")]
    OutOfReach,
    #[error("no connection")]
    Connect(#[source] reqwest::Error),
    #[error("no answer in time")]
    TimedOut,
    #[error("the connection failed before the answer was complete")]
    Interrupted(#[source] reqwest::Error),
    #[error("the answer is larger than {limit} bytes")]
    TooLarge { limit: usize },
}

impl From<reqwest::Error> for OutboundError {
    fn from(error: reqwest::Error) -> Self {
        // The URL may carry what must not reach a log.
        let error = error.without_url();
        if is_out_of_reach(&error) {
            Self::OutOfReach
        } else if error.is_timeout() {
            Self::TimedOut
        } else if error.is_connect() {
            Self::Connect(error)
        } else if error.is_builder() {
            Self::Request(error.into())
        } else {
            Self::Interrupted(error)
        }
    }
}

fn is_out_of_reach(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<OutOfReach>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// An HTTP client that another server can neither hold up, flood nor send elsewhere.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// One for each scheme, because a resolver is told the name alone.
    http: reqwest::Client,
    https: reqwest::Client,
    reach: Arc<Reach>,
    body_limit: usize,
}

impl Outbound {
    /// With the public CAs and those of `ca_file`.
    ///
    /// # Errors
    ///
    /// `Setup` when the file holds no certificates, or the system lacks what an HTTP client needs.
    pub fn new(limits: Limits, reach: Reach, ca_file: Option<&Path>) -> Result<Self, OutboundError> {
        let reach = Arc::new(reach);
        let tls = tls::config(ca_file).map_err(OutboundError::Setup)?;
        let client = |scheme| {
            reqwest::Client::builder()
                .user_agent(concat!("grantor/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(limits.connect_timeout)
                .timeout(limits.timeout)
                .redirect(redirect::Policy::none())
                .no_proxy()
                .https_only(scheme == Scheme::Https)
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(Resolver { reach: Arc::clone(&reach), scheme })
                .build()
                .map_err(|error| OutboundError::Setup(error.into()))
        };
        Ok(Self { http: client(Scheme::Http)?, https: client(Scheme::Https)?, reach, body_limit: limits.body })
    }

    /// Gets a document.
    ///
    /// # Errors
    ///
    /// As [`Outbound::send`].
    pub async fn get(&self, url: &str, accept: &str) -> Result<Response<Vec<u8>>, OutboundError> {
        let request = Request::get(url).header(header::ACCEPT, accept).body(Vec::new());
        self.send(request.map_err(|error| OutboundError::Request(error.into()))?).await
    }

    /// Sends one request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    ///
    /// When the address is out of reach, or there is no complete answer within the limits.
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, OutboundError> {
        let request = reqwest::Request::try_from(request)?;
        let mut answer = self.client(request.url())?.execute(request).await?;
        let mut response = Response::new(Vec::new());
        *response.status_mut() = answer.status();
        *response.version_mut() = answer.version();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        // Content-Length is the other side's word only: what arrives is counted.
        while let Some(chunk) = answer.chunk().await? {
            let body = response.body_mut();
            if chunk.len() > self.body_limit.saturating_sub(body.len()) {
                return Err(OutboundError::TooLarge { limit: self.body_limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(response)
    }

    /// The client for this URL. No resolver is asked about an address, so it is checked here.
    fn client(&self, url: &Url) -> Result<&reqwest::Client, OutboundError> {
        let (scheme, client) = match url.scheme() {
            "https" => (Scheme::Https, &self.https),
            "http" => (Scheme::Http, &self.http),
            _ => return Err(OutboundError::OutOfReach),
        };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        match host.parse::<IpAddr>() {
            Ok(address) if !self.reach.admits(scheme, address) => Err(OutboundError::OutOfReach),
            _ => Ok(client),
        }
    }
}

#[cfg(test)]
mod tests;
