//! Times and numbers as a language writes them. What differs between languages stands in `locales/`.

use std::borrow::Cow;

use rust_i18n::t;
use time::Month;

use crate::clock::Timestamp;

/// A time to the minute, in UTC: the server does not know where its reader is.
pub(super) fn moment(lang: &str, at: Timestamp) -> String {
    let at = at.to_date_time();
    let clock = format!("{:02}:{:02}", at.hour(), at.minute());
    t!("time.moment", locale = lang, day = at.day(), month = month(lang, at.month()), year = at.year(), clock = clock).into_owned()
}

fn month(lang: &str, month: Month) -> Cow<'static, str> {
    match month {
        Month::January => t!("time.january", locale = lang),
        Month::February => t!("time.february", locale = lang),
        Month::March => t!("time.march", locale = lang),
        Month::April => t!("time.april", locale = lang),
        Month::May => t!("time.may", locale = lang),
        Month::June => t!("time.june", locale = lang),
        Month::July => t!("time.july", locale = lang),
        Month::August => t!("time.august", locale = lang),
        Month::September => t!("time.september", locale = lang),
        Month::October => t!("time.october", locale = lang),
        Month::November => t!("time.november", locale = lang),
        Month::December => t!("time.december", locale = lang),
    }
}

/// A number with its thousands apart.
pub(super) fn number(lang: &str, number: u64) -> String {
    let digits = number.to_string();
    let separator = t!("number.thousands", locale = lang);
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push_str(&separator);
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_the_language_does() {
        let at = Timestamp::from_seconds(1_800_000_000);
        assert_eq!(moment("en", at), "15 January 2027, 08:00 UTC");
        assert_eq!(moment("de", at), "15. Januar 2027, 08:00 UTC");
    }

    #[test]
    fn thousands_are_kept_apart() {
        for (value, english, german) in
            [(0, "0", "0"), (999, "999", "999"), (1_000, "1,000", "1.000"), (1_234_567, "1,234,567", "1.234.567")]
        {
            assert_eq!(number("en", value), english);
            assert_eq!(number("de", value), german);
        }
    }
}
