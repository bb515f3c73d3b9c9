//! The whole way from what is said to what is used.

mod declarations;
mod documentation;
mod hostile;

use std::{fs, time::Duration};

use super::{sources::Rank, *};
use crate::oauth::Algorithm;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What the environment says; a test adds the rest.
fn environment(variables: &[(&str, &str)]) -> Sources {
    Sources { environment: pairs(variables), ..Sources::default() }
}

fn file(text: &str) -> Sources {
    Sources { file: Some(("grantor.toml".into(), text.to_owned())), ..Sources::default() }
}

fn pairs(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn accepted(sources: Sources) -> Config {
    Config::from_sources(sources).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// The only mistake, as it is told.
fn refused(sources: Sources) -> String {
    let mistakes = Config::from_sources(sources).expect_err("a mistake");
    assert_eq!(mistakes.iter().count(), 1, "{mistakes}");
    mistakes.iter().map(Mistake::to_string).collect()
}

fn assert_refused(sources: Sources, parts: &[&str]) {
    let told = refused(sources);
    for part in parts {
        assert!(told.contains(part), "{part:?} is missing: {told}");
    }
}

#[test]
fn nothing_said_is_a_server_on_loopback_with_sqlite() {
    let config = accepted(Sources::default());

    assert_eq!(config.issuer.as_str(), "http://127.0.0.1:8080");
    assert_eq!(config.listen, "127.0.0.1:8080".parse().expect("an address"));
    assert_eq!(config.database_url, DatabaseUrl::Sqlite("grantor-data/grantor.db".into()));
    assert_eq!(config.master_key, MasterKeySource::File("grantor-data/master.key".into()));
    assert_eq!(config.tokens.access_token_ttl, Duration::from_mins(10));
    assert_eq!(config.tokens.access_token_alg, Algorithm::Es256);
    assert_eq!(config.limits.request_body, 65_536);
    assert_eq!((config.database.max_connections, config.database.migrate), (16, true));
    assert!(config.passwords.hashing_threads >= 1);
    assert!(config.scopes.is_empty());
}

#[test]
fn flags_are_heard_before_the_environment_then_dotenv_then_the_file() {
    let ttl = |sources: Sources| accepted(sources).tokens.access_token_ttl.as_secs();
    let mut sources = file("[tokens]\naccess_token_ttl = \"4m\"");
    assert_eq!(ttl(sources.clone()), 240);

    sources.dotenv = pairs(&[("GRANTOR_TOKENS__ACCESS_TOKEN_TTL", "3m")]);
    assert_eq!(ttl(sources.clone()), 180);

    sources.environment = pairs(&[("GRANTOR_TOKENS__ACCESS_TOKEN_TTL", "2m")]);
    assert_eq!(ttl(sources.clone()), 120);

    sources.flags = Flags::default().set("tokens.access_token_ttl", Some("1m".to_owned()));
    assert_eq!(ttl(sources), 60);
}

#[test]
fn a_flag_without_value_and_an_empty_variable_say_nothing() {
    let mut sources = environment(&[("GRANTOR_LISTEN", ""), ("DATABASE_URL", ""), ("HOME", "/nowhere")]);
    sources.flags = Flags::default().set("issuer", None);

    assert_eq!(accepted(sources).listen.port(), 8080);
}

#[test]
fn a_number_may_be_a_number_or_a_text() {
    for text in ["max_connections = 8\nmigrate = false", "max_connections = \"8\"\nmigrate = \"false\""] {
        let database = accepted(file(&format!("[database]\n{text}"))).database;
        assert_eq!((database.max_connections, database.migrate), (8, false), "{text}");
    }
}

#[test]
fn every_mistake_is_told_at_once_with_key_value_source_and_remedy() {
    let mut sources = file(
        "listen = \"localhost:8080\"\nisuer = \"https://id.example.com\"\nkeys = 5\n\
         [tokens]\naccess_token_ttl = \"ten minutes\"\n[smtp]\nhost = \"mail\"",
    );
    sources.environment = pairs(&[("GRANTOR_DATABASE__MAX_CONNECTIONS", "1"), ("GRANTOR_LOGFORMAT", "json")]);
    sources.dotenv = pairs(&[("GRANTOR_MASTER_KEY", "hunter2")]);
    sources.flags = Flags::default().set("log_format", Some("xml".to_owned()));

    let told = Config::from_sources(sources).expect_err("mistakes").to_string();

    assert!(told.starts_with("the configuration has 9 mistakes:"), "{told}");
    for part in [
        "listen = \"localhost:8080\" (grantor.toml)\n    must be an IP address and a port",
        "isuer (grantor.toml)\n    is not a setting: did you mean issuer?",
        "keys (grantor.toml)\n    is a section",
        "tokens.access_token_ttl = \"ten minutes\" (grantor.toml)\n    must be a duration from 1s to 1d",
        "smtp (grantor.toml)\n    is not a setting: see",
        "database.max_connections = 1 (GRANTOR_DATABASE__MAX_CONNECTIONS in the environment)\n    must be a whole number from 2 to 500",
        "GRANTOR_LOGFORMAT (the environment)\n    is not a setting: did you mean GRANTOR_LOG_FORMAT?",
        "master_key = \"***\" (GRANTOR_MASTER_KEY in .env)\n    must be 32 bytes",
        "log_format = \"xml\" (--log-format)\n    unknown variant `xml`, expected one of `auto`, `text`, `json`",
    ] {
        assert!(told.contains(part), "{part:?} is missing: {told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn no_value_of_any_setting_makes_loading_panic() {
    for leaf in settings::Leaf::all().filter(|leaf| !leaf.is_map()) {
        for text in ["\u{0}", "-1", "1e400", "99999999999999999999d", "NaN", "[]", "é", " "] {
            let sources = environment(&[(&leaf.variable(), text)]);
            if let Err(mistakes) = Config::from_sources(sources) {
                assert!(mistakes.iter().any(|mistake| mistake.key == leaf.key()), "{}: {mistakes}", leaf.key());
            }
        }
        let nested = leaf
            .section
            .map_or_else(|| format!("{} = [[1]]", leaf.field.name), |section| format!("[{section}]\n{} = {{}}", leaf.field.name));
        assert!(refused(file(&nested)).contains(&leaf.key()));
    }
}

#[test]
fn what_is_unknown_is_never_quoted_for_it_might_be_a_secret() {
    let told = refused(environment(&[("GRANTOR_MASTERKEY", "hunter2")]));
    assert!(told.contains("did you mean GRANTOR_MASTER_KEY?") && !told.contains("hunter2"), "{told}");

    let told = refused(file("log = \"info\"\nmaster_key = hunter2"));
    assert!(told.contains("grantor.toml (line 2)\n    is not TOML") && !told.contains("hunter2"), "{told}");
}

#[test]
fn an_issuer_is_demanded_where_listen_gives_none() {
    assert_refused(environment(&[("GRANTOR_LISTEN", "0.0.0.0:8080")]), &["issuer\n", "GRANTOR_ISSUER=https://"]);
    assert_refused(environment(&[("GRANTOR_LISTEN", "127.0.0.1:0")]), &["issuer\n"]);
    assert_refused(environment(&[("GRANTOR_ISSUER", "http://id.example.com")]), &["issuer = \"http://id.example.com\"", "https://"]);

    let behind_a_proxy = accepted(environment(&[("GRANTOR_ISSUER", "https://id.example.com")]));
    assert!(behind_a_proxy.listen.ip().is_loopback() && behind_a_proxy.issuer.is_https());
}

#[test]
fn postgres_demands_a_master_key_and_sqlite_does_not() {
    let postgres = ("GRANTOR_DATABASE_URL", "postgres://grantor@db/grantor");
    assert_refused(environment(&[postgres]), &["master_key\n", "openssl rand -base64 32", "GRANTOR_MASTER_KEY_FILE"]);

    let config = accepted(environment(&[postgres, ("GRANTOR_MASTER_KEY", KEY)]));
    assert_eq!(config.master_key, MasterKeySource::Given(KEY.parse().expect("a key")));
}

#[test]
fn database_url_is_heard_after_grantors_own_variable_and_before_the_file() {
    let url = |sources: Sources| accepted(sources).database_url.to_string();
    let mut sources = file("database_url = \"sqlite:file.db\"");
    sources.environment = pairs(&[("DATABASE_URL", "sqlite:platform.db")]);
    assert_eq!(url(sources.clone()), "sqlite:platform.db");

    sources.dotenv = pairs(&[("GRANTOR_DATABASE_URL", "sqlite:own.db")]);
    assert_eq!(url(sources), "sqlite:own.db");

    assert_refused(environment(&[("DATABASE_URL", "mysql://u:hunter2@h/d")]), &["DATABASE_URL in the environment", "u:***@h"]);
}

#[test]
fn a_secret_may_be_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let key = path("key", &format!("{KEY}\n"));
    let url = path("url", "postgres://grantor:hunter2@db/grantor\n");

    let config = accepted(environment(&[("GRANTOR_MASTER_KEY_FILE", &key), ("GRANTOR_DATABASE_URL_FILE", &url)]));
    assert_eq!(config.master_key, MasterKeySource::Given(KEY.parse().expect("a key")));
    assert_eq!(config.database_url.to_string(), "postgres://grantor:***@db/grantor");
    assert!(config.show().contains(&format!("master_key_file = \"{key}\"")), "{}", config.show());

    let wrong = path("wrong", "hunter2");
    let told = refused(environment(&[("GRANTOR_MASTER_KEY_FILE", &wrong)]));
    assert!(told.contains("what the file holds must be 32 bytes") && !told.contains("hunter2"), "{told}");
    assert_refused(environment(&[("GRANTOR_MASTER_KEY_FILE", "/no/such/file")]), &["master_key_file", "cannot be read"]);
}

#[test]
fn a_secret_and_its_file_are_refused_together_unless_one_is_heard_first() {
    assert_refused(
        environment(&[("GRANTOR_MASTER_KEY", KEY), ("GRANTOR_MASTER_KEY_FILE", "/no/such/file")]),
        &["master_key_file", "master_key is given too"],
    );

    let mut sources = file("master_key_file = \"/no/such/file\"");
    sources.environment = pairs(&[("GRANTOR_MASTER_KEY", KEY)]);
    let config = accepted(sources);
    assert_eq!(config.master_key, MasterKeySource::Given(KEY.parse().expect("a key")));
    assert!(!config.show().contains("/no/such/file"), "{}", config.show());
}

#[test]
fn an_end_before_its_beginning_is_refused() {
    for (text, key, limit) in [
        ("[tokens]\nrefresh_token_idle_ttl = \"100d\"", "tokens.refresh_token_idle_ttl", "tokens.refresh_token_ttl"),
        ("[tokens]\naccess_token_ttl = \"10m\"\nrefresh_token_ttl = \"5m\"", "tokens.access_token_ttl", "tokens.refresh_token_ttl"),
        ("[session]\nidle_ttl = \"2h\"\nttl = \"1h\"", "session.idle_ttl", "session.ttl"),
    ] {
        assert_refused(file(text), &[key, &format!("must not be longer than {limit}")]);
    }
}

#[test]
fn a_default_gives_way_to_a_shorter_end() {
    let config = accepted(environment(&[("GRANTOR_TOKENS__REFRESH_TOKEN_TTL", "5s"), ("GRANTOR_SESSION__TTL", "1h")]));

    assert_eq!(config.tokens.refresh_token_idle_ttl, Duration::from_secs(5));
    assert_eq!(config.session.idle_ttl, Duration::from_hours(1));
    assert!(config.show().contains("idle_ttl = \"1h\"  # default, at most session.ttl"), "{}", config.show());
}

/// OWASP Password Storage Cheat Sheet: memory and passes of equal strength.
#[test]
fn weak_password_hashes_are_refused_except_on_loopback() {
    let sources = |issuer: &str, memory: &str, passes: &str| {
        environment(&[
            ("GRANTOR_ISSUER", issuer),
            ("GRANTOR_PASSWORDS__ARGON2_MEMORY_KIB", memory),
            ("GRANTOR_PASSWORDS__ARGON2_ITERATIONS", passes),
        ])
    };
    for (memory, passes) in [("7168", "5"), ("9216", "4"), ("12288", "3"), ("19456", "2"), ("47104", "1"), ("65536", "3")] {
        accepted(sources("https://id.example.com", memory, passes));
    }
    for (memory, passes) in [("7168", "4"), ("12287", "3"), ("19455", "2"), ("47103", "1")] {
        assert_refused(sources("https://id.example.com", memory, passes), &["passwords.argon2_memory_kib", "too easy to guess"]);
        accepted(sources("http://localhost:8080", memory, passes));
    }
}

#[test]
fn keys_rotate_no_sooner_than_they_sign_and_their_tokens_end() {
    let short = [("GRANTOR_KEYS__JWKS_MAX_AGE", "1s"), ("GRANTOR_KEYS__CLOCK_MARGIN", "1s"), ("GRANTOR_TOKENS__ACCESS_TOKEN_TTL", "3s")];
    let interval =
        |interval: &str, others: &[(&str, &str)]| environment(&[&[("GRANTOR_KEYS__ROTATION_INTERVAL", interval)], others].concat());
    assert_eq!(accepted(Sources::default()).keys.rotation_interval, Duration::from_hours(90 * 24));
    for (shortest, others) in [("11m 1s", &[][..]), ("3s", &short), ("0s", &[]), ("0s", &short)] {
        accepted(interval(shortest, others));
    }
    assert_refused(interval("11m", &[]), &["keys.rotation_interval = \"11m\"", "keys.jwks_max_age and keys.clock_margin together"]);
    assert_refused(interval("2s", &short), &["keys.jwks_max_age and keys.clock_margin together"]);
    assert_refused(interval("3h", &[("GRANTOR_TOKENS__ACCESS_TOKEN_TTL", "4h")]), &["shorter than tokens.access_token_ttl", "0s turns"]);
}

#[test]
fn the_algorithm_is_spelled_as_registered() {
    let alg = |name: &str| environment(&[("GRANTOR_TOKENS__ACCESS_TOKEN_ALG", name)]);
    let of = |name: &str| accepted(alg(name)).tokens.access_token_alg;
    assert_eq!(["RS256", "PS256", "EdDSA"].map(of), [Algorithm::Rs256, Algorithm::Ps256, Algorithm::EdDsa]);
    for unknown in ["Ed25519", "EDDSA", "ES384", "HS256", "none"] {
        assert_refused(alg(unknown), &["expected one of `ES256`, `RS256`, `PS256`, `EdDSA`"]);
    }
}

#[test]
fn scopes_are_sentences_in_the_file_only() {
    let config = accepted(file("[scopes]\n\"read:orders\" = \"See your orders\""));
    assert_eq!(config.scopes["read:orders"], "See your orders");

    assert_refused(file("[scopes]\n\"two words\" = \"x\"\nempty = \" \""), &["\"empty\", \"two words\": a scope's name"]);
    assert_refused(file("[scopes]\nopenid = 1"), &["must be a table of scopes"]);
    assert_refused(environment(&[("GRANTOR_SCOPES", "openid")]), &["only be given in the file, as [scopes]"]);
}

#[test]
fn show_is_a_file_that_gives_the_same_configuration() {
    let mut sources = file("log = \"debug\"\n[scopes]\n\"read:orders\" = \"See your \\\"orders\\\"\"");
    sources.environment = pairs(&[("GRANTOR_DATABASE__MAX_CONNECTIONS", "8"), ("GRANTOR_LIMITS__REQUEST_BODY", "8192")]);
    let config = accepted(sources);

    let shown = config.show();
    for line in [
        "issuer = \"http://127.0.0.1:8080\"  # default, from listen",
        "log = \"debug\"  # grantor.toml",
        "max_connections = 8  # GRANTOR_DATABASE__MAX_CONNECTIONS in the environment",
        "migrate = true  # default",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is missing:\n{shown}");
    }
    // The master key's file need not exist before the first start.
    let again = accepted(file(&shown.lines().filter(|line| !line.starts_with("master_key_file")).collect::<Vec<_>>().join("\n")));
    assert_eq!((again.scopes, again.limits.request_body, again.issuer), (config.scopes, 8192, config.issuer));
}

#[test]
fn neither_show_nor_debug_output_tells_a_secret() {
    let config = accepted(environment(&[("GRANTOR_DATABASE_URL", "postgres://grantor:hunter2@db/grantor"), ("GRANTOR_MASTER_KEY", KEY)]));

    let told = format!("{}{config:?}", config.show());
    assert!(told.contains("master_key = \"***\"") && told.contains("grantor:***@db"), "{told}");
    assert!(!told.contains("hunter2") && !told.contains(KEY) && !told.contains("31, "), "{told}");
}

#[test]
fn the_folder_and_the_process_are_read_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    let read = |variables: &[(&str, &str)], flags: Flags| {
        Sources::read_in(folder.path(), variables.iter().map(|(name, value)| (name.into(), value.into())), flags)
    };
    write("grantor.toml", "log = \"warn\"");
    write("other.toml", "log = \"error\"");
    write(".env", "\u{feff}# a comment\nexport GRANTOR_DATA_DIR='my data'\nUNRELATED=1\n");

    let config = accepted(read(&[("PATH", "/bin")], Flags::default()));
    assert_eq!((config.log.as_str(), config.data_dir.as_path()), ("warn", Path::new("my data")));
    assert_eq!(accepted(read(&[("GRANTOR_CONFIG", "other.toml")], Flags::default())).log, "error");
    assert_eq!(accepted(read(&[("GRANTOR_CONFIG", "none.toml")], Flags::new(Some("other.toml".into())))).log, "error");

    let missing = read(&[], Flags::new(Some("none.toml".into())));
    assert_refused(missing, &["none.toml (--config)", "cannot be read"]);
    write(".env", "GRANTOR_MASTER_KEY=hunter2 and more");
    let told = refused(read(&[], Flags::default()));
    assert!(told.contains("NAME=value") && !told.contains("hunter2"), "{told}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;

    let folder = tempfile::tempdir().expect("a folder");
    let variables = ["GRANTOR_DATA_DIR", "UNRELATED"].map(|name| (name.into(), std::ffi::OsString::from_vec(vec![0xff])));

    assert_refused(Sources::read_in(folder.path(), variables.into_iter(), Flags::default()), &["GRANTOR_DATA_DIR", "UTF-8"]);
}

#[test]
fn the_order_of_hearing_is_the_order_of_ranks() {
    assert!([Rank::Flag, Rank::Environment, Rank::DotEnv, Rank::DatabaseUrl, Rank::File].is_sorted());
}

#[test]
fn networks_are_a_list_in_the_file_and_separated_by_commas_in_the_environment() {
    let networks = |sources| accepted(sources).outbound.allow_networks.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(networks(file("[outbound]\nallow_networks = [\"127.0.0.0/8\", \"fd00::/8\"]")), ["127.0.0.0/8", "fd00::/8"]);
    assert_eq!(networks(environment(&[("GRANTOR_OUTBOUND__ALLOW_NETWORKS", "127.0.0.0/8, fd00::/8")])), ["127.0.0.0/8", "fd00::/8"]);
    assert!(networks(Sources::default()).is_empty());
    assert_refused(file("[outbound]\nallow_networks = [\"10.0.0.1/8\"]"), &["outbound.allow_networks", "10.0.0.0/8"]);
    assert_refused(file("[outbound]\nallow_networks = 10"), &["outbound.allow_networks", "list"]);
}

#[test]
fn a_ca_file_that_holds_none_is_a_mistake() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.pem");
    let sources = || environment(&[("GRANTOR_OUTBOUND__CA_FILE", path.to_str().expect("a path"))]);
    assert_refused(sources(), &["outbound.ca_file", "cannot be read"]);
    fs::write(&path, "none").expect("a file");
    assert_refused(sources(), &["outbound.ca_file", "BEGIN CERTIFICATE"]);
    fs::write(&path, "-----BEGIN CERTIFICATE-----").expect("a file");
    assert_eq!(accepted(sources()).outbound.ca_file, Some(path.clone()));
}
