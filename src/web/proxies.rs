//! The address that a request comes from, as proxies say it (RFC 7239 §5.2, `X-Forwarded-For`), where the operator trusts them.

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

use axum::extract::Request;
use http::{HeaderMap, HeaderName, header::FORWARDED};

use super::caller::Peer;
use crate::config::{self, AddressHeader, Network};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies that are believed, and in which header. One header alone: of the other a client could say what it likes, since its
/// proxy passes that on.
pub(crate) struct Proxies {
    networks: Vec<Network>,
    header: AddressHeader,
    has_told: AtomicBool,
}

impl Proxies {
    pub(crate) fn new(config: &config::Proxies) -> Self {
        Self { networks: config.networks.clone(), header: config.header, has_told: AtomicBool::new(false) }
    }

    /// Puts the client's address in the place of that of the proxies that it came through.
    pub(crate) fn reveal(&self, request: &mut Request) {
        let Some(&Peer(peer)) = request.extensions().get::<Peer>() else { return };
        if self.trusts(peer.ip()) {
            let client = self.client(peer.ip(), request.headers());
            request.extensions_mut().insert(Peer(SocketAddr::new(client, 0)));
        } else if self.networks.is_empty() && request.headers().contains_key(self.header.name()) {
            self.tell(peer.ip());
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address.to_canonical()))
    }

    /// The last address that no trusted proxy has, since whatever is before it may be made up. Where a proxy names none, its own.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        for hop in headers.get_all(self.header.name()).iter().rev() {
            // No address holds a comma. Quoted strings are not looked for: one that a client opens must not swallow what proxies add.
            for element in hop.as_bytes().rsplit(|&byte| byte == b',') {
                let Some(address) = str::from_utf8(element).ok().and_then(|element| self.header.address(element)) else { return client };
                client = address.to_canonical();
                if !self.trusts(client) {
                    return client;
                }
            }
        }
        client
    }

    /// Once: there is a proxy, and nobody said so.
    fn tell(&self, peer: IpAddr) {
        if !self.has_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                peer = %peer,
                "requests come with {}, which is not believed: if {peer} is your proxy, name it in proxies.networks",
                self.header.name(),
            );
        }
    }
}

impl AddressHeader {
    fn name(self) -> HeaderName {
        match self {
            Self::Forwarded => FORWARDED,
            Self::XForwardedFor => X_FORWARDED_FOR,
        }
    }

    /// The address in one element of the list.
    fn address(self, element: &str) -> Option<IpAddr> {
        match self {
            Self::XForwardedFor => node(element.trim()),
            Self::Forwarded => element.split(';').find_map(|pair| {
                let (name, value) = pair.trim().split_once('=')?;
                name.eq_ignore_ascii_case("for").then(|| node(value.trim_matches('"')))?
            }),
        }
    }
}

/// An address, with brackets if it is of IPv6, with or without a port (RFC 7239 §6).
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proxies(header: AddressHeader) -> Proxies {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
        Proxies::new(&config::Proxies { networks, header })
    }

    /// What is taken for the client's address of a request with these headers, from this peer.
    fn revealed(header: AddressHeader, peer: &str, values: &[(HeaderName, &str)]) -> String {
        let mut request = Request::new(axum::body::Body::empty());
        for (name, value) in values {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request.extensions_mut().insert(Peer(SocketAddr::new(peer.parse().unwrap(), 40_000)));
        proxies(header).reveal(&mut request);
        request.extensions().get::<Peer>().unwrap().0.ip().to_string()
    }

    fn x_forwarded_for(peer: &str, values: &[&str]) -> String {
        let values: Vec<_> = values.iter().map(|value| (X_FORWARDED_FOR, *value)).collect();
        revealed(AddressHeader::XForwardedFor, peer, &values)
    }

    fn forwarded(value: &str) -> String {
        revealed(AddressHeader::Forwarded, "10.0.0.1", &[(FORWARDED, value)])
    }

    #[test]
    fn a_stranger_says_nothing_of_its_address() {
        assert_eq!(x_forwarded_for("203.0.113.7", &["198.51.100.9"]), "203.0.113.7");
        assert_eq!(x_forwarded_for("fe80::1", &["198.51.100.9"]), "fe80::1");
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_what_its_client_made_up_is_not() {
        assert_eq!(x_forwarded_for("10.0.0.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(x_forwarded_for("10.0.0.1", &["192.0.2.66, 203.0.113.7"]), "203.0.113.7");
        assert_eq!(x_forwarded_for("10.0.0.1", &["192.0.2.66", "203.0.113.7"]), "203.0.113.7", "on lines of their own");
        assert_eq!(x_forwarded_for("10.0.0.1", &["10.9.9.9, 203.0.113.7, 10.0.0.2"]), "203.0.113.7", "through two proxies");
        assert_eq!(x_forwarded_for("::ffff:10.0.0.1", &["::ffff:203.0.113.7"]), "203.0.113.7", "at a socket for both");
        assert_eq!(x_forwarded_for("fd00::1", &["2001:db8::7"]), "2001:db8::7");
    }

    #[test]
    fn what_a_proxy_does_not_name_is_its_own() {
        for value in ["unknown", "", "203.0.113.7, unknown", "203.0.113.7, _hidden", "203.0.113.7,", "1.2.3", "203.0.113.7 198.51.100.9"] {
            assert_eq!(x_forwarded_for("10.0.0.1", &[value]), "10.0.0.1", "{value:?}");
        }
        assert_eq!(x_forwarded_for("10.0.0.1", &["unknown, 10.0.0.2"]), "10.0.0.2", "the last that is known");
        assert_eq!(x_forwarded_for("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(x_forwarded_for("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3", "a request of a proxy itself");
    }

    #[test]
    fn ports_and_brackets_are_no_part_of_an_address() {
        for (value, address) in [
            ("203.0.113.7:51234", "203.0.113.7"),
            ("[2001:db8::7]:51234", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            (" 203.0.113.7 ", "203.0.113.7"),
        ] {
            assert_eq!(x_forwarded_for("10.0.0.1", &[value]), address);
        }
    }

    /// RFC 7239 §4, with its examples.
    #[test]
    fn forwarded_is_read_as_its_rfc_has_it() {
        assert_eq!(forwarded("for=192.0.2.43"), "192.0.2.43");
        assert_eq!(forwarded("For=\"[2001:db8:cafe::17]:4711\""), "2001:db8:cafe::17");
        assert_eq!(forwarded("for=192.0.2.60;proto=http;by=203.0.113.43"), "192.0.2.60");
        assert_eq!(forwarded("proto=https; for=192.0.2.60"), "192.0.2.60");
        assert_eq!(forwarded("for=192.0.2.43, for=198.51.100.17"), "198.51.100.17");
        assert_eq!(forwarded("for=192.0.2.43, for=\"_gazonk\""), "10.0.0.1");
        assert_eq!(forwarded("proto=https"), "10.0.0.1");
        assert_eq!(forwarded("for=\"192.0.2.66, for=198.51.100.17"), "198.51.100.17", "a quote that a client left open");
    }

    #[test]
    fn the_header_that_was_not_chosen_is_the_clients_to_write() {
        let both = [(X_FORWARDED_FOR, "203.0.113.7"), (FORWARDED, "for=192.0.2.66")];
        assert_eq!(revealed(AddressHeader::XForwardedFor, "10.0.0.1", &both), "203.0.113.7");
        assert_eq!(revealed(AddressHeader::Forwarded, "10.0.0.1", &both), "192.0.2.66");
        assert_eq!(revealed(AddressHeader::Forwarded, "10.0.0.1", &both[..1]), "10.0.0.1");
    }

    proptest! {
        #[test]
        fn whatever_a_client_writes_the_proxys_word_counts(made_up in "[ -~]{0,60}") {
            prop_assert_eq!(x_forwarded_for("10.0.0.1", &[&format!("{made_up}, 203.0.113.7")]), "203.0.113.7");
            prop_assert_eq!(forwarded(&format!("{made_up}, for=203.0.113.7")), "203.0.113.7");
        }
    }
}
