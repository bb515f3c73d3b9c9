//! How the value of a member is written, and how much of it there may be. A remedy follows the member's name, and never echoes.

use std::borrow::Cow;

use serde_json::{Value, json};
use url::Url;

use super::Rules;
use crate::oauth::{issuer::is_loopback, protected_resource::claim_name, redirect_uri::shows_its_host};

/// What to change; it continues the member's name.
pub(super) type Remedy = Cow<'static, str>;
pub(super) type Read<T> = Result<T, Remedy>;

/// A client's record is loaded with every request that names it, so each part is bounded.
pub(super) const LONGEST_URI: usize = 2_000;
pub(super) const MOST_URIS: usize = 32;
const LONGEST_TEXT: usize = 255;
const MOST_TEXTS: usize = 20;

pub(super) fn string(value: &Value) -> Read<&str> {
    value.as_str().ok_or(Cow::Borrowed("must be a string"))
}

pub(super) fn flag(value: &Value) -> Read<bool> {
    value.as_bool().ok_or(Cow::Borrowed("must be true or false, without quotes"))
}

/// One line that is neither empty nor long.
pub(super) fn line(value: &Value) -> Read<String> {
    let text = string(value)?;
    if text.is_empty() || text.len() > LONGEST_TEXT || text.chars().any(char::is_control) {
        return Err(Cow::Borrowed("must be one line of 1 to 255 bytes"));
    }
    Ok(text.to_owned())
}

/// A list of at most so many values.
pub(super) fn list<T>(value: &Value, most: usize, read: impl Fn(&Value) -> Read<T>) -> Read<Vec<T>> {
    let Some(items) = value.as_array() else { return Err(Cow::Borrowed("must be an array of strings")) };
    if items.len() > most {
        return Err(Cow::Owned(format!("must have at most {most} values")));
    }
    items.iter().map(read).collect()
}

pub(super) fn lines(value: &Value) -> Read<Vec<String>> {
    list(value, MOST_TEXTS, line)
}

/// Names of claims about people.
pub(super) fn claims(value: &Value) -> Read<Vec<String>> {
    let remedy = "must be names of claims: none has spaces, quotation marks or backslashes, and none is one that tokens use for themselves";
    list(value, MOST_TEXTS, |value| claim_name(string(value)?).map_err(|_| Cow::Borrowed(remedy)))
}

/// Seconds, or anything else that is counted.
pub(super) fn number(value: &Value) -> Read<u64> {
    /// A hundred years in seconds.
    const MOST: u64 = 3_155_760_000;
    value.as_u64().filter(|number| *number <= MOST).ok_or(Cow::Borrowed("must be a whole number of seconds, without quotes"))
}

/// One of the names that are registered.
pub(super) fn one_of<T: Copy>(value: &Value, known: impl Iterator<Item = (&'static str, T)>) -> Read<T> {
    let text = value.as_str();
    let known: Vec<(&str, T)> = known.collect();
    known.iter().find(|(name, _)| Some(*name) == text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        Cow::Owned(format!("must be one of {}", names.join(", ")))
    })
}

/// Whether a URI may have a fragment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fragment {
    Allowed,
    Refused,
}

/// The address of a page or document of the client's.
pub(super) fn web_uri(value: &Value, rules: &Rules, fragment: Fragment) -> Read<String> {
    let text = string(value)?;
    let url = Url::parse(text).ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_graphic()));
    let Some(url) = url.filter(|url| text.starts_with("https://") || (text.starts_with("http://") && url.scheme() == "http")) else {
        return Err(Cow::Borrowed("must be an absolute URI such as https://app.example.com/page"));
    };
    let is_of_a_loopback = url.host().is_some_and(|host| is_loopback(&host));
    if text.len() > LONGEST_URI {
        return Err(Cow::Owned(format!("must have at most {LONGEST_URI} characters")));
    }
    if fragment == Fragment::Refused && text.contains('#') {
        return Err(Cow::Borrowed("must not have a fragment (#...)"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Cow::Borrowed("must not have a user name or password"));
    }
    if !shows_its_host(text, &url) {
        return Err(Cow::Borrowed("must have its host written as browsers show it, such as app.example.com"));
    }
    if url.scheme() == "http" && !(is_of_a_loopback && rules.issuer_is_loopback) {
        return Err(Cow::Borrowed("must begin with https://"));
    }
    Ok(text.to_owned())
}

/// What a public key says: RFC 7517 §4, RFC 7518 §6.2.1 and §6.3.1, RFC 8037 §2. Certificates are not looked at.
const PUBLIC: [&str; 10] = ["kty", "use", "key_ops", "alg", "kid", "crv", "x", "y", "n", "e"];

/// A JWK Set with public keys alone (RFC 7517 §5; RFC 7591 §2), of which nothing else is kept. Whether each can be used is known
/// when one is needed.
pub(super) fn jwks(value: &Value) -> Read<Value> {
    const MOST_KEYS: usize = 32;
    /// RFC 7518 §6.2.2, §6.3.2 and §6.4.1; RFC 8037 §2.
    const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    let keys = value.get("keys").and_then(Value::as_array);
    let Some(keys) = keys.filter(|keys| keys.iter().all(|key| key.get("kty").is_some_and(Value::is_string))) else {
        return Err(Cow::Borrowed("must be a JWK Set: an object with an array 'keys', each with a 'kty'"));
    };
    if keys.iter().any(|key| PRIVATE.iter().any(|member| key.get(member).is_some())) {
        return Err(Cow::Borrowed("must hold public keys alone: this one has a private or secret key, which is no longer secret now"));
    }
    if keys.is_empty() || keys.len() > MOST_KEYS {
        return Err(Cow::Owned(format!("must have 1 to {MOST_KEYS} keys")));
    }
    let public = |key: &Value| -> Value { PUBLIC.iter().filter_map(|name| Some((*name, key.get(name)?.clone()))).collect() };
    Ok(json!({ "keys": keys.iter().map(public).collect::<Vec<_>>() }))
}

/// A language tag in its characters (RFC 5646 §2.1).
pub(super) fn is_language_tag(text: &str) -> bool {
    let is_subtag = |subtag: &str| (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 35 && text.split('-').all(is_subtag)
}
