//! HTTP to addresses that clients register. What strangers make this server ask for takes no place of what the operator's clients
//! need, and telling clients of logouts none of what people wait for.

use std::time::Duration;

use crate::{
    config,
    oauth::client::Trust,
    outbound::{Limits, Outbound, OutboundError, Reach},
};

/// Request objects, key sets and the files of sectors: small, and someone waits for them.
const DOCUMENTS: Limits =
    Limits { connect_timeout: Duration::from_secs(3), timeout: Duration::from_secs(5), body: 64 * 1024, at_once: 32, with_one_host: 4 };
/// Logout tokens (`OpenID` Back-Channel Logout §2.5): a client that takes longer is told again later.
const LOGOUTS: Limits =
    Limits { connect_timeout: Duration::from_secs(3), timeout: Duration::from_secs(3), body: 64 * 1024, at_once: 64, with_one_host: 16 };

/// One [`Outbound`] for each purpose, and for each kind of clients.
pub(crate) struct Connections {
    documents: ByTrust,
    logouts: ByTrust,
}

struct ByTrust {
    operators: Outbound,
    self_registered: Outbound,
}

impl Connections {
    pub(super) fn new(config: &config::Outbound) -> Result<Self, OutboundError> {
        let reach = || Reach::Internet { and: config.allow_networks.clone() };
        let outbound = |limits| Outbound::new(limits, reach(), config.ca_file.as_deref());
        // The operator's clients may all be at one host.
        let trusted = |limits: Limits| Limits { with_one_host: limits.at_once, ..limits };
        let by_trust =
            |limits| Ok::<_, OutboundError>(ByTrust { operators: outbound(trusted(limits))?, self_registered: outbound(limits)? });
        Ok(Self { documents: by_trust(DOCUMENTS)?, logouts: by_trust(LOGOUTS)? })
    }

    /// For what a client registered an address of.
    pub(crate) fn documents(&self, trust: Trust) -> &Outbound {
        self.documents.of(trust)
    }

    /// For telling a client of a logout.
    pub(crate) fn logouts(&self, trust: Trust) -> &Outbound {
        self.logouts.of(trust)
    }
}

impl ByTrust {
    fn of(&self, trust: Trust) -> &Outbound {
        match trust {
            Trust::Operator => &self.operators,
            Trust::SelfRegistered => &self.self_registered,
        }
    }
}
