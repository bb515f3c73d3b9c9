//! E-mail addresses: kept as typed, compared normalised.

use unicode_normalization::UnicodeNormalization;

/// The longest that a mail server accepts (RFC 5321 §4.5.3.1.3).
const MAX_LEN: usize = 254;

/// An e-mail address as typed, with the form that uniqueness and sign-in go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    pub typed: String,
    pub key: String,
}

/// Why a text is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address looks like name@example.com")]
pub struct MalformedEmail;

impl Email {
    /// Accepts whatever a mail server might: something, one `@` at least, something; no spaces or controls.
    pub fn parse(text: &str) -> Result<Self, MalformedEmail> {
        let typed = text.trim();
        if typed.len() > MAX_LEN || !has_form(typed) {
            return Err(MalformedEmail);
        }
        // Compatibility forms and case do not tell people apart. Some of them hold spaces.
        let key = typed.nfkc().collect::<String>().to_lowercase();
        if has_form(&key) { Ok(Self { typed: typed.to_owned(), key }) } else { Err(MalformedEmail) }
    }
}

fn has_form(text: &str) -> bool {
    let has_parts = text.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    has_parts && !text.chars().any(|c| c.is_whitespace() || c.is_control())
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
        for text in ["", "alice", "@example.com", "alice@", "al ice@example.com", "alice@example.com\0", "a\u{7}@b", "\u{af}@b"] {
            assert_eq!(Email::parse(text), Err(MalformedEmail), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_has_the_form_and_is_one_person_in_every_spelling(
            text in prop_oneof!["\\PC{0,40}", ".{0,12}@.{0,12}", "[a-zA-Z\u{a0}-\u{17f}\u{1e00}-\u{24ff}\u{ff00}-\u{ffef}]{1,8}@[a-zA-Z.]{1,8}"]
        ) {
            let Ok(email) = Email::parse(&text) else { return Ok(()) };
            prop_assert_eq!(&email.typed, text.trim());
            prop_assert!(email.typed.len() <= MAX_LEN && email.typed.contains('@'));
            prop_assert!(!email.typed.chars().chain(email.key.chars()).any(|c| c.is_whitespace() || c.is_control()), "{:?}", email);
            let again = Email::parse(&email.key).map(|email| email.key);
            prop_assert!(again.is_err() && email.key.len() > MAX_LEN || again == Ok(email.key.clone()), "{:?} {:?}", email, again);
        }
    }
}
