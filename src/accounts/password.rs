//! Passwords: Argon2id (RFC 9106), a few at a time.

use std::net::IpAddr;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::{
    config::Passwords,
    error::{Error, Result},
    secret,
    server::{HashingGate, HashingMemory},
};

/// Longer ones cannot be set; a form with one is not hashed.
pub(super) const MAX_LEN: usize = 256;

/// A password as a person typed it, in one Unicode form (NFC), so that keyboards do not matter.
#[derive(Clone)]
pub(crate) struct Password(Zeroizing<String>);

impl Password {
    /// A password that somebody may have: 1 to 256 bytes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let normalised = Zeroizing::new(text.nfc().collect::<String>());
        (1..=MAX_LEN).contains(&normalised.len()).then_some(Self(normalised))
    }

    /// A stand-in to do the work with, when what was typed is no password.
    pub(crate) fn nobodys() -> Self {
        Self(Zeroizing::new(String::from("nobody")))
    }
}

/// Hashes a password for the store, as a PHC string, for whoever asks from `address`.
pub(crate) async fn hash(gate: &HashingGate, config: &Passwords, address: Option<IpAddr>, password: Password) -> Result<String> {
    let argon2 = argon2(config)?;
    gate.run(address, move |memory| hash_with(&argon2, &password, memory)).await
}

/// Hashes in the thread of the caller, to see how long it takes.
pub(super) fn hash_now(config: &Passwords, password: &Password, memory: &mut HashingMemory) -> Result<String> {
    hash_with(&argon2(config)?, password, memory)
}

/// What came of comparing a password with the stored hash.
pub(crate) enum Verified {
    No,
    Yes,
    /// The hash was made with other parameters; this one is made with those of today.
    YesAndRehashed(String),
}

/// Compares. Without a hash (nobody has this e-mail, or no password is set) the same work is done for nothing.
pub(crate) async fn verify(
    gate: &HashingGate,
    config: &Passwords,
    address: Option<IpAddr>,
    password: Password,
    hash: Option<String>,
) -> Result<Verified> {
    let argon2 = argon2(config)?;
    gate.run(address, move |memory| {
        let Some(hash) = hash else { return hash_with(&argon2, &password, memory).map(|_| Verified::No) };
        let stored = Stored::parse(&hash).ok_or_else(|| Error::internal("a stored password hash cannot be read"))?;
        if !stored.is_of(&password, memory)? {
            return Ok(Verified::No);
        }
        if is_same(stored.argon2.params(), argon2.params()) {
            return Ok(Verified::Yes);
        }
        hash_with(&argon2, &password, memory).map(Verified::YesAndRehashed)
    })
    .await
}

/// A hash as stored, with what it was made by.
struct Stored {
    argon2: Argon2<'static>,
    salt: Salt,
    output: Output,
}

impl Stored {
    /// From a PHC string.
    fn parse(text: &str) -> Option<Self> {
        let parsed = PasswordHash::new(text).ok()?;
        let algorithm = Algorithm::try_from(parsed.algorithm.as_str()).ok()?;
        let version = parsed.version.map_or(Some(Version::default()), |version| Version::try_from(version).ok())?;
        let argon2 = Argon2::new(algorithm, version, Params::try_from(&parsed).ok()?);
        Some(Self { argon2, salt: parsed.salt?, output: parsed.hash? })
    }

    fn is_of(&self, password: &Password, memory: &mut HashingMemory) -> Result<bool> {
        let mut output = [0; Output::MAX_LENGTH];
        let output = &mut output[..self.output.len()];
        hash_into(output, &self.argon2, password, &self.salt, memory)?;
        Ok((*output).ct_eq(self.output.as_ref()).into())
    }
}

fn is_same(one: &Params, other: &Params) -> bool {
    (one.m_cost(), one.t_cost(), one.p_cost()) == (other.m_cost(), other.t_cost(), other.p_cost())
}

fn failed<E>(_: E) -> Error {
    Error::internal("a password could not be hashed")
}

fn hash_with(argon2: &Argon2<'_>, password: &Password, memory: &mut HashingMemory) -> Result<String> {
    let salt = Salt::new(&secret::random::<16>()).map_err(failed)?;
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    hash_into(&mut output, argon2, password, &salt, memory)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon2.params()).map_err(failed)?,
        salt: Some(salt),
        hash: Some(Output::new(&output).map_err(failed)?),
    };
    Ok(hash.to_string())
}

/// What is in the memory does not matter: Argon2 writes each block before it reads it (RFC 9106 §3.2).
fn hash_into(output: &mut [u8], argon2: &Argon2<'_>, password: &Password, salt: &Salt, memory: &mut HashingMemory) -> Result<()> {
    let blocks = memory.blocks(argon2.params().block_count())?;
    argon2.hash_password_into_with_memory(password.0.as_bytes(), salt, output, blocks).map_err(failed)
}

fn argon2(config: &Passwords) -> Result<Argon2<'static>> {
    let params = Params::new(config.argon2_memory_kib, config.argon2_iterations, config.argon2_parallelism, None)
        .map_err(|_| Error::internal("these Argon2 parameters are not possible"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_password_has_1_to_256_bytes_in_any_unicode_form(text in prop_oneof![".{0,8}", "[a\u{e9}\u{301}\u{1100}-\u{11ff}]{0,300}"]) {
            let composed: String = text.nfc().collect();
            let parsed = Password::parse(&text);
            prop_assert_eq!(parsed.is_some(), (1..=MAX_LEN).contains(&composed.len()));
            let Some(password) = parsed else { return Ok(()) };
            let decomposed: String = text.nfd().collect();
            prop_assert_eq!(&*password.0, &composed);
            prop_assert_eq!(Password::parse(&decomposed).map(|again| again.0.to_string()), Some(composed));
        }
    }
}
