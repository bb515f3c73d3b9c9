//! Entity tags of what caches may keep (RFC 9110 §8.8.3, §13.1.2).

use http::{HeaderMap, header::IF_NONE_MATCH};

/// Whether the sender of a request has the content that this strong tag names, by weak comparison (§13.1.2).
pub(crate) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let listed = headers.get_all(IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    listed.map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn is_known_by(value: &str) -> bool {
        is_known(&HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_bytes(value.as_bytes()).unwrap())]), "\"abc\"")
    }

    /// RFC 9110 §13.1.2, with the forms of its examples.
    #[test]
    fn a_list_weak_tags_and_the_asterisk_are_read() {
        for known in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "\"x\",W/\"abc\" , \"y\"", "*"] {
            assert!(is_known_by(known), "{known}");
        }
        for unknown in ["", "abc", "\"ABC\"", "\"abc", "w/\"abc\"", "W/W/\"abc\"", "\"abcd\"", "\"x\""] {
            assert!(!is_known_by(unknown), "{unknown}");
        }
        assert!(!is_known(&HeaderMap::new(), "\"abc\""));
    }

    proptest! {
        #[test]
        fn any_list_has_the_tag_or_not(tags in prop::collection::vec("W?/?\"[a-c]{0,3}\"|\\*|\\PC{0,6}", 0..4), space in "[ \t]{0,2}") {
            let text = tags.join(&format!("{space},{space}"));
            if HeaderValue::from_bytes(text.as_bytes()).is_ok() {
                let expected = text.is_ascii() && text.split(',').any(|tag| ["*", "\"abc\"", "W/\"abc\""].contains(&tag.trim()));
                prop_assert_eq!(is_known_by(&text), expected, "{}", text);
            }
        }
    }
}
