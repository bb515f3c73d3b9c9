//! The response modes (OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode §2).

/// How the authorization response travels through the browser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseMode {
    #[default]
    Query,
    FormPost,
}

impl ResponseMode {
    /// What the metadata document announces (RFC 8414 §2).
    pub const ALL: &[Self] = &[Self::Query, Self::FormPost];

    /// The registered value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::FormPost => "form_post",
        }
    }

    /// From the registered value.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mode| mode.as_str() == text)
    }
}
