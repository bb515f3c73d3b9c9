//! The least of an HTTP/1.1 client: one kept connection, requests as ready bytes, answers by Content-Length.

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One kept connection to a server on loopback.
pub struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// An answer, in the connection's buffer.
pub struct Response<'a> {
    pub status: u16,
    head: &'a str,
    pub body: &'a str,
}

impl Connection {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, buffer: Vec::with_capacity(8192) }
    }

    /// Ends the connection; the next exchange connects anew.
    pub fn close(&mut self) {
        self.stream = None;
    }

    /// Sends one request and reads its answer whole. After an error the next exchange connects anew.
    pub async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Response<'_>> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address).await?,
        };
        stream.write_all(request).await?;
        let (head, length) = read(&mut stream, &mut self.buffer).await?;
        let text = std::str::from_utf8(&self.buffer[..head + length]).context("the answer is not UTF-8")?;
        let response = Response { status: status(text)?, head: &text[..head], body: &text[head..] };
        if !response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.stream = Some(stream);
        }
        Ok(response)
    }
}

impl<'a> Response<'a> {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers(name).next()
    }

    /// Every header of this name, in order.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.head.split("\r\n").skip(1).filter_map(move |line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The answer itself, when it has this status.
    pub fn expect(self, status: u16) -> anyhow::Result<Self> {
        if self.status == status {
            return Ok(self);
        }
        let shown: String = self.body.chars().take(300).collect();
        bail!("answered {} instead of {status}: {shown}", self.status)
    }

    /// Whether this stands in the answer's head or body.
    pub fn holds(&self, text: &str) -> bool {
        text.is_empty() || self.body.contains(text) || self.head.contains(text)
    }

    /// A string member of a flat JSON answer that was written without spaces or escapes.
    pub fn member(&self, name: &str) -> anyhow::Result<&'a str> {
        member(self.body, name).with_context(|| format!("no `{name}` in the answer"))
    }
}

/// A GET request with extra header lines, each ended by CRLF.
pub fn get(host: SocketAddr, path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n").into_bytes()
}

/// The head of a form's POST, up to the value of Content-Length.
pub fn post_head(host: SocketAddr, path: &str, headers: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "
    )
}

/// A form's POST.
pub fn post(head: &str, body: &str) -> Vec<u8> {
    let mut request = String::with_capacity(head.len() + body.len() + 8);
    request.push_str(head);
    // Writing to a string does not fail.
    let _ = write!(request, "{}\r\n\r\n{body}", body.len());
    request.into_bytes()
}

/// Name and value pairs as `application/x-www-form-urlencoded`.
pub fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn member<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = body;
    loop {
        let at = rest.find(name)?;
        let before = &rest[..at];
        rest = &rest[at + name.len()..];
        if let Some(value) = rest.strip_prefix("\":\"")
            && before.ends_with('"')
        {
            return value.split('"').next();
        }
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads one answer; tells the length of its head and of its body.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<(usize, usize)> {
    buffer.clear();
    let mut whole = None;
    loop {
        ensure!(stream.read_buf(buffer).await? > 0, "the server closed the connection");
        if whole.is_none()
            && let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n")
        {
            whole = Some((end + 4, content_length(&buffer[..end])?));
        }
        if let Some((head, length)) = whole
            && buffer.len() >= head + length
        {
            ensure!(buffer.len() == head + length, "more than one answer to one request");
            return Ok((head, length));
        }
    }
}

fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    for line in head.split(|byte| *byte == b'\n') {
        if let Some((name, value)) = line.split_at_checked(15)
            && name.eq_ignore_ascii_case(b"content-length:")
        {
            return Ok(std::str::from_utf8(value)?.trim().parse()?);
        }
    }
    // Only an answer that cannot have a body may come without (RFC 9112 §6.3).
    ensure!(head.get(9..12) == Some(b"204"), "an answer without Content-Length");
    Ok(0)
}

fn status(text: &str) -> anyhow::Result<u16> {
    Ok(text.get(9..12).context("no status line")?.parse()?)
}
