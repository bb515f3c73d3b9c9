//! Dependencies run one way, each framework has one home, and what the source cites is documented.

use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;

/// The modules from the ground up: each may use those of earlier lines, and those of its own line do not use one another.
const ORDER: &[&[&str]] = &[
    &["clock"],
    &["secret"],
    &["oauth"],
    &["config"],
    &["error"],
    &["audit"],
    &["metrics"],
    &["outbound"],
    &["traces"],
    &["store"],
    &["sealing"],
    &["jose"],
    &["server"],
    &["backup"],
    &["tokens", "accounts"],
    &["declared"],
    &["client_auth"],
    &["registration"],
    &["logout", "interaction", "grants"],
    &["web"],
    &["response_modes"],
    &["pages"],
    &["endpoints"],
    &["jobs"],
    &["routes"],
    &["fuzzing"],
    &["demo"],
    &["cli"],
    &["main"],
];

/// Used by one module alone, and using one alone.
const TELEMETRY: (&str, &str) = ("cli", "config");

/// What other crates than this one see.
const PUBLIC: &[&str] = &["cli", "clock", "config", "fuzzing", "jobs", "routes", "server"];

/// Everything that talks HTTP.
const WEB_AND_ABOVE: &[&str] = &["web", "response_modes", "pages", "endpoints", "routes", "fuzzing", "demo", "cli"];

/// Each framework, and the modules that may name it.
const HOMES: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("libsqlite3_sys", &["store"]),
    ("tower_sessions", &["store", "web"]),
    ("askama", &["pages", "response_modes", "demo"]),
    ("axum", WEB_AND_ABOVE),
    ("tower", WEB_AND_ABOVE),
    ("hyper", WEB_AND_ABOVE),
    ("hyper_util", WEB_AND_ABOVE),
    ("aws_lc_rs", &["secret", "jose"]),
    ("argon2", &["accounts", "server"]),
    ("reqwest", &["outbound"]),
    ("rustls", &["outbound"]),
    ("webpki_roots", &["outbound"]),
    // The demo's API verifies as any API would: it must not borrow from the server that it judges (decision 0017).
    ("jsonwebtoken", &["jose", "demo"]),
    ("confique", &["config"]),
    ("prometheus_client", &["metrics"]),
    ("opentelemetry", &["traces"]),
    ("opentelemetry_http", &["traces"]),
    ("opentelemetry_otlp", &["traces"]),
    ("opentelemetry_sdk", &["traces"]),
    ("clap", &["cli"]),
    ("flate2", &["backup"]),
    ("tracing_subscriber", &["telemetry", "config"]),
];

const LINES_OF_A_FILE: usize = 450;

/// A file of `src`.
struct Source {
    path: PathBuf,
    /// The folder or file right below `src`.
    module: String,
    /// How many `super` lead to the crate's root.
    depth: usize,
    text: String,
    /// The text without comments, string literals and test modules; lines stay where they are.
    code: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a regular expression")
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every file of `src` that is part of the program, test modules in files of their own left out.
static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(sources);

static LITERAL: LazyLock<Regex> = LazyLock::new(|| {
    // In this order: comments, raw strings, strings, characters (which lifetimes are not).
    const KINDS: &[&str] = &[
        r"//[^\n]*",
        r"/\*.*?\*/",
        r###"\bb?r##".*?"##"###,
        r##"\bb?r#".*?"#"##,
        r#"\bb?r"[^"]*""#,
        r#""(?:\\.|[^"\\])*""#,
        r"'(?:\\[^']+|\\'|[^'\\])'",
    ];
    regex(&format!("(?s){}", KINDS.join("|")))
});
static TEST_MODULE: LazyLock<Regex> = LazyLock::new(|| regex(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*mod \w+ \{"));
static CRATE: LazyLock<Regex> = LazyLock::new(|| regex(r"\$?\bcrate\s*::\s*"));

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut paths = Vec::new();
    rust_files(&src, &mut paths);
    paths.sort();
    let out_of_line = regex(r"#\[cfg\(test\)\]\s*mod (\w+);");
    let mut test_modules = Vec::new();
    for path in &paths {
        let text = fs::read_to_string(path).unwrap();
        let folder = if path.ends_with("mod.rs") { path.parent().unwrap().to_owned() } else { path.with_extension("") };
        test_modules.extend(out_of_line.captures_iter(&text).map(|found| folder.join(&found[1])));
    }
    let is_test = |path: &Path| test_modules.iter().any(|module| path.starts_with(module) || path == module.with_extension("rs"));
    let sources: Vec<Source> = paths.iter().filter(|path| !is_test(path)).map(|path| Source::read(&src, path)).collect();
    assert!(sources.len() > 80, "only {} files", sources.len());
    sources
}

impl Source {
    fn read(src: &Path, path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let path = path.strip_prefix(src).unwrap().to_owned();
        let module = path.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let is_folder = path.ends_with("mod.rs") || path.components().count() == 1;
        let depth = if path.components().count() == 1 { 1 } else { path.components().count() - usize::from(is_folder) };
        let code = without_test_modules(&without_comments_and_strings(&text));
        Self { path, module, depth, text, code }
    }

    fn line(&self, offset: usize) -> usize {
        self.code[..offset].matches('\n').count() + 1
    }

    /// The modules of this crate that the code names, each with where.
    fn uses(&self) -> Vec<(String, usize)> {
        let mut uses = Vec::new();
        for found in CRATE.find_iter(&self.code) {
            let rest = &self.code[found.end()..];
            let names = if rest.starts_with('{') { first_names(&rest[1..closing(rest, '{', '}')]) } else { vec![first_name(rest)] };
            uses.extend(names.into_iter().map(|name| (name, self.line(found.start()))));
        }
        uses
    }
}

/// The offset of the bracket that closes the one at the beginning.
fn closing(text: &str, open: char, close: char) -> usize {
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        if character == open {
            depth += 1;
        } else if character == close {
            depth -= 1;
            if depth == 0 {
                return at;
            }
        }
    }
    panic!("a bracket is not closed: {}", text.lines().next().unwrap_or_default());
}

fn first_name(path: &str) -> String {
    path.trim_start().chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

/// What stands first in each part of `a::b, c::{d, e}`.
fn first_names(list: &str) -> Vec<String> {
    let mut depth = 0;
    let parts = list.split(|character| {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        character == ',' && depth == 0
    });
    parts.map(first_name).filter(|name| !name.is_empty()).collect()
}

/// Blanks comments and the contents of literals.
fn without_comments_and_strings(text: &str) -> String {
    let mut code = text.to_owned();
    for found in LITERAL.find_iter(text) {
        blank(&mut code, found.range());
    }
    code
}

/// Blanks `#[cfg(test)] mod name { ... }`.
fn without_test_modules(code: &str) -> String {
    let mut without = code.to_owned();
    for found in TEST_MODULE.find_iter(code) {
        let body = found.end() - 1;
        let end = body + closing(&code[body..], '{', '}');
        blank(&mut without, found.start()..end + 1);
    }
    without
}

/// Replaces everything but line ends; as many bytes stay.
fn blank(text: &mut String, range: Range<usize>) {
    let blanks: String = text[range.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
    text.replace_range(range, &blanks);
}

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|line| line.contains(&module))
}

/// What is wrong, all at once.
#[track_caller]
fn assert_none(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n  {}", faults.join("\n  "));
}

#[test]
fn every_module_has_its_place_and_uses_only_what_stands_before_it() {
    let mut faults = Vec::new();
    for source in SOURCES.iter().filter(|source| source.module != "lib") {
        let module = source.module.as_str();
        let is_telemetry = module == "telemetry";
        if rank(module).is_none() && !is_telemetry {
            faults.push(format!("{} has no place in the order", source.path.display()));
        }
        for (used, line) in source.uses() {
            let is_allowed = used == module
                || match (used.as_str(), is_telemetry) {
                    ("telemetry", _) => module == TELEMETRY.0,
                    (used, true) => used == TELEMETRY.1,
                    (used, false) => rank(used).is_some_and(|used| Some(used) < rank(module)),
                };
            if !is_allowed {
                faults.push(format!("{}:{line}: {module} uses {used}", source.path.display()));
            }
        }
    }
    assert_none("Dependencies against the order of docs/architecture.md", &faults);
}

/// A relative path that leaves its module would hide from the test above.
#[test]
fn no_super_reaches_the_root_of_the_crate() {
    let chain = regex(r"\bsuper(?:\s*::\s*super)*\b");
    let mut faults = Vec::new();
    for source in SOURCES.iter() {
        for found in chain.find_iter(&source.code) {
            if found.as_str().matches("super").count() >= source.depth {
                faults.push(format!("{}:{}: {}", source.path.display(), source.line(found.start()), found.as_str()));
            }
        }
    }
    assert_none("Relative paths to other modules; begin them with crate::", &faults);
}

#[test]
fn each_framework_has_one_home() {
    let names: Vec<&str> = HOMES.iter().map(|(name, _)| *name).collect();
    let named = regex(&format!(r"(?m)(?:^|[^:\w])(?:::)?({})\s*(?:::|;|\bas\b)", names.join("|")));
    let mut faults = Vec::new();
    for source in SOURCES.iter() {
        for found in named.captures_iter(&source.code) {
            let (_, homes) = HOMES.iter().find(|(name, _)| *name == &found[1]).unwrap();
            if !homes.contains(&source.module.as_str()) {
                faults.push(format!("{}:{}: {}", source.path.display(), source.line(found.get(1).unwrap().start()), &found[1]));
            }
        }
    }
    assert_none("Frameworks away from home", &faults);
}

#[test]
fn the_map_in_lib_rs_lists_the_modules_in_their_order() {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let listed = regex(r"(?m)^(pub )?mod (\w+);");
    let modules: Vec<(bool, String)> = listed
        .captures_iter(&text)
        .map(|found| (found.get(1).is_some(), found[2].to_owned()))
        .filter(|(_, name)| name != "telemetry")
        .collect();
    let ranks: Vec<_> = modules.iter().map(|(_, name)| rank(name).unwrap_or_else(|| panic!("{name} has no place in the order"))).collect();
    assert!(ranks.is_sorted(), "out of order: {modules:?}");
    // `main` is the other crate.
    assert_eq!(modules.len(), ORDER.iter().map(|line| line.len()).sum::<usize>() - 1);
    let public: BTreeSet<&str> = modules.iter().filter(|(public, _)| *public).map(|(_, name)| name.as_str()).collect();
    assert_eq!(public, PUBLIC.iter().copied().collect());
}

#[test]
fn no_file_is_longer_than_a_reader_bears() {
    let mut paths = Vec::new();
    rust_files(&root().join("src"), &mut paths);
    let lines = |path: &Path| fs::read_to_string(path).unwrap().lines().count();
    let long: Vec<String> = paths
        .iter()
        .map(|path| (path, lines(path)))
        .filter(|(_, lines)| *lines > LINES_OF_A_FILE)
        .map(|(path, lines)| format!("{}: {lines}", path.display()))
        .collect();
    assert_none("Files to be split", &long);
}

/// A statement that a running node prepared must go on working when a migration adds a column.
#[test]
fn columns_are_named() {
    let all = regex(r"(?i)\bselect\s+(?:\w+\.)?\*|\breturning\s+\*");
    let mut faults = Vec::new();
    for source in SOURCES.iter().filter(|source| source.module == "store") {
        faults.extend(
            all.find_iter(&source.text)
                .map(|found| format!("{}:{}: {}", source.path.display(), source.line(found.start()), found.as_str())),
        );
    }
    assert_none("Statements that take whatever columns there are", &faults);
}

#[test]
fn every_module_says_in_its_first_line_what_it_is() {
    let silent: Vec<String> =
        SOURCES.iter().filter(|source| !source.text.starts_with("//! ")).map(|source| source.path.display().to_string()).collect();
    assert_none("Modules without a sentence", &silent);
}

#[test]
fn every_cited_rfc_has_a_row_in_the_documentation() {
    let specs = fs::read_to_string(root().join("docs/specs.md")).expect("docs/specs.md");
    let rfc = regex(r"RFC (\d{3,5})");
    let numbers = |text: &str| -> BTreeSet<String> { rfc.captures_iter(text).map(|found| found[1].to_owned()).collect() };
    let documented: BTreeSet<String> = specs.lines().filter(|line| line.starts_with(['|', '#'])).flat_map(numbers).collect();
    let mut missing = BTreeSet::new();
    for source in SOURCES.iter() {
        let cited = numbers(&source.text);
        missing.extend(cited.difference(&documented).map(|number| format!("RFC {number}, cited by src/{}", source.path.display())));
    }
    assert_none("Without a row in docs/specs.md", &missing.into_iter().collect::<Vec<_>>());
}

/// The scanner itself: what it must not see, and what it must.
#[test]
fn comments_literals_and_test_modules_are_no_code() {
    let text = "use crate::store::Store; // crate::comment\nconst A: &str = \"crate::text \\\" {\"; const B: char = '\"';\n\
        /* crate::block */ use crate::{clock::{Clock, Timestamp}, web};\n\
        #[cfg(test)]\nmod tests {\n    use crate::pages;\n}\nfn f<'a>(x: &'a str) { crate::jose::header(x) }\n";
    let code = without_test_modules(&without_comments_and_strings(text));
    let source = Source { path: "x".into(), module: "x".to_owned(), depth: 1, text: text.to_owned(), code };
    let uses: Vec<(String, usize)> = source.uses();
    let expected = [("store", 1), ("clock", 3), ("web", 3), ("jose", 8)].map(|(name, line)| (name.to_owned(), line));
    assert_eq!(uses, expected);
}
