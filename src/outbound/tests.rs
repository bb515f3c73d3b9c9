//! Exchanges with servers that do not behave.

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
    Outbound::new(Limits { body, ..Limits::default() }, Reach::loopback(), None).unwrap()
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
    let error = Outbound::new(impatient, Reach::loopback(), None).unwrap().send(get_request(address)).await.unwrap_err();
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
            let outbound = Outbound::new(impatient, Reach::loopback(), None).unwrap();
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

fn internet_and(networks: &[&str]) -> Reach {
    Reach::Internet { and: networks.iter().map(|network| network.parse().unwrap()).collect() }
}

async fn outcome(outbound: &Outbound, url: &str) -> Result<Response<Vec<u8>>, OutboundError> {
    outbound.get(url, "*/*").await
}

/// However the address is written: as it is, as a number, within IPv6, or by a name.
#[tokio::test]
async fn an_address_that_no_network_lists_is_not_connected_to() {
    let port = other_server(Router::new().route("/", get(|| async { "secret" }))).await.port();
    let outbound = Outbound::new(Limits::default(), internet_and(&[]), None).unwrap();
    for host in
        ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "127.0.0.1.", "[::ffff:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[::1]", "localhost"]
    {
        for scheme in ["http", "https"] {
            let error = outcome(&outbound, &format!("{scheme}://{host}:{port}/")).await.unwrap_err();
            assert!(matches!(error, OutboundError::OutOfReach), "{scheme} {host}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_listed_loopback_network_is_connected_to_by_http() {
    let port = other_server(Router::new().route("/", get(|| async { "keys" }))).await.port();
    let outbound = Outbound::new(Limits::default(), internet_and(&["127.0.0.0/8"]), None).unwrap();
    for host in ["127.0.0.1", "localhost"] {
        assert_eq!(outcome(&outbound, &format!("http://{host}:{port}/")).await.unwrap().body(), b"keys", "{host}");
    }
    for url in ["http://10.0.0.1/", "http://[::1]/", "ftp://127.0.0.1/", "file:///etc/passwd"] {
        let error = outcome(&outbound, url).await.unwrap_err();
        assert!(matches!(error, OutboundError::OutOfReach | OutboundError::Request(_)), "{url}: {error:?}");
    }
}

/// Serves TLS under a certificate of a CA of its own; with the CA as PEM.
async fn other_server_with_tls(body: &'static str) -> (u16, String) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, ca_pem)
}

#[tokio::test]
async fn a_ca_of_the_operators_file_is_trusted_and_no_other() {
    let (port, ca_pem) = other_server_with_tls("keys").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, ca_pem).unwrap();
    let with = |ca_file| Outbound::new(Limits::default(), internet_and(&["127.0.0.0/8"]), ca_file).unwrap();
    let url = format!("https://localhost:{port}/");

    assert_eq!(outcome(&with(Some(file.path())), &url).await.unwrap().body(), b"keys");
    let error = outcome(&with(None), &url).await.unwrap_err();
    assert!(matches!(error, OutboundError::Connect(_)), "{error:?}");
    // The certificate is for the name alone.
    let error = outcome(&with(Some(file.path())), &format!("https://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(matches!(error, OutboundError::Connect(_)), "{error:?}");
}

#[test]
fn a_ca_file_without_certificates_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for text in ["", "certificates", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&file, text).unwrap();
        let outcome = Outbound::new(Limits::default(), Reach::loopback(), Some(file.path()));
        assert!(matches!(outcome, Err(OutboundError::Setup(_))), "{text}");
    }
    let missing = Outbound::new(Limits::default(), Reach::loopback(), Some(Path::new("/nowhere")));
    assert!(matches!(missing, Err(OutboundError::Setup(_))));
}
