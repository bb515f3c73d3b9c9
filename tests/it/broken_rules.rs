//! `tests/broken_rules.toml` keeps up with the source: each rule has its line, and a test that exists. `make broken-rules` tries them.

use std::{collections::BTreeSet, fs, path::Path};

use serde::Deserialize;

use crate::security_md::fault_of;

#[derive(Deserialize)]
struct List {
    rule: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: String,
    #[serde(rename = "rule")]
    sentence: String,
    file: String,
    find: String,
    replace: String,
    tests: Vec<String>,
}

fn rules() -> Vec<Rule> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken_rules.toml")).unwrap();
    toml::from_str::<List>(&text).unwrap().rule
}

/// The name of a test as `docs/security.md` has it: `lib: oauth::pkce::tests::sentence` is in `oauth/pkce.rs`.
fn in_its_file(test: &str) -> String {
    let Some(path) = test.strip_prefix("lib: ") else { return test.to_owned() };
    let (module, function) = path.rsplit_once("::").unwrap();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let own = module.replace("::", "/") + ".rs";
    let file = if src.join(&own).exists() { own } else { module.trim_end_matches("::tests").replace("::", "/") + ".rs" };
    format!("{file}::{function}")
}

#[test]
fn each_rule_has_its_line_once_and_what_breaks_it_is_something_else() {
    for rule in rules() {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&rule.file)).unwrap_or_default();
        let count = text.matches(&rule.find).count();
        assert_eq!(
            count, 1,
            "tests/broken_rules.toml, '{}': `find` occurs {count} times in {}; write it as the line reads now, \
             and see with 'tests/broken-rules {}' that the break is still noticed",
            rule.name, rule.file, rule.name
        );
        assert_ne!(rule.find, rule.replace, "{}", rule.name);
    }
}

#[test]
fn each_rule_has_a_name_of_its_own_and_tests_that_exist() {
    let rules = rules();
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names.len(), rules.len());
    for rule in &rules {
        assert!(!rule.sentence.is_empty() && !rule.tests.is_empty(), "{}", rule.name);
        for test in &rule.tests {
            assert_eq!(fault_of(&in_its_file(test)), None, "tests/broken_rules.toml, '{}'", rule.name);
        }
    }
}
