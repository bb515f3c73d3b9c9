//! Redirect URIs: registration and comparison (OAuth 2.1 §2.3, §4.1.3, RFC 8252 §7 and §8).

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    client::{ApplicationType, ClientType},
    issuer::is_loopback,
    params,
    web_origin::has_a_plain_host,
};

/// A registered redirect URI, kept and compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedirectUri(String);

/// Why a URI cannot be registered; the message says what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnacceptableRedirectUri {
    #[error("it must be an absolute URI in plain ASCII, such as https://app.example.com/callback")]
    NotAbsolute,
    #[error("it must not have a fragment (#...)")]
    Fragment,
    #[error("it must not have a user name or password")]
    Userinfo,
    #[error("its host must be written as browsers show it, such as app.example.com or 127.0.0.1:8080")]
    Host,
    #[error("it must not have a wildcard (*): register each URI")]
    Wildcard,
    #[error("http:// is for loopback only (127.0.0.1, [::1], localhost): use https://")]
    PlainHttp,
    #[error(
        "a private-use scheme needs a dot, such as com.example.app:/callback (RFC 8252 §7.1); is https:// or, for loopback, http:// missing?"
    )]
    SchemeWithoutDot,
    #[error("a private-use scheme is for public clients only: use https://")]
    PrivateUseOfConfidential,
}

impl RedirectUri {
    /// Checks a URI for registration.
    pub fn register(text: &str, client_type: ClientType) -> Result<Self, UnacceptableRedirectUri> {
        use UnacceptableRedirectUri as Unacceptable;
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Unacceptable::NotAbsolute);
        }
        let url = Url::parse(text).map_err(|_| Unacceptable::NotAbsolute)?;
        if text.contains('#') {
            return Err(Unacceptable::Fragment);
        }
        if text.contains('*') {
            return Err(Unacceptable::Wildcard);
        }
        if !url.username().is_empty() || url.password().is_some() || authority(text).is_some_and(|part| part.contains('@')) {
            return Err(Unacceptable::Userinfo);
        }
        match url.scheme() {
            // `https:/host` and `HTTPS://host` parse, but no browser or client writes them.
            "https" | "http" if !text.starts_with("https://") && !text.starts_with("http://") => return Err(Unacceptable::NotAbsolute),
            "https" | "http" if !shows_its_host(text, &url) => return Err(Unacceptable::Host),
            "https" => {}
            "http" if url.host().is_some_and(|host| is_loopback(&host)) => {}
            "http" => return Err(Unacceptable::PlainHttp),
            scheme if !scheme.contains('.') => return Err(Unacceptable::SchemeWithoutDot),
            _ if client_type == ClientType::Confidential => return Err(Unacceptable::PrivateUseOfConfidential),
            _ => {}
        }
        Ok(Self(text.to_owned()))
    }

    /// The URI as registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `requested` is this URI: byte for byte, but a native app may use any port of the registered loopback host (RFC 8252 §7.3).
    pub fn accept(&self, requested: &str, application_type: ApplicationType) -> Option<ReturnAddress> {
        let is_same = self.0 == requested || (application_type == ApplicationType::Native && self.is_same_but_for_port(requested));
        is_same.then(|| ReturnAddress(requested.to_owned()))
    }

    /// This URI as it is registered, for a request that names none (OAuth 2.1 §4.1.1).
    pub fn return_address(&self) -> ReturnAddress {
        ReturnAddress(self.0.clone())
    }

    fn is_same_but_for_port(&self, requested: &str) -> bool {
        match (Loopback::split(&self.0), Loopback::split(requested)) {
            (Some(registered), Some(requested)) => registered == requested,
            _ => false,
        }
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Between `://` and the next `/` or `?`.
fn authority(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    rest.split(['/', '?']).next()
}

/// Whether the host stands there as browsers read it. People are shown what is written (RFC 8252 §8.6), and
/// `https://0x7f.1/`, `https://a.example\b/` and `https:///a.example/` lead elsewhere than they say; `https://a;b.example/` is no
/// name that anyone has.
pub(super) fn shows_its_host(text: &str, url: &Url) -> bool {
    let Some((authority, host)) = authority(text).zip(url.host_str()) else { return false };
    let is_port =
        |text: &str| text.strip_prefix(':').is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    has_a_plain_host(url)
        && authority
            .split_at_checked(host.len())
            .is_some_and(|(written, rest)| written.eq_ignore_ascii_case(host) && (rest.is_empty() || is_port(rest)))
}

/// An `http` URI on a loopback host, without its port.
#[derive(PartialEq)]
struct Loopback<'a> {
    host: &'a str,
    path_and_query: &'a str,
}

impl<'a> Loopback<'a> {
    fn split(uri: &'a str) -> Option<Self> {
        let rest = uri.strip_prefix("http://")?;
        let host = ["127.0.0.1", "[::1]", "localhost"].into_iter().find(|host| rest.starts_with(host))?;
        let (host, after_host) = rest.split_at(host.len());
        let path_and_query = match after_host.strip_prefix(':') {
            None => after_host,
            Some(with_port) => {
                let digits = with_port.bytes().take_while(u8::is_ascii_digit).count();
                let (port, path_and_query) = with_port.split_at(digits);
                port.parse::<u16>().ok()?;
                path_and_query
            }
        };
        let ends_authority = path_and_query.is_empty() || path_and_query.starts_with(['/', '?']);
        ends_authority.then_some(Self { host, path_and_query })
    }
}

/// Where an authorization response may be sent. Made only from a registered redirect URI,
/// so holding one is the proof that redirecting is safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnAddress(String);

impl ReturnAddress {
    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URI with response parameters behind its own query (OAuth 2.1 §4.1.2).
    pub fn with_query(&self, query: &str) -> String {
        let separator = if self.0.contains('?') { '&' } else { '?' };
        format!("{}{separator}{query}", self.0)
    }

    /// What a person can recognise: the host with its port, or the scheme of a private-use URI.
    pub fn display_host(&self) -> &str {
        match authority(&self.0) {
            Some(authority) if self.is_http() => authority,
            _ => self.0.split(':').next().unwrap_or(&self.0),
        }
    }

    /// Whether only one site can be there: a claimed `https` URI, other than loopback and private-use schemes,
    /// which any program on the person's device could answer (OAuth 2.1 §7.3.1, RFC 8252 §8.6).
    pub fn is_claimed(&self) -> bool {
        self.0.starts_with("https://")
    }

    fn is_http(&self) -> bool {
        self.0.starts_with("https://") || self.0.starts_with("http://")
    }
}

/// Where a person may be sent after signing out (`OpenID` RP-Initiated Logout §3). Made only from a registered
/// `post_logout_redirect_uris`, so holding one is the proof that redirecting is safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostLogoutAddress(ReturnAddress);

impl PostLogoutAddress {
    /// §3: the address must be one of those registered, byte for byte. One that a browser would run instead of visiting is none.
    pub fn accept(registered: &[String], requested: &str) -> Option<Self> {
        let is_registered = registered.iter().any(|uri| uri == requested);
        let is_place = requested.split_once(':').is_some_and(|(scheme, _)| matches!(scheme, "https" | "http") || scheme.contains('.'));
        (is_registered && is_place).then(|| Self(ReturnAddress(requested.to_owned())))
    }

    /// With the `state` that the app sent, behind the address's own query (§2).
    pub fn url(&self, state: Option<&str>) -> String {
        match state {
            Some(state) => self.0.with_query(&params::encode([("state", state.into())])),
            None => self.0.as_str().to_owned(),
        }
    }

    /// What a person can recognise.
    pub fn display_host(&self) -> &str {
        self.0.display_host()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{UnacceptableRedirectUri as Unacceptable, *};

    fn public(text: &str) -> Result<RedirectUri, Unacceptable> {
        RedirectUri::register(text, ClientType::Public)
    }

    #[test]
    fn https_loopback_and_private_use_schemes_can_be_registered() {
        for text in [
            "https://app.example.com/callback",
            "https://app.example.com/callback?tenant=1",
            "http://127.0.0.1/callback",
            "http://[::1]:9000/callback",
            "http://localhost:3000",
            "com.example.app:/callback",
        ] {
            assert!(public(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_could_leak_a_code_is_refused() {
        for (text, why) in [
            ("callback", Unacceptable::NotAbsolute),
            ("https:/app.example.com", Unacceptable::NotAbsolute),
            ("https://app.example.com/ü", Unacceptable::NotAbsolute),
            ("https://app.example.com/#", Unacceptable::Fragment),
            ("https://me@app.example.com/", Unacceptable::Userinfo),
            ("https://@app.example.com/", Unacceptable::Userinfo),
            ("https://*.example.com/", Unacceptable::Wildcard),
            ("http://app.example.com/", Unacceptable::PlainHttp),
            ("http://127.0.0.1.example.com/", Unacceptable::PlainHttp),
            ("HTTPS://app.example.com/", Unacceptable::NotAbsolute),
            ("javascript:alert(1)", Unacceptable::SchemeWithoutDot),
            ("myapp:/callback", Unacceptable::SchemeWithoutDot),
        ] {
            assert_eq!(public(text), Err(why), "{text}");
        }
        let confidential = RedirectUri::register("com.example.app:/callback", ClientType::Confidential);
        assert_eq!(confidential, Err(Unacceptable::PrivateUseOfConfidential));
    }

    /// What people would be shown is not where their browsers would go.
    #[test]
    fn a_host_that_is_not_what_it_seems_is_refused() {
        for text in [
            "https://0x7f.1/",
            "https://2130706433/",
            "http://[0:0:0:0:0:0:0:1]/",
            "https://%65vil.example/",
            "https://app.example.com\\.evil.example/",
            "https:///evil.example/",
            "https://app.example.com:\\",
            "http://127.0.0.1:/callback",
            "https://a;script-src.example/",
            "https://a,b.example/",
            "https://'unsafe-inline'.example/",
            "https://a$b.example/",
        ] {
            assert_eq!(public(text), Err(Unacceptable::Host), "{text}");
        }
        assert!(public("https://APP.example.com:443/").is_ok());
    }

    #[test]
    fn comparison_is_byte_for_byte() {
        let registered = public("https://app.example.com/callback").unwrap();
        assert!(registered.accept("https://app.example.com/callback", ApplicationType::Web).is_some());
        for other in [
            "https://app.example.com/callback/",
            "https://app.example.com/Callback",
            "https://APP.example.com/callback",
            "https://app.example.com:443/callback",
            "https://app.example.com/callback?x=1",
            "https://app.example.com/%63allback",
        ] {
            assert!(registered.accept(other, ApplicationType::Native).is_none(), "{other}");
        }
    }

    /// RFC 8252 §7.3: any port on the registered loopback host, for native apps only.
    #[test]
    fn a_native_app_may_use_any_port_of_its_loopback_host() {
        let registered = public("http://127.0.0.1:8080/callback").unwrap();
        for port in ["", ":1", ":51004", ":65535"] {
            let requested = format!("http://127.0.0.1{port}/callback");
            assert!(registered.accept(&requested, ApplicationType::Native).is_some(), "{requested}");
            assert!(registered.accept(&requested, ApplicationType::Web).is_none());
        }
        for other in [
            "http://localhost:51004/callback",
            "http://[::1]:51004/callback",
            "http://127.0.0.1:51004/other",
            "http://127.0.0.1:65536/callback",
            "http://127.0.0.1:/callback",
            "http://127.0.0.1:80@evil.example/callback",
            "http://127.0.0.1.evil.example/callback",
            "https://127.0.0.1:51004/callback",
        ] {
            assert!(registered.accept(other, ApplicationType::Native).is_none(), "{other}");
        }
    }

    #[test]
    fn response_parameters_go_behind_the_registered_query() {
        let plain = public("https://app.example.com/callback").unwrap().return_address();
        assert_eq!(plain.with_query("code=1"), "https://app.example.com/callback?code=1");
        let with_query = public("https://app.example.com/callback?a=b").unwrap().return_address();
        assert_eq!(with_query.with_query("code=1"), "https://app.example.com/callback?a=b&code=1");
    }

    #[test]
    fn people_see_the_host_or_the_scheme() {
        assert_eq!(public("https://app.example.com:8443/cb?x=1").unwrap().return_address().display_host(), "app.example.com:8443");
        assert_eq!(public("com.example.app:/cb").unwrap().return_address().display_host(), "com.example.app");
    }

    proptest! {
        #[test]
        fn nothing_but_the_port_may_differ(requested in "http://(127\\.0\\.0\\.1|localhost|\\[::1\\]|[a-z.]{1,12})(:[0-9]{0,6})?[/?@a-z.:]{0,12}") {
            let registered = public("http://127.0.0.1/callback").unwrap();
            if registered.accept(&requested, ApplicationType::Native).is_some() {
                let url = Url::parse(&requested).unwrap();
                prop_assert_eq!(url.host_str(), Some("127.0.0.1"));
                prop_assert_eq!(url.path(), "/callback");
                prop_assert_eq!(url.username(), "");
            }
        }

        #[test]
        fn any_text_is_registered_or_refused(text in "\\PC{0,60}") {
            let _ = public(&text);
        }
    }

    /// RP-Initiated Logout §3.
    #[test]
    fn a_post_logout_address_is_a_registered_one_byte_for_byte() {
        let registered = ["https://app.example/out?a=1", "com.example.app:/out", "javascript:alert(1)"].map(str::to_owned);
        let accept = |requested| PostLogoutAddress::accept(&registered, requested);
        let address = accept("https://app.example/out?a=1").unwrap();
        assert_eq!(address.url(Some("a&b")), "https://app.example/out?a=1&state=a%26b");
        assert_eq!((address.url(None).as_str(), address.display_host()), ("https://app.example/out?a=1", "app.example"));
        assert_eq!(accept("com.example.app:/out").unwrap().display_host(), "com.example.app");
        for requested in
            ["https://app.example/out?a=1&b=2", "https://app.example/out", "https://APP.example/out?a=1", "javascript:alert(1)"]
        {
            assert_eq!(accept(requested), None, "{requested}");
        }
    }
}
