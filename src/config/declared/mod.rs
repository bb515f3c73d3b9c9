//! What a file declares beside the settings: clients, people and resources, and which roles there are.

mod client;
mod document;
mod entry;
mod include;
mod person;
mod phc;
mod resource;
mod roles;

use std::{
    collections::{BTreeMap, btree_map::Entry as Slot},
    fmt::{self, Write as _},
    path::Path,
};

use toml::de::DeValue;

use self::{document::Document, entry::Entry};
use super::mistakes::{Mistake, Mistakes};
use crate::oauth::{Client, Email, Issuer, ProtectedResource, registration::Rules};

pub(super) use self::{
    client::KEYS as CLIENT_KEYS,
    document::place_of_entry,
    entry::Keys,
    include::{INCLUDE, read as read_included},
    person::KEYS as PERSON_KEYS,
    resource::KEYS as RESOURCE_KEYS,
    roles::{check as check_role, check_group, is_name as is_role},
};
pub use self::{
    document::Included,
    person::{DeclaredPerson, InitialPassword},
};

pub(super) const CLIENTS: &str = "clients";
pub(super) const PEOPLE: &str = "people";
pub(super) const RESOURCES: &str = "resources";

/// Everything that the configuration file and what it includes declare, without a mistake.
#[derive(Clone, Default)]
pub struct Declarations {
    /// Their `declared_in` names the file; their secrets are those that it gives, if it gives any.
    pub clients: Vec<Client>,
    pub people: Vec<DeclaredPerson>,
    pub resources: Vec<ProtectedResource>,
}

/// Counts alone: a debug output of the configuration needs no e-mail, and must have no hash.
impl fmt::Debug for Declarations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (clients, people, resources) = (self.clients.len(), self.people.len(), self.resources.len());
        write!(f, "Declarations({clients} clients, {people} people, {resources} resources)")
    }
}

impl Declarations {
    /// What the files declare; whatever is wrong is told.
    pub(super) fn read(
        main: Option<(&Path, &str)>,
        included: &[Included],
        known_roles: &BTreeMap<String, String>,
        issuer: Option<&Issuer>,
        mistakes: &mut Mistakes,
    ) -> Self {
        let main_name = main.and_then(|(path, _)| path.file_name()).map(|name| name.to_string_lossy().into_owned());
        let main = main.zip(main_name.as_deref()).and_then(|((path, text), name)| Document::parse(name, path, text));
        let included = included.iter().filter_map(|file| Document::parse(&file.name, &file.path, &file.text));
        let mut declarations = Self::default();
        let rules = Rules::of_operator(issuer.is_some_and(Issuer::is_loopback));
        // What was declared, and where.
        let (mut clients, mut people, mut resources) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for document in main.into_iter().chain(included) {
            entries(&document, CLIENTS, CLIENT_KEYS, mistakes, |entry| {
                let is_first = is_first(&mut clients, str::to_owned, entry, "client_id");
                declarations.clients.extend(client::read(entry, &rules).filter(|_| is_first));
            });
            entries(&document, PEOPLE, PERSON_KEYS, mistakes, |entry| {
                let key = |text: &str| Email::parse(text).map_or_else(|_| text.to_owned(), |email| email.key);
                let is_first = is_first(&mut people, key, entry, "email");
                declarations.people.extend(person::read(entry, known_roles).filter(|_| is_first));
            });
            entries(&document, RESOURCES, RESOURCE_KEYS, mistakes, |entry| {
                let is_first = is_first(&mut resources, str::to_owned, entry, "uri");
                declarations.resources.extend(resource::read(entry).filter(|_| is_first));
            });
        }
        declarations
    }

    /// Comments in TOML: what is declared, by name.
    pub(super) fn shown(&self) -> String {
        let mut text = String::new();
        let clients: Vec<&str> = self.clients.iter().map(|client| client.id.as_str()).collect();
        let people: Vec<&str> = self.people.iter().map(|person| person.email.typed.as_str()).collect();
        let resources: Vec<&str> = self.resources.iter().map(|resource| resource.uri.as_str()).collect();
        for (kind, names) in [(CLIENTS, clients), (PEOPLE, people), (RESOURCES, resources)] {
            if !names.is_empty() {
                writeln!(text, "\n# [[{kind}]]: {} declared: {}", names.len(), names.join(", ")).expect("writing to a String cannot fail");
            }
        }
        text
    }
}

/// Reads every table of a kind in a file.
fn entries(document: &Document<'_>, kind: &'static str, keys: Keys, mistakes: &mut Mistakes, mut read: impl FnMut(&mut Entry<'_>)) {
    let Some((key, declared)) = document.tree.get_key_value(kind) else { return };
    let DeValue::Array(tables) = declared.get_ref() else {
        let place = document.place(key.span().start);
        return mistakes.push(Mistake::at(kind, place, format!("must be written as tables, each below [[{kind}]]")));
    };
    for (index, table) in tables.iter().enumerate() {
        if let Some(mut entry) = Entry::begin(document, kind, keys, index + 1, table, mistakes) {
            read(&mut entry);
            entry.finish(mistakes);
        }
    }
}

/// Whether nobody declared this before; otherwise both places are told.
fn is_first(places: &mut BTreeMap<String, String>, normalised: impl Fn(&str) -> String, entry: &mut Entry<'_>, key: &str) -> bool {
    let Some(name) = entry.peek(key) else { return false };
    match places.entry(normalised(name)) {
        Slot::Vacant(slot) => {
            slot.insert(entry.place(key));
            true
        }
        Slot::Occupied(slot) => {
            entry.mistake(key, None, format!("is declared in {}, too: remove one of the two", slot.get()));
            false
        }
    }
}
