//! What the sample app makes of any bytes: an answer of the server, a token, a callback by whoever.

use oauth2::{CsrfToken, PkceCodeVerifier};
use proptest::prelude::*;

use super::{
    access_token::DecodedToken,
    callback::{ExpectedIssuer, Pending, TrustedCode},
    exchange::masked,
    sessions::Session,
};

const ISSUER: ExpectedIssuer<'static> = ExpectedIssuer { issuer: "http://as.example", announces_iss: true };

fn session() -> Session {
    let mut session = Session::default();
    session.begin(Pending {
        state: CsrfToken::new("s1".to_owned()),
        code_verifier: PkceCodeVerifier::new("v".repeat(43)),
        authorization_request: "http://as.example/authorize".parse().expect("a URL"),
    });
    session
}

proptest! {
    /// OAuth 2.1 §4.1.2, RFC 9207 §2.4: each of `code`, `state` and `iss` once, with the values that were asked for, and no error.
    #[test]
    fn a_code_is_trusted_only_with_its_state_and_issuer(
        query in "((state=(s1|s2)|iss=http://(as|evil)\\.example|code=c1|error=x|x=1|%00|state=|\\PC)&?){0,6}"
    ) {
        let trusted = TrustedCode::from_query(&query, &mut session(), ISSUER);
        let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let all = |name: &str| pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>();
        if let Ok(trusted) = trusted {
            prop_assert_eq!(all("state"), ["s1"]);
            prop_assert_eq!(all("iss"), [ISSUER.issuer]);
            prop_assert_eq!(all("code"), [trusted.code.secret().as_str()]);
            prop_assert!(all("error").iter().all(|error| error.is_empty()));
        }
    }

    #[test]
    fn any_text_is_a_token_to_read_or_none(text in prop_oneof!["\\PC{0,40}", "[A-Za-z0-9_-]{0,30}\\.[A-Za-z0-9_-]{0,30}\\.[A-Za-z0-9_-]{0,9}", "e30\\.eyJ[A-Za-z0-9_-]{0,30}\\.x"]) {
        if let Some(token) = DecodedToken::decode(&text) {
            prop_assert_eq!(text.matches('.').count(), 2);
            let _ = (token.header(), token.payload(), token.claims().len());
        }
    }

    /// Of a secret no more than twelve characters, and of a short one none.
    #[test]
    fn a_masked_secret_keeps_its_ends_at_most(secret in "\\PC{0,80}") {
        let shown = masked(&secret);
        let kept = shown.chars().filter(|character| *character != '•').count();
        let hides = secret.chars().filter(|character| *character == '•').count();
        prop_assert!(kept + hides >= kept && kept <= 12 && (secret.chars().count() >= 32 || kept == 0));
    }
}
