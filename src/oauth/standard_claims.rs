//! Claims about a person: the standard ones (`OpenID` Core §5.1) with the scopes that ask for them (§5.4), and attributes that
//! an operator names (§5.1.2).

use serde_json::{Map, Value};

use super::{json, scope::Scope};

/// Beyond that, tokens do not fit into the headers that they travel in.
const MAX_BYTES: usize = 4096;
const MAX_TEXT: usize = 500;
const MAX_NAME: usize = 100;

/// What a claim's value is like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Url,
    Birthdate,
    Zoneinfo,
    Locale,
    PhoneNumber,
    Flag,
    Address,
    /// Kept in a place of its own, not among the claims.
    OfItsOwn(&'static str),
}

/// The standard claims, each with the scope that asks for it.
const STANDARD: &[(&str, &str, Kind)] = &[
    ("name", "profile", Kind::OfItsOwn("use --name, or the key name")),
    ("family_name", "profile", Kind::Text),
    ("given_name", "profile", Kind::Text),
    ("middle_name", "profile", Kind::Text),
    ("nickname", "profile", Kind::Text),
    ("preferred_username", "profile", Kind::Text),
    ("profile", "profile", Kind::Url),
    ("picture", "profile", Kind::Url),
    ("website", "profile", Kind::Url),
    ("gender", "profile", Kind::Text),
    ("birthdate", "profile", Kind::Birthdate),
    ("zoneinfo", "profile", Kind::Zoneinfo),
    ("locale", "profile", Kind::Locale),
    ("updated_at", "profile", Kind::OfItsOwn("the server knows it by itself")),
    ("email", "email", Kind::OfItsOwn("use --email, or the key email")),
    ("email_verified", "email", Kind::OfItsOwn("use --email-verified, or the key email_verified")),
    ("address", "address", Kind::Address),
    ("phone_number", "phone", Kind::PhoneNumber),
    ("phone_number_verified", "phone", Kind::Flag),
];

/// What a token or answer says of itself, in JWTs, introspection, sender-constrained and other registered claims: nobody is
/// given an attribute of such a name.
const RESERVED: &[&str] = &[
    "_claim_names",
    "_claim_sources",
    "acr",
    "act",
    "active",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "authorization_details",
    "azp",
    "c_hash",
    "client_id",
    "cnf",
    "events",
    "exp",
    "gid",
    "iat",
    "iss",
    "jti",
    "may_act",
    "nbf",
    "nonce",
    "s_hash",
    "scope",
    "sid",
    "sub",
    "sub_jwk",
    "token_type",
    "username",
];

const ADDRESS: &[&str] = &["formatted", "street_address", "locality", "region", "postal_code", "country"];

/// What the metadata document announces (`OpenID` Discovery §3).
pub fn names() -> impl Iterator<Item = &'static str> {
    STANDARD.iter().map(|(name, ..)| *name)
}

/// The scope that asks for a claim, if it is a standard one in any language.
pub fn scope_of(name: &str) -> Option<&'static str> {
    standard(name).map(|(scope, _)| scope)
}

/// Whether a scope asks for the claim.
pub fn is_in(scope: &Scope, name: &str) -> bool {
    scope_of(name).is_some_and(|needed| scope.contains(needed))
}

/// Whether tokens and answers say something else by this name.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// A standard claim; what people read may have a language tag (§5.2).
fn standard(name: &str) -> Option<(&'static str, Kind)> {
    let (plain, tag) = name.split_once('#').map_or((name, None), |(plain, tag)| (plain, Some(tag)));
    let (_, scope, kind) = STANDARD.iter().find(|(known, ..)| *known == plain)?;
    match tag {
        None => Some((scope, *kind)),
        Some(tag) => (matches!(kind, Kind::Text | Kind::Url) && is_language_tag(tag)).then_some((scope, *kind)),
    }
}

/// Why a person cannot have a claim; the message says what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unacceptable {
    #[error(
        "a claim's name has 1 to {MAX_NAME} printable ASCII characters without spaces, quotes and '#' (but for the language of a standard claim: nickname#de)"
    )]
    Name,
    #[error("tokens say something else by this name: choose another")]
    Reserved,
    #[error("this is no free claim: {0}")]
    OfItsOwn(&'static str),
    #[error("roles and groups are not free claims: use --role and --group, or the keys roles and groups")]
    Membership,
    #[error("it must be a text of 1 to {MAX_TEXT} characters on one line")]
    Text,
    #[error("it must be an absolute URL with https:// or http://")]
    Url,
    #[error("it must be a date such as 1987-10-16, 0000-10-16 or 1987")]
    Birthdate,
    #[error("it must be a time zone such as Europe/Paris")]
    Zoneinfo,
    #[error("it must be a language tag such as de or en-US")]
    Locale,
    #[error("it must be a number in international form, such as '+1 (604) 555-1234;ext=5678'")]
    PhoneNumber,
    #[error("it must be true or false")]
    Flag,
    #[error("it must be an object with texts by the names formatted, street_address, locality, region, postal_code, country")]
    Address,
    #[error("null says nothing: leave the claim out")]
    Null,
    #[error("it must not contain the character NUL, which no database keeps")]
    Nul,
    #[error("a person's claims must not be larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("a verified phone_number is written as in E.164: '+16045551234' or '+16045551234;ext=5678'")]
    VerifiedPhoneNumber,
}

/// The value of a claim as it is written in one line: JSON, or a text where it is none, or where the claim is one.
pub fn value(name: &str, text: &str) -> Value {
    match standard(name) {
        Some((_, Kind::Flag | Kind::Address)) | None => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        Some(_) => text.into(),
    }
}

/// Checks one claim.
pub fn check(name: &str, value: &Value) -> Result<(), Unacceptable> {
    if let Some((_, kind)) = standard(name) {
        return kind.check(value);
    }
    let is_name = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic() && !br#""'\#="#.contains(&byte));
    match name {
        _ if !is_name => Err(Unacceptable::Name),
        "roles" | "groups" => Err(Unacceptable::Membership),
        _ if is_reserved(name) => Err(Unacceptable::Reserved),
        _ if value.is_null() => Err(Unacceptable::Null),
        _ if json::has_nul(value) => Err(Unacceptable::Nul),
        _ => Ok(()),
    }
}

/// Checks everything that a person is to have.
pub fn check_all(claims: &Map<String, Value>) -> Result<(), (String, Unacceptable)> {
    for (name, value) in claims {
        check(name, value).map_err(|why| (name.clone(), why))?;
    }
    let is_verified = claims.get("phone_number_verified") == Some(&Value::Bool(true));
    if is_verified && !claims.get("phone_number").and_then(Value::as_str).is_some_and(is_e164) {
        return Err(("phone_number_verified".to_owned(), Unacceptable::VerifiedPhoneNumber));
    }
    let size = serde_json::to_string(claims).map_or(usize::MAX, |text| text.len());
    if size > MAX_BYTES { Err(("claims".to_owned(), Unacceptable::TooLarge)) } else { Ok(()) }
}

impl Kind {
    fn check(self, value: &Value) -> Result<(), Unacceptable> {
        let (is_right, why): (fn(&str) -> bool, _) = match self {
            Self::OfItsOwn(place) => return Err(Unacceptable::OfItsOwn(place)),
            Self::Flag => return if value.is_boolean() { Ok(()) } else { Err(Unacceptable::Flag) },
            Self::Address => return if is_address(value) { Ok(()) } else { Err(Unacceptable::Address) },
            Self::Text => (|_| true, Unacceptable::Text),
            Self::Url => (is_url, Unacceptable::Url),
            Self::Birthdate => (is_birthdate, Unacceptable::Birthdate),
            Self::Zoneinfo => (is_time_zone, Unacceptable::Zoneinfo),
            Self::Locale => (is_language_tag, Unacceptable::Locale),
            Self::PhoneNumber => (is_phone_number, Unacceptable::PhoneNumber),
        };
        if value.as_str().is_some_and(|text| is_line(text) && is_right(text)) { Ok(()) } else { Err(why) }
    }
}

fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= MAX_TEXT && !text.chars().any(char::is_control)
}

fn is_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http")) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `YYYY-MM-DD`, in which the year may be 0000, or `YYYY`.
fn is_birthdate(text: &str) -> bool {
    let number =
        |text: &str, len: usize| (text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse::<u16>());
    let mut parts = text.split('-');
    let year = parts.next().and_then(|year| number(year, 4)?.ok());
    let rest: Vec<Option<u16>> = parts.map(|part| number(part, 2)?.ok()).collect();
    match (year, rest.as_slice()) {
        (Some(year), []) => year > 0,
        // In a year that is left out, 29 February may be a birthday.
        (Some(year), [Some(month), Some(day)]) => (1..=12).contains(month) && (1..=days_of(*month, year)).contains(day),
        _ => false,
    }
}

fn days_of(month: u16, year: u16) -> u16 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The form of a name in the time zone database; which zones there are changes with it.
fn is_time_zone(text: &str) -> bool {
    text.split('/').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte)))
}

/// The form of a BCP 47 tag.
fn is_language_tag(text: &str) -> bool {
    let mut subtags = text.split('-');
    let is_language =
        subtags.next().is_some_and(|language| (2..=8).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_alphabetic()));
    is_language && subtags.all(|subtag| (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn is_phone_number(text: &str) -> bool {
    let (number, extension) = text.split_once(";ext=").map_or((text, None), |(number, extension)| (number, Some(extension)));
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let has_form = number.strip_prefix('+').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || b" ()-.".contains(&byte)));
    has_form && (3..=15).contains(&digits) && extension.is_none_or(is_extension)
}

fn is_e164(text: &str) -> bool {
    is_phone_number(text) && !text.contains([' ', '(', ')', '-', '.'])
}

fn is_extension(text: &str) -> bool {
    (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_address(value: &Value) -> bool {
    let is_part = |(name, value): (&String, &Value)| {
        let is_text = |text: &str| !text.trim().is_empty() && text.chars().count() <= MAX_TEXT;
        ADDRESS.contains(&name.as_str()) && value.as_str().is_some_and(is_text)
    };
    value.as_object().is_some_and(|address| !address.is_empty() && address.iter().all(is_part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn each_standard_claim_has_its_type() {
        let right = json!({
            "family_name": "Liddell", "given_name": "Alice", "middle_name": "P.", "nickname": "Al", "preferred_username": "alice",
            "profile": "https://example.com/alice", "picture": "https://example.com/alice.png", "website": "http://alice.example",
            "gender": "female", "birthdate": "1852-05-04", "zoneinfo": "Europe/London", "locale": "en-GB",
            "phone_number": "+1 (604) 555-1234;ext=5678", "phone_number_verified": false,
            "address": { "formatted": "1 Tom Quad\nOxford", "country": "United Kingdom" },
            "nickname#de": "Ali", "family_name#ja-Kana-JP": "リデル",
            "department": "Wonder", "https://example.com/level": 3, "badges": ["a", { "b": true }],
        });
        check_all(right.as_object().unwrap()).unwrap();
        for (name, value, why) in [
            ("given_name", json!(7), Unacceptable::Text),
            ("given_name", json!(" "), Unacceptable::Text),
            ("nickname", json!("two\nlines"), Unacceptable::Text),
            ("picture", json!("javascript:alert(1)"), Unacceptable::Url),
            ("birthdate", json!("4 May 1852"), Unacceptable::Birthdate),
            ("zoneinfo", json!("Europe/"), Unacceptable::Zoneinfo),
            ("locale", json!("english (GB)"), Unacceptable::Locale),
            ("phone_number", json!("604 555"), Unacceptable::PhoneNumber),
            ("phone_number_verified", json!("yes"), Unacceptable::Flag),
            ("address", json!("1 Tom Quad"), Unacceptable::Address),
            ("address", json!({}), Unacceptable::Address),
            ("address", json!({ "city": "Oxford" }), Unacceptable::Address),
            ("address", json!({ "country": 44 }), Unacceptable::Address),
            ("department", json!(null), Unacceptable::Null),
        ] {
            assert_eq!(check(name, &value), Err(why), "{name}: {value}");
        }
    }

    /// RFC 7519 §4.1, RFC 9068 §2.2: no attribute can be taken for what a token says of itself.
    #[test]
    fn names_that_mean_something_else_are_refused() {
        for name in RESERVED {
            assert_eq!(check(name, &json!("x")), Err(Unacceptable::Reserved), "{name}");
        }
        for name in ["roles", "groups"] {
            assert_eq!(check(name, &json!(["admin"])), Err(Unacceptable::Membership));
        }
        for name in ["name", "email", "email_verified", "updated_at"] {
            assert!(matches!(check(name, &json!("x")), Err(Unacceptable::OfItsOwn(_))), "{name}");
        }
        for name in ["", " ", "a b", "a\"b", "name#de ", "department#de", "address#de", "nickname#d", "\u{e4}", &"x".repeat(101)] {
            assert_eq!(check(name, &json!("x")), Err(Unacceptable::Name), "{name:?}");
        }
    }

    /// Core §5.1: a verified number is in E.164 form.
    #[test]
    fn a_verified_phone_number_is_there_and_exact() {
        let checked = |claims: Value| check_all(claims.as_object().unwrap()).map_err(|(_, why)| why);
        assert_eq!(checked(json!({ "phone_number": "+16045551234", "phone_number_verified": true })), Ok(()));
        assert_eq!(checked(json!({ "phone_number": "+16045551234;ext=5", "phone_number_verified": true })), Ok(()));
        for claims in
            [json!({ "phone_number_verified": true }), json!({ "phone_number": "+1 604 555 1234", "phone_number_verified": true })]
        {
            assert_eq!(checked(claims), Err(Unacceptable::VerifiedPhoneNumber));
        }
    }

    #[test]
    fn a_person_has_so_many_claims_and_no_more() {
        let claims = |len: usize| json!({ "notes": "x".repeat(len) });
        let framing = claims(0).to_string().len();
        assert_eq!(check_all(claims(MAX_BYTES - framing).as_object().unwrap()), Ok(()));
        let refused = check_all(claims(MAX_BYTES - framing + 1).as_object().unwrap());
        assert_eq!(refused, Err(("claims".to_owned(), Unacceptable::TooLarge)));
    }

    #[test]
    fn on_one_line_a_value_is_json_or_a_text() {
        assert_eq!(value("level", "3"), json!(3));
        assert_eq!(value("badges", r#"["a"]"#), json!(["a"]));
        assert_eq!(value("department", "Wonder"), json!("Wonder"));
        assert_eq!(value("birthdate", "1852"), json!("1852"));
        assert_eq!(value("nickname", "true"), json!("true"));
        assert_eq!(value("phone_number_verified", "true"), json!(true));
    }

    #[test]
    fn birthdates_are_of_the_calendar() {
        for text in ["1852-05-04", "0000-02-29", "2024-02-29", "1852"] {
            assert!(is_birthdate(text), "{text}");
        }
        for text in
            ["2023-02-29", "1900-02-29", "1852-13-01", "1852-00-01", "1852-04-31", "1852-05", "52", "0000", "1852-5-4", "1852-05-04-01", ""]
        {
            assert!(!is_birthdate(text), "{text}");
        }
    }

    /// Core §5.4.
    #[test]
    fn scopes_ask_for_their_claims() {
        let of = |scope: &str| names().filter(|name| is_in(&Scope::parse(scope).unwrap(), name)).collect::<Vec<_>>();
        assert_eq!(of("openid read"), Vec::<&str>::new());
        assert_eq!(of("email"), ["email", "email_verified"]);
        assert_eq!(of("address"), ["address"]);
        assert_eq!(of("phone"), ["phone_number", "phone_number_verified"]);
        assert_eq!(of("profile").len(), 14);
        assert_eq!(scope_of("nickname#de"), Some("profile"));
        assert_eq!(scope_of("department"), None);
    }

    proptest! {
        #[test]
        fn any_claim_is_accepted_or_refused(name in "\\PC{0,20}|[a-z_#-]{0,24}", text in "\\PC{0,30}") {
            let value = value(&name, &text);
            if check(&name, &value).is_ok() {
                prop_assert!(!is_reserved(&name) && name.is_ascii() && !name.contains([' ', '"', '\\', '=']), "{}", name);
            }
        }

        #[test]
        fn any_text_is_a_birthdate_or_not(text in "[0-9-]{0,12}") {
            let form = regex::Regex::new("^([0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])|[0-9]{4})$").unwrap();
            prop_assert!(!is_birthdate(&text) || form.is_match(&text));
        }
    }
}
