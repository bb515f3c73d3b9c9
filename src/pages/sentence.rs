//! A translated sentence with values in it, each isolated so that it cannot disturb the words around it.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write};

use askama::filters::{Escaper, Html, HtmlSafe};

use super::views::Moment;

/// Where a value goes in a sentence of the locale: `%{name}`.
const OPEN: &str = "%{";

/// How a value is shown. Whoever registers a client or signs up chooses these texts: all are escaped.
#[derive(Clone, Copy)]
pub(crate) enum Shown<'a> {
    /// A name or an address, kept from changing the direction of the sentence (`<bdi>`).
    Name(&'a str),
    /// The exact value of a parameter.
    Code(&'a str),
    Time(Moment<'a>),
}

impl<'a> From<&'a str> for Shown<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(name)
    }
}

impl<'a> From<Moment<'a>> for Shown<'a> {
    fn from(moment: Moment<'a>) -> Self {
        Self::Time(moment)
    }
}

/// Templates name what a pattern or a loop bound, which is a reference.
impl<T: Copy> From<&T> for Shown<'_>
where
    Self: From<T>,
{
    fn from(value: &T) -> Self {
        Self::from(*value)
    }
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "<bdi>{}</bdi>", Escaped(name)),
            Self::Code(code) => write!(f, "<code><bdi>{}</bdi></code>", Escaped(code)),
            Self::Time(Moment { rfc3339, text }) => {
                write!(f, "<time datetime=\"{}\">{}</time>", Escaped(rfc3339), Escaped(text))
            }
        }
    }
}

struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Html.write_escaped_str(f, self.0)
    }
}

/// Made by [`sentence!`]; displays as HTML.
pub(crate) struct Sentence<'a, const N: usize> {
    text: Cow<'a, str>,
    values: [(&'static str, Shown<'a>); N],
}

impl<'a, const N: usize> Sentence<'a, N> {
    pub(crate) fn new(text: Cow<'a, str>, values: [(&'static str, Shown<'a>); N]) -> Self {
        Self { text, values }
    }
}

impl<const N: usize> Display for Sentence<'_, N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rest = self.text.as_ref();
        while let Some((before, name, after)) = next_place(rest) {
            Html.write_escaped_str(&mut *f, before)?;
            if let Some((_, value)) = self.values.iter().find(|(known, _)| *known == name) {
                value.fmt(f)?;
            } else {
                f.write_char('?')?;
            }
            rest = after;
        }
        Html.write_escaped_str(f, rest)
    }
}

/// Its `Display` escapes the text and every value.
impl<const N: usize> HtmlSafe for Sentence<'_, N> {}

fn next_place(text: &str) -> Option<(&str, &str, &str)> {
    let (before, opened) = text.split_once(OPEN)?;
    let (name, after) = opened.split_once('}')?;
    Some((before, name, after))
}

/// `sentence!("consent.asks", lang, app = name)`: a text of the locale with values as HTML.
macro_rules! sentence {
    ($key:literal, $lang:expr, $($name:ident = $value:expr),+ $(,)?) => {
        $crate::pages::sentence::Sentence::new(
            rust_i18n::t!($key, locale = $lang),
            [$((stringify!($name), $crate::pages::sentence::Shown::from($value))),+],
        )
    };
}
pub(super) use sentence;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<const N: usize>(text: &str, values: [(&'static str, Shown<'_>); N]) -> String {
        Sentence::new(Cow::Borrowed(text), values).to_string()
    }

    #[test]
    fn values_are_isolated_and_escaped() {
        let html = shown("%{app} asks <you>.", [("app", "<script>\"'&".into())]);
        assert_eq!(html, "<bdi>&#60;script&#62;&#34;&#39;&#38;</bdi> asks &#60;you&#62;.");
    }

    /// A name that looks like a place is not filled in.
    #[test]
    fn values_are_not_read_again() {
        let html = shown("%{a}, %{b}", [("a", "%{b}".into()), ("b", Shown::Code("x"))]);
        assert_eq!(html, "<bdi>%{b}</bdi>, <code><bdi>x</bdi></code>");
    }

    #[test]
    fn times_are_for_people_and_machines() {
        let moment = Moment { rfc3339: "2030-01-02T03:04:05Z", text: "2 January 2030" };
        let html = shown("Since %{time}", [("time", moment.into())]);
        assert_eq!(html, "Since <time datetime=\"2030-01-02T03:04:05Z\">2 January 2030</time>");
    }

    #[test]
    fn an_unfinished_place_is_text() {
        assert_eq!(shown("50 %{", [("a", "x".into())]), "50 %{");
    }
}
