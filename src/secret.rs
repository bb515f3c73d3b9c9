//! Secrets, their hashes, sealing and MACs: the only source of randomness.

mod derived;
mod master_key;
mod root_key;

use std::{cell::RefCell, fmt};

use aws_lc_rs::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

pub use self::{
    master_key::{MasterKey, MasterKeys, Sealed},
    root_key::RootKey,
};
use crate::clock::Timestamp;

/// The operating system's generator, for those who want it as a parameter.
#[expect(clippy::disallowed_methods, reason = "this is the one source of randomness")]
pub fn generator() -> SystemRandom {
    SystemRandom::new()
}

/// Fills `N` bytes from the operating system's generator.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    generator().fill(&mut bytes).expect("the operating system's random number generator works");
    bytes
}

/// A new row id: `UUIDv7` (RFC 9562 §5.7), so that rows made together lie together.
pub fn new_id(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.as_micros() / 1_000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random_of_id()).into_uuid()
}

/// Ten random bytes for an id, which is no secret: every request gets one, so the generator is asked for the next fifty at once.
fn random_of_id() -> [u8; 10] {
    thread_local! {
        static DRAWN: RefCell<Vec<[u8; 10]>> = const { RefCell::new(Vec::new()) };
    }
    DRAWN.with_borrow_mut(|drawn| {
        if drawn.is_empty() {
            drawn.extend(random::<500>().as_chunks().0);
        }
        drawn.pop().unwrap_or_else(random)
    })
}

/// A random id (`UUIDv4`): a person's, for example, which unlike a v7 does not tell clients when the person signed up.
pub fn random_id() -> Uuid {
    uuid::Builder::from_random_bytes(random()).into_uuid()
}

/// A value that must not reach logs or messages: `Debug` masks it, and dropping wipes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// 256 random bits as 43 characters of base64url.
    pub fn generate() -> Self {
        Self::from(BASE64_URL_SAFE_NO_PAD.encode(random::<32>()))
    }

    /// 384 random bits as 64 characters, which are octets enough to key any HMAC (RFC 7518 §3.2).
    pub fn generate_for_mac() -> Self {
        Self::from(BASE64_URL_SAFE_NO_PAD.encode(random::<48>()))
    }

    /// The value itself, for the one place that must send or check it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the store keeps instead.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.expose())
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(Zeroizing::new(value))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The SHA-256 of a secret of 128 random bits or more, for which no slow hash is needed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Hashes what was presented.
    pub fn of(presented: &str) -> Self {
        Self(Sha256::digest(presented.as_bytes()).into())
    }

    /// Compares in constant time.
    pub fn matches(&self, presented: &str) -> bool {
        self.0.ct_eq(&Self::of(presented).0).into()
    }

    /// The 32 bytes, as stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From what is stored; `None` unless 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// An account or a network whose failures are counted, by a name that tells nothing to whoever has the database alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThrottleKey([u8; 16]);

impl ThrottleKey {
    /// As stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A MAC key of its own (HMAC-SHA-256), kept sealed in the store.
pub struct MacKey(hmac::Key);

impl MacKey {
    /// From the unsealed bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The MAC over `parts`, each length-prefixed.
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        hmac_over(&self.0, parts)
    }

    /// Checks a MAC in constant time.
    pub fn verify(&self, parts: &[&[u8]], presented: &[u8]) -> bool {
        self.sign(parts).ct_eq(presented).into()
    }
}

/// Two hexadecimal digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn hmac_over(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.sign().as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::aead::NONCE_LEN;
    use proptest::prelude::*;

    use super::*;

    fn master_key() -> MasterKey {
        MasterKey::new([7; 32])
    }

    fn root_key() -> RootKey {
        RootKey::new(&[7; 32]).unwrap()
    }

    #[test]
    fn no_two_ids_are_alike() {
        let now = Timestamp::from_seconds(1);
        let ids = move || (0..500).map(|_| new_id(now)).collect::<Vec<_>>();
        let elsewhere = std::thread::spawn(ids);
        let different: std::collections::BTreeSet<Uuid> = ids().into_iter().chain(elsewhere.join().unwrap()).collect();
        assert_eq!(different.len(), 1000);
        assert!(different.iter().all(|id| id.get_version_num() == 7));
    }

    #[test]
    fn what_is_sealed_opens_again_and_only_with_its_kid() {
        let sealed = master_key().seal_stored_key("a", b"private");
        assert_eq!(master_key().open_stored_key("a", &sealed).unwrap().as_slice(), b"private");
        assert!(master_key().open_stored_key("b", &sealed).is_none());
        assert!(MasterKey::new([8; 32]).open_stored_key("a", &sealed).is_none());
    }

    #[test]
    fn a_sealed_client_secret_opens_for_its_client_alone() {
        let secret = Secret::generate_for_mac();
        assert_eq!(secret.expose().len(), 64);
        let sealed = master_key().seal_client_secret("app", &secret);
        assert_eq!(master_key().open_client_secret("app", &sealed), Some(secret));
        assert_eq!(master_key().open_client_secret("other", &sealed), None);
        assert!(master_key().open_stored_key("app", &sealed).is_none());
        assert_eq!(MasterKey::new([8; 32]).open_client_secret("app", &sealed), None);
    }

    #[test]
    fn a_changed_or_cut_parameter_does_not_open() {
        let sealed = root_key().seal_authorization_request(b"request");
        for cut in 0..sealed.len() {
            assert!(root_key().open_authorization_request(&sealed[..cut]).is_none());
        }
        let mut changed = BASE64_URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        changed[NONCE_LEN] ^= 1;
        assert!(root_key().open_authorization_request(&BASE64_URL_SAFE_NO_PAD.encode(changed)).is_none());
    }

    #[test]
    fn the_parts_of_a_mac_cannot_run_into_one_another() {
        let key = MacKey::new(&[1; 32]);
        assert_ne!(key.sign(&[b"ab", b"c"]), key.sign(&[b"a", b"bc"]));
        assert!(key.verify(&[b"ab", b"c"], &key.sign(&[b"ab", b"c"])));
        assert!(!key.verify(&[b"ab", b"c"], b""));
    }

    fn flipped(bytes: &[u8], bit: prop::sample::Index) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        let bit = bit.index(changed.len() * 8);
        changed[bit / 8] ^= 1 << (bit % 8);
        changed
    }

    fn slices(parts: &[String]) -> Vec<&[u8]> {
        parts.iter().map(String::as_bytes).collect()
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_as_it_was_and_not_at_all_if_one_bit_differs(
            plain in prop::collection::vec(any::<u8>(), 0..80),
            kid in ".{0,8}",
            bit in any::<prop::sample::Index>(),
        ) {
            let key = master_key();
            let sealed = key.seal_stored_key(&kid, &plain);
            prop_assert_eq!(key.open_stored_key(&kid, &sealed).map(|opened| opened.to_vec()), Some(plain.clone()));
            prop_assert!(key.open_stored_key(&kid, &flipped(sealed.bytes(), bit).into()).is_none());

            let parameter = root_key().seal_authorization_request(&plain);
            prop_assert_eq!(root_key().open_authorization_request(&parameter).map(|opened| opened.to_vec()), Some(plain));
            let changed = String::from_utf8(flipped(parameter.as_bytes(), bit)).unwrap_or_default();
            prop_assert!(root_key().open_authorization_request(&changed).is_none(), "{}", changed);
        }

        #[test]
        fn nothing_but_our_own_is_opened_and_no_text_makes_opening_panic(text in ".{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(root_key().open_authorization_request(&text).is_none());
            prop_assert!(master_key().open_stored_key("a", &bytes.clone().into()).is_none());
            prop_assert!(!root_key().consent_form_is_bound(&[b"session"], &text));
            prop_assert!(!MacKey::new(&[1; 32]).verify(&[b"grant"], &bytes));
        }

        #[test]
        fn a_mac_is_of_its_parts_alone(
            parts in prop::collection::vec("[ab]{0,2}", 0..4),
            others in prop::collection::vec("[ab]{0,2}", 0..4),
            bit in any::<prop::sample::Index>(),
        ) {
            let key = MacKey::new(&[1; 32]);
            let mac = key.sign(&slices(&parts));
            prop_assert_eq!(key.verify(&slices(&others), &mac), parts == others);
            prop_assert!(!key.verify(&slices(&parts), &flipped(&mac, bit)));
            let bound = root_key().bind_consent_form(&slices(&parts));
            prop_assert_eq!(root_key().consent_form_is_bound(&slices(&others), &bound), parts == others);
        }
    }

    #[test]
    fn debug_output_shows_no_secret() {
        assert_eq!(format!("{:?}", Secret::from("hunter2".to_owned())), "Secret(***)");
    }

    #[test]
    fn a_hash_matches_only_its_secret() {
        let secret = Secret::generate();
        assert_eq!(secret.expose().len(), 43);
        assert!(secret.hash().matches(secret.expose()));
        assert!(!secret.hash().matches(Secret::generate().expose()));
    }

    #[test]
    fn a_random_id_tells_no_time_and_a_rows_id_does() {
        assert_eq!(random_id().get_version_num(), 4);
        assert_eq!(new_id(Timestamp::from_seconds(1_700_000_000)).get_version_num(), 7);
    }
}
