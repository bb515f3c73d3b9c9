//! A private key, parsed once, and the JWS that it makes (RFC 7515 §3.1, RFC 7518 §3, RFC 8037 §3.1).

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding},
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jsonwebtoken::{
    DecodingKey,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::{Algorithm, TokenType, verified::Verified};
use crate::{
    error::{Error, Result},
    secret,
};

enum Pair {
    Ec(EcdsaKeyPair),
    /// With the encoding of its signatures, which is what RS256 and PS256 differ in.
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ed(Ed25519KeyPair),
}

impl Pair {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let failed = |_| Error::internal("signing failed");
        let random = secret::generator();
        match self {
            Self::Ec(pair) => Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec()),
            Self::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Self::Ed(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
        }
    }
}

/// A key pair with its public half in the forms that are needed.
pub(crate) struct SigningKey {
    pair: Pair,
    pub(crate) kid: String,
    pub(crate) jwk: Jwk,
    decoding_key: DecodingKey,
    /// One for each [`TokenType`].
    headers: [String; TokenType::ALL.len()],
    verified: Verified,
}

impl SigningKey {
    /// A new private key as PKCS #8. Of RSA it takes up to seconds: not for an async thread.
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>> {
        let failed = |_| Error::internal("a signing key could not be generated");
        let document = match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
            }
            // RFC 7518 §3.3, §3.5: 2048 bits or more. A key is of one algorithm: PS256 does not share that of RS256.
            Algorithm::Rs256 | Algorithm::Ps256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
                AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(failed)?.as_ref().to_vec()
            }
            Algorithm::EdDsa => Ed25519KeyPair::generate().map_err(failed)?.to_pkcs8().map_err(failed)?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(document))
    }

    /// Parses a private key. The `kid` is its thumbprint (RFC 7638).
    pub(crate) fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self> {
        let rejected = |_| Error::internal("a signing key could not be read");
        let pair = match algorithm {
            Algorithm::Es256 => Pair::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(rejected)?),
            Algorithm::Rs256 => Pair::Rsa(RsaKeyPair::from_pkcs8(pkcs8).map_err(rejected)?, &RSA_PKCS1_SHA256),
            Algorithm::Ps256 => Pair::Rsa(RsaKeyPair::from_pkcs8(pkcs8).map_err(rejected)?, &RSA_PSS_SHA256),
            Algorithm::EdDsa => Pair::Ed(Ed25519KeyPair::from_pkcs8(pkcs8).map_err(rejected)?),
        };
        let decoding_key = match &pair {
            Pair::Ec(pair) => DecodingKey::from_ec_der(pair.public_key().as_ref()),
            Pair::Rsa(pair, _) => DecodingKey::from_rsa_der(pair.public_key().as_ref()),
            Pair::Ed(pair) => DecodingKey::from_ed_der(pair.public_key().as_ref()),
        };
        let mut jwk = Jwk::from_decoding_key(&decoding_key, Some(algorithm.to_jsonwebtoken())).map_err(Error::internal)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(Error::internal)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let header = |token_type: TokenType| {
            let header = serde_json::json!({ "typ": token_type.as_str(), "alg": algorithm.as_str(), "kid": kid });
            BASE64_URL_SAFE_NO_PAD.encode(header.to_string())
        };
        let headers = TokenType::ALL.map(header);
        Ok(Self { pair, kid, jwk, decoding_key, headers, verified: Verified::default() })
    }

    /// The compact serialization of a token.
    pub(crate) fn sign(&self, token_type: TokenType, claims: &impl Serialize) -> Result<String> {
        let payload = serde_json::to_vec(claims).map_err(Error::internal)?;
        let header = &self.headers[token_type as usize];
        let mut token = String::with_capacity(header.len() + payload.len() * 4 / 3 + 350);
        token.push_str(header);
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(&payload, &mut token);
        let signature = self.pair.sign(token.as_bytes())?;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }

    /// Signs and verifies once.
    pub(crate) fn test(&self, algorithm: Algorithm) -> Result<()> {
        let token = self.sign(TokenType::AccessToken, &serde_json::json!({}))?;
        let verified = self.verify::<serde_json::Value>(algorithm, &token);
        verified.map(drop).ok_or_else(|| Error::internal("a signing key does not verify what it signed"))
    }

    /// The claims of a token with a valid signature of this key. Times, issuer and audience are the caller's to check:
    /// they go by our clock, not the library's.
    pub(crate) fn verify<T: DeserializeOwned>(&self, algorithm: Algorithm, token: &str) -> Option<T> {
        let name = Verified::name(algorithm, token);
        if self.verified.holds(&name) {
            return claims(token);
        }
        let claims = verified(algorithm, &self.decoding_key, token)?;
        self.verified.add(name);
        Some(claims)
    }
}

/// The same for a key of which only the public half is left.
pub(super) fn verify_by_jwk<T: DeserializeOwned>(algorithm: Algorithm, public_jwk: &[u8], token: &str) -> Option<T> {
    let jwk: Jwk = serde_json::from_slice(public_jwk).ok()?;
    verified(algorithm, &DecodingKey::from_jwk(&jwk).ok()?, token)
}

fn verified<T: DeserializeOwned>(algorithm: Algorithm, key: &DecodingKey, token: &str) -> Option<T> {
    let mut validation = jsonwebtoken::Validation::new(algorithm.to_jsonwebtoken());
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    jsonwebtoken::decode(token, key, &validation).ok().map(|data| data.claims)
}

/// What a token whose signature is known says.
fn claims<T: DeserializeOwned>(token: &str) -> Option<T> {
    let (_, payload) = token.rsplit_once('.')?.0.split_once('.')?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn each_algorithm_signs_what_it_verifies_and_nothing_else() {
        crate::jose::install_provider();
        for &algorithm in Algorithm::ALL {
            let key = SigningKey::from_pkcs8(algorithm, &SigningKey::generate(algorithm).unwrap()).unwrap();
            let claims = json!({ "sub": "alice" });
            let token = key.sign(TokenType::AccessToken, &claims).unwrap();
            // The second time from memory.
            for _ in 0..2 {
                assert_eq!(key.verify::<Value>(algorithm, &token), Some(claims.clone()));
            }

            let header = jsonwebtoken::decode_header(&token).unwrap();
            assert_eq!((header.typ.as_deref(), header.kid.as_deref()), (Some("at+jwt"), Some(key.kid.as_str())));

            let (signed, signature) = token.rsplit_once('.').unwrap();
            let forged_claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"sub":"mallory"}"#);
            let (header, _) = signed.split_once('.').unwrap();
            for forged in [
                format!("{header}.{forged_claims}.{signature}"),
                format!("{signed}."),
                format!("{}.{forged_claims}.", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#)),
            ] {
                // Nothing forged gets better by being sent again.
                for _ in 0..2 {
                    assert_eq!(key.verify::<Value>(algorithm, &forged), None, "{forged}");
                }
            }
        }
    }

    #[test]
    fn what_one_key_verified_is_nothing_to_another() {
        crate::jose::install_provider();
        let key = || SigningKey::from_pkcs8(Algorithm::Es256, &SigningKey::generate(Algorithm::Es256).unwrap()).unwrap();
        let (one, other) = (key(), key());
        let token = one.sign(TokenType::AccessToken, &json!({ "sub": "alice" })).unwrap();
        for _ in 0..2 {
            assert!(one.verify::<Value>(Algorithm::Es256, &token).is_some());
            assert_eq!(other.verify::<Value>(Algorithm::Es256, &token), None);
            assert_eq!(one.verify::<Value>(Algorithm::Rs256, &token), None);
        }
    }

    /// RFC 7518 §6.2.1, §6.3.1 and RFC 8037 §2: the public members of each kind, and nothing else.
    #[test]
    fn the_jwk_has_the_public_members_alone() {
        crate::jose::install_provider();
        for &algorithm in Algorithm::ALL {
            let key = SigningKey::from_pkcs8(algorithm, &SigningKey::generate(algorithm).unwrap()).unwrap();
            let jwk = serde_json::to_value(&key.jwk).unwrap();
            let mut names: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
            names.sort_unstable();
            let (expected, kty, crv): (&[&str], _, _) = match algorithm {
                Algorithm::Es256 => (&["alg", "crv", "kid", "kty", "use", "x", "y"], "EC", Some("P-256")),
                Algorithm::Rs256 | Algorithm::Ps256 => (&["alg", "e", "kid", "kty", "n", "use"], "RSA", None),
                Algorithm::EdDsa => (&["alg", "crv", "kid", "kty", "use", "x"], "OKP", Some("Ed25519")),
            };
            assert_eq!(names, expected);
            assert_eq!((jwk["kty"].as_str(), jwk["crv"].as_str()), (Some(kty), crv));
            assert_eq!((jwk["use"].as_str(), jwk["alg"].as_str()), (Some("sig"), Some(algorithm.as_str())));
        }
    }

    /// RFC 8037, Appendix A.2 and A.3: the key of the examples has their public half and their thumbprint.
    #[test]
    fn an_ed25519_key_has_the_thumbprint_of_the_rfc() {
        crate::jose::install_provider();
        let seed = BASE64_URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let key = SigningKey::from_pkcs8(Algorithm::EdDsa, pair.to_pkcs8().unwrap().as_ref()).unwrap();
        assert_eq!(serde_json::to_value(&key.jwk).unwrap()["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(key.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    /// RFC 7518 §3.5: a PS256 key takes no PKCS #1 v1.5 signature, and the other way round.
    #[test]
    fn a_key_verifies_its_own_algorithm_alone() {
        crate::jose::install_provider();
        let pkcs8 = SigningKey::generate(Algorithm::Ps256).unwrap();
        let key = |algorithm| SigningKey::from_pkcs8(algorithm, &pkcs8).unwrap();
        for (one, other) in [(Algorithm::Ps256, Algorithm::Rs256), (Algorithm::Rs256, Algorithm::Ps256)] {
            let token = key(one).sign(TokenType::AccessToken, &json!({})).unwrap();
            assert!(key(one).verify::<Value>(one, &token).is_some());
            assert_eq!(key(other).verify::<Value>(other, &token), None);
        }
    }
}
