//! HTTP/1.1 byte by byte, for what well-behaved clients never do.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use super::process::PATIENCE;

/// One connection.
pub struct Wire(TcpStream);

impl Wire {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// The head of a `POST` of a form to the token endpoint that says how long its body will be, and asks whether to send it.
    pub fn begin_post(port: u16, length: usize) -> Self {
        let mut wire = Self::connect(port);
        wire.send(&format!(
            "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        ));
        // The server asks for the body where the request is handled: it is in progress.
        assert_eq!(wire.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
        wire
    }

    /// Sends bytes. The server may have closed the connection already: what it said then is for [`Wire::read_to_end`].
    pub fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    /// The same with any bytes.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// Sends bytes, if they can be sent within a moment.
    pub fn takes(&mut self, text: &str, moment: Duration) -> bool {
        self.0.set_write_timeout(Some(moment)).unwrap();
        let sent = self.0.write_all(text.as_bytes());
        self.0.set_write_timeout(None).unwrap();
        sent.is_ok()
    }

    /// Up to the empty line.
    pub fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&head)));
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap()
    }

    /// Everything until the server closes the connection. Panics if it does not.
    pub fn read_to_end(&mut self) -> String {
        let mut answer = Vec::new();
        match self.0.read_to_end(&mut answer) {
            Ok(_) => {}
            // It was closed with bytes of ours unread.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("not closed: {error}"),
        }
        String::from_utf8(answer).unwrap()
    }

    /// Whether the server closed the connection, after waiting a moment for something to happen.
    pub fn is_closed_after(&mut self, moment: Duration) -> bool {
        self.0.set_read_timeout(Some(moment)).unwrap();
        let read = self.0.peek(&mut [0]);
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        match read {
            Ok(count) => count == 0,
            Err(error) => !is_timeout(&error),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
