//! Requests of the wrong kind and size, byte by byte: each has its status, and the server goes on (docs/operations.md, Faults).

use std::time::{Duration, Instant};

use crate::{
    harness::{over_http::RemoteApp, process::Process, wire::Wire},
    on_databases,
};

/// What comes at once, also on a busy machine.
const SOON: Duration = Duration::from_secs(2);
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// A head with these header lines, and what follows it.
fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").into_bytes()
}

/// A `POST` to the token endpoint whose header lines say themselves how long the body is.
fn framed(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// The same with a length that is right.
fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    framed(&format!("{headers}Content-Length: {}\r\n", body.len()), body)
}

fn chunked(body: &str) -> Vec<u8> {
    framed(&format!("{FORM}Transfer-Encoding: chunked\r\n"), body.as_bytes())
}

/// What is sent, and the status that it gets, or 0 where the connection is closed; where it reaches an endpoint for programs, with the
/// error code.
fn table() -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let many_cookies = (0..100).map(|number| format!("cookie-{number}=value-{number}")).collect::<Vec<_>>().join("; ");
    let raw = |text: &str| text.as_bytes().to_vec();
    let registration = |content_type: &str, body: &str| {
        let head = format!("POST /oauth/register HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {content_type}\r\n");
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    vec![
        // Content types.
        ("no content type", post("", b"grant_type=client_credentials"), 400, "invalid_request"),
        ("JSON for a form", post("Content-Type: application/json\r\n", b"{\"grant_type\":\"client_credentials\"}"), 400, "invalid_request"),
        ("multipart for a form", post("Content-Type: multipart/form-data; boundary=x\r\n", b"--x--"), 400, "invalid_request"),
        ("a content type that is none", post("Content-Type: ;;;\r\n", b"grant_type=x"), 400, "invalid_request"),
        ("a content type with bytes", post("Content-Type: \u{fc}\r\n", b"grant_type=x"), 400, "invalid_request"),
        ("a form for JSON", registration("application/x-www-form-urlencoded", "a=b"), 415, "invalid_request"),
        ("half of a JSON object", registration("application/json", "{\"redirect_uris\": ["), 400, "invalid_request"),
        ("nested JSON without end", registration("application/json", &"[".repeat(20_000)), 400, "invalid_request"),
        // Lengths.
        ("a gigabyte, announced", framed(&format!("{FORM}Content-Length: 1073741824\r\n"), b"grant_type="), 413, "invalid_request"),
        ("a gigabyte of JSON, announced", registration("application/json", &"x".repeat(70_000)), 413, "invalid_request"),
        ("more than there are bytes", framed(&format!("{FORM}Content-Length: 99999999999999999999999\r\n"), b""), 400, ""),
        ("a negative length", framed(&format!("{FORM}Content-Length: -1\r\n"), b""), 400, ""),
        ("a length that is no number", framed(&format!("{FORM}Content-Length: ten\r\n"), b""), 400, ""),
        ("two lengths", framed(&format!("{FORM}Content-Length: 5\r\nContent-Length: 6\r\n"), b"a=b&c="), 400, ""),
        ("another transfer coding", framed(&format!("{FORM}Transfer-Encoding: gzip\r\n"), b"\x1f\x8b"), 400, ""),
        ("more than is taken, in chunks", chunked(&format!("{:x}\r\n{}\r\n0\r\n\r\n", 70_000, "x".repeat(70_000))), 413, "invalid_request"),
        ("a chunk whose size is no number", chunked("zz\r\ngrant_type\r\n0\r\n\r\n"), 400, "invalid_request"),
        ("a chunk whose size overflows", chunked("ffffffffffffffffff\r\ngrant_type\r\n0\r\n\r\n"), 400, "invalid_request"),
        ("a chunk that is longer than it says", chunked("3\r\ngrant_type=client_credentials\r\n0\r\n\r\n"), 400, "invalid_request"),
        // Bytes of a body.
        ("no UTF-8", post(FORM, b"grant_type=\xff\xfe"), 400, "invalid_request"),
        ("no UTF-8, encoded", post(FORM, b"grant_type=%ff%fe"), 401, "invalid_client"),
        ("NUL, encoded", post(FORM, b"grant_type=client%00credentials"), 400, "invalid_request"),
        ("NUL as it is", post(FORM, b"grant_type=client\0credentials"), 400, "invalid_request"),
        ("a parameter twice", post(FORM, b"grant_type=refresh_token&grant_type=refresh_token"), 400, "invalid_request"),
        ("bytes of no meaning", post(FORM, &[0x80; 200]), 400, "invalid_request"),
        ("an empty body", post(FORM, b""), 401, "invalid_client"),
        ("ten thousand parameters", post(FORM, "a=&".repeat(10_000).as_bytes()), 401, "invalid_client"),
        // Header fields.
        ("a hundred cookies", get("/account", &format!("Cookie: {many_cookies}\r\n")), 303, ""),
        ("a hundred lines of cookies", get("/account", &"Cookie: a=b\r\n".repeat(100)), 431, ""),
        ("a cookie of 15 KB", get("/account", &format!("Cookie: grantor={}\r\n", "x".repeat(15 * 1024))), 303, ""),
        ("a cookie of 20 KB", get("/account", &format!("Cookie: grantor={}\r\n", "x".repeat(20 * 1024))), 431, ""),
        ("a cookie with bytes", get("/account", "Cookie: grantor=\u{fc}\u{0001}\r\n"), 400, ""),
        ("NUL in a header", get("/account", "X-Header: a\0b\r\n"), 400, ""),
        ("a header without a name", get("/account", ": value\r\n"), 400, ""),
        ("a space before the colon", get("/account", "Host : localhost\r\n"), 400, ""),
        ("a folded header", get("/account", "X-Header: a\r\n b\r\n"), 400, ""),
        ("no host", raw("GET /account HTTP/1.1\r\nConnection: close\r\n\r\n"), 400, ""),
        ("two hosts", get("/account", "Host: elsewhere.example\r\n"), 400, ""),
        (
            "Authorization twice",
            post(&format!("{FORM}Authorization: Basic YTpi\r\nAuthorization: Basic YTpi\r\n"), b"grant_type=client_credentials"),
            400,
            "invalid_request",
        ),
        (
            "Authorization that is no Base64",
            post(&format!("{FORM}Authorization: Basic \u{fc}\r\n"), b"grant_type=client_credentials"),
            401,
            "invalid_client",
        ),
        (
            "Authorization with NUL within",
            post(&format!("{FORM}Authorization: Basic AAAAADpA\r\n"), b"grant_type=client_credentials"),
            401,
            "invalid_client",
        ),
        // Request lines.
        ("no such method", raw("FOO /oauth/token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), 405, "invalid_request"),
        ("GET of the token endpoint", get("/oauth/token?code=x", ""), 405, "invalid_request"),
        ("a tunnel", raw("CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), 404, ""),
        ("a path with NUL", get("/account%00", ""), 404, ""),
        ("a path out of the root", get("/assets/../../../etc/passwd", ""), 404, ""),
        ("a path of 20 KB", get(&format!("/{}", "x".repeat(20 * 1024)), ""), 431, ""),
        ("a version that is none", raw("GET / HTTP/9.9\r\nHost: localhost\r\n\r\n"), 400, ""),
        ("the preface of HTTP/2", raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 0, ""),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefgh\r\n\r\n".to_vec(), 400, ""),
        ("mail", raw("EHLO mail.example.com\r\n\r\n"), 400, ""),
    ]
}

on_databases! { [Sqlite]
    /// RFC 9110 §15.5, RFC 6585 §5, RFC 9112 §3.2: 4xx at once for whatever is the client's mistake, and a line of warning for none.
    async fn nonsense_is_refused_with_the_status_that_says_why(database) {
        let server = Process::serve(database, &[("GRANTOR_REGISTRATION__MODE", "open")]);
        let mut wrong = Vec::new();
        for (what, bytes, status, code) in table() {
            let begin = Instant::now();
            let mut wire = Wire::connect(server.port);
            wire.send_bytes(&bytes);
            let answer = wire.read_to_end();
            let got = answer.split(' ').nth(1).unwrap_or("0").to_owned();
            let has_code = code.is_empty() || answer.contains(&format!("\"error\":\"{code}\""));
            if got != status.to_string() || !has_code || begin.elapsed() > SOON {
                wrong.push(format!("{what}: {status} {code}, not {got} after {:?}: {answer}", begin.elapsed()));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));

        RemoteApp::create(database, "app").client_credentials(&server.base()).await.assert_status(200);
        let log = server.log_text();
        assert!(!log.contains("\"WARN\"") && !log.contains("\"ERROR\""), "{log}");
    }
}
