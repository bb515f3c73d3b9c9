//! HTTP to other servers: bounded in number, time, size and reach, no redirects, no proxy from the environment.

mod places;
mod reach;
mod tls;

use std::{error::Error, net::IpAddr, path::Path, sync::Arc, time::Duration};

use http::{Request, Response, header};
use reqwest::{Url, redirect};

use places::Places;
pub use reach::Reach;
use reach::{OutOfReach, Resolver, Scheme, TooManyLookUps};

/// How long an exchange may take, how much of the answer is read, and how many there may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the connection alone.
    pub connect_timeout: Duration,
    /// From the first byte sent to the last one read, connecting included.
    pub timeout: Duration,
    /// The largest body accepted, in bytes.
    pub body: usize,
    /// How many exchanges may be under way, and how many look-ups of names.
    pub at_once: usize,
    /// ... with one host.
    pub with_one_host: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let (connect_timeout, timeout) = (Duration::from_secs(3), Duration::from_secs(10));
        Self { connect_timeout, timeout, body: 256 * 1024, at_once: 64, with_one_host: 64 }
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
    #[error("too many requests are under way: try again in a moment")]
    Busy,
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
        if is_caused_by::<OutOfReach>(&error) {
            Self::OutOfReach
        } else if is_caused_by::<TooManyLookUps>(&error) {
            Self::Busy
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

fn is_caused_by<E: Error + 'static>(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<E>() {
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
    exchanges: Arc<Places>,
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
        let [exchanges, look_ups] = [(); 2].map(|()| Places::new(limits.at_once, limits.with_one_host));
        let tls = tls::config(ca_file).map_err(OutboundError::Setup)?;
        let client = |scheme| {
            reqwest::Client::builder()
                .user_agent(concat!("grantor/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(limits.connect_timeout)
                .timeout(limits.timeout)
                .redirect(redirect::Policy::none())
                .no_proxy()
                // An idle connection to whoever registered an address is one that they can collect.
                .pool_max_idle_per_host(0)
                .https_only(scheme == Scheme::Https)
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(Resolver { reach: Arc::clone(&reach), look_ups: Arc::clone(&look_ups), scheme })
                .build()
                .map_err(|error| OutboundError::Setup(error.into()))
        };
        Ok(Self { http: client(Scheme::Http)?, https: client(Scheme::Https)?, reach, exchanges, body_limit: limits.body })
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
    /// When the address is out of reach, there are as many exchanges as there may be, or no complete answer within the limits.
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, OutboundError> {
        let request = reqwest::Request::try_from(request)?;
        let client = self.client(request.url())?;
        let _place = self.exchanges.take(request.url().host_str().unwrap_or_default()).ok_or(OutboundError::Busy)?;
        let mut answer = client.execute(request).await?;
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
