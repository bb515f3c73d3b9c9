//! Every text of the pages is a key in `locales/`, and templates hold structure alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// One call of `t!` or `sentence!`.
struct Use {
    file: PathBuf,
    macro_name: String,
    key: String,
    /// The values that it gives, `locale` included.
    arguments: BTreeSet<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a regular expression")
}

/// All files below `folder` with this extension, and their text.
fn files(folder: &str, extension: &str) -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let text = fs::read_to_string(&path).expect("a text file");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "no .{extension} in {folder}");
    found
}

/// The sample app of `grantor demo` has these keys and one language.
const OF_THE_DEMO: &str = "demo.";

/// The texts of each language by its tag, those of the sample app included.
pub fn languages() -> BTreeMap<String, BTreeMap<String, String>> {
    fn flatten(prefix: &str, table: &toml::Table, texts: &mut BTreeMap<String, String>) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match value {
                toml::Value::Table(table) => flatten(&key, table, texts),
                toml::Value::String(text) => {
                    texts.insert(key, text.clone());
                }
                other => panic!("{key} is not a text: {other}"),
            }
        }
    }
    let mut languages = BTreeMap::new();
    for (file, text) in files("locales", "toml") {
        let stem = file.file_stem().expect("a name").to_string_lossy();
        let tag = stem.rsplit('.').next().expect("a tag");
        flatten("", &text.parse().expect("TOML"), languages.entry(tag.to_owned()).or_default());
    }
    languages
}

/// The language that all others follow.
fn english() -> BTreeMap<String, String> {
    languages().remove("en").expect("English")
}

/// Where values go in a text.
fn places(text: &str) -> BTreeSet<String> {
    regex(r"%\{(\w+)\}").captures_iter(text).map(|found| found[1].to_owned()).collect()
}

fn uses() -> Vec<Use> {
    let call = regex(r#"\b(t|sentence)!\(\s*"([^"]*)""#);
    let argument = regex(r"(\w+)\s*=[^=]");
    let comment = regex(r"(?m)^\s*//.*$");
    let mut uses = Vec::new();
    for (file, text) in files("templates", "html").into_iter().chain(files("src", "rs")) {
        let text = comment.replace_all(&text, "");
        for captures in call.captures_iter(&text) {
            let all = captures.get(0).expect("the match");
            let rest = &text[all.end()..];
            let arguments = argument.captures_iter(&rest[..end_of_call(rest)]).map(|found| found[1].to_owned()).collect();
            uses.push(Use { file: file.clone(), macro_name: captures[1].to_owned(), key: captures[2].to_owned(), arguments });
        }
    }
    uses
}

/// Where the parenthesis closes that was opened before `rest`.
fn end_of_call(rest: &str) -> usize {
    let mut open = 1;
    for (at, c) in rest.char_indices() {
        match c {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return at;
        }
    }
    rest.len()
}

#[test]
fn every_key_that_is_used_has_a_text_and_every_text_is_used() {
    let used: BTreeSet<_> = uses().into_iter().map(|found| found.key).collect();
    let known: BTreeSet<_> = english().into_keys().collect();
    let missing: Vec<_> = used.difference(&known).collect();
    let unused: Vec<_> = known.difference(&used).collect();
    assert!(missing.is_empty(), "missing in locales/: {missing:?}");
    assert!(unused.is_empty(), "unused in locales/: {unused:?}");
}

#[test]
fn every_language_has_every_text_with_the_same_values() {
    let english: BTreeMap<_, _> = english().into_iter().filter(|(key, _)| !key.starts_with(OF_THE_DEMO)).collect();
    let languages = languages();
    assert!(languages.len() > 1, "a second language proves that no text is hard-coded");
    for (tag, mut texts) in languages {
        texts.retain(|key, _| !key.starts_with(OF_THE_DEMO));
        let keys = |texts: &BTreeMap<String, String>| texts.keys().cloned().collect::<BTreeSet<_>>();
        let missing: Vec<_> = keys(&english).difference(&keys(&texts)).cloned().collect();
        let unused: Vec<_> = keys(&texts).difference(&keys(&english)).cloned().collect();
        assert!(missing.is_empty() && unused.is_empty(), "locales/{tag}.toml: missing {missing:?}, unused {unused:?}");
        for (key, text) in &texts {
            assert_eq!(places(text), places(&english[key]), "{key} in locales/{tag}.toml");
            assert!(!text.trim().is_empty(), "{key} in locales/{tag}.toml is empty");
        }
        assert!(["ltr", "rtl"].contains(&texts["language.dir"].as_str()), "language.dir in locales/{tag}.toml");
    }
}

#[test]
fn every_use_gives_the_values_of_its_text_and_names_its_language() {
    let texts = english();
    for Use { file, macro_name, key, mut arguments } in uses() {
        let named = arguments.remove("locale");
        // `sentence!` cannot be called without, and the sample app has one language.
        let needless = macro_name == "sentence" || key.starts_with(OF_THE_DEMO);
        assert!(named || needless, "{key} in {}: the language is not named", file.display());
        let text = texts.get(&key).expect("a text for every key");
        assert_eq!(arguments, places(text), "{key} in {}", file.display());
    }
}

#[test]
fn templates_contain_no_prose() {
    let code = regex(r"(?s)\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}");
    let told = regex(r#"\b(?:alt|title|placeholder|aria-label|aria-description)="[^"]*\w[^"]*""#);
    // The words of the protocol are the same in every language.
    let protocol = regex(r"<code>[a-z_]+</code>");
    let tag = regex(r"(?s)<[^>]*>");
    for (file, template) in files("templates", "html") {
        let structure = code.replace_all(&template, "");
        assert!(!told.is_match(&structure), "{}: an attribute with prose", file.display());
        let structure = protocol.replace_all(&structure, "");
        let text = tag.replace_all(&structure, "");
        assert!(!text.contains(char::is_alphabetic), "{}: {}", file.display(), text.trim());
    }
}

/// The content security policy allows nothing inline, and `safe` would switch escaping off.
#[test]
fn templates_contain_nothing_inline_and_nothing_unescaped() {
    let forbidden =
        regex(r#"(?i)\bstyle\s*=|<style|\son[a-z]+\s*=|javascript:|<script(?:\s+defer)?\s*>|\|\s*safe\b|escape\s*=|askama\s*=\s*"txt""#);
    for (file, template) in files("templates", "html") {
        let found = forbidden.find(&template).map(|found| found.as_str());
        assert_eq!(found, None, "{}", file.display());
    }
}

/// A language that is written from right to left needs no other stylesheet.
#[test]
fn stylesheets_use_logical_properties() {
    let physical = regex(
        r"(?m)^\s*(?:(?:margin|padding|border|scroll-margin|scroll-padding)-(?:left|right|top|bottom)|left|right|top|bottom|(?:min-|max-)?(?:width|height)|text-align:\s*(?:left|right)|float)\b[^{\n]*;",
    );
    for (file, stylesheet) in files("static", "css") {
        let found = physical.find(&stylesheet).map(|found| found.as_str().trim());
        assert_eq!(found, None, "{}", file.display());
    }
}
