//! Proof Key for Code Exchange (RFC 7636), S256 only (OAuth 2.1 §4.1.1).

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    client::{Client, ClientType},
    client_metadata::PkcePolicy,
    error::OAuthError,
    params::Params,
    scope::{OPENID, Scope},
};

/// What the metadata document announces (RFC 8414 §2).
pub const CODE_CHALLENGE_METHODS: &[&str] = &["S256"];

/// The challenge of an authorization request. Only a confidential client may do without, if its registration says so
/// (OAuth 2.1 §7.5.1.1): a `nonce` of `OpenID` then takes its place, or nothing at all.
pub fn requested(params: &Params, client: &Client, scope: &Scope) -> Result<Option<CodeChallenge>, OAuthError> {
    let says_something = params.get("code_challenge").is_some() || params.get("code_challenge_method").is_some();
    let has_nonce = scope.contains(OPENID) && params.get("nonce").is_some();
    let may_do_without = client.client_type == ClientType::Confidential
        && match client.metadata.pkce {
            PkcePolicy::Required => false,
            PkcePolicy::OrNonce => has_nonce,
            PkcePolicy::Optional => true,
        };
    if may_do_without && !says_something {
        return Ok(None);
    }
    if client.metadata.pkce == PkcePolicy::OrNonce && client.client_type == ClientType::Confidential && !says_something {
        return Err(OAuthError::invalid_request(
            "Send a code_challenge with code_challenge_method=S256 (RFC 7636) or, with the scope openid, a nonce: one of the two is required.",
        ));
    }
    CodeChallenge::from_params(params).map(Some)
}

/// `BASE64URL(SHA256(code_verifier))`: always 43 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// Reads `code_challenge` and `code_challenge_method` of an authorization request (RFC 7636 §4.3).
    pub fn from_params(params: &Params) -> Result<Self, OAuthError> {
        let challenge = params.get("code_challenge").ok_or_else(|| {
            OAuthError::invalid_request("The parameter 'code_challenge' is missing: PKCE is required (RFC 7636), with the method S256.")
        })?;
        // An absent method means `plain` (RFC 7636 §4.3).
        if params.get("code_challenge_method") != Some("S256") {
            return Err(OAuthError::invalid_request("Send code_challenge_method=S256; no other method is supported."));
        }
        Self::parse(challenge).ok_or_else(|| {
            OAuthError::invalid_request("The code_challenge must be the base64url SHA-256 of the code_verifier: 43 characters.")
        })
    }

    /// `None` unless the text has the form of an S256 challenge.
    pub fn parse(text: &str) -> Option<Self> {
        let has_form = text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        has_form.then(|| Self(text.to_owned()))
    }

    /// The 43 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// RFC 7636 §4.6, in constant time.
    pub fn is_met_by(&self, verifier: &CodeVerifier<'_>) -> bool {
        let computed = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.0.as_bytes()));
        computed.as_bytes().ct_eq(self.0.as_bytes()).into()
    }
}

/// 43 to 128 unreserved characters (RFC 7636 §4.1).
#[derive(Clone, Copy)]
pub struct CodeVerifier<'a>(&'a str);

impl<'a> CodeVerifier<'a> {
    /// `invalid_request` unless the text has the form of a verifier.
    pub fn parse(text: &'a str) -> Result<Self, OAuthError> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if (43..=128).contains(&text.len()) && text.bytes().all(unreserved) {
            Ok(Self(text))
        } else {
            Err(OAuthError::invalid_request("The code_verifier must have 43 to 128 characters of A-Z a-z 0-9 - . _ ~"))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 7636, Appendix B.
    #[test]
    fn the_example_of_the_rfc_matches() {
        let challenge = CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        let verifier = CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        assert!(challenge.is_met_by(&verifier));
        let other = CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK").unwrap();
        assert!(!challenge.is_met_by(&other));
    }

    /// RFC 7636 §4.3: no method means `plain`, which OAuth 2.1 does not have.
    #[test]
    fn plain_and_an_absent_method_are_refused() {
        let challenge = "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(CodeChallenge::from_params(&Params::parse(challenge)).is_err());
        assert!(CodeChallenge::from_params(&Params::parse(&format!("{challenge}&code_challenge_method=plain"))).is_err());
        assert!(CodeChallenge::from_params(&Params::parse(&format!("{challenge}&code_challenge_method=S256"))).is_ok());
    }

    proptest! {
        #[test]
        fn a_verifier_has_43_to_128_unreserved_characters(text in "[A-Za-z0-9._~-]{0,140}") {
            prop_assert_eq!(CodeVerifier::parse(&text).is_ok(), (43..=128).contains(&text.len()));
        }
    }
}
