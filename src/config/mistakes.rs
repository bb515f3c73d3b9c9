//! Everything that is wrong with a configuration, told at once.

use std::fmt;

/// One thing to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The setting, as in the file: `tokens.access_token_ttl`. For an unknown variable, its name.
    pub key: String,
    /// Who said it: a flag, a variable, a file. `None` where nobody did and somebody must.
    pub origin: Option<String>,
    /// What was said, without its secrets. `None` for secrets and for unknown keys, which might be secrets.
    pub value: Option<String>,
    /// What it must be, or do.
    pub remedy: String,
}

impl Mistake {
    /// A mistake about `key` at a place, with nothing of what was said.
    pub(super) fn at(key: &str, place: String, remedy: impl Into<String>) -> Self {
        Self { key: key.to_owned(), origin: Some(place), value: None, remedy: remedy.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        write!(f, "\n    {}", self.remedy)
    }
}

/// All that must change before the server can start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    pub(super) fn push(&mut self, mistake: Mistake) {
        self.0.push(mistake);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of these settings is already known to be wrong, so that what follows from it need not be told.
    pub(super) fn concern(&self, keys: &[&str]) -> bool {
        self.0.iter().any(|mistake| keys.contains(&mistake.key.as_str()))
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => writeln!(f, "the configuration has a mistake:")?,
            count => writeln!(f, "the configuration has {count} mistakes:")?,
        }
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for Mistakes {}

/// The candidate that `word` most likely meant, if any is near enough.
pub(super) fn nearest<'a>(word: &str, candidates: &'a [String]) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    candidates
        .iter()
        // A right name in a wrong section is as good as one wrong letter.
        .map(|candidate| (distance(word, candidate).min(1 + distance(&last(word), &last(candidate))), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 5)
        .map(|(_, candidate)| candidate.as_str())
}

/// The least number of letters to change, add or remove to get from one word to the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_of_two_words_is_the_number_of_wrong_letters() {
        for (from, to, expected) in [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("é", "e", 1)] {
            assert_eq!((distance(from, to), distance(to, from)), (expected, expected), "{from} {to}");
        }
    }

    #[test]
    fn a_mistyped_key_finds_the_one_that_was_meant() {
        let keys = ["issuer", "listen", "tokens.access_token_ttl", "tokens.refresh_token_ttl", "session.ttl"].map(String::from);

        assert_eq!(nearest("isuer", &keys), Some("issuer"));
        assert_eq!(nearest("tokens.acess_token_ttl", &keys), Some("tokens.access_token_ttl"));
        assert_eq!(nearest("access_token_ttl", &keys), Some("tokens.access_token_ttl"));
        assert_eq!(nearest("sessions.ttl", &keys), Some("session.ttl"));
        assert_eq!(nearest("smtp_host", &keys), None);
    }
}
