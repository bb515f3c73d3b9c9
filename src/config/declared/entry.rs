//! One `[[clients]]`, `[[people]]` or `[[resources]]` table while it is read: typed values, and mistakes with their place.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    super::mistakes::{Mistake, Mistakes, nearest},
    CLIENTS,
    document::Document,
};
use crate::oauth::registration;

/// The keys of a kind of table, each with its meaning for `docs/configuration.md`. The first one names the thing.
pub(in crate::config) type Keys = &'static [(&'static str, &'static str)];

pub(super) struct Entry<'a> {
    pub document: &'a Document<'a>,
    kind: &'static str,
    /// What it calls itself, or its number.
    name: String,
    begins_at: usize,
    values: BTreeMap<&'a str, (&'a DeValue<'a>, usize)>,
    mistakes: Vec<Mistake>,
}

impl<'a> Entry<'a> {
    /// A table that is the `number`th of its kind in its file. Whatever has another key than these is a mistake.
    pub fn begin(
        document: &'a Document<'a>,
        kind: &'static str,
        keys: Keys,
        number: usize,
        table: &'a Spanned<DeValue<'a>>,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let begins_at = table.span().start;
        let Some(content) = table.get_ref().as_table() else {
            let place = document.place(begins_at);
            mistakes.push(Mistake::at(kind, place, format!("must be written as tables, each below [[{kind}]]")));
            return None;
        };
        let named = content.get(keys[0].0).and_then(|name| name.get_ref().as_str());
        let name = named.map_or_else(|| number.to_string(), quoted);
        let mut entry = Self { document, kind, name, begins_at, values: by_key(content), mistakes: Vec::new() };
        entry.refuse_unknown(keys);
        if !content.contains_key(keys[0].0) {
            entry.mistake(keys[0].0, None, "must be given: it says which one is meant");
        }
        Some(entry)
    }

    /// Where a key is, or where the table begins.
    pub fn place(&self, key: &str) -> String {
        self.document.place(self.values.get(key).map_or(self.begins_at, |(_, at)| *at))
    }

    /// Adds a mistake about a key. `value` is what was said, unless it could be a secret.
    pub fn mistake(&mut self, key: &str, value: Option<&str>, remedy: impl Into<String>) {
        let at = self.place(key);
        let value = value.map(|text| format!("{text:?}"));
        self.mistakes.push(Mistake { value, ..Mistake::at(&format!("{}.{}.{key}", self.kind, self.name), at, remedy) });
    }

    /// Adds a mistake about the whole.
    pub fn contradiction(&mut self, remedy: impl Into<String>) {
        let at = self.document.place(self.begins_at);
        self.mistakes.push(Mistake::at(&format!("{}.{}", self.kind, self.name), at, remedy));
    }

    /// Whether nothing was wrong so far.
    pub fn is_right(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// Tells what is wrong.
    pub fn finish(self, mistakes: &mut Mistakes) {
        self.mistakes.into_iter().for_each(|mistake| mistakes.push(mistake));
    }

    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// A text, if it is one, whether or not it is right.
    pub fn peek(&self, key: &str) -> Option<&'a str> {
        self.values.get(key).and_then(|(value, _)| value.as_str())
    }

    pub fn text(&mut self, key: &str) -> Option<&'a str> {
        let (value, _) = self.values.get(key)?;
        let text = value.as_str();
        if text.is_none() {
            self.mistake(key, None, "must be a text in quotes");
        }
        text
    }

    pub fn flag(&mut self, key: &str) -> Option<bool> {
        let (value, _) = self.values.get(key)?;
        let flag = value.as_bool();
        if flag.is_none() {
            self.mistake(key, None, "must be true or false, without quotes");
        }
        flag
    }

    /// A table as JSON. Dates and times become texts.
    pub fn table(&mut self, key: &str) -> Option<Map<String, Value>> {
        let (value, _) = *self.values.get(key)?;
        let table = match json(value) {
            Some(Value::Object(table)) => Some(table),
            _ => None,
        };
        if table.is_none() {
            self.mistake(key, None, "must be a table of values that JSON has: { name = \"value\", another = 1 }");
        }
        table
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &str) -> Option<Vec<&'a str>> {
        let (value, _) = *self.values.get(key)?;
        let texts = value.as_array().and_then(|items| items.iter().map(|item| item.get_ref().as_str()).collect());
        if texts.is_none() {
            self.mistake(key, None, "must be a list of texts: [\"one\", \"another\"]");
        }
        texts
    }

    /// One text or a list of them.
    pub fn text_or_texts(&mut self, key: &str) -> Option<Vec<&'a str>> {
        match self.values.get(key)?.0.as_str() {
            Some(text) => Some(vec![text]),
            None => self.texts(key),
        }
    }

    /// A text that has a form of its own.
    pub fn parsed<T, E: fmt::Display>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        let text = self.text(key)?;
        parse(text).map_err(|why| self.mistake(key, Some(text), why.to_string())).ok()
    }

    /// A list of texts that have a form of their own; every wrong one is told.
    pub fn each<T, E: fmt::Display>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<Vec<T>> {
        let texts = self.texts(key)?;
        let mut parsed = Vec::new();
        for text in texts {
            match parse(text) {
                Ok(value) => parsed.push(value),
                Err(why) => self.mistake(key, Some(text), why.to_string()),
            }
        }
        Some(parsed)
    }

    /// The values of these keys, and of those in other languages, as the JSON that a client would register.
    pub fn document(&mut self, keys: impl Iterator<Item = &'static str>) -> Map<String, Value> {
        let wanted: Vec<&str> = keys.collect();
        let given = self.values.iter().filter(|(key, _)| wanted.contains(key) || registration::is_localized(key));
        let read: Vec<(&str, Option<Value>)> = given.map(|(key, (value, _))| (*key, json(value))).collect();
        let mut document = Map::new();
        for (key, value) in read {
            match value {
                Some(value) => drop(document.insert(key.to_owned(), value)),
                None => self.mistake(key, None, "must be a number that JSON has"),
            }
        }
        document
    }

    fn refuse_unknown(&mut self, keys: Keys) {
        let known: Vec<String> = keys.iter().map(|(key, _)| (*key).to_owned()).collect();
        let is_known = |key: &str| known.iter().any(|known| known == key) || (self.kind == CLIENTS && registration::is_localized(key));
        let unknown: Vec<&str> = self.values.keys().copied().filter(|key| !is_known(key)).collect();
        for key in unknown {
            let remedy = match (key, nearest(key, &known)) {
                ("client_secret", _) => {
                    "must not stand in this file: keep it in a file of its own and name that as client_secret_file, or give \
                     client_secret_sha256; make one with `openssl rand -base64 32`"
                        .to_owned()
                }
                ("password", _) => {
                    "must not stand in this file: keep it in a file of its own and name that as password_file, or give password_hash"
                        .to_owned()
                }
                (_, Some(meant)) => format!("is not known here: did you mean {meant}?"),
                (_, None) => format!("is not known here: see [[{}]] in docs/configuration.md, or remove it", self.kind),
            };
            self.mistake(key, None, remedy);
        }
    }
}

fn by_key<'a>(table: &'a DeTable<'a>) -> BTreeMap<&'a str, (&'a DeValue<'a>, usize)> {
    table.iter().map(|(key, value)| (key.get_ref().as_ref(), (value.get_ref(), key.span().start))).collect()
}

/// `None` for a number that JSON does not have.
fn json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok()?.into(),
        DeValue::Float(float) => serde_json::Number::from_f64(float.as_str().parse().ok()?)?.into(),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Datetime(datetime) => datetime.to_string().into(),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect::<Option<Vec<_>>>()?.into(),
        DeValue::Table(table) => {
            let members = table.iter().map(|(name, value)| Some((name.get_ref().to_string(), json(value.get_ref())?)));
            Value::Object(members.collect::<Option<Map<_, _>>>()?)
        }
    })
}

/// As TOML writes a key.
fn quoted(name: &str) -> String {
    let is_bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_bare { name.to_owned() } else { format!("{name:?}") }
}
