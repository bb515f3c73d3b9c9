//! `[throttle]`: how often a password may be wrong.

use std::time::Duration;

use confique::Config as Declared;
use serde::Deserialize;

use super::values::{HOUR, Within};

/// `[throttle]`
#[derive(Clone, Debug, Declared)]
pub struct Throttle {
    /// How many failed sign-ins to one account, from one address, are free of delay (1 to 1000).
    #[config(default = 10, deserialize_with = Within::<1, 1_000>::number)]
    pub failures: u32,

    /// How long each further one waits, and how soon one of the free ones is free again (1s to 1h). While an account is attacked
    /// from many addresses, two are free at each address, and this is three times as long.
    #[config(default = "10m", deserialize_with = Within::<1, HOUR>::duration)]
    pub delay: Duration,

    /// How many failed sign-ins from one address, to any account, are free of delay (1 to 1000000); the first at each account counts
    /// twice. Of IPv6 a /64 is one address. Five times as many are free in a /24 of IPv4 or a /48 of IPv6.
    #[config(default = 100, deserialize_with = Within::<1, 1_000_000>::number)]
    pub address_failures: u32,

    /// The same as `delay` for these (1s to 1h); in a /24 or /48, a fifth of it.
    #[config(default = "30s", deserialize_with = Within::<1, HOUR>::duration)]
    pub address_delay: Duration,

    /// Whether people are told apart by their address: `always`, `never`, or `auto`: unless it is of loopback or a private network,
    /// where it may be that of a proxy that `proxies.networks` does not name. `always` is for people on a private network.
    #[config(default = "auto")]
    pub by_address: ByAddress,
}

/// Whether people are told apart by their address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ByAddress {
    Always,
    /// By addresses of the Internet.
    Auto,
    Never,
}
