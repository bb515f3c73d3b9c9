//! The public keys of a client (RFC 7517 §5), and what they verify. The key says the algorithms, not the JWS (RFC 8725 §3.1).

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jsonwebtoken::DecodingKey;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Jws, Unverified};
use crate::{oauth::JwsAlgorithm, secret::Secret};

/// How large a set may be, and how many keys it may have, usable or not.
const DOCUMENT: usize = 64 * 1024;
const KEYS: usize = 32;
/// How many keys are tried on one JWS. `OpenID` Core §10.1: where a set has several keys, a `kid` says which.
const CANDIDATES: usize = 4;

/// What only the holder of a private or shared key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1, RFC 8037 §2).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Why a document is not a client's key set; the message says what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeySetRefused {
    #[error("a key set has at most {DOCUMENT} bytes and {KEYS} keys")]
    TooLarge,
    #[error("a key set is a JSON object whose member keys is a list of JWKs (RFC 7517 section 5)")]
    NotASet,
    #[error("a key set has public keys alone: take private and symmetric keys out, and change those that were sent")]
    Private,
    #[error("no key of the set can be used: it takes an RSA key of 2048 to 4096 bits, P-256, P-384 or Ed25519, for signatures")]
    NoneUsable,
}

/// The keys of a set that can verify a signature. Others of the set are passed over (RFC 7517 §5).
#[derive(Debug)]
pub(crate) struct ClientKeys(Vec<ClientKey>);

#[derive(Debug)]
struct ClientKey {
    kid: Option<String>,
    algorithms: &'static [JwsAlgorithm],
    key: DecodingKey,
}

impl ClientKeys {
    /// Reads a document as it came over the network.
    pub(crate) fn read(document: &[u8]) -> Result<Self, KeySetRefused> {
        if document.len() > DOCUMENT {
            return Err(KeySetRefused::TooLarge);
        }
        Self::of(&serde_json::from_slice(document).map_err(|_| KeySetRefused::NotASet)?)
    }

    /// Reads a set as it was registered (`jwks`).
    pub(crate) fn of(set: &Value) -> Result<Self, KeySetRefused> {
        let keys = set.get("keys").and_then(Value::as_array).ok_or(KeySetRefused::NotASet)?;
        if keys.len() > KEYS {
            return Err(KeySetRefused::TooLarge);
        }
        let keys: Vec<_> = keys.iter().map(|key| key.as_object().ok_or(KeySetRefused::NotASet)).collect::<Result<_, _>>()?;
        if keys.iter().any(|key| PRIVATE.iter().any(|member| key.contains_key(*member))) {
            return Err(KeySetRefused::Private);
        }
        let usable: Vec<_> = keys.into_iter().filter_map(ClientKey::of).collect();
        if usable.is_empty() { Err(KeySetRefused::NoneUsable) } else { Ok(Self(usable)) }
    }

    /// The claims of a JWS that one of these keys signed.
    pub(crate) fn verify<T: DeserializeOwned>(&self, jws: &Jws<'_>) -> Result<T, Unverified> {
        let candidates: Vec<_> = self.0.iter().filter(|key| key.is_candidate(jws)).take(CANDIDATES + 1).collect();
        match candidates.len() {
            0 => Err(Unverified::NoKey),
            1..=CANDIDATES if candidates.iter().any(|key| is_signed(jws, &key.key)) => jws.unverified_claims(),
            1..=CANDIDATES => Err(Unverified::Signature),
            _ => Err(Unverified::Ambiguous),
        }
    }
}

impl ClientKey {
    /// `None` for a key of another kind or purpose, or too weak.
    fn of(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name| jwk.get(name).map(|value| value.as_str().ok_or(()));
        let is_for_signatures = text("use").is_none_or(|usage| usage == Ok("sig"));
        let verifies = jwk.get("key_ops").is_none_or(|ops| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify")));
        if !is_for_signatures || !verifies {
            return None;
        }
        let (algorithms, key) = match (text("kty")?.ok()?, text("crv").and_then(Result::ok)) {
            ("RSA", _) => (RSA, rsa(jwk)?),
            ("EC", Some("P-256")) => (P256, elliptic(jwk, 32)?),
            ("EC", Some("P-384")) => (P384, elliptic(jwk, 48)?),
            ("OKP", Some("Ed25519")) => (ED25519, DecodingKey::from_ed_der(&octets(jwk, "x").filter(|x| x.len() == 32)?)),
            _ => return None,
        };
        let algorithms = match text("alg") {
            None => algorithms,
            Some(algorithm) => JwsAlgorithm::allowed(Some(algorithm.ok()?), algorithms),
        };
        let kid = match text("kid") {
            None => None,
            Some(kid) => Some(kid.ok()?.to_owned()),
        };
        (!algorithms.is_empty()).then_some(Self { kid, algorithms, key })
    }

    /// RFC 7515 §4.1.4: `kid` tells which key it is, where both have one.
    fn is_candidate(&self, jws: &Jws<'_>) -> bool {
        let is_meant = jws.kid.is_none() || self.kid.is_none() || self.kid == jws.kid;
        is_meant && self.algorithms.contains(&jws.algorithm)
    }
}

const RSA: &[JwsAlgorithm] =
    &[JwsAlgorithm::Rs256, JwsAlgorithm::Rs384, JwsAlgorithm::Rs512, JwsAlgorithm::Ps256, JwsAlgorithm::Ps384, JwsAlgorithm::Ps512];
const P256: &[JwsAlgorithm] = &[JwsAlgorithm::Es256];
const P384: &[JwsAlgorithm] = &[JwsAlgorithm::Es384];
const ED25519: &[JwsAlgorithm] = &[JwsAlgorithm::EdDsa];

fn octets(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(jwk.get(name)?.as_str()?).ok()
}

/// RFC 7518 §3.3, §3.5: 2048 bits or more. Larger ones than 4096, and large exponents, are only slow.
fn rsa(jwk: &Map<String, Value>) -> Option<DecodingKey> {
    let (modulus, exponent) = (octets(jwk, "n")?, octets(jwk, "e")?);
    let modulus = &modulus[modulus.iter().take_while(|byte| **byte == 0).count()..];
    let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
    let is_sound =
        (2048..=4096).contains(&bits) && modulus.last()? % 2 == 1 && (1..=4).contains(&exponent.len()) && exponent.last()? % 2 == 1;
    is_sound.then(|| DecodingKey::from_rsa_raw_components(modulus, &exponent))
}

/// The uncompressed point (SEC 1 §2.3.3) of coordinates that have their full size (RFC 7518 §6.2.1.2).
fn elliptic(jwk: &Map<String, Value>, size: usize) -> Option<DecodingKey> {
    let coordinate = |name| octets(jwk, name).filter(|octets| octets.len() == size);
    Some(DecodingKey::from_ec_der(&[vec![4], coordinate("x")?, coordinate("y")?].concat()))
}

fn is_signed(jws: &Jws<'_>, key: &DecodingKey) -> bool {
    jsonwebtoken::crypto::verify(jws.signature, jws.signed.as_bytes(), key, to_jsonwebtoken(jws.algorithm)).unwrap_or(false)
}

/// The claims of a JWS whose MAC is keyed by one of these secrets: the octets of their text (`OpenID` Core §10.1).
pub(crate) fn verify_with_secrets<T: DeserializeOwned>(jws: &Jws<'_>, secrets: &[Secret]) -> Result<T, Unverified> {
    let octets = jws.algorithm.secret_octets().ok_or(Unverified::Algorithm)?;
    let mut long_enough = secrets.iter().map(|secret| secret.expose().as_bytes()).filter(|secret| secret.len() >= octets).peekable();
    if long_enough.peek().is_none() {
        return Err(Unverified::NoSecret);
    }
    if long_enough.any(|secret| is_signed(jws, &DecodingKey::from_secret(secret))) {
        jws.unverified_claims()
    } else {
        Err(Unverified::Signature)
    }
}

const fn to_jsonwebtoken(algorithm: JwsAlgorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        JwsAlgorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        JwsAlgorithm::Es384 => jsonwebtoken::Algorithm::ES384,
        JwsAlgorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        JwsAlgorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        JwsAlgorithm::Ps384 => jsonwebtoken::Algorithm::PS384,
        JwsAlgorithm::Ps512 => jsonwebtoken::Algorithm::PS512,
        JwsAlgorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        JwsAlgorithm::Rs384 => jsonwebtoken::Algorithm::RS384,
        JwsAlgorithm::Rs512 => jsonwebtoken::Algorithm::RS512,
        JwsAlgorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
        JwsAlgorithm::Hs384 => jsonwebtoken::Algorithm::HS384,
        JwsAlgorithm::Hs512 => jsonwebtoken::Algorithm::HS512,
    }
}

#[cfg(test)]
mod tests;
