//! Throttling sign-in: a failure costs time, of the account at this network and of the network, whoever exists.
//!
//! A budget is kept as the time until its failures are forgotten. A failure adds what it costs; there is room for one more while
//! not too much is spent (decision 0014).

use std::{net::IpAddr, time::Duration};

use crate::{
    audit::Origin,
    clock::Timestamp,
    config::{ByAddress, Throttle},
    error::Result,
    oauth::Email,
    secret::ThrottleKey,
    server::{Server, Turn, network},
    store::throttles::{Charge, CountAttempt, GiveBack, Parties, Rows, Spent},
};

/// How much quicker an account forgets the failures from everywhere than those from one network.
/// So no network alone, which pays for each with `delay`, can make it look attacked.
const ACCOUNT_FORGETS: u32 = 10;
/// At so many times the free failures of one network, an account is under attack.
const ATTACKED_AT: u32 = 2;
/// At so many it stops counting, so that it recovers soon behind the attack.
const COUNTED_UP_TO: u32 = 6;
/// How many failures are free at each network while the account is under attack.
const FREE_UNDER_ATTACK: u32 = 2;
/// And how many times longer further ones wait.
const SLOWER_UNDER_ATTACK: u32 = 3;
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

/// Whose budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delay {
    pub by: &'static str,
    pub wait: Duration,
}

/// Counts an attempt at an account before its password is looked at. What is no e-mail is counted by its network alone.
/// A refused attempt changes nothing.
pub(crate) async fn admit<'a>(server: &'a Server, email: Option<&Email>, origin: Origin) -> Result<Result<Attempt<'a>, Wait>> {
    let config = &server.config().throttle;
    let address = telling(config.by_address, origin.address);
    let (parties, concerns) = (named(server, email, address), Concerns::of(email, address));
    let turn = match parties.account {
        Some(_) => Some(server.sign_ins().take(parties).await?),
        None => None,
    };
    let now = server.clock().now();
    let charges = match decide(config, concerns, &server.store().throttles(&parties).await?, now) {
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
        let amounts = if self.concerns == Concerns::Both { Rows { pair: Some(EVERYTHING), ..counted } } else { counted };
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
        }
    }

    /// The delay that this attempt begins if it fails: the next one would have to wait.
    pub(crate) fn delay(&self) -> Option<Delay> {
        let now = self.server.clock().now();
        decide(&self.server.config().throttle, self.concerns, &self.spent, now).err()
    }

    async fn take_back(self, amounts: Rows<Option<Duration>>) -> Result<()> {
        let now = self.server.clock().now();
        self.server.store().write(GiveBack { parties: self.parties, amounts, now }).await
    }

    /// Whether both rows that refuse had room. The account's only slows down.
    fn is_counted(&self) -> bool {
        self.charges.pair.is_some() == self.spent.pair.is_some() && self.charges.network.is_some() == self.spent.network.is_some()
    }
}

/// The name under which the failures of an account are kept, whether or not it exists.
pub(crate) fn account_key(server: &Server, email_key: &str) -> ThrottleKey {
    server.root_key().throttle_key("account", email_key)
}

/// The names under which an account and a network are counted. Whatever tells no one apart is one network.
fn named(server: &Server, email: Option<&Email>, address: Option<IpAddr>) -> Parties {
    let network = address.map_or_else(|| "-".to_owned(), |address| network(address).to_string());
    Parties { account: email.map(|email| account_key(server, &email.key)), network: server.root_key().throttle_key("network", &network) }
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

/// Which budgets an attempt is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Concerns {
    Both,
    /// Nothing tells networks apart: the account is at one.
    Account,
    /// What was typed is no account's.
    Network,
    Nobody,
}

impl Concerns {
    fn of(email: Option<&Email>, address: Option<IpAddr>) -> Self {
        match (email, address) {
            (Some(_), Some(_)) => Self::Both,
            (Some(_), None) => Self::Account,
            (None, Some(_)) => Self::Network,
            (None, None) => Self::Nobody,
        }
    }
}

/// So many failures are free; further ones wait for `every`, after which one is forgotten.
#[derive(Clone, Copy)]
struct Budget {
    free: u32,
    every: Duration,
}

impl Budget {
    /// What may be spent when one more is to find room.
    fn limit(self) -> Duration {
        self.every * self.free.saturating_sub(1)
    }

    fn charge(self) -> Charge {
        Charge { cost: self.every, limit: self.limit() }
    }

    /// How long until there is room.
    fn wait(self, spent: Option<Timestamp>, now: Timestamp) -> Duration {
        spent.map_or(Duration::ZERO, |spent| spent.since(now)).saturating_sub(self.limit())
    }
}

/// What an attempt costs, or how long it must wait.
fn decide(config: &Throttle, concerns: Concerns, spent: &Spent, now: Timestamp) -> Result<Rows<Option<Charge>>, Delay> {
    let account = Budget { free: config.failures * COUNTED_UP_TO, every: config.delay / ACCOUNT_FORGETS };
    let network = Budget { free: config.address_failures, every: config.address_delay };
    let attacked_at = account.every * (config.failures * ATTACKED_AT);
    let is_attacked = spent.account.is_some_and(|spent| spent.since(now) > attacked_at);
    let pair = if is_attacked {
        Budget { free: FREE_UNDER_ATTACK.min(config.failures), every: config.delay * SLOWER_UNDER_ATTACK }
    } else {
        Budget { free: config.failures, every: config.delay }
    };
    let (of_account, of_network) = match concerns {
        Concerns::Both => (Some(pair), Some(network)),
        Concerns::Account => (Some(pair), None),
        Concerns::Network => (None, Some(network)),
        Concerns::Nobody => (None, None),
    };
    let wait = |budget: Option<Budget>, spent| budget.map_or(Duration::ZERO, |budget: Budget| budget.wait(spent, now));
    let (by_account, by_network) = (wait(of_account, spent.pair), wait(of_network, spent.network));
    match by_account.max(by_network) {
        Duration::ZERO => Ok(Rows {
            account: (concerns == Concerns::Both).then(|| account.charge()),
            pair: of_account.map(Budget::charge),
            network: of_network.map(Budget::charge),
        }),
        wait => Err(Delay { by: if by_account >= by_network { "account" } else { "address" }, wait }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const MINUTE: u64 = 60;

    fn config() -> Throttle {
        Config::from_sources(Sources::default()).unwrap().throttle
    }

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(minutes * MINUTE)
    }

    fn spent(account: u64, pair: u64, network: u64) -> Spent {
        let until = |spent| Some(NOW.after(Duration::from_secs(spent)));
        Rows { account: until(account * MINUTE), pair: until(pair * MINUTE), network: until(network) }
    }

    fn wait(concerns: Concerns, spent: &Spent) -> Option<Delay> {
        decide(&config(), concerns, spent, NOW).err()
    }

    #[test]
    fn an_attempt_costs_each_budget_its_delay() {
        let charges = decide(&config(), Concerns::Both, &Spent::default(), NOW).unwrap();
        let cost = |charge: Option<Charge>| charge.map(|charge| charge.cost.as_secs());
        assert_eq!((cost(charges.account), cost(charges.pair), cost(charges.network)), (Some(60), Some(600), Some(30)));
        let alone = decide(&config(), Concerns::Account, &Spent::default(), NOW).unwrap();
        assert_eq!((alone.account, cost(alone.pair), alone.network), (None, Some(600), None));
        let nobody = decide(&config(), Concerns::Nobody, &Spent::default(), NOW).unwrap();
        assert_eq!(nobody, Rows::default());
    }

    #[test]
    fn there_is_room_until_all_free_failures_are_spent() {
        assert_eq!(wait(Concerns::Both, &spent(0, 90, 0)), None);
        assert_eq!(wait(Concerns::Both, &spent(0, 91, 0)), Some(Delay { by: "account", wait: minutes(1) }));
        assert_eq!(wait(Concerns::Both, &spent(0, 100, 0)), Some(Delay { by: "account", wait: minutes(10) }));
        assert_eq!(wait(Concerns::Both, &spent(0, 0, 99 * 30)), None);
        assert_eq!(wait(Concerns::Both, &spent(0, 0, 100 * 30)), Some(Delay { by: "address", wait: Duration::from_secs(30) }));
        assert_eq!(wait(Concerns::Both, &spent(0, 100, 100 * 30)), Some(Delay { by: "account", wait: minutes(10) }), "the longer one");
        assert_eq!(wait(Concerns::Account, &spent(0, 0, 100 * 30)), None);
        assert_eq!(wait(Concerns::Network, &spent(0, 100, 0)), None);
    }

    #[test]
    fn an_attacked_account_is_slower_at_each_network_and_never_shut() {
        assert_eq!(wait(Concerns::Both, &spent(20, 31, 0)), None);
        assert_eq!(wait(Concerns::Both, &spent(21, 31, 0)), Some(Delay { by: "account", wait: minutes(1) }));
        for attacked in [21, 60, 10_000] {
            let charges = decide(&config(), Concerns::Both, &spent(attacked, 0, 0), NOW).unwrap();
            assert_eq!(charges.pair, Some(Charge { cost: minutes(30), limit: minutes(30) }));
            assert_eq!(charges.account, Some(Charge { cost: minutes(1), limit: minutes(59) }), "which ends soon behind the attack");
        }
    }

    #[test]
    fn what_is_past_is_forgotten() {
        let past = Rows { account: Some(NOW), pair: Some(NOW.before(minutes(1))), network: Some(NOW.before(EVERYTHING)) };
        assert_eq!(wait(Concerns::Both, &past), None);
    }

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
