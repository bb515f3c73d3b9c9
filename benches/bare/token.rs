//! A signed token of the usual size, by a key that was parsed once (ES256, RFC 7518 §3.4).

use anyhow::Context as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The claims of an access token (RFC 9068 §2.2), as many as a real one has.
#[derive(Serialize, Deserialize)]
pub struct Claims<'a> {
    pub iss: &'a str,
    pub sub: Uuid,
    pub aud: &'a str,
    pub client_id: &'a str,
    pub scope: &'a str,
    pub jti: Uuid,
    pub gid: Uuid,
    pub iat: u64,
    pub exp: u64,
}

pub struct Key {
    pair: EcdsaKeyPair,
    public: ParsedPublicKey,
    random: SystemRandom,
    header: String,
}

impl Key {
    /// A fresh key, used once so that the process has paid for its first random number.
    pub fn generate() -> anyhow::Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())?;
        let header = BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"at+jwt","alg":"ES256","kid":"{}"}}"#, Uuid::new_v4().simple()));
        let key = Self { pair, public, random: SystemRandom::new(), header };
        key.pair.sign(&key.random, b"first")?;
        Ok(key)
    }

    /// The claims in the compact form (RFC 7515 §7.1).
    pub fn sign(&self, claims: &Claims<'_>) -> anyhow::Result<String> {
        let mut token = format!("{}.", self.header);
        BASE64_URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(claims)?, &mut token);
        let signature = self.pair.sign(&self.random, token.as_bytes())?;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        Ok(token)
    }

    /// The claims' JSON, when the signature is this key's.
    pub fn verify(&self, token: &str) -> anyhow::Result<Vec<u8>> {
        let (signed, signature) = token.rsplit_once('.').context("a token has three parts")?;
        self.public.verify_sig(signed.as_bytes(), &BASE64_URL_SAFE_NO_PAD.decode(signature)?)?;
        let (_, claims) = signed.split_once('.').context("a token has three parts")?;
        Ok(BASE64_URL_SAFE_NO_PAD.decode(claims)?)
    }
}
