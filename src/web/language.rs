//! In which language a page is shown (RFC 9110 §12.5.4, RFC 4647 §3.4).

use std::{borrow::Cow, cmp::Reverse, sync::LazyLock};

use http::{HeaderMap, header::ACCEPT_LANGUAGE};

/// Of a longer list the rest is not read: browsers send a handful.
const RANGES_MAX: usize = 32;
/// Subtags are at most this long, and a range has few of them.
const RANGE_MAX: usize = 40;

/// The files in `locales/`.
static TAGS: LazyLock<Vec<Cow<'static, str>>> = LazyLock::new(|| rust_i18n::available_locales!());

/// A language that has a file in `locales/`, by its BCP 47 tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Language(&'static str);

impl Language {
    /// The one that everybody gets whose own is not here.
    pub(crate) const ENGLISH: Self = Self("en");

    pub(crate) const fn tag(self) -> &'static str {
        self.0
    }

    /// All that there are, English first.
    fn all() -> impl Iterator<Item = Self> {
        let others = TAGS.iter().map(|tag| Self(tag)).filter(|language| *language != Self::ENGLISH);
        std::iter::once(Self::ENGLISH).chain(others)
    }

    /// What suits the reader best of what is here.
    pub(crate) fn asked_for(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|line| line.to_str().ok());
        Self::best_of(lines.flat_map(|line| line.split(',')))
    }

    /// The first of these tags that is here, or a language of its kind (`OpenID` Core §3.1.2.1).
    pub(crate) fn preferred<'a>(tags: impl Iterator<Item = &'a str>) -> Option<Self> {
        let here: Vec<Self> = Self::all().collect();
        tags.take(RANGES_MAX).filter_map(Range::parse).find_map(|range| Self::looked_up(range.text, &here))
    }

    fn best_of<'a>(ranges: impl Iterator<Item = &'a str>) -> Self {
        let mut ranges: Vec<Range<'_>> = ranges.take(RANGES_MAX).filter_map(Range::parse).collect();
        ranges.sort_by_key(|range| Reverse(range.weight));
        let (refused, accepted): (Vec<_>, Vec<_>) = ranges.iter().partition(|range| range.weight == 0);
        let is_refused = |language: &Self| refused.iter().any(|range| range.text.eq_ignore_ascii_case(language.0));
        let here: Vec<Self> = Self::all().filter(|language| !is_refused(language)).collect();
        let found = accepted.iter().find_map(|range| match range.text {
            "*" => here.iter().find(|language| !ranges.iter().any(|named| language.is_within(named.text))).copied(),
            text => Self::looked_up(text, &here),
        });
        found.unwrap_or(Self::ENGLISH)
    }

    /// RFC 4647 §3.4: subtags are dropped from the end until something is found.
    fn looked_up(mut range: &str, here: &[Self]) -> Option<Self> {
        loop {
            if let Some(language) = here.iter().find(|language| language.is_within(range)) {
                return Some(*language);
            }
            (range, _) = range.rsplit_once('-')?;
        }
    }

    /// RFC 4647 §3.3.1: the range is the tag, or its beginning.
    fn is_within(self, range: &str) -> bool {
        let start = self.0.get(..range.len()).is_some_and(|start| start.eq_ignore_ascii_case(range));
        start && matches!(self.0.as_bytes().get(range.len()), None | Some(b'-'))
    }
}

/// A language range with its weight in thousandths.
struct Range<'a> {
    text: &'a str,
    weight: u16,
}

impl<'a> Range<'a> {
    fn parse(element: &'a str) -> Option<Self> {
        let (text, parameter) = element.split_once(';').map_or((element, None), |(text, parameter)| (text, Some(parameter)));
        let text = text.trim();
        let is_range = text == "*" || text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if text.is_empty() || text.len() > RANGE_MAX || !is_range {
            return None;
        }
        Some(Self { text, weight: parameter.map_or(Some(1_000), weight)? })
    }
}

/// `q=` and 0 to 1 with at most three digits (RFC 9110 §12.4.2).
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    let (whole, fraction) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    let is_number = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit()) && matches!(whole, "0" | "1");
    if !name.trim().eq_ignore_ascii_case("q") || !is_number {
        return None;
    }
    let weight = format!("{whole}{fraction:0<3}").parse().ok()?;
    (weight <= 1_000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn asked_for(lines: &[&str]) -> &'static str {
        let lines = lines.iter().map(|line| (ACCEPT_LANGUAGE, HeaderValue::from_str(line).expect("a value")));
        Language::asked_for(&lines.collect()).tag()
    }

    #[test]
    fn the_first_of_equal_weight_that_is_here_is_taken() {
        for (line, language) in [
            ("de", "de"),
            ("DE", "de"),
            ("en, de", "en"),
            ("de, en", "de"),
            ("fr, de, en", "de"),
            ("fr", "en"),
            ("", "en"),
            ("en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7", "en"),
        ] {
            assert_eq!(asked_for(&[line]), language, "{line}");
        }
    }

    #[test]
    fn the_first_tag_that_is_here_is_preferred() {
        let preferred = |tags: &str| Language::preferred(tags.split(' ')).map(Language::tag);
        assert_eq!(preferred("fr-CA de-AT en"), Some("de"));
        assert_eq!(preferred("en de"), Some("en"));
        for none in ["", "fr", "*", "<script>"] {
            assert_eq!(preferred(none), None, "{none}");
        }
    }

    /// RFC 9110 §12.4.2: a weight goes before the order.
    #[test]
    fn weights_are_heard() {
        for (line, language) in [
            ("en;q=0.8, de", "de"),
            ("en;q=0.8, de;q=0.9", "de"),
            ("en;q=0.81, de;q=0.809", "en"),
            ("de ; q=0.5 , en ; Q=1.000", "en"),
            ("de;q=0", "en"),
            ("de-AT, de;q=0", "en"),
        ] {
            assert_eq!(asked_for(&[line]), language, "{line}");
        }
    }

    /// RFC 4647 §3.4
    #[test]
    fn a_region_gets_its_language() {
        assert_eq!(asked_for(&["de-AT"]), "de");
        assert_eq!(asked_for(&["de-Latn-CH-1996, en"]), "de");
        assert_eq!(asked_for(&["deu, dea"]), "en");
    }

    #[test]
    fn any_language_is_any_that_was_not_named() {
        assert_eq!(asked_for(&["*"]), "en");
        assert_eq!(asked_for(&["en;q=0, *"]), "de");
        assert_eq!(asked_for(&["*;q=0.5, en;q=0.1"]), "de");
        assert_eq!(asked_for(&["*;q=0"]), "en");
    }

    /// RFC 9110 §5.3: lines of one name are one list.
    #[test]
    fn several_lines_are_one_list() {
        assert_eq!(asked_for(&["en;q=0.1", "de"]), "de");
    }

    #[test]
    fn what_is_no_range_is_passed_over() {
        for junk in ["<script>", "de;q=2", "de;q=1.001", "de;q=0.0001", "de;q=x", "de;q", "de;level=1", "de_DE", ";q=1", "-", "de\u{9}x"] {
            assert_eq!(asked_for(&[junk]), "en", "{junk}");
            assert_eq!(asked_for(&[&format!("{junk}, de;q=0.1")]), "de", "{junk}");
        }
    }

    proptest! {
        /// Whatever is asked for, a language that is here; with one range alone, the one whose tag begins it.
        #[test]
        fn any_value_gives_a_language_that_is_here(
            text in prop_oneof!["\\PC{0,40}", "((de|DE|en|fr|\\*|-|;q=|0|1|\\.5|,| |x){1,3}){0,8}", "(de|en|fr|d|dea)(-[A-Za-z0-9]{1,8}){0,3}"]
        ) {
            let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) else { return Ok(()) };
            let language = Language::asked_for(&HeaderMap::from_iter([(ACCEPT_LANGUAGE, value)]));
            prop_assert!(Language::all().any(|here| here == language));
            let is_one_range = text.len() <= RANGE_MAX && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if is_one_range {
                let primary = text.split('-').next().unwrap_or_default().to_ascii_lowercase();
                let expected = Language::all().find(|here| here.tag() == primary).unwrap_or(Language::ENGLISH);
                prop_assert_eq!(language, expected);
            }
        }
    }

    #[test]
    fn a_long_list_is_read_up_to_a_limit() {
        let long = "fr,".repeat(RANGES_MAX);
        assert_eq!(asked_for(&[&format!("{long}de")]), "en");
        assert_eq!(asked_for(&[&format!("{}, de", "x-".repeat(30_000))]), "de");
    }
}
