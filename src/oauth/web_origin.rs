//! Origins of the web (RFC 6454 §6.2) that may stand in a header as they are.

use std::fmt;

use url::{Host, Url};

/// The origin of an `http` or `https` URL with a plain host. Made only from one, so holding one is the proof that no character of it
/// means anything else in a list of sources (Content-Security-Policy).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WebOrigin(String);

impl WebOrigin {
    /// `None` where no browser loads pages from, or the host could say more than a name.
    pub fn of(url: &Url) -> Option<Self> {
        let is_of_the_web = matches!(url.scheme(), "https" | "http");
        (is_of_the_web && has_a_plain_host(url)).then(|| Self(url.origin().ascii_serialization()))
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether the host is an address or a name of letters, digits, `.`, `-` and `_`. The URL Standard lets names have `;`, `,`, `'` and
/// more, which nobody's host has.
pub(super) fn has_a_plain_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin(text: &str) -> Option<String> {
        WebOrigin::of(&Url::parse(text).ok()?).map(|origin| origin.to_string())
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (url, expected) in [
            ("https://app.example.com/out?a=1", "https://app.example.com"),
            ("https://app_1.example:8443/", "https://app_1.example:8443"),
            ("http://127.0.0.1:80/", "http://127.0.0.1"),
            ("https://[::1]:8443/", "https://[::1]:8443"),
            ("https://b\u{fc}cher.example/", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(origin(url).as_deref(), Some(expected));
        }
        for url in ["com.example.app://host/", "javascript:alert(1)", "data:text/html,x", "ftp://app.example/"] {
            assert_eq!(origin(url), None, "{url}");
        }
    }

    /// RFC 6454 §6.2 leaves the host as it is, and in a policy `;` begins a directive, `,` a policy.
    #[test]
    fn a_host_with_characters_of_a_policy_has_no_origin() {
        for character in [';', ',', '\'', '"', '!', '$', '&', '(', ')', '*', '+', '=', '`', '{', '}', '~'] {
            assert_eq!(origin(&format!("https://a{character}script-src.example/")), None, "{character}");
        }
    }

    proptest! {
        #[test]
        fn no_origin_means_more_than_a_source(text in "https?://\\PC{1,40}") {
            if let Some(origin) = origin(&text) {
                let plain = |c: char| c.is_ascii_alphanumeric() || ":/.-_[]".contains(c);
                prop_assert!(origin.chars().all(plain), "{}", origin);
            }
        }
    }
}
