//! E-mail addresses: kept as typed, compared normalised.

use unicode_normalization::UnicodeNormalization;

/// The longest that a mail server accepts (RFC 5321 §4.5.3.1.3).
const MAX_LEN: usize = 254;

/// An e-mail address as typed, with the form that uniqueness and sign-in go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Email {
    pub typed: String,
    pub key: String,
}

/// Why a text is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address looks like name@example.com")]
pub(crate) struct MalformedEmail;

impl Email {
    /// Accepts whatever a mail server might: something, one `@` at least, something; no spaces or controls.
    pub(crate) fn parse(text: &str) -> Result<Self, MalformedEmail> {
        let typed = text.trim();
        let has_form = typed.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
        if !has_form || typed.len() > MAX_LEN || typed.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(MalformedEmail);
        }
        // Compatibility forms and case do not tell people apart.
        let key = typed.nfkc().collect::<String>().to_lowercase();
        Ok(Self { typed: typed.to_owned(), key })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_spaces_around_and_compatibility_forms_make_no_other_person() {
        let plain = Email::parse("alice@example.com").unwrap();
        for text in [" Alice@Example.COM ", "ａlice@example.com"] {
            assert_eq!(Email::parse(text).unwrap().key, plain.key);
        }
        assert_eq!(Email::parse(" Alice@Example.COM ").unwrap().typed, "Alice@Example.COM");
    }

    #[test]
    fn what_has_not_the_form_is_refused() {
        for text in ["", "alice", "@example.com", "alice@", "al ice@example.com", "alice@example.com\0", "a\u{7}@b"] {
            assert_eq!(Email::parse(text), Err(MalformedEmail), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,40}") {
            let _ = Email::parse(&text);
        }
    }
}
