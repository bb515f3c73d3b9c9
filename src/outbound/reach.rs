//! Where connections may lead: nobody who registers an address makes this server knock at doors of its own network.

use std::{
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::places::Places;
use crate::config::Network;

/// Which addresses may be connected to.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Those of the Internet and of these networks, by https. Of these networks those of loopback also by http.
    Internet { and: Vec<Network> },
    /// Those of these networks alone, also by http.
    Only(Vec<Network>),
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Reach {
    /// Wherever the operator says: for what no client registers.
    #[cfg(feature = "otlp")]
    pub fn anywhere() -> Self {
        Self::Only(["0.0.0.0/0", "::/0"].iter().map(|network| network.parse().expect("a network")).collect())
    }

    /// What runs on this machine alone.
    pub fn loopback() -> Self {
        let networks = [("127.0.0.0", 8), ("::1", 128)].map(|(address, prefix)| format!("{address}/{prefix}"));
        Self::Only(networks.iter().map(|network| network.parse().expect("a network")).collect())
    }

    pub(super) fn admits(&self, scheme: Scheme, address: IpAddr) -> bool {
        let address = canonical(address);
        let is_listed = |networks: &[Network]| networks.iter().any(|network| network.contains(address));
        match (self, scheme) {
            (Self::Internet { and }, Scheme::Https) => is_public(address) || is_listed(and),
            (Self::Internet { and }, Scheme::Http) => address.is_loopback() && is_listed(and),
            (Self::Only(networks), _) => is_listed(networks),
        }
    }
}

/// The address that is meant: of IPv4, where IPv6 maps (RFC 4291 §2.5.5.2) or translates (RFC 6052 §2.1) to it.
fn canonical(address: IpAddr) -> IpAddr {
    const TRANSLATED: u128 = 0x0064_ff9b << 96;
    match address.to_canonical() {
        IpAddr::V6(address) if address.to_bits() >> 32 == TRANSLATED >> 32 => IpAddr::V4(low_bits(address)),
        address => address,
    }
}

fn low_bits(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

/// Whether an address is of the Internet (the registries of RFC 6890). For IPv6 that is what the list of RFC 4291 §2.4 calls
/// global unicast and has given out: `2000::/3`.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|(network, prefix)| within(address.to_bits(), *network, *prefix)),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            bits >> 125 == 1 && !SPECIAL_V6.iter().any(|(network, prefix)| (bits ^ network).leading_zeros() >= *prefix)
        }
    }
}

fn within(address: u32, network: [u8; 4], prefix: u32) -> bool {
    (address ^ u32::from_be_bytes(network)).leading_zeros() >= prefix
}

const SPECIAL_V4: &[([u8; 4], u32)] = &[
    // This host, private use, shared by carriers, loopback, link-local.
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    // Protocol assignments, documentation, relays to 6to4, private use, benchmarks.
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    // Multicast; reserved and broadcast.
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

const SPECIAL_V6: &[(u128, u32)] = &[
    // Protocol assignments with Teredo, documentation, 6to4, documentation: tunnels hide where they end.
    (0x2001 << 112, 23),
    (0x2001_0db8 << 96, 32),
    (0x2002 << 112, 16),
    (0x3fff << 112, 20),
];

/// Nothing that the name stands for, or the address itself, may be connected to.
#[derive(Debug, thiserror::Error)]
#[error("no address within reach")]
pub(super) struct OutOfReach;

/// As many names are being looked up as there may be.
#[derive(Debug, thiserror::Error)]
#[error("too many names are being looked up")]
pub(super) struct TooManyLookUps;

/// The system's resolver without what is out of reach: what is checked is what is connected to, whatever a name says next.
pub(super) struct Resolver {
    pub reach: Arc<Reach>,
    pub look_ups: Arc<Places>,
    pub scheme: Scheme,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, scheme) = (Arc::clone(&self.reach), self.scheme);
        let place = self.look_ups.take(name.as_str());
        Box::pin(async move {
            let place = place.ok_or(TooManyLookUps)?;
            // The thread that asks goes on when nobody waits for it any more: so long the place is taken.
            let looking_up = tokio::spawn(async move {
                let _place = place;
                Ok::<_, std::io::Error>(tokio::net::lookup_host((name.as_str(), 0)).await?.collect::<Vec<_>>())
            });
            let found = looking_up.await??.into_iter();
            let within: Vec<SocketAddr> = found.filter(|address| reach.admits(scheme, address.ip())).collect();
            if within.is_empty() {
                return Err(Box::new(OutOfReach) as Box<dyn Error + Send + Sync>);
            }
            Ok(Box::new(within.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn internet(networks: &[&str]) -> Reach {
        Reach::Internet { and: networks.iter().map(|network| network.parse().unwrap()).collect() }
    }

    /// Whoever asks for names that nobody answers has no more threads than places, however early the asking ends.
    #[test]
    fn a_look_up_has_its_place_until_it_is_over() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let look_ups = Places::new(1, 1);
            let resolver = Resolver { reach: Arc::new(Reach::loopback()), look_ups: Arc::clone(&look_ups), scheme: Scheme::Http };
            let resolve = || resolver.resolve("localhost".parse().unwrap());
            // The one thread is busy, so that the look-up goes on until we let it end.
            let (end, ended) = std::sync::mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || ended.recv());
            assert!(tokio::time::timeout(std::time::Duration::ZERO, resolve()).await.is_err(), "nobody waits for it any more");
            let refused = resolve().await.err().unwrap();
            assert!(refused.is::<TooManyLookUps>(), "{refused}");
            drop(end);
            let _ = busy.await.unwrap();
            while look_ups.take("localhost").is_none() {
                tokio::task::yield_now().await;
            }
            assert!(resolve().await.is_ok());
        });
    }

    /// RFC 6890: one or two of each range.
    #[test]
    fn what_is_not_of_the_internet_is_out_of_reach() {
        for address in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "64:ff9b:1::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
        ] {
            assert!(!internet(&[]).admits(Scheme::Https, ip(address)), "{address}");
        }
    }

    #[test]
    fn the_internet_is_reached_by_https_alone() {
        for address in
            ["1.1.1.1", "100.128.0.1", "172.32.0.1", "193.0.0.1", "2606:4700::1111", "2a00::1", "::ffff:1.1.1.1", "64:ff9b::101:101"]
        {
            assert!(internet(&[]).admits(Scheme::Https, ip(address)), "{address}");
            assert!(!internet(&["0.0.0.0/0", "::/0"]).admits(Scheme::Http, ip(address)), "{address}");
        }
    }

    #[test]
    fn a_listed_network_is_within_reach_and_only_loopback_by_http() {
        let reach = internet(&["127.0.0.0/8", "10.1.0.0/16"]);
        for address in ["127.0.0.1", "::ffff:127.0.0.1", "10.1.2.3", "64:ff9b::10.1.2.3"] {
            assert!(reach.admits(Scheme::Https, ip(address)), "{address}");
        }
        assert!(reach.admits(Scheme::Http, ip("127.0.0.1")));
        assert!(!reach.admits(Scheme::Http, ip("10.1.2.3")));
        assert!(!reach.admits(Scheme::Https, ip("10.2.0.1")));
        assert!(!reach.admits(Scheme::Https, ip("::1")));
    }

    #[test]
    fn a_reach_of_networks_alone_has_no_internet() {
        assert!(Reach::loopback().admits(Scheme::Http, ip("127.0.0.1")));
        assert!(Reach::loopback().admits(Scheme::Http, ip("::1")));
        assert!(!Reach::loopback().admits(Scheme::Https, ip("1.1.1.1")));
    }
}
