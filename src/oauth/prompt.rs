//! The `prompt` parameter (`OpenID` Core §3.1.2.1, Prompt Create §4).

use super::error::OAuthError;

/// What the metadata document announces; beside these, where people may sign up, [`CREATE`].
pub const PROMPT_VALUES: &[&str] = &["none", "login", "consent", "select_account"];
/// Prompt Create §4.
pub const CREATE: &str = "create";

/// What the client wants the person to be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a value of the parameter")]
pub struct Prompt {
    /// Nothing may be shown.
    pub none: bool,
    /// Authenticate again.
    pub login: bool,
    /// Ask for consent again.
    pub consent: bool,
    /// Ask which account it shall be.
    pub select_account: bool,
    /// Let the person make an account.
    pub create: bool,
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
                "select_account" => prompt.select_account = true,
                CREATE => prompt.create = true,
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
