//! What the configuration file and the files that it includes declare.

use super::*;
use crate::secret::SecretHash;

/// The file, and others that it includes.
fn files(main: &str, included: &[(&str, &str)]) -> Sources {
    let included = included.iter().map(|(name, text)| Included { name: (*name).to_owned(), path: name.into(), text: (*text).to_owned() });
    Sources { included: included.collect(), ..file(main) }
}

const SHOP: &str = "[[clients]]\nclient_id = \"shop\"\nclient_name = \"Shop\"\nredirect_uris = [\"https://shop.example/cb\"]\n";

#[test]
fn a_client_has_the_defaults_of_the_command_line() {
    let declared = accepted(file(SHOP)).declared;
    let [shop] = &declared.clients[..] else { panic!("{declared:?}") };

    assert_eq!((shop.id.as_str(), shop.name.as_str(), shop.declared_in.as_deref()), ("shop", "Shop", Some("grantor.toml")));
    assert_eq!((shop.client_type.as_str(), shop.application_type.as_str()), ("confidential", "web"));
    assert_eq!(shop.scope.to_string(), "openid profile email offline_access");
    assert!(shop.secrets.is_empty() && !shop.first_party && shop.gets_refresh_tokens());
}

#[test]
fn everything_that_the_command_line_can_set_can_be_declared() {
    let text = "[[clients]]\nclient_id = \"a\"\nclient_name = \"A\"\nclient_type = \"confidential\"\napplication_type = \"native\"\n\
        redirect_uris = [\"https://a.example/1\", \"http://127.0.0.1/2\"]\ngrant_types = [\"authorization_code\", \"client_credentials\"]\n\
        scope = [\"read\", \"write read\"]\nresources = [\"https://api.example\"]\nintrospects = [\"https://api.example\"]\n\
        first_party = true\nrefresh_rotation = false\n";
    let client = accepted(file(text)).declared.clients.remove(0);

    assert_eq!(client.application_type.as_str(), "native");
    assert_eq!(client.redirect_uris.iter().map(ToString::to_string).collect::<Vec<_>>(), ["https://a.example/1", "http://127.0.0.1/2"]);
    assert_eq!((client.scope.to_string().as_str(), client.grant_types.len()), ("read write", 2));
    assert_eq!((client.resources.len(), client.introspects.len(), client.first_party), (1, 1, true));
    assert_eq!(client.refresh_rotation, crate::oauth::client::RefreshRotation::Keep);
}

#[test]
fn a_client_is_checked_as_on_the_command_line() {
    let with = |more: &str| file(&format!("{SHOP}{more}"));
    for (more, key, remedy) in [
        ("client_type = \"secret\"", "clients.shop.client_type = \"secret\" (grantor.toml, line 5)", "must be confidential or public"),
        ("application_type = \"app\"", "clients.shop.application_type", "must be native or web"),
        ("grant_types = [\"password\"]", "clients.shop.grant_types = \"password\"", "must be one of authorization_code"),
        ("scope = \"a\\\"b\"", "clients.shop.scope", "printable ASCII"),
        ("resources = [\"api\"]", "clients.shop.resources = \"api\"", "an absolute URI"),
        ("first_party = 1", "clients.shop.first_party", "must be true or false"),
        ("grant_types = \"client_credentials\"", "clients.shop.grant_types", "must be a list of texts"),
        ("introspects = [1]", "clients.shop.introspects", "must be a list of texts"),
        ("grant_types = [\"refresh_token\"]", "clients.shop (grantor.toml, line 1)", "add the grant type authorization_code"),
        ("client_type = \"public\"\nrefresh_rotation = false", "clients.shop (grantor.toml, line 1)", "must rotate"),
        ("clientname = \"x\"", "clients.shop.clientname", "did you mean client_name?"),
        ("logo = \"x\"", "clients.shop.logo", "see [[clients]] in docs/configuration.md"),
    ] {
        assert_refused(with(more), &[key, remedy]);
    }
    assert_refused(
        file("[[clients]]\nclient_id = \"a\"\nclient_name = \"A\""),
        &["clients.a (grantor.toml, line 1)", "needs at least one redirect URI"],
    );
    assert_refused(file("[[clients]]\nclient_id = \"a b\"\nclient_name = \"A\""), &["clients.\"a b\".client_id", "without spaces"]);
    assert_refused(file("[[clients]]\nclient_name = \"A\""), &["clients.1.client_id", "must be given"]);
    assert_refused(file("[clients]\nshop = \"Shop\""), &["clients (grantor.toml, line 1)", "each below [[clients]]"]);
}

#[test]
fn the_same_thing_twice_names_both_places() {
    let again = format!("\n{SHOP}");
    assert_refused(
        files(SHOP, &[("clients.d/shop.toml", &again)]),
        &["clients.shop.client_id (clients.d/shop.toml, line 3)", "is declared in grantor.toml, line 2, too"],
    );
    assert_refused(
        files("[[people]]\nemail = \"a@example.com\"", &[("p.toml", "[[people]]\nemail = \"A@Example.com\"")]),
        &["people.\"A@Example.com\".email (p.toml, line 2)", "is declared in grantor.toml, line 2, too"],
    );
    assert_refused(
        files("[scopes]\nread = \"Read\"", &[("s.toml", "\n[scopes]\nread = \"Read\"")]),
        &["scopes.read (s.toml, line 3)", "is declared in grantor.toml, line 2, too"],
    );
}

#[test]
fn included_files_hold_declarations_and_no_settings() {
    let sources = files("[scopes]\na = \"A\"", &[("x.toml", "[scopes]\nb = \"B\"\n[roles]\nadmin = \"Administers\""), ("y.toml", SHOP)]);
    let config = accepted(sources);
    assert_eq!(config.scopes.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(config.roles["admin"], "Administers");
    assert_eq!(config.declared.clients[0].declared_in.as_deref(), Some("y.toml"));
    assert!(config.show().contains("# [[clients]]: 1 declared: shop"), "{}", config.show());

    assert_refused(files("", &[("x.toml", "log = \"info\"")]), &["log (x.toml)", "belongs in the configuration file itself"]);
    assert_refused(files("", &[("x.toml", "include = []")]), &["include (x.toml)", "belongs in the configuration file itself"]);
    assert_refused(files("", &[("x.toml", "[[client]]")]), &["client (x.toml)", "did you mean clients?"]);
    assert_refused(files("", &[("x.toml", "\nx = hunter2")]), &["x.toml (line 2)", "is not TOML"]);
    assert_refused(files("", &[("x.toml", "scopes = 1")]), &["scopes (x.toml)", "must be a table"]);
    assert_refused(file("[[peple]]\nemail = \"a@b\""), &["did you mean people?"]);
}

#[test]
fn claims_are_values_that_json_has_and_make_sense() {
    let person = |claims: &str| file(&format!("[[people]]\nemail = \"a@example.com\"\n{claims}\n"));
    let accepted = accepted(person(
        "groups = [\"a\"]\nclaims = { nickname = \"Al\", level = 0x10, ratio = 0.5, since = 2020-01-02T03:04:05Z, tags = [true] }",
    ));
    let known = &accepted.declared.people[0];
    assert_eq!(known.groups, ["a"]);
    let expected = serde_json::json!({ "nickname": "Al", "level": 16, "ratio": 0.5, "since": "2020-01-02T03:04:05Z", "tags": [true] });
    assert_eq!(serde_json::Value::Object(known.claims.clone()), expected);
    for (claims, remedy) in [
        ("claims = { sub = \"x\" }", "sub: tokens say something else by this name"),
        ("claims = { roles = [\"admin\"] }", "roles: roles and groups are not free claims"),
        ("claims = { birthdate = \"soon\" }", "birthdate: it must be a date"),
        ("claims = { ratio = nan }", "must be a table of values that JSON has"),
        ("claims = \"x\"", "must be a table"),
        ("groups = [\" a\"]", "a group has 1 to 100 characters"),
    ] {
        assert_refused(person(claims), &[remedy]);
    }
}

#[test]
fn a_role_that_is_not_listed_is_a_mistake_where_some_are() {
    let person = "[[people]]\nemail = \"a@example.com\"\nroles = [\"amdin\"]\n";
    assert_eq!(accepted(file(person)).declared.people[0].roles, ["amdin"]);
    assert_refused(
        file(&format!("{person}[roles]\nadmin = \"Administers\"")),
        &["people.\"a@example.com\".roles", "did you mean 'admin'?"],
    );
    assert_refused(file("[roles]\n\" \" = \"x\""), &["a role's name has"]);
    assert_refused(environment(&[("GRANTOR_ROLES", "admin")]), &["only be given in the file, as [roles]"]);
}

/// Secrets stand in files of their own, and nothing tells them.
#[test]
fn no_secret_stands_in_the_file_or_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("a file");
        folder.path().join(name).display().to_string()
    };
    let (long, other, short) =
        (path("long", &format!("{}\n", "s3cr3t".repeat(6))), path("other", &"0".repeat(32)), path("short", "hunter2"));
    let with = |more: &str| file(&format!("{SHOP}{more}"));

    let hashes = |config: Config| config.declared.clients[0].secrets.iter().map(|secret| secret.hash.clone()).collect::<Vec<_>>();
    assert_eq!(hashes(accepted(with(&format!("client_secret_file = {long:?}")))), [SecretHash::of(&"s3cr3t".repeat(6))]);
    let both = accepted(with(&format!("client_secret_file = [{long:?}, {other:?}]")));
    assert_eq!(both.declared.clients[0].secrets.len(), 2);
    let told = format!("{both:?}{}", both.show());
    assert!(!told.contains("s3cr3t") && !told.contains("SecretHash"), "{told}");
    let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let by_hash = accepted(with(&format!("client_secret_sha256 = {:?}", hash.to_uppercase())));
    assert_eq!(hashes(by_hash), [SecretHash::of("test")]);

    for (more, parts) in [
        (
            "client_secret = \"hunter2\"".to_owned(),
            &["clients.shop.client_secret (grantor.toml, line 5)", "client_secret_file", "openssl rand -base64 32"][..],
        ),
        (format!("client_secret_file = {short:?}"), &["32 to 512 printable ASCII", "openssl rand -base64 32"]),
        ("client_secret_file = \"/nowhere/hunter\"".to_owned(), &["cannot be read"]),
        ("client_secret_sha256 = \"hunter2\"".to_owned(), &["64 hexadecimal digits"]),
        (format!("client_secret_sha256 = [{hash:?}, {:?}, {:?}]", "0".repeat(64), "1".repeat(64)), &["two secrets at most"]),
        (format!("client_type = \"public\"\nclient_secret_file = {long:?}"), &["a public client has no secret"]),
        (format!("client_secret_file = {long:?}\nclient_secret_overlap = \"soon\""), &["client_secret_overlap", "up to 365d"]),
        (format!("client_secret_file = {long:?}\nclient_secret_overlap = \"366d\""), &["client_secret_overlap", "up to 365d"]),
        ("client_secret_overlap = \"7d\"".to_owned(), &["client_secret_overlap", "it gives none"]),
        (
            "\n[[people]]\nemail = \"a@example.com\"\npassword = \"hunter2\"".to_owned(),
            &["people.\"a@example.com\".password", "password_file"],
        ),
        ("\n[[people]]\nemail = \"a@example.com\"\npassword_hash = \"hunter2\"".to_owned(), &["must be an Argon2id hash"]),
    ] {
        let told = refused(with(&more));
        assert!(parts.iter().all(|part| told.contains(part)) && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn include_reads_files_by_name_and_by_pattern_beside_the_file_that_names_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    let read = || Sources::read_in(folder.path(), std::iter::empty(), Flags::new(Some("etc/grantor.toml".into())));
    fs::create_dir_all(folder.path().join("etc/clients.d")).expect("a folder");
    // Names each file twice, and matches itself.
    write("etc/grantor.toml", "include = [\"people.toml\", \"clients.d/*.toml\", \"*.toml\"]");
    write("etc/people.toml", "[[people]]\nemail = \"a@example.com\"");
    write("etc/clients.d/b.toml", &SHOP.replace("shop", "b"));
    write("etc/clients.d/a.toml", &SHOP.replace("shop", "a"));
    for ignored in ["etc/clients.d/.hidden.toml", "etc/clients.d/a.toml~", "etc/clients.d/notes.txt"] {
        write(ignored, "not TOML");
    }
    let declared = accepted(read()).declared;
    let names: Vec<_> =
        declared.clients.iter().map(|client| (client.id.as_str(), client.declared_in.as_deref().unwrap_or_default())).collect();
    assert_eq!(names, [("a", "clients.d/a.toml"), ("b", "clients.d/b.toml")]);
    assert_eq!(declared.people[0].declared_in, "people.toml");

    for (include, remedy) in [
        ("[\"nobody.toml\"]", "etc/nobody.toml cannot be read"),
        ("[\"clients/*.toml\"]", "the folder cannot be read"),
        ("[\"*/a.toml\"]", "a * in its last part at most"),
        ("\"people.toml\"", "must be a list of paths"),
    ] {
        write("etc/grantor.toml", &format!("\ninclude = {include}"));
        assert_refused(read(), &["include", "(etc/grantor.toml, line 2)", remedy]);
    }
    write("etc/grantor.toml", "include = [\"clients.d/none*.toml\"]");
    assert!(accepted(read()).declared.clients.is_empty(), "a pattern may match nothing yet");
}
