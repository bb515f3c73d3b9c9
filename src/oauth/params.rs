//! Request parameters, from a query or a form (OAuth 2.1 §3.1 and §3.2).

use std::{borrow::Cow, fmt};

use super::error::OAuthError;

/// The only parameter that may be repeated (RFC 8707 §2).
const REPEATABLE: &str = "resource";

/// The parameters of one request in their order. Those sent without a value are left out, as if absent (§3.1).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl fmt::Debug for Params {
    /// Names only: values are passwords, codes and secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Params {
    /// Decodes `application/x-www-form-urlencoded` text. Never fails: what is not UTF-8 becomes U+FFFD, which no rule accepts.
    pub fn parse(encoded: &str) -> Self {
        Self(
            url::form_urlencoded::parse(encoded.as_bytes())
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// From names and values.
    pub fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The names and values in their order.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The value of `name`; the first one if it is repeated.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of `name`, or `invalid_request` saying that it is missing.
    pub fn required(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| OAuthError::missing(name))
    }

    /// Every value of `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether `name` was sent more than once.
    pub fn is_repeated(&self, name: &str) -> bool {
        self.all(name).nth(1).is_some()
    }

    /// §3.1, §3.2: parameters are not sent more than once, except `resource`. None has a NUL, which no database keeps.
    pub fn check(&self) -> Result<(), OAuthError> {
        if self.0.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
            return Err(OAuthError::invalid_request("A parameter contains the character NUL."));
        }
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).filter(|name| *name != REPEATABLE).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(OAuthError::invalid_request("A parameter was sent more than once; only 'resource' may be repeated."));
        }
        Ok(())
    }
}

/// Encodes pairs as a query, or as the body of a form.
pub fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, Cow<'a, str>)>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_value_is_an_absent_parameter() {
        let params = Params::parse("state=&scope=a%20b");
        assert_eq!(params.get("state"), None);
        assert_eq!(params.get("scope"), Some("a b"));
    }

    #[test]
    fn only_resource_may_be_repeated() {
        assert!(Params::parse("resource=a&resource=b&state=1").check().is_ok());
        assert!(Params::parse("state=1&scope=x&state=1").check().is_err());
        assert!(Params::parse("state=&state=1").check().is_ok());
    }

    proptest! {
        #[test]
        fn any_text_parses_and_survives_a_round_trip(text in ".{0,200}") {
            let params = Params::parse(&text);
            let again = encode(params.pairs().iter().map(|(name, value)| (name.as_str(), Cow::from(value.as_str()))));
            prop_assert_eq!(Params::parse(&again), params);
        }
    }
}
