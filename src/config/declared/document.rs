//! The files that hold declarations, as text with places in it.

use std::path::{Path, PathBuf};

use toml::{Spanned, de::DeTable};

/// A file that `include` names.
#[derive(Clone)]
pub struct Included {
    /// As seen from the folder of the configuration file: the same on every node, wherever it was started.
    pub name: String,
    pub path: PathBuf,
    pub text: String,
}

/// A file as a tree that knows where everything stands.
pub(super) struct Document<'a> {
    pub name: &'a str,
    path: &'a Path,
    text: &'a str,
    pub tree: DeTable<'a>,
}

impl<'a> Document<'a> {
    /// `None` for what is not TOML, which is told elsewhere.
    pub fn parse(name: &'a str, path: &'a Path, text: &'a str) -> Option<Self> {
        Some(Self { name, path, text, tree: DeTable::parse(text).ok()?.into_inner() })
    }

    /// `clients.d/shop.toml, line 4`
    pub fn place(&self, at: usize) -> String {
        place(self.path, self.text, at)
    }

    /// A path that is written in this file, relative to its folder.
    pub fn beside(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }
}

/// Where a key of the file itself stands.
pub(super) fn place_of_key(path: &Path, text: &str, key: &str) -> String {
    let tree = DeTable::parse(text).map(Spanned::into_inner).unwrap_or_default();
    place(path, text, tree.get_key_value(key).map_or(0, |(key, _)| key.span().start))
}

/// Where the entry `key` of a table `[table]` stands.
pub(in crate::config) fn place_of_entry(path: &Path, text: &str, table: &str, key: &str) -> String {
    let tree = DeTable::parse(text).map(Spanned::into_inner).unwrap_or_default();
    let entry = tree.get(table).and_then(|table| table.get_ref().as_table()).and_then(|table| table.get_key_value(key));
    place(path, text, entry.map_or(0, |(key, _)| key.span().start))
}

fn place(path: &Path, text: &str, at: usize) -> String {
    format!("{}, line {}", path.display(), 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count())
}
