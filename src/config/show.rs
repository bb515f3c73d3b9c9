//! The configuration as it is in effect, as TOML.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{settings::Leaf, sources::Given};

const DEFAULT: &str = "default";

/// The value of each setting without its secrets, and where it comes from. A setting that nobody gave and that
/// has no default is absent.
#[derive(Clone, Debug)]
pub(super) struct Effective(BTreeMap<String, (toml::Value, String)>);

impl Effective {
    pub fn of(given: &BTreeMap<String, Given>) -> Self {
        let defaults = Leaf::all().filter_map(|leaf| Some((leaf.key(), (leaf.default()?, DEFAULT.to_owned()))));
        let said = given.iter().map(|(key, given)| (key.clone(), (given.shown(), given.origin.clone())));
        Self(defaults.chain(said).collect())
    }

    /// A default that follows from other settings, if nobody said otherwise.
    pub fn follows(&mut self, key: &str, value: impl Into<toml::Value>, from: &str) {
        self.0.entry(key.to_owned()).or_insert_with(|| (value.into(), format!("{DEFAULT}, from {from}")));
    }

    /// A default that gives way to another setting and takes its value.
    pub fn gave_way(&mut self, key: &str, to: &str) {
        if let Some((value, _)) = self.0.get(to).cloned() {
            self.0.insert(key.to_owned(), (value, format!("{DEFAULT}, at most {to}")));
        }
    }

    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut section = None;
        let (maps, leaves): (Vec<_>, Vec<_>) = Leaf::all().partition(|leaf| leaf.is_map());
        for leaf in leaves {
            let Some((value, origin)) = self.0.get(&leaf.key()) else { continue };
            if leaf.section != section {
                section = leaf.section;
                line(&mut text, format_args!("\n[{}]", section.unwrap_or_default()));
            }
            line(&mut text, format_args!("{} = {value}  # {origin}", leaf.field.name));
        }
        for leaf in maps {
            let Some((toml::Value::Table(entries), origin)) = self.0.get(&leaf.key()) else { continue };
            line(&mut text, format_args!("\n[{}]  # {origin}", leaf.key()));
            // A table of one entry spells its key as TOML wants it.
            for entry in entries {
                let table = toml::Table::from_iter([(entry.0.clone(), entry.1.clone())]);
                line(&mut text, format_args!("{}", table.to_string().trim_end()));
            }
        }
        text
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a String cannot fail");
}
