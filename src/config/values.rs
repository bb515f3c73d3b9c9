//! How the value of a setting is written: numbers, durations, sizes, and their limits.

use std::{collections::BTreeMap, fmt, fs, net::SocketAddr, num::NonZero, path::PathBuf, str::FromStr, thread, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::{Network, declared::is_role};
use crate::oauth::{Scope, registration, scope};

pub(super) const MINUTE: u64 = 60;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;
pub(super) const KIB: u64 = 1024;
pub(super) const MIB: u64 = 1024 * KIB;

const DURATION_UNITS: &[(&str, u64)] = &[("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", 1)];
const SIZE_UNITS: &[(&str, u64)] = &[("MiB", MIB), ("KiB", KIB)];

/// A value from `MIN` to `MAX`: whole numbers, seconds of a duration, or bytes of a size.
pub(crate) struct Within<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> Within<MIN, MAX> {
    pub fn number<'de, D: Deserializer<'de>, N: TryFrom<u64>>(deserializer: D) -> Result<N, D::Error> {
        Self::limited(text(deserializer)?.parse().ok())
            .ok_or_else(|| Error::custom(format_args!("must be a whole number from {MIN} to {MAX}")))
    }

    pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Self::parse_duration(&text(deserializer)?).map_err(Error::custom)
    }

    pub fn parse_duration(text: &str) -> Result<Duration, String> {
        Self::limited(seconds(text)).map(Duration::from_secs).ok_or_else(|| {
            let (least, most) = (spelled(MIN, DURATION_UNITS, "s"), spelled(MAX, DURATION_UNITS, "s"));
            format!("must be a duration from {least} to {most}, written like \"30s\", \"10m\", \"1h 30m\" or \"14d\"")
        })
    }

    pub fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
        Self::limited(size(&text(deserializer)?)).ok_or_else(|| {
            let (least, most) = (spelled(MIN, SIZE_UNITS, ""), spelled(MAX, SIZE_UNITS, ""));
            Error::custom(format_args!("must be a size from {least} to {most}, written like \"64KiB\" or as a number of bytes"))
        })
    }

    fn limited<N: TryFrom<u64>>(value: Option<u64>) -> Option<N> {
        value.filter(|value| (MIN..=MAX).contains(value)).and_then(|value| N::try_from(value).ok())
    }
}

/// The lifetime of access tokens, wherever it is given.
pub type AccessTokenTtl = Within<1, DAY>;

/// A number of threads, or `auto` for one per core.
pub(super) fn threads<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let text = text(deserializer)?;
    if text == "auto" {
        return Ok(thread::available_parallelism().map_or(1, NonZero::get).min(256));
    }
    Within::<1, 256>::limited(text.parse().ok()).ok_or_else(|| Error::custom("must be \"auto\" or a whole number from 1 to 256"))
}

pub(super) fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    text(deserializer)?.parse().map_err(|_| Error::custom("must be true or false"))
}

pub(super) fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    match text(deserializer)? {
        text if text.is_empty() => Err(Error::custom("must be a path; leave the setting out instead of emptying it")),
        text => Ok(text.into()),
    }
}

pub(super) fn socket_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    text(deserializer)?
        .parse()
        .map_err(|_| Error::custom("must be an IP address and a port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080"))
}

/// Where a collector of OpenTelemetry listens.
pub(super) fn collector<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let is_plain = |url: &Url| {
        let has_nothing_else = url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
        let is_whole = url.path().trim_end_matches('/').ends_with("/v1/traces");
        ["http", "https"].contains(&url.scheme()) && url.has_host() && has_nothing_else && !is_whole
    };
    let url = Url::parse(&text(deserializer)?).ok().filter(is_plain);
    url.ok_or_else(|| {
        Error::custom(
            "must be an http or https URL without credentials and query, such as http://127.0.0.1:4318, to which /v1/traces is added",
        )
    })
}

/// The networks of proxies. Whoever trusts everyone believes anyone's word of where they come from.
pub(super) fn proxies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Network>, D::Error> {
    let networks = networks(deserializer)?;
    if networks.iter().any(Network::is_everything) {
        return Err(Error::custom(
            "must be those of your proxies alone, such as \"10.0.0.7/32\": with all addresses anyone could say where they come from",
        ));
    }
    Ok(networks)
}

/// A list of networks, or a text with commas between them.
pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Network>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Listed {
        List(Vec<String>),
        Text(String),
    }

    let listed = match Listed::deserialize(deserializer).map_err(|_| Error::custom("must be a list of texts: [\"10.0.0.0/8\"]"))? {
        Listed::List(list) => list,
        Listed::Text(text) => text.trim_matches(['[', ']']).split(',').map(|part| part.trim().trim_matches('"').to_owned()).collect(),
    };
    listed.iter().filter(|text| !text.is_empty()).map(|text| text.parse().map_err(Error::custom)).collect()
}

pub(super) fn log_directives<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = text(deserializer)?;
    if text.is_empty() || EnvFilter::try_new(&text).is_err() {
        return Err(Error::custom("must be error, warn, info, debug, trace or off, or directives such as \"info,grantor=debug\""));
    }
    Ok(text)
}

pub(super) fn scope<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Scope, D::Error> {
    let scope = Scope::parse(&text(deserializer)?).ok().filter(|scope| !scope.is_empty());
    scope.ok_or_else(|| Error::custom("must be scopes with spaces between them, such as \"openid email\""))
}

/// Public keys by whose they are, read from the files that are named.
pub(super) fn key_sets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, serde_json::Value>, D::Error> {
    let files = BTreeMap::<String, PathBuf>::deserialize(deserializer)
        .map_err(|_| Error::custom("must be a table of issuers, each with a file: \"https://issuer.example\" = \"keys.json\""))?;
    let read = |(issuer, path): (String, PathBuf)| {
        let text = fs::read_to_string(&path)
            .map_err(|error| Error::custom(format_args!("{issuer:?}: the file {} cannot be read: {error}", path.display())))?;
        let keys = serde_json::from_str(&text).ok().filter(registration::is_jwks);
        let keys = keys.ok_or_else(|| Error::custom(format_args!("{issuer:?}: {} must hold a JWK Set of public keys", path.display())))?;
        Ok((issuer, keys))
    };
    files.into_iter().map(read).collect()
}

pub(super) fn scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let scopes = BTreeMap::<String, String>::deserialize(deserializer)
        .map_err(|_| Error::custom("must be a table of scopes, each with a sentence: name = \"sentence\""))?;
    let wrong: Vec<_> = scopes
        .iter()
        .filter(|(name, sentence)| !scope::is_token(name) || sentence.trim().is_empty())
        .map(|(name, _)| format!("{name:?}"))
        .collect();
    if wrong.is_empty() {
        return Ok(scopes);
    }
    Err(Error::custom(format_args!(
        "{}: a scope's name is of printable ASCII without spaces, quotes and backslashes, and its sentence is not empty",
        wrong.join(", ")
    )))
}

pub(super) fn roles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let roles = BTreeMap::<String, String>::deserialize(deserializer)
        .map_err(|_| Error::custom("must be a table of roles, each with what it is for: name = \"what it is for\""))?;
    let wrong: Vec<_> =
        roles.iter().filter(|(name, purpose)| !is_role(name) || purpose.trim().is_empty()).map(|(name, _)| format!("{name:?}")).collect();
    if wrong.is_empty() {
        return Ok(roles);
    }
    Err(Error::custom(format_args!(
        "{}: a role's name has 1 to 100 characters on one line, without spaces around it, and what it is for is not empty",
        wrong.join(", ")
    )))
}

/// A value whose own type says how it is written.
pub(super) fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(deserializer: D) -> Result<T, D::Error> {
    text(deserializer)?.parse().map_err(Error::custom)
}

/// The text of a single value: in the environment and on the command line all are texts, in the file a
/// number may be written as one.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Single;

    impl Visitor<'_> for Single {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text, a number, true or false")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            Ok(text.trim().to_owned())
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<String, E> {
            Ok(value.to_string())
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<String, E> {
            Ok(value.to_string())
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<String, E> {
            Ok(value.to_string())
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<String, E> {
            Ok(value.to_string())
        }
    }

    deserializer.deserialize_any(Single).map_err(|_| Error::custom("must be a single value, neither a list nor a table"))
}

/// `1h 30m` as a duration.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    seconds(text).map(Duration::from_secs)
}

/// `1h 30m` in seconds; `None` where that is not how a duration is written, or too long to count.
fn seconds(text: &str) -> Option<u64> {
    let mut total: Option<u64> = None;
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (number, after) = digits(rest)?;
        let after = after.trim_start();
        let (unit, factor) = DURATION_UNITS.iter().find(|(unit, _)| after.starts_with(unit))?;
        total = Some(total.unwrap_or(0).checked_add(number.checked_mul(*factor)?)?);
        rest = after[unit.len()..].trim_start();
    }
    total
}

/// `64KiB` or `65536` in bytes.
fn size(text: &str) -> Option<u64> {
    let (number, unit) = digits(text)?;
    match unit.trim_start() {
        "" => Some(number),
        unit => number.checked_mul(SIZE_UNITS.iter().find(|(name, _)| *name == unit)?.1),
    }
}

/// The number that a text begins with, and what follows it.
fn digits(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    Some((number.parse().ok()?, rest))
}

/// `value` in the largest unit that divides it.
fn spelled(value: u64, units: &[(&str, u64)], smallest: &str) -> String {
    match units.iter().find(|(_, factor)| value != 0 && value.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", value / factor),
        None => format!("{value}{smallest}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_is_a_sum_of_numbers_with_units() {
        for (text, expected) in [("0s", 0), ("30s", 30), ("10m", 600), ("24h", 86_400), ("14d", 1_209_600), ("1h 30m", 5_400)] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        assert_eq!(seconds("1d2h3m4s"), Some(93_784));
        assert_eq!(seconds(" 5 s "), Some(5));
    }

    #[test]
    fn a_duration_without_a_unit_or_with_another_is_refused() {
        for text in ["", " ", "10", "m", "10x", "10ms", "-5s", "1.5h", "1h30", "١s", "5s,"] {
            assert_eq!(seconds(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_counted_is_refused_and_does_not_overflow() {
        for text in ["99999999999999999999s", "18446744073709551615d", "18446744073709551615s 1s"] {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert_eq!(size("18446744073709551615KiB"), None);
    }

    #[test]
    fn a_size_is_a_number_of_bytes_or_of_a_binary_unit() {
        for (text, expected) in [("65536", 65_536), ("64KiB", 65_536), ("1 MiB", 1_048_576)] {
            assert_eq!(size(text), Some(expected), "{text}");
        }
        for text in ["", "KiB", "64KB", "64kib", "1.5MiB", "-1"] {
            assert_eq!(size(text), None, "{text:?}");
        }
    }

    #[test]
    fn limits_are_spelled_in_the_largest_unit_that_fits() {
        assert_eq!(spelled(0, DURATION_UNITS, "s"), "0s");
        assert_eq!(spelled(90, DURATION_UNITS, "s"), "90s");
        assert_eq!(spelled(3650 * DAY, DURATION_UNITS, "s"), "3650d");
        assert_eq!(spelled(64 * KIB, SIZE_UNITS, ""), "64KiB");
    }

    /// OAuth 2.1 §1.4.1.
    #[test]
    fn a_scope_is_printable_ascii_without_space_quote_and_backslash() {
        for name in ["openid", "read:orders", "https://api.example.com/orders", "!", "~"] {
            assert!(scope::is_token(name), "{name}");
        }
        for name in ["", "two words", "a\"b", "a\\b", "größe", "tab\t"] {
            assert!(!scope::is_token(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC*") {
            let _ = (seconds(&text), size(&text));
        }

        #[test]
        fn a_spelled_duration_reads_as_itself(value in 0..=3650 * DAY) {
            prop_assert_eq!(seconds(&spelled(value, DURATION_UNITS, "s")), Some(value));
        }
    }
}
