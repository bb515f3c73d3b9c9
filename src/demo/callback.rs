//! The authorization response (OAuth 2.1 §4.1.2, RFC 9207): what must hold before its code is used.

use oauth2::{AuthorizationCode, CsrfToken, PkceCodeVerifier};
use url::{Url, form_urlencoded};

use super::client::Failure;
use super::sessions::Session;

/// A sign-in that was begun: what its answer is compared with, and what redeems its code.
pub struct Pending {
    pub state: CsrfToken,
    pub code_verifier: PkceCodeVerifier,
    pub authorization_request: Url,
}

/// Which issuer may have sent the response.
#[derive(Clone, Copy)]
pub struct ExpectedIssuer<'a> {
    pub issuer: &'a str,
    /// `authorization_response_iss_parameter_supported` of the metadata (RFC 9207 §3).
    pub announces_iss: bool,
}

/// A code that this app asked for, in this browser, from this server.
pub struct TrustedCode {
    pub code: AuthorizationCode,
    pub pending: Pending,
}

#[derive(Debug, PartialEq, Eq)]
pub enum CallbackError {
    /// A parameter twice, or neither a code nor an error.
    Malformed,
    /// The answer to a request that this browser did not make, or made too long ago.
    UnknownState,
    /// RFC 9207 §2.4: the answer of another server.
    WrongIssuer,
    Refused(Failure),
}

impl TrustedCode {
    /// Reads the query of the callback.
    pub fn from_query(query: &str, session: &mut Session, expected: ExpectedIssuer<'_>) -> Result<Self, CallbackError> {
        let response = Parameters(form_urlencoded::parse(query.as_bytes()).into_owned().collect());
        // Nothing else is believed, or shown, before `state` says that this browser asked for it.
        let state = response.once("state")?.ok_or(CallbackError::UnknownState)?;
        let pending = session.answered(state).ok_or(CallbackError::UnknownState)?;
        match response.once("iss")? {
            Some(iss) if iss == expected.issuer => {}
            None if !expected.announces_iss => {}
            _ => return Err(CallbackError::WrongIssuer),
        }
        if let Some(error) = response.once("error")? {
            return Err(CallbackError::Refused(Failure::Refused {
                error: error.to_owned(),
                description: response.once("error_description")?.map(str::to_owned),
            }));
        }
        let code = response.once("code")?.ok_or(CallbackError::Malformed)?;
        Ok(Self { code: AuthorizationCode::new(code.to_owned()), pending })
    }
}

struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// The value of a parameter; OAuth 2.1 §3.1: none may appear twice, and an empty one is absent.
    fn once(&self, name: &str) -> Result<Option<&str>, CallbackError> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let value = values.next();
        if values.next().is_some() {
            return Err(CallbackError::Malformed);
        }
        Ok(value.filter(|value| !value.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: ExpectedIssuer<'static> = ExpectedIssuer { issuer: "http://as.example", announces_iss: true };

    fn session() -> Session {
        let mut session = Session::default();
        session.begin(Pending {
            state: CsrfToken::new("s1".to_owned()),
            code_verifier: PkceCodeVerifier::new("v".repeat(43)),
            authorization_request: "http://as.example/authorize".parse().unwrap(),
        });
        session
    }

    fn refusal(query: &str) -> CallbackError {
        TrustedCode::from_query(query, &mut session(), ISSUER).err().unwrap()
    }

    #[test]
    fn a_code_with_its_state_and_issuer_is_trusted_once() {
        let mut session = session();
        let query = "code=c1&state=s1&iss=http%3A%2F%2Fas.example";
        let trusted = TrustedCode::from_query(query, &mut session, ISSUER).ok().unwrap();
        assert_eq!(trusted.code.secret(), "c1");
        let again = TrustedCode::from_query(query, &mut session, ISSUER).err();
        assert_eq!(again, Some(CallbackError::UnknownState));
    }

    /// OAuth 2.1 §7.10: `state` keeps out a response that another browser asked for.
    #[test]
    fn a_missing_empty_or_foreign_state_is_refused_before_anything_is_read() {
        for query in ["code=c1&iss=http://as.example", "state=&code=c1", "state=s2&error=access_denied", ""] {
            assert_eq!(refusal(query), CallbackError::UnknownState, "{query}");
        }
    }

    /// RFC 9207 §2.4.
    #[test]
    fn another_issuer_or_a_missing_one_is_refused() {
        for query in ["state=s1&code=c1&iss=http://as.example/", "state=s1&code=c1&iss=", "state=s1&code=c1"] {
            assert_eq!(refusal(query), CallbackError::WrongIssuer, "{query}");
        }
    }

    /// RFC 9207 §2.4: a server that does not announce `iss` may leave it out, but not send another.
    #[test]
    fn iss_may_be_missing_only_if_it_is_not_announced() {
        let silent = ExpectedIssuer { announces_iss: false, ..ISSUER };
        assert!(TrustedCode::from_query("state=s1&code=c1", &mut session(), silent).is_ok());
        let wrong = TrustedCode::from_query("state=s1&code=c1&iss=http://x.example", &mut session(), silent).err();
        assert_eq!(wrong, Some(CallbackError::WrongIssuer));
    }

    #[test]
    fn an_error_is_read_only_from_the_right_issuer() {
        assert_eq!(refusal("state=s1&error=access_denied"), CallbackError::WrongIssuer);
        assert_eq!(
            refusal("state=s1&error=access_denied&error_description=No+thanks&iss=http://as.example"),
            CallbackError::Refused(Failure::Refused { error: "access_denied".to_owned(), description: Some("No thanks".to_owned()) }),
        );
    }

    #[test]
    fn repeated_parameters_and_a_missing_code_are_malformed() {
        for query in ["state=s1&state=s1&code=c1", "state=s1&code=c1&code=c2&iss=http://as.example", "state=s1&iss=http://as.example"] {
            assert_eq!(refusal(query), CallbackError::Malformed, "{query}");
        }
    }
}
