//! Signing keys, JWS (RFC 7515) and the JWKS (RFC 7517). The only user of signature crates.

mod algorithm;
mod client_keys;
mod jws;
mod key_ring;
mod remote_keys;
mod signing_key;
mod verified;

pub(crate) mod rotation;
pub(crate) mod schedule;

pub(crate) use algorithm::Algorithm;
pub(crate) use client_keys::{ClientKeys, verify_with_secrets};
pub(crate) use jws::{Jws, Unverified};
pub(crate) use key_ring::KeyRing;
pub(crate) use remote_keys::RemoteKeys;

/// What a JWT of ours is for. Its header says so, that none is taken for another (RFC 8725 §3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the specifications call them so")]
pub(crate) enum TokenType {
    AccessToken,
    /// And signed answers of UserInfo: of these the audience tells (`OpenID` Core §2, §5.3.2).
    IdToken,
    LogoutToken,
}

impl TokenType {
    const ALL: [Self; 3] = [Self::AccessToken, Self::IdToken, Self::LogoutToken];

    /// The value of `typ` (RFC 9068 §2.1, RFC 7519 §5.1, `OpenID` Back-Channel Logout §2.4).
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "at+jwt",
            Self::IdToken => "JWT",
            Self::LogoutToken => "logout+jwt",
        }
    }
}

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
