//! The issuer identifier (RFC 8414 §2).

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use url::{Host, Url};

/// The URL by which clients know this server. Comparisons with it are byte for byte, so it is kept as text and
/// in one spelling only: without trailing slash, with a lower-case host, no default port, and a path of plain characters.
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

    /// The URL of a path below the issuer's.
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
        check_path(url.path().trim_end_matches('/'))?;
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

/// A path that URL parsers, proxies and routers cannot read in two ways: letters, digits and `-`, `.`, `_`, `~` (RFC 3986 §2.3)
/// in segments that are neither empty nor hidden. Below `/.well-known` others speak for the host (RFC 8615).
fn check_path(path: &str) -> Result<(), String> {
    let is_plain = |segment: &str| segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    for segment in path.split('/').skip(1) {
        if segment.is_empty() {
            return Err("must not have two slashes in a row in its path".to_owned());
        }
        if segment.starts_with('.') {
            return Err("must not have a path with a segment that begins with a dot".to_owned());
        }
        if !is_plain(segment) {
            return Err("must have a path of letters, digits and - . _ ~ only, such as https://example.com/auth".to_owned());
        }
    }
    Ok(())
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
            ("https://id.example.com/", "write it as https://id.example.com"),
            ("https://id.example.com//", "write it as https://id.example.com"),
            ("https://id.example.com/auth/", "write it as https://id.example.com/auth"),
            ("https://id.example.com/a//b", "two slashes in a row"),
            ("https://id.example.com//a", "two slashes in a row"),
            ("https://id.example.com/a/./b", "write it as https://id.example.com/a/b"),
            ("https://id.example.com/a/../b", "write it as https://id.example.com/b"),
            ("https://id.example.com/a/%2e%2e/b", "write it as https://id.example.com/b"),
            ("https://id.example.com\\auth", "write it as https://id.example.com/auth"),
            ("https://id.example.com/.well-known/oauth-authorization-server", "begins with a dot"),
            ("https://id.example.com/...", "begins with a dot"),
            ("https://id.example.com/caf\u{e9}", "letters, digits and"),
            ("https://id.example.com/a%2Fb", "letters, digits and"),
            ("https://id.example.com/a;b", "letters, digits and"),
            ("https://id.example.com/{tenant}", "letters, digits and"),
            ("https://id.example.com/:tenant", "letters, digits and"),
            ("https://id.example.com/*", "letters, digits and"),
            ("https://id.example.com/a b", "letters, digits and"),
            ("https://id.example.com/a\tb", "write it as https://id.example.com/ab"),
            ("https://ID.example.com", "write it as https://id.example.com"),
            ("https://id.example.com:443", "write it as https://id.example.com"),
        ] {
            let message = text.parse::<Issuer>().expect_err(text);
            assert!(message.contains(remedy), "{text}: {message}");
        }
    }

    /// RFC 8414 §2 allows a path; browsers know the origin alone.
    #[test]
    fn a_path_is_told_from_the_origin() {
        for (text, origin, path) in [
            ("https://id.example.com", "https://id.example.com", ""),
            ("https://example.com/auth", "https://example.com", "/auth"),
            ("http://127.0.0.1:8080/tenant/a", "http://127.0.0.1:8080", "/tenant/a"),
            ("https://[2001:db8::1]:8443/A.b_c~d-9", "https://[2001:db8::1]:8443", "/A.b_c~d-9"),
        ] {
            let issuer: Issuer = text.parse().expect(text);
            assert_eq!((issuer.as_str(), issuer.origin(), issuer.path()), (text, origin, path));
            assert_eq!(issuer.url("/oauth/token"), format!("{text}/oauth/token"));
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
