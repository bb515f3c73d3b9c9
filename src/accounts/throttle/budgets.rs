//! What an attempt costs whom, and when there is room for it: a function of the settings and of what is spent (decision 0014).

use std::{net::IpAddr, time::Duration};

use crate::{
    clock::Timestamp,
    config::Throttle,
    oauth::Email,
    store::throttles::{Charge, Rows, Spent},
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
/// How many networks' failures are free in what is around one, which forgets them as many times as fast.
const NEIGHBOURS: u32 = 5;
/// How many failures the first one at each account is to its network: who tries many accounts has a list of stolen passwords, who
/// tries one again has mistyped.
const FIRST_AT_ACCOUNT: u32 = 2;

/// Whose budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delay {
    pub by: &'static str,
    pub wait: Duration,
}

/// Which budgets an attempt is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concerns {
    Both,
    /// Nothing tells networks apart: the account is at one.
    Account,
    /// What was typed is no account's.
    Network,
    Nobody,
    /// The account at a device that it knows, whatever is going on elsewhere.
    Device,
}

impl Concerns {
    pub(super) fn of(email: Option<&Email>, address: Option<IpAddr>) -> Self {
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

    fn charge(self, failures: u32) -> Charge {
        Charge { cost: self.every * failures, limit: self.limit() }
    }

    /// How long until there is room.
    fn wait(self, spent: Option<Timestamp>, now: Timestamp) -> Duration {
        spent.map_or(Duration::ZERO, |spent| spent.since(now)).saturating_sub(self.limit())
    }
}

/// What an attempt costs, or how long it must wait.
pub(super) fn decide(config: &Throttle, concerns: Concerns, spent: &Spent, now: Timestamp) -> Result<Rows<Option<Charge>>, Delay> {
    let account = Budget { free: config.failures * COUNTED_UP_TO, every: config.delay / ACCOUNT_FORGETS };
    let network = Budget { free: config.address_failures, every: config.address_delay };
    let neighbourhood = Budget { free: config.address_failures * NEIGHBOURS, every: config.address_delay / NEIGHBOURS };
    let attacked_at = account.every * (config.failures * ATTACKED_AT);
    let is_attacked = spent.account.is_some_and(|spent| spent.since(now) > attacked_at);
    let pair = if is_attacked && concerns != Concerns::Device {
        Budget { free: FREE_UNDER_ATTACK.min(config.failures), every: config.delay * SLOWER_UNDER_ATTACK }
    } else {
        Budget { free: config.failures, every: config.delay }
    };
    let (by_account, by_address) = match concerns {
        Concerns::Both => (true, true),
        Concerns::Account | Concerns::Device => (true, false),
        Concerns::Network => (false, true),
        Concerns::Nobody => (false, false),
    };
    let is_first = by_account && spent.pair.is_none_or(|spent| spent <= now);
    let failures = if is_first { FIRST_AT_ACCOUNT } else { 1 };
    let wait = |counts: bool, budget: Budget, spent| if counts { budget.wait(spent, now) } else { Duration::ZERO };
    let waits = [
        ("account", wait(by_account, pair, spent.pair)),
        ("address", wait(by_address, network, spent.network)),
        ("neighbourhood", wait(by_address, neighbourhood, spent.neighbourhood)),
    ];
    match waits.into_iter().filter(|(_, wait)| !wait.is_zero()).reduce(|one, other| if other.1 > one.1 { other } else { one }) {
        None => Ok(Rows {
            account: (by_account && by_address).then(|| account.charge(1)),
            pair: by_account.then(|| pair.charge(1)),
            network: by_address.then(|| network.charge(failures)),
            neighbourhood: by_address.then(|| neighbourhood.charge(failures)),
        }),
        Some((by, wait)) => Err(Delay { by, wait }),
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
        Rows { account: until(account * MINUTE), pair: until(pair * MINUTE), network: until(network), neighbourhood: None }
    }

    fn wait(concerns: Concerns, spent: &Spent) -> Option<Delay> {
        decide(&config(), concerns, spent, NOW).err()
    }

    #[test]
    fn an_attempt_costs_each_budget_its_delay() {
        let charges = decide(&config(), Concerns::Both, &Spent::default(), NOW).unwrap();
        let cost = |charge: Option<Charge>| charge.map(|charge| charge.cost.as_secs());
        assert_eq!((cost(charges.account), cost(charges.pair)), (Some(60), Some(600)));
        let alone = decide(&config(), Concerns::Account, &Spent::default(), NOW).unwrap();
        assert_eq!(alone, Rows { pair: charges.pair, ..Rows::default() });
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
    fn the_first_failure_at_each_account_is_two_to_its_network_and_to_what_is_around() {
        let seconds = |concerns, pair| {
            let charges = decide(&config(), concerns, &spent(0, pair, 0), NOW).unwrap();
            let cost = |charge: Option<Charge>| charge.map(|charge| charge.cost.as_secs());
            (cost(charges.network), cost(charges.neighbourhood))
        };
        assert_eq!(seconds(Concerns::Both, 0), (Some(60), Some(12)));
        assert_eq!(seconds(Concerns::Both, 1), (Some(30), Some(6)));
        assert_eq!(seconds(Concerns::Network, 0), (Some(30), Some(6)), "what is no account's, and a sign-up");
    }

    #[test]
    fn what_is_around_a_network_has_five_times_as_much() {
        let around = |seconds| Rows { neighbourhood: Some(NOW.after(Duration::from_secs(seconds))), ..Rows::default() };
        assert_eq!(wait(Concerns::Both, &around(499 * 6)), None);
        assert_eq!(wait(Concerns::Both, &around(500 * 6)), Some(Delay { by: "neighbourhood", wait: Duration::from_secs(6) }));
        assert_eq!(wait(Concerns::Network, &around(500 * 6)), Some(Delay { by: "neighbourhood", wait: Duration::from_secs(6) }));
        for concerns in [Concerns::Account, Concerns::Device, Concerns::Nobody] {
            assert_eq!(wait(concerns, &around(10_000)), None);
        }
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
    fn at_a_known_device_nothing_else_counts() {
        let charges = decide(&config(), Concerns::Device, &spent(10_000, 90, 10_000), NOW).unwrap();
        let pair = Some(Charge { cost: minutes(10), limit: minutes(90) });
        assert_eq!(charges, Rows { pair, ..Rows::default() });
        assert_eq!(wait(Concerns::Device, &spent(0, 91, 0)), Some(Delay { by: "account", wait: minutes(1) }));
    }

    #[test]
    fn what_is_past_is_forgotten() {
        let long_ago = Some(NOW.before(Duration::from_hours(24 * 365)));
        let past = Rows { account: Some(NOW), pair: Some(NOW.before(minutes(1))), network: long_ago, neighbourhood: long_ago };
        assert_eq!(wait(Concerns::Both, &past), None);
    }
}
