//! Signatures that were verified before: whoever introspects one token all day pays for its elliptic curve once.

use std::sync::{Mutex, OnceLock, PoisonError};

use sha2::{Digest, Sha256};

use super::Algorithm;

/// How many tokens of a key are remembered: 160 KiB, taken when the first is verified.
const PLACES: usize = 4096;

/// Names a token and the algorithm that it was verified with. Another token of the same name would be a collision of SHA-256.
pub(super) type Name = [u8; 32];

/// The tokens whose signature one key verified. It says nothing else about them: what a signature is worth today (times,
/// retirement of the key, revocation) is decided each time. A new one takes the place of an old one; all end with their key.
#[derive(Default)]
pub(super) struct Verified(OnceLock<Box<[Mutex<Option<Name>>]>>);

impl Verified {
    pub(super) fn name(algorithm: Algorithm, token: &str) -> Name {
        Sha256::new().chain_update(algorithm.as_str()).chain_update(".").chain_update(token).finalize().into()
    }

    pub(super) fn holds(&self, name: &Name) -> bool {
        self.0.get().is_some_and(|places| *place(places, name).lock().unwrap_or_else(PoisonError::into_inner) == Some(*name))
    }

    pub(super) fn add(&self, name: Name) {
        let places = self.0.get_or_init(|| (0..PLACES).map(|_| Mutex::default()).collect());
        *place(places, &name).lock().unwrap_or_else(PoisonError::into_inner) = Some(name);
    }
}

/// Any part of a hash is as even as any other.
fn place<'a>(places: &'a [Mutex<Option<Name>>], name: &Name) -> &'a Mutex<Option<Name>> {
    &places[usize::from(u16::from_le_bytes([name[0], name[1]])) % places.len()]
}
