//! Who may register a client (RFC 7591 §3): whoever has a token for it, or anyone at a bounded rate.

use std::{net::IpAddr, time::Duration};

use uuid::Uuid;

use crate::{
    accounts::throttle::telling,
    audit::Origin,
    clock::Timestamp,
    config::RegistrationMode,
    error::Result,
    oauth::{ErrorCode, OAuthError},
    secret::{SecretHash, ThrottleKey},
    server::{Server, neighbourhood, network},
    store::throttles::{Charge, CountAttempt, Parties, Rows},
};

/// One network's part of the clients that may be there without a token.
const SHARE: u32 = 10;

/// Whoever may register one client. [`admit`] is the only way to one.
pub(crate) struct Admitted {
    token: Option<Uuid>,
    network: Option<ThrottleKey>,
}

impl Admitted {
    /// The token that let them, whose use is yet to be counted.
    pub(super) fn token(&self) -> Option<Uuid> {
        self.token
    }

    /// The network that they come from, if it bounds them, and how many clients of it may be there without a token.
    pub(super) fn network(&self, most_unused: u32) -> Option<(ThrottleKey, u32)> {
        self.network.map(|network| (network, most_unused.div_ceil(SHARE)))
    }
}

/// So many clients were registered from this address that the next has to wait so long.
pub(crate) struct Wait(pub Duration);

/// Refusals of those who may not.
pub(crate) struct Refused;

impl Refused {
    /// One answer for every token that is not, or no longer, one of ours (RFC 6750 §3.1).
    pub(crate) fn invalid_token() -> OAuthError {
        OAuthError::new(ErrorCode::InvalidToken, "The token is not valid here: it may be of another client, used up, expired or revoked.")
    }
}

/// Lets someone register a client, before anything is looked at that they say. `None` without a token where one is needed.
pub(crate) async fn admit(server: &Server, token: Option<&str>, origin: Origin) -> Result<Option<Result<Admitted, Wait>>> {
    if server.config().registration.mode != RegistrationMode::Open {
        let Some(token) = token else { return Ok(None) };
        let known = server.store().registration_token(&SecretHash::of(token), server.clock().now()).await?;
        let known = known.ok_or_else(Refused::invalid_token)?;
        return Ok(Some(Ok(Admitted { token: Some(known.id), network: None })));
    }
    let address = telling(server.config().throttle.by_address, origin.address);
    let network = address.map(|address| server.root_key().throttle_key("registrations of", &neighbourhood(address).to_string()));
    Ok(Some(count(server, address).await?.map(|()| Admitted { token: None, network })))
}

/// Counts a registration from an address; where addresses tell nobody apart, from anywhere.
async fn count(server: &Server, address: Option<IpAddr>) -> Result<Result<(), Wait>> {
    let config = &server.config().registration;
    let name = address.map_or_else(|| "-".to_owned(), |address| network(address).to_string());
    let parties = Parties { account: None, network: server.root_key().throttle_key("registration", &name), neighbourhood: None };
    // There is room while what the earlier ones cost is not yet forgotten for all places but one.
    let charge = Charge { cost: config.address_delay, limit: config.address_delay * (config.address_clients - 1) };
    let charges = Rows { network: Some(charge), ..Rows::default() };
    let now = server.clock().now();
    if server.store().write(CountAttempt { parties, charges, now }).await?.network.is_some() {
        return Ok(Ok(()));
    }
    let spent = server.store().throttles(&parties).await?.network.unwrap_or(now);
    Ok(Err(Wait(until(now.after(charge.limit), spent))))
}

/// How long until what is spent is within the limit again; a second at least, as it was not.
fn until(limit: Timestamp, spent: Timestamp) -> Duration {
    let micros = u64::try_from(spent.as_micros() - limit.as_micros()).unwrap_or(0);
    Duration::from_micros(micros).max(Duration::from_secs(1))
}
