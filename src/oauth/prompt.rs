//! The `prompt` parameter (`OpenID` Core §3.1.2.1).

use super::error::OAuthError;

/// What the metadata document announces.
pub const PROMPT_VALUES: &[&str] = &["none", "login", "consent"];

/// What the client wants the person to be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Nothing may be shown.
    pub none: bool,
    /// Authenticate again.
    pub login: bool,
    /// Ask for consent again.
    pub consent: bool,
}

impl Prompt {
    /// Parses values separated by spaces; unknown ones are ignored, `none` stands alone.
    pub fn parse(text: &str) -> Result<Self, OAuthError> {
        let mut prompt = Self::default();
        let mut values = 0;
        for value in text.split(' ').filter(|value| !value.is_empty()) {
            values += 1;
            match value {
                "none" => prompt.none = true,
                "login" => prompt.login = true,
                "consent" => prompt.consent = true,
                _ => {}
            }
        }
        if prompt.none && values > 1 {
            return Err(OAuthError::invalid_request("prompt=none cannot be combined with another value."));
        }
        Ok(prompt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_stands_alone_and_unknown_values_are_ignored() {
        assert!(Prompt::parse("none login").is_err());
        assert!(Prompt::parse("none").unwrap().none);
        assert_eq!(Prompt::parse("sparkle").unwrap(), Prompt::default());
        assert!(Prompt::parse("consent login").unwrap().login);
    }
}
