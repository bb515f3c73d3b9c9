//! Passwords that may be set (NIST SP 800-63B §3.1.1.2): long enough, none that everybody guesses, any Unicode, no rules of composition.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::password::{MAX_LEN, Password};
use crate::{config::Passwords, oauth::Email};

/// Passwords of leaked databases by how often they were seen, in small letters, a line each. `common_passwords.LICENSE` says where
/// they are from.
const COMMON: &str = include_str!("common_passwords.txt");
/// What must remain of a password without the parts of the e-mail address.
const BESIDE_EMAIL: usize = 6;
/// Shorter parts of an address are in many words.
const PART_OF_EMAIL: usize = 3;

/// Why a password cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnacceptablePassword {
    #[error("a password has at least {minimum} characters: choose a longer one")]
    Short { minimum: usize },
    #[error("a password has at most {MAX_LEN} bytes: choose a shorter one")]
    Long,
    #[error("this password is among those that everyone guesses first: choose another")]
    Common,
    #[error("this password is too like the e-mail address: choose another")]
    LikeEmail,
}

impl Password {
    /// A password that the person with this e-mail may have from now on.
    pub(crate) fn choose(text: &str, config: &Passwords, email: &Email) -> Result<Self, UnacceptablePassword> {
        let folded = Zeroizing::new(text.nfkc().flat_map(char::to_lowercase).collect::<String>());
        let minimum = config.minimum_length;
        if text.nfc().count() < minimum {
            return Err(UnacceptablePassword::Short { minimum });
        }
        let password = Self::parse(text).ok_or(UnacceptablePassword::Long)?;
        if is_common(&folded) {
            return Err(UnacceptablePassword::Common);
        }
        if is_like(&folded, &email.key) {
            return Err(UnacceptablePassword::LikeEmail);
        }
        Ok(password)
    }
}

/// Whether it is on the list, as it is or without the digits and signs behind it. The list is read through, which is nothing beside
/// the hashing that follows.
fn is_common(folded: &str) -> bool {
    let stem = folded.trim_end_matches(|c: char| !c.is_alphabetic());
    COMMON.lines().any(|common| common == folded || common == stem)
}

/// Whether little remains without the address, its local part, and the words of both.
fn is_like(folded: &str, email_key: &str) -> bool {
    let (local, domain) = email_key.rsplit_once('@').unwrap_or((email_key, ""));
    let site = domain.rsplit_once('.').map_or(domain, |(site, _)| site);
    let mut parts: Vec<&str> = vec![email_key, local, domain, site];
    parts.extend(local.split(|c: char| !c.is_alphanumeric()));
    parts.extend(site.split(|c: char| !c.is_alphanumeric()));
    parts.retain(|part| part.chars().count() >= PART_OF_EMAIL);
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let mut remaining = Zeroizing::new(folded.to_owned());
    for part in parts {
        remaining = Zeroizing::new(remaining.replace(part, ""));
    }
    remaining.len() < folded.len() && remaining.chars().count() < BESIDE_EMAIL
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};

    fn choose(text: &str, email: &str) -> Result<(), UnacceptablePassword> {
        let config = Config::from_sources(Sources::default()).unwrap().passwords;
        Password::choose(text, &config, &Email::parse(email).unwrap()).map(drop)
    }

    fn alices(text: &str) -> Result<(), UnacceptablePassword> {
        choose(text, "alice.liddell@tumblewood.example")
    }

    /// NIST SP 800-63B §3.1.1.2: a code point of Unicode counts as one character.
    #[test]
    fn a_password_has_8_characters_at_least_and_256_bytes_at_most() {
        let (short, long) = (Err(UnacceptablePassword::Short { minimum: 8 }), Err(UnacceptablePassword::Long));
        assert_eq!((alices(""), alices("qzx-kvw"), alices(&"qzxkvw-".repeat(37)), alices(&"é".repeat(129))), (short, short, long, long));
        assert_eq!((alices("qzx-kvwj"), alices("ñandú-ùé"), alices(&"qzxkvw-é".repeat(28))), (Ok(()), Ok(()), Ok(())));
        assert_eq!(alices("qzx-e\u{301}e\u{301}w"), short, "seven, however the keyboard composes them");
    }

    #[test]
    fn no_characters_are_demanded_or_forbidden() {
        for text in ["correct horse battery staple", "тихий омут под окном", "🦜🦜🌲🌲🪁🪁🪵🪵", "kvwjqzxbn", "4829175036"]
        {
            assert_eq!(alices(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_everyone_guesses_first_is_refused() {
        for text in ["password", "Password", "PASSWORD1", "iloveyou", "Sunshine2026!", "1q2w3e4r", "ｐａｓｓｗｏｒｄ", "qwertyuiop"]
        {
            assert_eq!(alices(text), Err(UnacceptablePassword::Common), "{text}");
        }
        assert_eq!(alices("password of the rabbit"), Ok(()));
    }

    #[test]
    fn what_is_little_beside_the_email_is_refused() {
        for text in [
            "alice.liddell@tumblewood.example",
            "AliceLiddell",
            "liddell-1852",
            "Tumblewood!",
            "alice12345",
            "tumblewood.example",
            "alicealice",
        ] {
            assert_eq!(alices(text), Err(UnacceptablePassword::LikeEmail), "{text}");
        }
        for text in ["alice-and-the-hatter", "example-of-a-phrase"] {
            assert_eq!(alices(text), Ok(()), "{text}");
        }
        assert_eq!(choose("ab-is-my-name", "ab@example.com"), Ok(()), "two letters are in many words");
        assert_eq!(choose("correct-staple", "Correct-Staple@example.com"), Err(UnacceptablePassword::LikeEmail));
    }

    #[test]
    fn the_list_is_what_it_is_said_to_be() {
        let lines: Vec<&str> = COMMON.lines().collect();
        assert_eq!(lines.len(), 17_950);
        assert!(lines.is_sorted(), "a change shows what it changes");
        assert!(lines.iter().all(|line| line.len() >= 8 && line.to_lowercase() == **line));
    }
}
