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

    fn charge(self) -> Charge {
        Charge { cost: self.every, limit: self.limit() }
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
    let attacked_at = account.every * (config.failures * ATTACKED_AT);
    let is_attacked = spent.account.is_some_and(|spent| spent.since(now) > attacked_at);
    let pair = if is_attacked && concerns != Concerns::Device {
        Budget { free: FREE_UNDER_ATTACK.min(config.failures), every: config.delay * SLOWER_UNDER_ATTACK }
    } else {
        Budget { free: config.failures, every: config.delay }
    };
    let (of_account, of_network) = match concerns {
        Concerns::Both => (Some(pair), Some(network)),
        Concerns::Account | Concerns::Device => (Some(pair), None),
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
    fn at_a_known_device_nothing_else_counts() {
        let charges = decide(&config(), Concerns::Device, &spent(10_000, 90, 10_000), NOW).unwrap();
        let pair = Some(Charge { cost: minutes(10), limit: minutes(90) });
        assert_eq!(charges, Rows { pair, ..Rows::default() });
        assert_eq!(wait(Concerns::Device, &spent(0, 91, 0)), Some(Delay { by: "account", wait: minutes(1) }));
    }

    #[test]
    fn what_is_past_is_forgotten() {
        let past =
            Rows { account: Some(NOW), pair: Some(NOW.before(minutes(1))), network: Some(NOW.before(Duration::from_hours(24 * 365))) };
        assert_eq!(wait(Concerns::Both, &past), None);
    }
}
