//! The operator's master key: it seals what the database must not tell, signs backups, and does nothing else (decision 0026).

use std::fmt;

use aws_lc_rs::{aead::LessSafeKey, hmac};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::{
    Secret,
    derived::{aead_key, derive, extract, open, seal},
    hex, hmac_over,
};

/// What the database keeps instead of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    bytes: Vec<u8>,
    /// The fingerprint of the master key; not known of what comes from the database.
    under: Option<String>,
}

impl Sealed {
    /// As stored.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The fingerprint of the master key, unless it comes from the database: there it may only be stored while that is the key of
    /// the database.
    pub fn under(&self) -> Option<&str> {
        self.under.as_deref()
    }
}

impl From<Vec<u8>> for Sealed {
    /// From what is stored.
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, under: None }
    }
}

/// One master key, held only as what is derived from it (HKDF-SHA-256, RFC 5869).
pub struct MasterKey {
    stored_key: LessSafeKey,
    client_secret: LessSafeKey,
    backup: hmac::Key,
    fingerprint: String,
    inherited_root: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    /// Derives the keys and wipes `bytes`.
    pub fn new(mut bytes: [u8; 32]) -> Self {
        let root = extract(b"grantor master key", &bytes);
        bytes.zeroize();
        Self {
            stored_key: aead_key(&derive(&root, b"grantor stored key")),
            client_secret: aead_key(&derive(&root, b"grantor client secret")),
            backup: hmac::Key::new(hmac::HMAC_SHA256, &*derive(&root, b"grantor backup")),
            fingerprint: hex(&derive(&root, b"grantor fingerprint")[..8]),
            inherited_root: root,
        }
    }

    /// Sixteen hexadecimal digits that name the key without telling anything about it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The root key of a database whose values were derived from this master key before there was one.
    pub fn inherited_root(&self) -> &[u8; 32] {
        &self.inherited_root
    }

    fn sealed(&self, bytes: Vec<u8>) -> Sealed {
        Sealed { bytes, under: Some(self.fingerprint.clone()) }
    }

    /// Seals a stored key. `kid` is the associated data, so that rows cannot be swapped.
    pub fn seal_stored_key(&self, kid: &str, plain: &[u8]) -> Sealed {
        self.sealed(seal(&self.stored_key, kid.as_bytes(), plain))
    }

    /// Opens a stored key; `None` if it was sealed under another master key or `kid`, or changed.
    pub fn open_stored_key(&self, kid: &str, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        open(&self.stored_key, kid.as_bytes(), sealed.bytes())
    }

    /// Seals a secret that keys a MAC. The client's id is the associated data, so that rows cannot be swapped.
    pub fn seal_client_secret(&self, client_id: &str, secret: &Secret) -> Sealed {
        self.sealed(seal(&self.client_secret, client_id.as_bytes(), secret.expose().as_bytes()))
    }

    /// Opens what [`MasterKey::seal_client_secret`] made for this client; `None` for anything else.
    pub fn open_client_secret(&self, client_id: &str, sealed: &Sealed) -> Option<Secret> {
        let opened = open(&self.client_secret, client_id.as_bytes(), sealed.bytes())?;
        std::str::from_utf8(&opened).ok().map(|text| Secret::from(text.to_owned()))
    }

    /// A MAC over the digest of a backup: whoever can write to where backups are kept must not make people and clients.
    pub fn sign_backup(&self, digest: &[u8]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(hmac_over(&self.backup, &[digest]))
    }

    /// Checks in constant time what [`MasterKey::sign_backup`] made.
    pub fn backup_is_ours(&self, digest: &[u8], presented: &str) -> bool {
        self.sign_backup(digest).as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.fingerprint)
    }
}

/// The master key, and the one that it takes the place of while that is so.
#[derive(Debug)]
pub struct MasterKeys {
    key: MasterKey,
    previous: Option<MasterKey>,
}

impl MasterKeys {
    /// As they were given.
    pub fn new(key: MasterKey, previous: Option<MasterKey>) -> Self {
        Self { key, previous }
    }

    /// The one that stays.
    pub fn key(&self) -> &MasterKey {
        &self.key
    }

    /// The one that goes.
    pub fn previous(&self) -> Option<&MasterKey> {
        self.previous.as_ref()
    }

    fn each(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.key).chain(&self.previous)
    }

    /// The one with this fingerprint.
    pub fn named(&self, fingerprint: &str) -> Option<&MasterKey> {
        self.each().find(|key| key.fingerprint() == fingerprint)
    }

    /// The fingerprints, for people.
    pub fn names(&self) -> String {
        self.each().map(MasterKey::fingerprint).collect::<Vec<_>>().join(" and ")
    }

    /// Opens a stored key that either of them sealed.
    pub fn open_stored_key(&self, kid: &str, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        self.each().find_map(|key| key.open_stored_key(kid, sealed))
    }

    /// Opens a client's secret that either of them sealed.
    pub fn open_client_secret(&self, client_id: &str, sealed: &Sealed) -> Option<Secret> {
        self.each().find_map(|key| key.open_client_secret(client_id, sealed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_keys_either_opens_what_it_sealed() {
        let [one, other, third] = [1, 2, 3].map(|byte| MasterKey::new([byte; 32]));
        let sealed = [&one, &other, &third].map(|key| key.seal_stored_key("a", key.fingerprint().as_bytes()));
        let named = one.fingerprint().to_owned();
        let keys = MasterKeys::new(other, Some(one));
        let opened = sealed.each_ref().map(|sealed| keys.open_stored_key("a", sealed).is_some());
        assert_eq!(opened, [true, true, false]);
        assert_eq!(sealed[0].under(), Some(named.as_str()));
        assert_eq!(keys.named(&named).map(MasterKey::fingerprint), Some(named.as_str()));
        assert!(keys.named(third.fingerprint()).is_none());
    }
}
