//! A JWS that a client made, in compact serialization (RFC 7515 §3.1, §7.1), before it is verified.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::oauth::JwsAlgorithm;

/// Why a JWS is not believed. The texts complete a sentence that begins with its name, and fit an `error_description`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unverified {
    #[error("it must be a JWS in compact serialization, with an alg that the metadata announces and without crit")]
    Malformed,
    #[error("its alg must be one that the metadata announces and that the client is registered for")]
    Algorithm,
    #[error("the client must be registered with jwks or jwks_uri")]
    NoKeys,
    #[error("the key set of the client must be a JWK Set of at most 32 public keys and 64 KiB")]
    KeySet,
    #[error("the key set at the jwks_uri of the client must be reachable over https and answer 200 with a JWK Set")]
    KeySetUnreachable,
    #[error("too many key sets are being fetched: try again in a moment")]
    Busy,
    #[error("the key set of the client has no key for its kid and alg")]
    NoKey,
    #[error("more than four keys of the client could have signed it: send the kid of one, and give each key of the set its own")]
    Ambiguous,
    #[error("the client has no secret that is long enough and kept for signing: rotate its secret")]
    NoSecret,
    #[error("its signature does not match the key of the client")]
    Signature,
    #[error("its claims have wrong types")]
    Claims,
}

/// The members of the header that we understand (RFC 7515 §4.1). Keys and addresses of keys in it are nobody's word for anything.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

/// The parts of a JWS. What it says is believed of whoever holds the key, and only once `ClientKeys` or a secret verified it.
pub(crate) struct Jws<'t> {
    pub(crate) algorithm: JwsAlgorithm,
    pub(crate) kid: Option<String>,
    typ: Option<String>,
    pub(super) signed: &'t str,
    payload: Vec<u8>,
    pub(super) signature: &'t str,
}

impl<'t> Jws<'t> {
    /// Reads the parts. Extensions that must be understood (`crit`, RFC 7515 §4.1.11) are not.
    pub(crate) fn parse(token: &'t str) -> Result<Self, Unverified> {
        Self::parts(token).ok_or(Unverified::Malformed)
    }

    fn parts(token: &'t str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let algorithm = JwsAlgorithm::parse(&header.alg)?;
        let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
        header.crit.is_none().then_some(Self { algorithm, kid: header.kid, typ: header.typ, signed, payload, signature })
    }

    /// Whether its header says that it is one of these, or says nothing (RFC 8725 §3.11). Media types have no case, and may
    /// leave out `application/` (RFC 7515 §4.1.9).
    pub(crate) fn is_typed(&self, types: &[&str]) -> bool {
        let Some(typ) = &self.typ else { return true };
        let typ = typ.to_ascii_lowercase();
        types.contains(&typ.strip_prefix("application/").unwrap_or(&typ))
    }

    /// What it says of itself, which anyone can say: enough to look up whose key would have to have signed it.
    pub(crate) fn unverified_claims<T: DeserializeOwned>(&self) -> Result<T, Unverified> {
        serde_json::from_slice(&self.payload).map_err(|_| Unverified::Claims)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn token(header: &str) -> String {
        format!("{}.{}.AA", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(r#"{"iss":"app"}"#))
    }

    #[test]
    fn a_header_with_what_we_do_not_understand_is_refused() {
        for header in [
            "",
            "[]",
            "{}",
            r#"{"alg":"none"}"#,
            r#"{"alg":"NONE"}"#,
            r#"{"alg":"A128KW"}"#,
            r#"{"alg":"ES256","crit":["b64"],"b64":false}"#,
            r#"{"alg":"ES256","crit":[]}"#,
            r#"{"alg":"ES256","alg":"HS256"}"#,
            r#"{"alg":["ES256"]}"#,
            r#"{"alg":"ES256","kid":1}"#,
        ] {
            assert!(Jws::parse(&token(header)).is_err(), "{header}");
        }
        for text in ["", ".", "..", "a.b", "a.b.c.d", "e30.e30.", "e30=.e30.AA"] {
            assert!(Jws::parse(text).is_err(), "{text}");
        }
        let text = token(r#"{"alg":"ES256","jwk":{"kty":"EC"},"jku":"https://elsewhere.example","kid":"a"}"#);
        let jws = Jws::parse(&text).unwrap();
        assert_eq!((jws.algorithm, jws.kid.as_deref()), (JwsAlgorithm::Es256, Some("a")));
        assert_eq!(jws.unverified_claims::<Value>().unwrap()["iss"], "app");
    }

    /// RFC 7515 §4.1.9, RFC 8725 §3.11.
    #[test]
    fn a_type_is_the_expected_one_or_not_given() {
        for (header, expected) in [
            (r#"{"alg":"ES256"}"#, true),
            (r#"{"alg":"ES256","typ":"JWT"}"#, true),
            (r#"{"alg":"ES256","typ":"application/jwt"}"#, true),
            (r#"{"alg":"ES256","typ":"at+jwt"}"#, false),
            (r#"{"alg":"ES256","typ":""}"#, false),
        ] {
            assert_eq!(Jws::parse(&token(header)).unwrap().is_typed(&["jwt"]), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_jws_or_refused(text in prop_oneof![".{0,60}", "[A-Za-z0-9_.=-]{0,80}"], header in "\\{(\"(alg|crit|kid|typ)\":(\"(none|ES256)\"|[0-9]{1,20}|null|\\[\\]),?){0,3}\\}") {
            let _ = Jws::parse(&text);
            if let Ok(jws) = Jws::parse(&token(&header)) {
                prop_assert_eq!(jws.algorithm, JwsAlgorithm::Es256);
            }
        }
    }
}
