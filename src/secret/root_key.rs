//! The root key of a database: what requests, forms and throttles are protected with is derived from it, so that it outlives every
//! master key (decision 0026).

use aws_lc_rs::{aead::LessSafeKey, hmac};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    ThrottleKey,
    derived::{aead_key, derive, open, seal},
    hmac_over,
};

/// Held only as the keys derived from it (HKDF-SHA-256, RFC 5869).
pub struct RootKey {
    authorization_request: LessSafeKey,
    consent_form: hmac::Key,
    throttle: hmac::Key,
    known_device: hmac::Key,
}

impl RootKey {
    /// From the unsealed bytes; `None` unless they are 32.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let root: &[u8; 32] = bytes.try_into().ok()?;
        Some(Self {
            authorization_request: aead_key(&derive(root, b"grantor authorization request")),
            consent_form: hmac::Key::new(hmac::HMAC_SHA256, &*derive(root, b"grantor consent form")),
            throttle: hmac::Key::new(hmac::HMAC_SHA256, &*derive(root, b"grantor throttle")),
            known_device: hmac::Key::new(hmac::HMAC_SHA256, &*derive(root, b"grantor known device")),
        })
    }

    /// Seals an authorization request into a URL parameter.
    pub fn seal_authorization_request(&self, plain: &[u8]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(seal(&self.authorization_request, b"", plain))
    }

    /// Opens what [`RootKey::seal_authorization_request`] made; `None` for anything else.
    pub fn open_authorization_request(&self, parameter: &str) -> Option<Zeroizing<Vec<u8>>> {
        open(&self.authorization_request, b"", &BASE64_URL_SAFE_NO_PAD.decode(parameter).ok()?)
    }

    /// A MAC over the parts of a consent form, each length-prefixed so that they cannot run into one another.
    pub fn bind_consent_form(&self, parts: &[&[u8]]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(hmac_over(&self.consent_form, parts))
    }

    /// Checks in constant time what [`RootKey::bind_consent_form`] made.
    pub fn consent_form_is_bound(&self, parts: &[&[u8]], presented: &str) -> bool {
        self.bind_consent_form(parts).as_bytes().ct_eq(presented.as_bytes()).into()
    }

    /// A MAC over what a browser keeps of an account that someone signed in to there, cut to 128 bits.
    pub fn device_mac(&self, parts: &[&[u8]]) -> [u8; 16] {
        *hmac_over(&self.known_device, parts).first_chunk().expect("HMAC-SHA-256 has 32 bytes")
    }

    /// Names what is counted: `kind` keeps an account apart from a network of the same name.
    pub fn throttle_key(&self, kind: &str, name: &str) -> ThrottleKey {
        let mac = hmac_over(&self.throttle, &[kind.as_bytes(), name.as_bytes()]);
        let mut key = [0; 16];
        key.copy_from_slice(&mac[..16]);
        ThrottleKey(key)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::MasterKey, *};

    /// What the version before derived from the master key of 32 times 7, computed with another implementation of RFC 5869.
    #[test]
    fn an_inherited_root_gives_what_the_master_key_gave_before() {
        let master_key = MasterKey::new([7; 32]);
        let root = RootKey::new(master_key.inherited_root()).unwrap();
        assert_eq!(super::super::hex(root.throttle_key("account", "alice").as_bytes()), "749965f97ca5e6253840287fa118bf1d");
        assert_eq!(root.bind_consent_form(&[b"session", b"request"]), "pXHOOsaZiWlXPbNYyHdLltEeP3sryf9L9y5yTsCcHK4");
        assert_eq!(master_key.fingerprint(), "40a77f33aece4fa4");
    }

    #[test]
    fn a_root_has_32_bytes() {
        assert!(RootKey::new(&[7; 31]).is_none() && RootKey::new(&[]).is_none() && RootKey::new(&[7; 33]).is_none());
    }
}
