//! Signing keys, JWS (RFC 7515) and the JWKS (RFC 7517). The only user of signature crates.

mod key_ring;
mod signing_key;

pub(crate) mod rotation;

pub(crate) use key_ring::{KeyRing, SIGNATURE};

/// What the header of an access token says (RFC 9068 §2.1).
pub(crate) const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// `jsonwebtoken` needs to be told its backend before its first use; telling it again does nothing.
pub(crate) fn install_provider() {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// The header of a JWS, unverified.
pub(crate) fn header(token: &str) -> Option<jsonwebtoken::Header> {
    jsonwebtoken::decode_header(token).ok()
}
