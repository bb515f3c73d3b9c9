//! What an operator pastes: every value is read by its grammar or refused with what to change, and no secret is told.

use proptest::{prelude::*, sample::select};

use super::{super::database_url::masked, *};
use crate::config::{database_url::DatabaseUrl, master_key::MasterKey};

fn regex(pattern: &str) -> regex::Regex {
    regex::Regex::new(pattern).expect("a regular expression")
}

/// The value of a setting, if it is taken.
fn taken<T>(variable: &str, text: &str, value: impl Fn(&Config) -> T) -> Result<T, String> {
    Config::from_sources(environment(&[(variable, text)])).map(|config| value(&config)).map_err(|mistakes| mistakes.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4 + 1, ..ProptestConfig::default() })]

    /// A sum of whole numbers with units, within the limits of the setting.
    #[test]
    fn a_duration_is_what_its_parts_add_up_to(text in prop_oneof!["([0-9]{1,4} ?[dhmsx] ?){1,3}", "\\PC{1,8}", "[0-9]{18,22}[smhd]"]) {
        let part = regex(r"([0-9]+)\s*([dhms])\s*");
        let has_form = regex(r"^\s*(?:[0-9]+\s*[dhms]\s*)+$").is_match(&text);
        let seconds: Option<u128> = has_form.then(|| {
            let factor = |unit: &str| match unit { "d" => 86_400, "h" => 3_600, "m" => 60, _ => 1 };
            part.captures_iter(&text).map(|found| found[1].parse::<u128>().expect("a number") * factor(&found[2])).sum()
        });
        let read = taken("GRANTOR_TOKENS__REFRESH_RETRY_WINDOW", &text, |config| u128::from(config.tokens.refresh_retry_window.as_secs()));
        prop_assume!(!text.trim().is_empty());
        match seconds.filter(|seconds| *seconds <= 300) {
            Some(seconds) => prop_assert_eq!(read, Ok(seconds)),
            None => prop_assert!(read.is_err_and(|told| told.contains("refresh_retry_window")), "{}", text),
        }
    }

    #[test]
    fn a_size_is_a_number_of_bytes_or_of_a_binary_unit(text in prop_oneof!["[0-9]{1,8} ?(KiB|MiB|KB|)", "\\PC{1,8}", "[0-9]{18,22}(KiB)?"]) {
        prop_assume!(!text.trim().is_empty());
        let found = regex(r"^\s*([0-9]+)\s*(KiB|MiB)?\s*$").captures(&text);
        let bytes = found.and_then(|found| {
            let factor = match found.get(2).map(|unit| unit.as_str()) { Some("KiB") => 1 << 10, Some("MiB") => 1 << 20, _ => 1 };
            found[1].parse::<u128>().ok().map(|number| number * factor)
        });
        match taken("GRANTOR_LIMITS__REQUEST_BODY", &text, |config| config.limits.request_body as u128) {
            Ok(read) => prop_assert_eq!(Some(read), bytes),
            Err(told) => prop_assert!(told.contains("request_body") && bytes.is_none_or(|bytes| !(4_096..=65_536).contains(&bytes)), "{}", told),
        }
    }

    /// 32 bytes, in the spellings of those who print keys; the mistake does not tell what was pasted.
    #[test]
    fn a_master_key_is_32_bytes_and_nothing_tells_it(key in any::<[u8; 32]>(), cut in 0..4_usize, spelling in 0..5_usize) {
        use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD, Engine};
        let hex = crate::secret::hex(&key);
        let text = [BASE64_STANDARD.encode(key), BASE64_STANDARD_NO_PAD.encode(key), BASE64_URL_SAFE.encode(key), BASE64_URL_SAFE_NO_PAD.encode(key), hex];
        prop_assert_eq!(text[spelling].parse::<MasterKey>().map(|read| *read.expose()), Ok(key));
        let shorter = &text[spelling][cut + 2..];
        prop_assert!(shorter.parse::<MasterKey>().is_err());
        let told = refused(environment(&[("GRANTOR_MASTER_KEY", shorter)]));
        prop_assert!(!told.contains(shorter), "{}", told);
    }

    #[test]
    fn any_text_is_a_master_key_of_32_bytes_or_refused(text in prop_oneof!["\\PC{0,70}", "[A-Za-z0-9+/=_-]{40,66}", "\\PC{64}"]) {
        if text.parse::<MasterKey>().is_ok() {
            prop_assert!(regex("^(?:[0-9a-fA-F]{64}|[A-Za-z0-9+/]{43}=?|[A-Za-z0-9_-]{43}=?)$").is_match(text.trim()), "{}", text);
        }
    }

    /// Whatever is around it, the password of a database URL is not shown.
    #[test]
    fn no_database_url_shows_its_password(
        scheme in select(&["postgres://", "postgresql://", "postgres:", "mysql://", "POSTGRES://", ""][..]),
        before in "[a-z:/?#@% &=]{0,4}",
        place in select(&["grantor:{}@db/grantor", "grantor@db/grantor?password={}", "grantor@db/g?a=b&PassWord={}", ":{}@db"][..]),
        after in "[a-z:/?#@% &=\\[\\]]{0,4}",
    ) {
        let text = format!("{scheme}{before}{}{after}", place.replace("{}", "Hunter2Hunter2"));
        let shown = masked(&text);
        prop_assert!(!shown.contains("Hunter2"), "{} is shown as {}", text, shown);
        if let Ok(url) = text.parse::<DatabaseUrl>() {
            prop_assert!(matches!(&url, DatabaseUrl::Postgres(kept) if **kept == text));
        }
    }

    #[test]
    fn any_text_is_a_database_url_of_its_kind_or_refused(text in prop_oneof!["\\PC{0,30}", "sqlite:(//)?[a-z/.?:]{0,8}", "postgres(ql)?://\\PC{0,16}"]) {
        match text.parse::<DatabaseUrl>() {
            Ok(DatabaseUrl::Sqlite(path)) => {
                prop_assert!(text.starts_with("sqlite:") && text.ends_with(path.to_str().expect("text")));
                prop_assert!(!path.as_os_str().is_empty() && !text.contains('?') && text != "sqlite::memory:");
            }
            Ok(DatabaseUrl::Postgres(kept)) => prop_assert!(*kept == text && (text.starts_with("postgres://") || text.starts_with("postgresql://"))),
            Err(remedy) => prop_assert!(!remedy.is_empty()),
        }
    }

    /// The file and `.env`, byte by byte.
    #[test]
    fn any_file_gives_a_configuration_or_mistakes(toml in prop_oneof!["\\PC{0,60}", "(\\[tokens\\]|\n|log = |issuer=|\"|'|x|1|=|\\[|\\]|\\{|,){0,14}"], dotenv in prop::collection::vec(any::<u8>(), 0..60)) {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("grantor.toml"), &toml).expect("a file");
        fs::write(directory.path().join(".env"), dotenv).expect("a file");
        let read = Config::from_sources(Sources::read_in(directory.path(), std::iter::empty(), Flags::default()));
        prop_assert!(read.is_ok() || read.is_err_and(|mistakes| !mistakes.to_string().is_empty()));
    }
}
