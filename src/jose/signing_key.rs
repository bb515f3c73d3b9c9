//! A private key, parsed once, and the JWS that it makes (RFC 7515 §3.1, RFC 7518 §3).

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256},
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jsonwebtoken::{
    DecodingKey,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::verified::Verified;
use crate::{
    config::AccessTokenAlg,
    error::{Error, Result},
    secret,
};

/// A JWS algorithm that we sign with (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Es256,
    Rs256,
}

impl Algorithm {
    /// Those for which the first start makes a key.
    pub(crate) const ALL: &[Self] = &[Self::Es256, Self::Rs256];

    /// The registered name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// From the registered name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.as_str() == text)
    }

    const fn to_jsonwebtoken(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
        }
    }
}

impl From<AccessTokenAlg> for Algorithm {
    fn from(configured: AccessTokenAlg) -> Self {
        match configured {
            AccessTokenAlg::Es256 => Self::Es256,
            AccessTokenAlg::Rs256 => Self::Rs256,
        }
    }
}

enum KeyPairOf {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
}

/// A key pair with its public half in the forms that are needed.
pub(crate) struct SigningKey {
    pair: KeyPairOf,
    pub(crate) kid: String,
    pub(crate) jwk: Jwk,
    decoding_key: DecodingKey,
    access_token_header: String,
    verified: Verified,
}

impl SigningKey {
    /// A new private key as PKCS #8.
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>> {
        let failed = |_| Error::internal("a signing key could not be generated");
        let document = match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
                AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(failed)?.as_ref().to_vec()
            }
        };
        Ok(Zeroizing::new(document))
    }

    /// Parses a private key. The `kid` is its thumbprint (RFC 7638).
    pub(crate) fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self> {
        let rejected = |_| Error::internal("a signing key could not be read");
        let pair = match algorithm {
            Algorithm::Es256 => KeyPairOf::Es256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(rejected)?),
            Algorithm::Rs256 => KeyPairOf::Rs256(RsaKeyPair::from_pkcs8(pkcs8).map_err(rejected)?),
        };
        let decoding_key = match &pair {
            KeyPairOf::Es256(pair) => DecodingKey::from_ec_der(pair.public_key().as_ref()),
            KeyPairOf::Rs256(pair) => DecodingKey::from_rsa_der(pair.public_key().as_ref()),
        };
        let mut jwk = Jwk::from_decoding_key(&decoding_key, Some(algorithm.to_jsonwebtoken())).map_err(Error::internal)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(Error::internal)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let header = serde_json::json!({ "typ": super::ACCESS_TOKEN_TYPE, "alg": algorithm.as_str(), "kid": kid });
        let access_token_header = BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
        Ok(Self { pair, kid, jwk, decoding_key, access_token_header, verified: Verified::default() })
    }

    /// The compact serialization of an access token.
    pub(crate) fn sign_access_token(&self, claims: &impl Serialize) -> Result<String> {
        let payload = serde_json::to_vec(claims).map_err(Error::internal)?;
        let mut token = String::with_capacity(self.access_token_header.len() + payload.len() * 4 / 3 + 350);
        token.push_str(&self.access_token_header);
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(&payload, &mut token);
        let random = secret::generator();
        match &self.pair {
            KeyPairOf::Es256(pair) => {
                let signature = pair.sign(&random, token.as_bytes()).map_err(|_| Error::internal("signing failed"))?;
                token.push('.');
                BASE64_URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
            }
            KeyPairOf::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, token.as_bytes(), &mut signature).map_err(|_| Error::internal("signing failed"))?;
                token.push('.');
                BASE64_URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
            }
        }
        Ok(token)
    }

    /// The claims of a token with a valid signature of this key. Times, issuer and audience are the caller's to check:
    /// they go by our clock, not the library's.
    pub(crate) fn verify<T: DeserializeOwned>(&self, algorithm: Algorithm, token: &str) -> Option<T> {
        let name = Verified::name(algorithm, token);
        if self.verified.holds(&name) {
            return claims(token);
        }
        let mut validation = jsonwebtoken::Validation::new(algorithm.to_jsonwebtoken());
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let claims = jsonwebtoken::decode(token, &self.decoding_key, &validation).ok().map(|data| data.claims)?;
        self.verified.add(name);
        Some(claims)
    }
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
            let token = key.sign_access_token(&claims).unwrap();
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
        let token = one.sign_access_token(&json!({ "sub": "alice" })).unwrap();
        for _ in 0..2 {
            assert!(one.verify::<Value>(Algorithm::Es256, &token).is_some());
            assert_eq!(other.verify::<Value>(Algorithm::Es256, &token), None);
            assert_eq!(one.verify::<Value>(Algorithm::Rs256, &token), None);
        }
    }

    #[test]
    fn the_jwk_has_no_private_part() {
        crate::jose::install_provider();
        for &algorithm in Algorithm::ALL {
            let key = SigningKey::from_pkcs8(algorithm, &SigningKey::generate(algorithm).unwrap()).unwrap();
            let jwk = serde_json::to_value(&key.jwk).unwrap();
            let names: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
            for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert!(!names.contains(&private), "{names:?}");
            }
            assert_eq!(jwk["use"], "sig");
            assert_eq!(jwk["alg"], algorithm.as_str());
        }
    }
}
