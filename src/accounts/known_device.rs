//! Browsers at which someone signed in before. An attempt from one has a budget of its own, so that no stranger's guesses keep the owner
//! out there (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"). It opens nothing: the password is asked for.

use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use subtle::ConstantTimeEq;

use super::throttle::account_key;
use crate::{
    clock::Timestamp,
    error::Result,
    oauth::Email,
    secret::{self, ThrottleKey},
    server::Server,
};

/// How long a browser is known, as long as browsers keep a cookie (RFC 6265bis §5.5).
pub(crate) const KNOWN_FOR: Duration = Duration::from_hours(400 * 24);
/// How many accounts a browser is known for.
const MOST: usize = 4;
/// Between the devices of a cookie.
const SEPARATOR: char = '.';

/// A browser as one account knows it. Whose, only the MAC says, and only to whoever names the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Device {
    id: [u8; 16],
    since: Timestamp,
    mac: [u8; 16],
}

/// What a browser shows: a device for each of the last accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Devices(Vec<Device>);

impl Device {
    fn new(server: &Server, account: &ThrottleKey, id: [u8; 16], since: Timestamp) -> Self {
        Self { id, since, mac: mac(server, account, &id, since) }
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 40] = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let (since, mac) = rest.split_first_chunk::<8>()?;
        Some(Self { id: *id, since: Timestamp::from_micros(i64::from_be_bytes(*since)), mac: mac.try_into().ok()? })
    }

    fn to_text(self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode([&self.id[..], &self.since.as_micros().to_be_bytes(), &self.mac].concat())
    }

    fn is_of(&self, server: &Server, account: &ThrottleKey) -> bool {
        mac(server, account, &self.id, self.since).ct_eq(&self.mac).into()
    }
}

fn mac(server: &Server, account: &ThrottleKey, id: &[u8; 16], since: Timestamp) -> [u8; 16] {
    server.root_key().device_mac(&[account.as_bytes(), id, &since.as_micros().to_be_bytes()])
}

impl Devices {
    /// What a cookie says. Whatever is not ours is nothing, and nobody is told.
    pub(crate) fn parse(text: &str) -> Self {
        Self(text.split(SEPARATOR).take(MOST).filter_map(Device::parse).collect())
    }

    /// The value of the cookie.
    pub(crate) fn to_text(&self) -> String {
        self.0.iter().map(|device| device.to_text()).collect::<Vec<_>>().join(".")
    }

    /// By what the attempts from this browser at an account are counted, if it is known there: since the account was made, and its
    /// password last changed, its person signed in here. Whoever shows nothing of this account's costs no look into the database.
    pub(super) async fn known(&self, server: &Server, email: &Email) -> Result<Option<ThrottleKey>> {
        let Some(device) = self.of(server, &account_key(server, &email.key)) else { return Ok(None) };
        if server.clock().now().since(device.since) >= KNOWN_FOR {
            return Ok(None);
        }
        let Some(person) = server.store().person_by_email(&email.key).await? else { return Ok(None) };
        let is_void = device.since < person.created_at || person.tokens_not_before.is_some_and(|not_before| device.since <= not_before);
        if is_void || person.disabled_at.is_some() {
            return Ok(None);
        }
        Ok(Some(server.root_key().throttle_key("device", &secret::hex(&device.id))))
    }

    /// With this account, which someone just signed in to, in front. A device that it knows stays the same, whose budget whoever copied
    /// the cookie shares.
    pub(crate) fn with(self, server: &Server, email_key: &str) -> Self {
        let account = account_key(server, email_key);
        let id = self.of(server, &account).map_or_else(secret::random, |device| device.id);
        let device = Device::new(server, &account, id, server.clock().now());
        let others = self.0.into_iter().filter(|other| !other.is_of(server, &account));
        Self(std::iter::once(device).chain(others).take(MOST).collect())
    }

    fn of(&self, server: &Server, account: &ThrottleKey) -> Option<&Device> {
        self.0.iter().find(|device| device.is_of(server, account))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cookie_of_ours_reads_as_it_was_written() {
        let device = |byte: u8| Device { id: [byte; 16], since: Timestamp::from_micros(1_800_000_000_000_001), mac: [255 - byte; 16] };
        let devices = Devices((1..=4).map(device).collect());
        assert_eq!(Devices::parse(&devices.to_text()), devices);
        assert_eq!(Devices::parse(""), Devices::default());
        let (first, more) = (device(1).to_text(), "x.y.z.".to_owned());
        assert_eq!(Devices::parse(&(more + &first)), Devices(vec![device(1)]));
        assert_eq!(Devices::parse(&vec![first; 9].join(".")).0.len(), MOST, "no cookie makes much work");
    }

    proptest! {
        #[test]
        fn any_text_is_devices_or_nothing(text in "([A-Za-z0-9_-]{52,56}[.]?|\\PC{0,20}){0,6}") {
            prop_assert!(Devices::parse(&text).0.len() <= MOST);
        }
    }
}
