//! `docs/configuration.md` says what the declaration says: each setting, and nothing else.

use std::fmt::Write as _;

use confique::meta::FieldKind;

use super::{super::settings::Leaf, *};

const PAGE: &str = include_str!("../../../docs/configuration.md");

/// The page's reference as the declaration has it.
fn reference() -> String {
    let mut text = String::new();
    let mut section = None;
    for (index, leaf) in Leaf::all().filter(|leaf| !leaf.is_map()).enumerate() {
        if index == 0 || leaf.section != section {
            section = leaf.section;
            if let Some(name) = section {
                write!(text, "\n### `[{name}]`\n\n{}\n\n", section_doc(name)).expect("a String");
            }
            text.push_str("| key | environment | default | meaning |\n|---|---|---|---|\n");
        }
        let default = leaf.default().map_or_else(|| "-".to_owned(), |value| format!("`{value}`"));
        writeln!(text, "| `{}` | `{}` | {default} | {} |", leaf.field.name, leaf.variable(), meaning(leaf.field.doc)).expect("a String");
    }
    for map in Leaf::all().filter(|leaf| leaf.is_map()) {
        write!(text, "\n### `[{}]`\n\n{}\n", map.key(), meaning(map.field.doc)).expect("a String");
    }
    text
}

/// The keys of `[[clients]]`, `[[people]]` and `[[resources]]`.
fn tables() -> String {
    let mut text = String::new();
    let kinds = [
        (declared::CLIENTS, declared::CLIENT_KEYS),
        (declared::PEOPLE, declared::PERSON_KEYS),
        (declared::RESOURCES, declared::RESOURCE_KEYS),
    ];
    for (kind, keys) in kinds {
        write!(text, "\n### `[[{kind}]]`\n\n| key | meaning |\n|---|---|\n").expect("a String");
        for (key, meaning) in keys {
            writeln!(text, "| `{key}` | {meaning} |").expect("a String");
        }
    }
    text
}

fn section_doc(name: &str) -> String {
    let field = Settings::META.fields.iter().find(|field| field.name == name && matches!(field.kind, FieldKind::Nested { .. }));
    meaning(field.expect("a section").doc)
}

fn meaning(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

fn documented_reference() -> &'static str {
    let (_, after) = PAGE.split_once("<!-- reference -->\n\n").expect("where the reference begins");
    after.split_once("\n<!-- end of the reference -->").expect("where the reference ends").0
}

fn example() -> &'static str {
    let (_, after) = PAGE.split_once("```toml\n# grantor.toml\n").expect("where the example begins");
    after.split_once("```").expect("where the example ends").0
}

#[test]
fn the_page_documents_every_setting_with_its_default_and_nothing_else() {
    let expected = reference();
    assert!(documented_reference() == expected, "replace the reference in docs/configuration.md by:\n\n{expected}");
}

#[test]
fn the_page_documents_every_key_of_what_can_be_declared() {
    let expected = tables();
    let documented =
        PAGE.split_once("<!-- declarations -->\n").and_then(|(_, after)| after.split_once("\n<!-- end of the declarations -->"));
    assert!(documented.is_some_and(|(tables, _)| tables == expected), "replace the tables of declarations by:\n{expected}");
}

#[test]
fn every_documented_default_is_accepted_and_changes_nothing() {
    let values = |config: &Config| {
        let Config { listen, data_dir, log, log_format, database, tokens, session, passwords, rate_limit, keys, outbound, limits, .. } =
            config;
        format!(
            "{listen} {data_dir:?} {log} {log_format:?} {database:?} {tokens:?} {session:?} {passwords:?} {rate_limit:?} {keys:?} {outbound:?} {limits:?}"
        )
    };
    let of_defaults = values(&accepted(Sources::default()));
    for leaf in Leaf::all().filter(|leaf| !leaf.is_map()) {
        if let Some(default) = leaf.default() {
            let text = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            let config = accepted(environment(&[(&leaf.variable(), &text)]));
            assert_eq!(values(&config), of_defaults, "{}", leaf.key());
        }
    }
}

/// What is refused names its limits as `from X to Y`; the page as `(X to Y)`.
#[test]
fn the_limits_in_the_page_are_the_real_ones() {
    let mut limits = 0;
    for leaf in Leaf::all().filter(|leaf| !leaf.is_map()) {
        let Err(mistakes) = Config::from_sources(environment(&[(&leaf.variable(), "beyond")])) else { continue };
        let told = mistakes.to_string();
        if let Some((_, after)) = told.split_once(" from ") {
            let limit = after.split([',', '\n']).next().unwrap_or_default();
            let doc = meaning(leaf.field.doc);
            assert!(doc.contains(&format!("({limit})")), "{}: ({limit}) is missing: {doc}", leaf.key());
            limits += 1;
        }
    }
    assert!(limits > 15, "only {limits} settings have limits");
}

#[test]
fn the_example_is_accepted_and_mentions_every_setting() {
    accepted(file(example()));

    for leaf in Leaf::all() {
        let written = [format!("{} = ", leaf.field.name), format!("[{}]", leaf.field.name)];
        let mentioned = example().lines().any(|line| written.iter().any(|key| line.trim_start_matches("# ").starts_with(key)));
        assert!(mentioned, "{} is missing from the example", leaf.key());
    }
}
