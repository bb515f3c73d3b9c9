//! `docs/security.md` is true as far as tests can tell: each of its lines names tests, and the tests and files that it names exist.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

/// How a line says that nothing of this program can see to it.
const YOURS: &str = "yours";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The page.
pub fn document() -> String {
    fs::read_to_string(root().join("docs/security.md")).unwrap()
}

/// A table of the page, its cells by the names of their columns.
pub struct Table {
    /// The heading above it.
    pub heading: String,
    pub columns: Vec<String>,
    pub rows: Vec<BTreeMap<String, String>>,
}

impl Table {
    fn all(document: &str) -> Vec<Self> {
        let mut tables: Vec<Self> = Vec::new();
        let (mut heading, mut is_inside) = (String::new(), false);
        for line in document.lines() {
            if let Some(text) = line.strip_prefix('#') {
                heading = format!("#{text}");
            }
            let Some(row) = line.strip_prefix('|').and_then(|row| row.strip_suffix('|')) else {
                is_inside = false;
                continue;
            };
            let cells: Vec<String> = row.split('|').map(|cell| cell.trim().to_owned()).collect();
            if !is_inside {
                tables.push(Self { heading: heading.clone(), columns: cells, rows: Vec::new() });
                is_inside = true;
            } else if !cells.iter().all(|cell| cell.chars().all(|character| character == '-')) {
                let table = tables.last_mut().unwrap();
                assert_eq!(cells.len(), table.columns.len(), "docs/security.md: the row '{}' has another number of cells", cells[0]);
                table.rows.push(table.columns.iter().cloned().zip(cells).collect());
            }
        }
        tables
    }

    /// The table below a heading.
    pub fn under(document: &str, heading: &str) -> Self {
        let table = Self::all(document).into_iter().find(|table| table.heading == heading);
        table.unwrap_or_else(|| panic!("docs/security.md has no table below '{heading}'"))
    }
}

fn quoted(cell: &str) -> Vec<String> {
    Regex::new("`([^`]+)`").unwrap().captures_iter(cell).map(|found| found[1].to_owned()).collect()
}

/// Where a module of `tests/it`, or a file below `src`, is.
fn file_of(module: &str) -> PathBuf {
    if Path::new(module).extension().is_some_and(|extension| extension == "rs") {
        return root().join("src").join(module);
    }
    root().join("tests/it").join(format!("{module}.rs"))
}

/// Whether the text has a test of this name: with its attribute, or in one of the macros that run it on databases.
fn has_test(text: &str, function: &str) -> bool {
    let by_attribute = format!(r"#\[(?:tokio::)?test\]\s*(?:(?:#\[[^\n]*\]|///?[^\n]*)\s*)*(?:async )?fn {function}\(");
    let by_macro = format!(r"async fn {function}\(\w+[,)]");
    [by_attribute, by_macro].iter().any(|pattern| Regex::new(pattern).unwrap().is_match(text))
}

/// What is wrong with the name of a test.
pub fn fault_of(name: &str) -> Option<String> {
    let Some((module, function)) = name.split_once("::") else {
        return Some(format!("names `{name}` as a whole: name the functions that prove it, each as `module::function`"));
    };
    let file = file_of(module);
    match fs::read_to_string(&file) {
        Err(_) => Some(format!("names `{name}`, but there is no file {}", file.strip_prefix(root()).unwrap().display())),
        Ok(text) if !has_test(&text, function) => Some(format!("names `{name}`, but {module} has no test of this name")),
        Ok(_) => None,
    }
}

/// How the column is written, for whoever adds a row.
const REMEDY: &str = "The column 'tests' of docs/security.md names each test that fails when the line is no longer true: \
                      `module::function` of tests/it, `folder/file.rs::function` of a unit test below src.";

#[test]
fn every_line_names_tests_that_exist() {
    let mut faults = Vec::new();
    for table in Table::all(&document()) {
        if table.heading == "## Audit events" {
            // audit_events::every_event_of_the_table_is_written_in_its_situation reads it.
            continue;
        }
        if !table.columns.iter().any(|column| column == "tests") {
            faults.push(format!("the table below '{}' has no column 'tests'", table.heading));
            continue;
        }
        for row in table.rows {
            let first = &row[&table.columns[0]];
            let cell = &row["tests"];
            let names = quoted(cell);
            let can_be_yours = !table.columns.iter().any(|column| column == "file");
            if names.is_empty() && (cell != YOURS || !can_be_yours) {
                faults.push(format!("'{first}' names no test"));
            }
            faults.extend(names.iter().filter_map(|name| fault_of(name)).map(|fault| format!("'{first}' {fault}")));
        }
    }
    assert!(faults.is_empty(), "{REMEDY}\n  {}", faults.join("\n  "));
}

/// Also those that stand between the tables.
#[test]
fn every_test_that_is_named_anywhere_exists() {
    let names = quoted(&document())
        .into_iter()
        .filter(|name| name.contains("::") && !name.starts_with("module::") && !name.contains(".rs::function"));
    let faults: Vec<String> = names.filter_map(|name| fault_of(&name)).collect();
    assert!(faults.is_empty(), "{REMEDY}\n  {}", faults.join("\n  "));
}

#[test]
fn every_file_that_is_named_exists() {
    for table in Table::all(&document()) {
        for row in table.rows.iter().filter_map(|row| row.get("file")) {
            for name in quoted(row) {
                let path = root().join("src").join(name.split(':').next().unwrap());
                assert!(path.exists(), "docs/security.md names the file `{name}`, which is not below src");
            }
        }
    }
}

/// The control of the checks above.
#[test]
fn a_row_without_a_test_would_be_found() {
    assert!(fault_of("rfc7636_pkce").unwrap().contains("as a whole"));
    assert!(fault_of("rfc7636_pkce::nothing_of_the_kind").unwrap().contains("no test of this name"));
    assert!(fault_of("rfc0000::a_sentence").unwrap().contains("no file tests/it/rfc0000.rs"));
    assert!(fault_of("oauth/nowhere.rs::a_sentence").unwrap().contains("no file src/oauth/nowhere.rs"));
    assert!(fault_of("security_md::has_test").is_some(), "a function that is no test");
    for name in [
        "security_md::every_file_that_is_named_exists",
        "oauth/pkce.rs::the_example_of_the_rfc_matches",
        "rfc7636_pkce::any_method_but_s256_is_refused",
    ] {
        assert_eq!(fault_of(name), None);
    }
}

/// SQL injection: the type that lets a statement be put together at run time is used by tests, and by the statements for any table
/// of backups and copies: their names are of a list, or have no character but those of names.
#[test]
fn no_statement_is_put_together_at_run_time() {
    let of_any_table = root().join("src/store/transfer/tables.rs");
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let program = text.split("#[cfg(test)]").next().unwrap();
            assert!(!program.contains("AssertSqlSafe") || path == of_any_table, "{}", path.display());
        }
    }
}
