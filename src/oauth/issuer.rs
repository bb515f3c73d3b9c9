//! The issuer identifier (RFC 8414 §2).

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use url::{Host, Url};

/// The URL by which clients know this server. Comparisons with it are byte for byte, so it is kept as text and
/// in one spelling only: without trailing slash, with a lower-case host and no default port.
#[derive(Clone, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    /// How much of the text is the origin; the path is what follows.
    origin_len: usize,
    loopback: bool,
}

impl Issuer {
    /// `http://` and the address, where that is a loopback address with a known port.
    pub fn of_loopback(listen: SocketAddr) -> Option<Self> {
        let url = Url::parse(&format!("http://{listen}")).ok().filter(|_| listen.ip().is_loopback() && listen.port() != 0)?;
        url.as_str().trim_end_matches('/').parse().ok()
    }

    /// The exact string in `iss`, metadata and authorization responses.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URL of a path of this server.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }

    /// What a browser sends as `Origin` from our pages (RFC 6454 §6.2).
    pub fn origin(&self) -> &str {
        &self.text[..self.origin_len]
    }

    /// What every path of this server begins with: empty, or `/` and more, without a slash at the end.
    pub fn path(&self) -> &str {
        &self.text[self.origin_len..]
    }

    /// Whether browsers reach the server over TLS.
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }

    /// Whether the host is 127.0.0.0/8, `::1` or `localhost`: what runs on one machine, for development and tests.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}

impl FromStr for Issuer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_| "must be a URL such as https://id.example.com".to_owned())?;
        let refuse = |what: &str| Err(what.to_owned());
        if !matches!(url.scheme(), "https" | "http") {
            return refuse("must begin with https://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("must not contain a user or a password");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse("must have neither a query nor a fragment (RFC 8414 §2)");
        }
        if url.path() != "/" {
            return refuse("an issuer with a path is not supported yet: give the server a host name of its own");
        }
        let normal = url.as_str().trim_end_matches('/');
        if text != normal {
            return Err(format!("is compared byte for byte, so write it as {normal}"));
        }
        let loopback = url.host().is_some_and(|host| is_loopback(&host));
        if url.scheme() == "http" && !loopback {
            return refuse("must begin with https:// unless its host is loopback (127.0.0.1, [::1], localhost)");
        }
        let origin_len = normal.len() - url.path().trim_end_matches('/').len();
        Ok(Self { text: text.to_owned(), origin_len, loopback })
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// Loopback addresses and `localhost` (RFC 8252 §7.3 and §8.3).
pub fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_accepted_and_plain_http_on_loopback_only() {
        for text in ["https://id.example.com", "https://id.example.com:8443", "https://[2001:db8::1]"] {
            let issuer: Issuer = text.parse().expect(text);
            assert!(issuer.is_https() && !issuer.is_loopback(), "{text}");
        }
        for text in ["http://127.0.0.1:8080", "http://127.1.2.3", "http://[::1]:8080", "http://localhost:8080"] {
            let issuer: Issuer = text.parse().expect(text);
            assert!(!issuer.is_https() && issuer.is_loopback(), "{text}");
        }
        for text in ["http://id.example.com", "http://localhost.example.com", "http://10.0.0.1", "http://[::ffff:7f00:1]"] {
            assert!(text.parse::<Issuer>().expect_err(text).contains("https://"), "{text}");
        }
    }

    #[test]
    fn whatever_else_a_url_can_have_is_refused_with_what_to_change() {
        for (text, remedy) in [
            ("id.example.com", "must be a URL"),
            ("", "must be a URL"),
            ("ftp://id.example.com", "must begin with https://"),
            ("https://alice@id.example.com", "user or a password"),
            ("https://:secret@id.example.com", "user or a password"),
            ("https://id.example.com?tenant=1", "query"),
            ("https://id.example.com#top", "fragment"),
            ("https://id.example.com/auth", "a path is not supported yet"),
            ("https://id.example.com/", "write it as https://id.example.com"),
            ("https://ID.example.com", "write it as https://id.example.com"),
            ("https://id.example.com:443", "write it as https://id.example.com"),
        ] {
            let message = text.parse::<Issuer>().expect_err(text);
            assert!(message.contains(remedy), "{text}: {message}");
        }
    }

    #[test]
    fn the_address_listened_on_is_an_issuer_on_loopback_only() {
        let issuer = |listen: &str| Issuer::of_loopback(listen.parse().expect(listen)).map(|issuer| issuer.to_string());

        assert_eq!(issuer("127.0.0.1:8080").as_deref(), Some("http://127.0.0.1:8080"));
        assert_eq!(issuer("[::1]:8080").as_deref(), Some("http://[::1]:8080"));
        assert_eq!(issuer("127.0.0.1:80").as_deref(), Some("http://127.0.0.1"));
        assert_eq!(issuer("127.0.0.1:0"), None);
        assert_eq!(issuer("0.0.0.0:8080"), None);
    }
}
