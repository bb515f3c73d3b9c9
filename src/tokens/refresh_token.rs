//! Opaque refresh tokens: `grt_` and base64url of key number, grant id, generation and a MAC over these and the client id.
//!
//! Nothing of a token is stored. A forged or garbled one is told without a query (OAuth 2.1 §4.3.1: integrity).

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use uuid::Uuid;

use crate::{error::Result, oauth::ClientId, secret::Secret, server::Server};

const PREFIX: &str = "grt_";
const MAC_LEN: usize = 32;
const LEN: usize = 2 + 16 + 8 + MAC_LEN;

/// What a token says; [`recognise`] is the proof that we made it for this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    pub grant_id: Uuid,
    /// Counts the rotations of the grant.
    pub generation: i64,
}

/// Whether a text claims to be a refresh token.
pub(crate) fn looks_like_one(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// The token of a generation. The same input gives the same token, so that a lost answer can be repeated.
pub(crate) async fn issue(server: &Server, client_id: &ClientId, token: RefreshToken) -> Result<Secret> {
    let (key_number, key) = server.keys().newest_mac_key().await?;
    let mut bytes = Vec::with_capacity(LEN);
    bytes.extend_from_slice(&key_number.to_be_bytes());
    bytes.extend_from_slice(token.grant_id.as_bytes());
    bytes.extend_from_slice(&token.generation.to_be_bytes());
    let mac = key.sign(&[&bytes, client_id.as_str().as_bytes()]);
    bytes.extend_from_slice(&mac);
    let mut text = String::with_capacity(PREFIX.len() + LEN * 4 / 3 + 1);
    text.push_str(PREFIX);
    BASE64_URL_SAFE_NO_PAD.encode_string(&bytes, &mut text);
    Ok(Secret::from(text))
}

/// What the token says, if we made it for this client.
pub(crate) async fn recognise(server: &Server, client_id: &ClientId, token: &str) -> Result<Option<RefreshToken>> {
    let Some(parts) = Parts::of(token) else { return Ok(None) };
    let Some(key) = server.keys().mac_key(parts.key_number).await? else { return Ok(None) };
    let is_genuine = key.verify(&[&parts.bytes[..LEN - MAC_LEN], client_id.as_str().as_bytes()], &parts.bytes[LEN - MAC_LEN..]);
    Ok(is_genuine.then_some(parts.token))
}

/// Whether the token is genuine, but was made for a client other than the one that presents it.
pub(crate) async fn is_of_another_client(server: &Server, token: &str) -> Result<bool> {
    let Some(parts) = Parts::of(token) else { return Ok(false) };
    let Some(grant) = server.store().grant(parts.token.grant_id).await? else { return Ok(false) };
    Ok(recognise(server, &grant.client_id, token).await?.is_some())
}

struct Parts {
    bytes: [u8; LEN],
    key_number: u16,
    token: RefreshToken,
}

impl Parts {
    fn of(token: &str) -> Option<Self> {
        let mut bytes = [0; LEN];
        let encoded = token.strip_prefix(PREFIX)?;
        if BASE64_URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).ok()? != LEN {
            return None;
        }
        let (key_number, rest) = bytes.split_first_chunk::<2>()?;
        let (grant_id, rest) = rest.split_first_chunk::<16>()?;
        let (generation, _) = rest.split_first_chunk::<8>()?;
        let token = RefreshToken { grant_id: Uuid::from_bytes(*grant_id), generation: i64::from_be_bytes(*generation) };
        Some(Self { key_number: u16::from_be_bytes(*key_number), token, bytes })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_taken_apart_or_refused(text in "(grt_)?[A-Za-z0-9_-]{0,100}") {
            if let Some(parts) = Parts::of(&text) {
                prop_assert_eq!(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(parts.bytes)), text);
            }
        }
    }
}
