//! Networks of IP addresses in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3).

use std::{fmt, net::IpAddr, str::FromStr};

/// An address and how many of its leading bits are those of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// The network of one address alone.
    pub const fn of(address: IpAddr) -> Self {
        Self { address, prefix: bits_of(address) }
    }

    /// Whether the address is of this network. IPv4 and IPv6 are strangers to one another.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => (network.to_bits() ^ address.to_bits()).leading_zeros() >= self.prefix,
            (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits() ^ address.to_bits()).leading_zeros() >= self.prefix,
            _ => false,
        }
    }

    /// Whether every address is of this network.
    pub(super) const fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    /// Whether no bit is set behind the prefix: otherwise the writer may have meant another network.
    fn is_exact(&self) -> bool {
        let trailing_zeros = match self.address {
            IpAddr::V4(address) => address.to_bits().trailing_zeros(),
            IpAddr::V6(address) => address.to_bits().trailing_zeros(),
        };
        trailing_zeros >= bits_of(self.address) - self.prefix
    }
}

const fn bits_of(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const REMEDY: &str = "must be networks such as \"10.0.0.0/8\", \"192.0.2.7/32\" or \"fd00::/8\", with no bit set behind the prefix";
        let (address, prefix) = text.split_once('/').ok_or(REMEDY)?;
        let address = address.parse().map_err(|_| REMEDY)?;
        // A sign would be read, too.
        let prefix = prefix.bytes().all(|byte| byte.is_ascii_digit()).then(|| prefix.parse().ok()).flatten().ok_or(REMEDY)?;
        let network = Self { address, prefix };
        if prefix <= bits_of(address) && network.is_exact() { Ok(network) } else { Err(REMEDY) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_network_has_its_own_addresses_and_no_others() {
        for (network, within, beyond) in [
            ("127.0.0.0/8", "127.255.0.1", "128.0.0.0"),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.2"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("fd00::/8", "fdff::1", "fe00::"),
            ("::1/128", "::1", "::2"),
            ("::/0", "ffff::", "127.0.0.1"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(within.parse().unwrap()), "{network} {within}");
            assert!(!network.contains(beyond.parse().unwrap()), "{network} {beyond}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "::1/64", "::/129", "a/8", "10.0.0.0/+8", "10.0.0.0/8/8"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_network_or_refused(text in "[0-9a-f.:/+ ]{0,24}") {
            if let Ok(network) = text.parse::<Network>() {
                prop_assert_eq!(network.to_string().parse(), Ok(network));
                prop_assert!(network.contains(network.address));
            }
        }

        /// Against the definition: the leading bits are the same.
        #[test]
        fn membership_is_of_the_leading_bits(address: u32, other: u32, prefix in 0u32..=32) {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            let network = Network { address: IpAddr::V4((address & mask).into()), prefix };
            prop_assert_eq!(network.contains(IpAddr::V4(other.into())), address & mask == other & mask);
        }
    }
}
