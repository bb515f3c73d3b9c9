//! Who may say something, and who is heard: flags, then the environment, then `.env`, then the file.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    database_url,
    declared::{self, Included},
    mistakes::{Mistake, Mistakes, nearest},
    settings::Leaf,
};

const PREFIX: &str = "GRANTOR_";
const FILE_VARIABLE: &str = "GRANTOR_CONFIG";
const DEFAULT_FILE: &str = "grantor.toml";
/// What platforms set; heard where nobody says `GRANTOR_DATABASE_URL`.
const DATABASE_URL: &str = "DATABASE_URL";
/// What a file holds beside settings.
const DECLARATIONS: [&str; 3] = [declared::CLIENTS, declared::PEOPLE, declared::RESOURCES];

/// What the command line says.
#[derive(Clone, Default)]
pub struct Flags {
    /// `--config`: the file to read instead of `grantor.toml`.
    pub config: Option<PathBuf>,
    values: BTreeMap<&'static str, String>,
}

impl Flags {
    /// Flags that say nothing but where the file is.
    pub fn new(config: Option<PathBuf>) -> Self {
        Self { config, values: BTreeMap::new() }
    }

    /// With the value of the flag of `key`: `set("data_dir", ...)` is what `--data-dir` said.
    #[must_use]
    pub fn set(mut self, key: &'static str, value: Option<String>) -> Self {
        self.values.extend(value.map(|value| (key, value)));
        self
    }
}

/// All that is said about the configuration, by whom.
#[derive(Clone, Default)]
pub struct Sources {
    pub flags: Flags,
    pub environment: BTreeMap<String, String>,
    /// The variables of the `.env` file.
    pub dotenv: BTreeMap<String, String>,
    /// The name and the text of the TOML file.
    pub file: Option<(PathBuf, String)>,
    /// The files that its `include` names.
    pub included: Vec<Included>,
    /// What is there and could not be read.
    pub unreadable: Mistakes,
}

/// Who said it. The earlier is heard first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Flag,
    Environment,
    DotEnv,
    DatabaseUrl,
    File,
}

/// What is said about one setting by the first who is heard.
#[derive(Clone)]
pub(super) struct Given {
    pub leaf: Leaf,
    pub value: toml::Value,
    pub rank: Rank,
    pub origin: String,
}

impl Given {
    /// The value without its secret.
    pub fn shown(&self) -> toml::Value {
        match (self.leaf.field.name, self.value.as_str()) {
            ("database_url", Some(text)) => database_url::masked(text).into(),
            ("database_url" | "master_key" | "master_key_previous", _) => "***".into(),
            // Where there is a name, there may be a password.
            (_, Some(text)) if text.contains("://") && text.contains('@') => "***".into(),
            _ => self.value.clone(),
        }
    }

    /// One more file has a part of it.
    fn is_also_in(&mut self, file: &str) {
        if !self.origin.split(", ").any(|known| known == file) {
            self.origin = [self.origin.as_str(), file].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        }
    }

    /// What is to change about it.
    pub fn mistake(&self, remedy: impl Into<String>) -> Mistake {
        Mistake { key: self.leaf.key(), origin: Some(self.origin.clone()), value: Some(self.shown().to_string()), remedy: remedy.into() }
    }
}

impl Sources {
    /// Reads the process environment, and `.env` and the file in the working directory.
    pub fn read(flags: Flags) -> Self {
        Self::read_in(Path::new(""), env::vars_os(), flags)
    }

    pub(super) fn read_in(directory: &Path, variables: impl Iterator<Item = (OsString, OsString)>, flags: Flags) -> Self {
        let mut sources = Self { flags, ..Self::default() };
        for (name, value) in variables {
            let Ok(name) = name.into_string() else { continue };
            if !name.starts_with(PREFIX) && name != DATABASE_URL {
                continue;
            }
            match value.into_string() {
                Ok(value) => drop(sources.environment.insert(name, value)),
                Err(_) => sources.refuse(name, "the environment", "is not valid UTF-8"),
            }
        }
        sources.read_dotenv(directory);
        sources.read_file(directory);
        sources
    }

    fn read_dotenv(&mut self, directory: &Path) {
        let text = match fs::read_to_string(directory.join(".env")) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.refuse(".env", "the working directory", format!("cannot be read: {error}")),
        };
        for variable in dotenvy::from_read_iter(text.trim_start_matches('\u{feff}').as_bytes()) {
            match variable {
                Ok((name, value)) => drop(self.dotenv.entry(name).or_insert(value)),
                // The error would quote the line, and the line may hold a secret.
                Err(_) => {
                    return self.refuse(".env", "the working directory", "has a line that is not NAME=value; quote values with spaces");
                }
            }
        }
    }

    fn read_file(&mut self, directory: &Path) {
        let variable =
            |variables: &BTreeMap<String, String>| variables.get(FILE_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        let (path, named_by) = if let Some(path) = self.flags.config.clone() {
            (path, Some("--config"))
        } else if let Some(path) = variable(&self.environment) {
            (path, Some("GRANTOR_CONFIG in the environment"))
        } else if let Some(path) = variable(&self.dotenv) {
            (path, Some("GRANTOR_CONFIG in .env"))
        } else {
            (PathBuf::from(DEFAULT_FILE), None)
        };
        match (fs::read_to_string(directory.join(&path)), named_by) {
            (Ok(text), _) => {
                self.included = declared::read_included(directory, &path, &text, &mut self.unreadable);
                self.file = Some((path, text));
            }
            (Err(error), None) if error.kind() == io::ErrorKind::NotFound => {}
            (Err(error), named_by) => {
                let origin = named_by.unwrap_or("the working directory");
                self.refuse(path.display().to_string(), origin, format!("the configuration file cannot be read: {error}"));
            }
        }
    }

    fn refuse(&mut self, key: impl Into<String>, origin: &str, remedy: impl Into<String>) {
        self.unreadable.push(Mistake { key: key.into(), origin: Some(origin.to_owned()), value: None, remedy: remedy.into() });
    }

    /// What is said about each setting by the first who is heard, and what was said about none.
    pub(super) fn heard(self) -> (BTreeMap<String, Given>, Mistakes) {
        let mut hearing = Hearing { given: BTreeMap::new(), entries: BTreeMap::new(), mistakes: self.unreadable };
        for (key, text) in self.flags.values {
            let origin = format!("--{}", key.replace('_', "-"));
            match Leaf::all().find(|leaf| leaf.key() == key) {
                Some(leaf) => hearing.take(leaf, from_text(leaf, text), Rank::Flag, origin),
                None => hearing.unknown(key, &origin, &known_keys()),
            }
        }
        hearing.variables(&self.environment, Rank::Environment, "the environment");
        hearing.variables(&self.dotenv, Rank::DotEnv, ".env");
        hearing.platform_variable(&self.environment, "the environment");
        hearing.platform_variable(&self.dotenv, ".env");
        if let Some((path, text)) = self.file {
            hearing.file(&path, &text);
        }
        for file in &self.included {
            hearing.included(file);
        }
        (hearing.given, hearing.mistakes)
    }
}

struct Hearing {
    given: BTreeMap<String, Given>,
    /// Where each entry of a table such as `[scopes]` stands.
    entries: BTreeMap<String, String>,
    mistakes: Mistakes,
}

impl Hearing {
    fn take(&mut self, leaf: Leaf, value: toml::Value, rank: Rank, origin: String) {
        if let Entry::Vacant(entry) = self.given.entry(leaf.key()) {
            entry.insert(Given { leaf, value, rank, origin });
        }
    }

    fn variables(&mut self, variables: &BTreeMap<String, String>, rank: Rank, place: &str) {
        for (name, text) in variables {
            if text.is_empty() || name == FILE_VARIABLE || !name.starts_with(PREFIX) {
                continue;
            }
            match Leaf::all().find(|leaf| leaf.variable() == *name) {
                Some(leaf) if leaf.is_map() => {
                    self.refuse(name, place, format!("can only be given in the file, as [{}]", leaf.key()));
                }
                Some(leaf) => self.take(leaf, from_text(leaf, text.clone()), rank, format!("{name} in {place}")),
                None if is_service_link(name, text) => {
                    self.refuse(name, place, "is what Kubernetes makes of a service: say enableServiceLinks: false in the spec of the pod");
                }
                None => self.unknown(name, place, &known_variables()),
            }
        }
    }

    fn platform_variable(&mut self, variables: &BTreeMap<String, String>, place: &str) {
        let leaf = Leaf::all().find(|leaf| leaf.key() == "database_url");
        if let Some((leaf, text)) = leaf.zip(variables.get(DATABASE_URL).filter(|text| !text.is_empty())) {
            self.take(leaf, from_text(leaf, text.clone()), Rank::DatabaseUrl, format!("{DATABASE_URL} in {place}"));
        }
    }

    fn file(&mut self, path: &Path, text: &str) {
        let name = path.display().to_string();
        for (key, value) in self.table(&name, text) {
            let is_section = Leaf::sections().any(|section| section == key);
            match value {
                toml::Value::Table(section) if is_section => {
                    for (inner, value) in section {
                        self.file_value(&name, &format!("{key}.{inner}"), value);
                    }
                }
                _ if is_section => self.refuse(&key, &name, format!("is a section: write its settings below [{key}]")),
                _ if DECLARATIONS.contains(&key.as_str()) || key == declared::INCLUDE => {}
                value => {
                    if let (toml::Value::Table(entries), true) = (&value, is_map(&key)) {
                        let place = |entry: &String| declared::place_of_entry(path, text, &key, entry);
                        self.entries.extend(entries.keys().map(|entry| (format!("{key}.{entry}"), place(entry))));
                    }
                    self.file_value(&name, &key, value);
                }
            }
        }
    }

    /// A file that the configuration file includes: declarations, and entries of tables such as `[scopes]`.
    fn included(&mut self, file: &Included) {
        let name = file.path.display().to_string();
        let allowed: Vec<String> = Leaf::all().filter(|leaf| leaf.is_map()).map(Leaf::key).chain(DECLARATIONS.map(str::to_owned)).collect();
        for (key, value) in self.table(&name, &file.text) {
            match (Leaf::all().find(|leaf| leaf.is_map() && leaf.key() == key), value) {
                (Some(leaf), toml::Value::Table(entries)) => self.join(leaf, entries, file),
                (Some(_), _) => self.refuse(&key, &name, format!("must be a table: [{key}]")),
                (None, _) if DECLARATIONS.contains(&key.as_str()) => {}
                (None, _) if known_keys().contains(&key) => {
                    self.refuse(&key, &name, "belongs in the configuration file itself, not in a file that it includes");
                }
                (None, _) => self.unknown(&key, &name, &allowed),
            }
        }
    }

    /// Adds entries to those that are there. The same one in two places is a mistake, also with the same value.
    fn join(&mut self, leaf: Leaf, entries: toml::Table, file: &Included) {
        let key = leaf.key();
        for (entry, value) in entries {
            let (whole, place) = (format!("{key}.{entry}"), declared::place_of_entry(&file.path, &file.text, &key, &entry));
            if let Some(first) = self.entries.get(&whole) {
                let remedy = format!("is declared in {first}, too: remove one of the two");
                self.mistakes.push(Mistake::at(&whole, place, remedy));
                continue;
            }
            self.entries.insert(whole, place);
            let said = self.given.entry(key.clone()).or_insert_with(|| Given {
                leaf,
                value: toml::Table::new().into(),
                rank: Rank::File,
                origin: String::new(),
            });
            said.is_also_in(&file.path.display().to_string());
            if let toml::Value::Table(all) = &mut said.value {
                all.insert(entry, value);
            }
        }
    }

    /// A file as a table; an empty one if it is not TOML, which is told.
    fn table(&mut self, name: &str, text: &str) -> toml::Table {
        toml::from_str(text).unwrap_or_else(|error: toml::de::Error| {
            // Not the error's own text: it quotes the line, and the line may hold a secret.
            let line = error.span().map_or(1, |span| 1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count());
            self.refuse(name, &format!("line {line}"), format!("is not TOML: {}", error.message()));
            toml::Table::new()
        })
    }

    fn file_value(&mut self, file: &str, key: &str, value: toml::Value) {
        match Leaf::all().find(|leaf| leaf.key() == key) {
            Some(leaf) => self.take(leaf, value, Rank::File, file.to_owned()),
            None => self.unknown(key, file, &known_keys()),
        }
    }

    fn unknown(&mut self, key: &str, origin: &str, known: &[String]) {
        let remedy = match nearest(key, known) {
            Some(meant) => format!("is not a setting: did you mean {meant}?"),
            None => "is not a setting: see docs/configuration.md, or remove it".to_owned(),
        };
        self.refuse(key, origin, remedy);
    }

    fn refuse(&mut self, key: &str, origin: &str, remedy: impl Into<String>) {
        self.mistakes.push(Mistake { key: key.to_owned(), origin: Some(origin.to_owned()), value: None, remedy: remedy.into() });
    }
}

fn known_keys() -> Vec<String> {
    let others = DECLARATIONS.into_iter().chain([declared::INCLUDE]);
    Leaf::all().map(Leaf::key).chain(Leaf::sections().chain(others).map(str::to_owned)).collect()
}

/// Whether a key of the file is a table of names that the operator chooses.
fn is_map(key: &str) -> bool {
    Leaf::all().any(|leaf| leaf.is_map() && leaf.key() == key)
}

fn known_variables() -> Vec<String> {
    Leaf::all().filter(|leaf| !leaf.is_map()).map(Leaf::variable).chain([FILE_VARIABLE.to_owned()]).collect()
}

/// Whether Kubernetes made it, because a service is called `grantor` or the like: `GRANTOR_SERVICE_HOST`, `GRANTOR_PORT_80_TCP_ADDR`.
fn is_service_link(name: &str, text: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.starts_with(scheme));
    let is_part = |protocol: &str| {
        let (before, _) = name.rsplit_once(protocol)?;
        let (_, port) = before.rsplit_once("_PORT_")?;
        port.parse::<u16>().ok()
    };
    let is_part = ["_TCP", "_UDP", "_SCTP"].into_iter().any(|protocol| is_part(protocol).is_some());
    name.contains("_PORT") && (is_address || is_part) || name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT")
}

/// A text with the type of the default, so that a number from the environment is shown as one.
fn from_text(leaf: Leaf, text: String) -> toml::Value {
    let trimmed = text.trim();
    match leaf.default() {
        Some(toml::Value::Integer(_)) => trimmed.parse().map(toml::Value::Integer).ok(),
        Some(toml::Value::Boolean(_)) => trimmed.parse().map(toml::Value::Boolean).ok(),
        _ => None,
    }
    .unwrap_or(toml::Value::String(text))
}
