//! HTTP to other servers: bounded in time and size, no redirects, no proxy from the environment.

use std::time::Duration;

use http::{Request, Response};
use reqwest::redirect;

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
    Setup(#[source] reqwest::Error),
    #[error("the request cannot be sent as it is")]
    Request(#[source] reqwest::Error),
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
        if error.is_timeout() {
            Self::TimedOut
        } else if error.is_connect() {
            Self::Connect(error)
        } else if error.is_builder() {
            Self::Request(error)
        } else {
            Self::Interrupted(error)
        }
    }
}

/// An HTTP client that another server can neither hold up, flood nor send elsewhere.
#[derive(Debug, Clone)]
pub struct Outbound {
    client: reqwest::Client,
    body_limit: usize,
}

impl Outbound {
    /// # Errors
    ///
    /// `Setup` when the system lacks what an HTTP client needs.
    pub fn new(limits: Limits) -> Result<Self, OutboundError> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("grantor/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.connect_timeout)
            .timeout(limits.timeout)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(OutboundError::Setup)?;
        Ok(Self { client, body_limit: limits.body })
    }

    /// Sends one request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    ///
    /// When there is no complete answer within the limits.
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, OutboundError> {
        let mut answer = self.client.execute(request.try_into()?).await?;
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
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::Router;
    use axum::http::{HeaderMap, StatusCode, header};
    use axum::response::Redirect;
    use axum::routing::get;

    use super::*;

    async fn other_server(router: Router) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn outbound(body: usize) -> Outbound {
        Outbound::new(Limits { body, ..Limits::default() }).unwrap()
    }

    fn get_request(address: SocketAddr) -> Request<Vec<u8>> {
        Request::get(format!("http://{address}/?secret=1")).body(Vec::new()).unwrap()
    }

    #[tokio::test]
    async fn an_error_status_is_an_answer() {
        let router = Router::new().route("/", get(|| async { (StatusCode::IM_A_TEAPOT, "short and stout") }));
        let address = other_server(router).await;
        let answer = outbound(15).send(get_request(address)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::IM_A_TEAPOT);
        assert_eq!(answer.body(), b"short and stout");
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_the_limit_and_no_further() {
        let router = Router::new().route("/", get(|| async { "x".repeat(16) }));
        let address = other_server(router).await;
        let error = outbound(15).send(get_request(address)).await.unwrap_err();
        assert!(matches!(error, OutboundError::TooLarge { limit: 15 }), "{error:?}");
    }

    #[tokio::test]
    async fn a_redirect_is_handed_back_and_not_followed() {
        let router = Router::new().route("/", get(|| async { Redirect::to("/elsewhere") }));
        let address = other_server(router).await;
        let answer = outbound(100).send(get_request(address)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert_eq!(answer.headers()[header::LOCATION], "/elsewhere");
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_given_up() {
        let router = Router::new().route("/", get(std::future::pending::<&str>));
        let address = other_server(router).await;
        let impatient = Limits { timeout: Duration::from_millis(100), ..Limits::default() };
        let error = Outbound::new(impatient).unwrap().send(get_request(address)).await.unwrap_err();
        assert!(matches!(error, OutboundError::TimedOut), "{error:?}");
    }

    #[tokio::test]
    async fn a_closed_port_is_no_connection_and_the_error_holds_no_url() {
        // Port 1 is nobody's; one that was just free may be taken by the test beside this one.
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let error = outbound(100).send(get_request(address)).await.unwrap_err();
        assert!(matches!(error, OutboundError::Connect(_)), "{error:?}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }

    /// Whatever comes back: a bounded answer or an error, never a panic.
    #[test]
    fn any_bytes_are_an_answer_within_the_limit_or_an_error() {
        use proptest::{prelude::*, test_runner::Config};
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let head = "(HTTP/1\\.[01] [1-5][0-9]{2} [ -~]{0,8}\r\n)?(Content-Length: [0-9]{1,20}\r\n|Transfer-Encoding: chunked\r\n|[a-zA-Z: ]{0,12}\r\n){0,3}(\r\n)?";
        let bytes = (head, prop::collection::vec(any::<u8>(), 0..64)).prop_map(|(head, body)| [head.into_bytes(), body].concat());
        // Each is a connection: a tenth of what parsers without one are asked.
        let config = Config { cases: (Config::default().cases / 10).max(1), ..Config::default() };
        proptest!(config, |(bytes in bytes)| {
            let answer = runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let other = async {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = stream.write_all(&bytes).await;
                };
                let impatient = Limits { timeout: Duration::from_secs(2), body: 40, ..Limits::default() };
                let outbound = Outbound::new(impatient).unwrap();
                tokio::join!(outbound.send(get_request(address)), other).0
            });
            prop_assert!(answer.is_err() || answer.is_ok_and(|answer| answer.body().len() <= 40));
        });
    }

    #[tokio::test]
    async fn it_says_who_asks() {
        let router =
            Router::new().route("/", get(|headers: HeaderMap| async move { headers[header::USER_AGENT].to_str().unwrap().to_owned() }));
        let address = other_server(router).await;
        let answer = outbound(100).send(get_request(address)).await.unwrap();
        assert_eq!(answer.body(), concat!("grantor/", env!("CARGO_PKG_VERSION")).as_bytes());
    }
}
