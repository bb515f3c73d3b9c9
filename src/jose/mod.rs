//! Signing keys, JWS (RFC 7515) and the JWKS (RFC 7517). The only user of signature crates.

mod algorithm;
mod key_ring;
mod signing_key;
mod verified;

pub(crate) mod rotation;
pub(crate) mod schedule;

pub(crate) use algorithm::Algorithm;
pub(crate) use key_ring::KeyRing;

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

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_has_a_header_or_none(text in prop_oneof![".{0,60}", "[A-Za-z0-9_.=-]{0,80}"]) {
            let _ = super::header(&text);
        }

        /// Members of any type and size, as a token may say anything of itself.
        #[test]
        fn any_json_is_a_header_or_none(
            json in "\\{\"(alg|typ|kid|x5c|jwk|crit)\":(\"(none|ES256|at\\+jwt|\\\\u0000)?\"|[0-9]{1,30}|null|\\[\\]|\\{\\})(,\"alg\":\"(ES256|HS256|none)\")?\\}"
        ) {
            let token = format!("{}.e30.AA", BASE64_URL_SAFE_NO_PAD.encode(&json));
            if let Some(header) = super::header(&token) {
                prop_assert!(!json.contains(r#""alg":"none""#), "{} {:?}", json, header.alg);
            }
        }
    }
}
