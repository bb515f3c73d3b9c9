//! Throttling sign-in: a failure costs time, of the account at this network, of the network, and of what is around it, whoever exists.
//!
//! A budget is kept as the time until its failures are forgotten. A failure adds what it costs; there is room for one more while
//! not too much is spent (decision 0014).

mod budgets;

use std::{net::IpAddr, time::Duration};

use crate::{
    audit::Origin,
    clock::Timestamp,
    config::ByAddress,
    error::Result,
    oauth::Email,
    secret::ThrottleKey,
    server::{Server, Turn, neighbourhood, network},
    store::throttles::{Charge, CountAttempt, GiveBack, Parties, Rows, Spent},
};

pub(crate) use budgets::Delay;
use budgets::{Concerns, decide};

/// When to come back where a place may be free at any time.
const SOON: Duration = Duration::from_secs(1);
/// More than any budget holds.
const EVERYTHING: Duration = Duration::from_hours(24 * 365);

/// No password may be tried before so long.
pub(crate) struct Wait(pub Duration);

/// An attempt that has been counted as a failure, until it is known to be none. While it lives, nobody else tries to sign in
/// to the same account from the same network at this node: those who know the password wait instead of being refused.
pub(crate) struct Attempt<'a> {
    server: &'a Server,
    parties: Parties,
    concerns: Concerns,
    charges: Rows<Option<Charge>>,
    /// What is spent with it.
    spent: Spent,
    _turn: Option<Turn<Parties>>,
}

/// Counts an attempt at an account before its password is looked at. What is no e-mail is counted by its network alone.
/// A refused attempt changes nothing.
///
/// From a device that the account knows it is counted by that alone. When that is used up, whoever has the cookie gets what everyone
/// gets at this network.
pub(crate) async fn admit<'a>(
    server: &'a Server,
    email: Option<&Email>,
    device: Option<ThrottleKey>,
    origin: Origin,
) -> Result<Result<Attempt<'a>, Wait>> {
    let address = telling(server.config().throttle.by_address, origin.address);
    let (here, concerns) = (named(server, email, address), Concerns::of(email, address));
    let Some(network) = device else { return count(server, here, concerns).await };
    match count(server, Parties { network, neighbourhood: None, ..here }, Concerns::Device).await? {
        Err(Wait(by_device)) => Ok(count(server, here, concerns).await?.map_err(|Wait(wait)| Wait(wait.min(by_device)))),
        admitted => Ok(admitted),
    }
}

async fn count(server: &Server, parties: Parties, concerns: Concerns) -> Result<Result<Attempt<'_>, Wait>> {
    let turn = match parties.account {
        Some(_) => Some(server.sign_ins().take(parties).await?),
        None => None,
    };
    let now = server.clock().now();
    let charges = match decide(&server.config().throttle, concerns, &server.store().throttles(&parties).await?, now) {
        Ok(charges) => charges,
        Err(delay) => return Ok(Err(Wait(delay.wait))),
    };
    let spent = server.store().write(CountAttempt { parties, charges, now }).await?;
    let attempt = Attempt { server, parties, concerns, charges, spent, _turn: turn };
    if attempt.is_counted() {
        return Ok(Ok(attempt));
    }
    // Attempts at another node or account were quicker; some of them may give their place back.
    attempt.give_back().await?;
    Ok(Err(Wait(SOON)))
}

impl Attempt<'_> {
    /// The password was right: what this network spent on the account is forgiven, of the rest this attempt. Whoever has an account
    /// of their own clears no other budget with it; and where nothing tells networks apart, what was spent may be a stranger's.
    pub(crate) async fn succeeded(self) -> Result<()> {
        let counted = self.counted();
        let amounts =
            if matches!(self.concerns, Concerns::Both | Concerns::Device) { Rows { pair: Some(EVERYTHING), ..counted } } else { counted };
        self.take_back(amounts).await
    }

    /// No password was looked at.
    pub(crate) async fn give_back(self) -> Result<()> {
        let amounts = self.counted();
        self.take_back(amounts).await
    }

    /// A row without room did not take the charge.
    fn counted(&self) -> Rows<Option<Duration>> {
        let counted = |spent: Option<Timestamp>, charge: Option<Charge>| spent.and(charge).map(|charge| charge.cost);
        Rows {
            account: counted(self.spent.account, self.charges.account),
            pair: counted(self.spent.pair, self.charges.pair),
            network: counted(self.spent.network, self.charges.network),
            neighbourhood: counted(self.spent.neighbourhood, self.charges.neighbourhood),
        }
    }

    /// The delay that this attempt begins if it fails: the next one would have to wait. From a known device it is counted otherwise.
    pub(crate) fn delay(&self) -> Option<Delay> {
        if self.concerns == Concerns::Device {
            return None;
        }
        let now = self.server.clock().now();
        decide(&self.server.config().throttle, self.concerns, &self.spent, now).err()
    }

    async fn take_back(self, amounts: Rows<Option<Duration>>) -> Result<()> {
        let now = self.server.clock().now();
        self.server.store().write(GiveBack { parties: self.parties, amounts, now }).await
    }

    /// Whether every row that refuses had room. The account's only slows down.
    fn is_counted(&self) -> bool {
        let had_room = |charge: Option<Charge>, spent: Option<Timestamp>| charge.is_some() == spent.is_some();
        had_room(self.charges.pair, self.spent.pair)
            && had_room(self.charges.network, self.spent.network)
            && had_room(self.charges.neighbourhood, self.spent.neighbourhood)
    }
}

/// The name under which the failures of an account are kept, whether or not it exists.
pub(crate) fn account_key(server: &Server, email_key: &str) -> ThrottleKey {
    server.root_key().throttle_key("account", email_key)
}

/// The names under which an account, a network and what is around it are counted. Whatever tells no one apart is one network.
fn named(server: &Server, email: Option<&Email>, address: Option<IpAddr>) -> Parties {
    let key = |kind, address: IpAddr| server.root_key().throttle_key(kind, &address.to_string());
    Parties {
        account: email.map(|email| account_key(server, &email.key)),
        network: address.map_or_else(|| server.root_key().throttle_key("network", "-"), |address| key("network", network(address))),
        neighbourhood: address.map(|address| key("neighbourhood", neighbourhood(address))),
    }
}

/// The address of a connection, if it tells people apart.
pub(crate) fn telling(by_address: ByAddress, address: Option<IpAddr>) -> Option<IpAddr> {
    address.filter(|address| match by_address {
        ByAddress::Always => true,
        ByAddress::Auto => is_of_the_internet(*address),
        ByAddress::Never => false,
    })
}

/// Neither of this machine nor of a private network (RFC 1918, RFC 4193, RFC 6598), nor link-local.
fn is_of_the_internet(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xC0 == 64;
            !(v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || shared)
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_proxy_tell_nobody_apart() {
        let told = |by_address, address: &str| telling(by_address, Some(address.parse().unwrap())).is_some();
        for address in [
            "127.0.0.1",
            "::1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.1",
            "169.254.0.1",
            "100.127.0.1",
            "fd12::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!told(ByAddress::Auto, address) && told(ByAddress::Always, address), "{address}");
        }
        for address in ["192.0.2.1", "172.32.0.1", "100.128.0.1", "100.63.0.1", "2001:db8::1", "::ffff:192.0.2.1"] {
            assert!(told(ByAddress::Auto, address) && !told(ByAddress::Never, address), "{address}");
        }
        assert_eq!(telling(ByAddress::Always, None), None);
    }
}
