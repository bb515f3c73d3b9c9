//! What differs between files and store.

use std::fmt;

use serde::Serialize;

use super::step::Step;

/// What is to be done, or was.
#[derive(Default, Serialize)]
pub(crate) struct Plan {
    pub changes: Vec<Change>,
    /// How many are as the files declare them.
    pub unchanged: usize,
    /// What is left out, and why.
    pub refused: Vec<Told>,
    /// What a file declared once and none declares any more.
    pub no_longer_declared: Vec<Told>,
}

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Client,
    Person,
    Resource,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Person => "person",
            Self::Resource => "resource",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    Created,
    /// It was there, and is the file's from now on.
    Adopted,
    Updated,
    /// No longer declared.
    Disabled,
    /// No longer declared.
    Released,
}

impl Action {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Adopted => "adopted",
            Self::Updated => "updated",
            Self::Disabled => "disabled",
            Self::Released => "released",
        }
    }
}

/// What changes about one client, person or resource. It holds no secret.
#[derive(Serialize)]
pub(crate) struct Change {
    pub kind: Kind,
    /// A client's id, a person's e-mail, a resource's URI.
    pub name: String,
    pub action: Action,
    pub declared_in: String,
    pub fields: Vec<Field>,
    /// What the operator should know or do.
    pub notes: Vec<String>,
    #[serde(skip)]
    pub(super) steps: Vec<Step>,
}

/// What changes about one of its parts.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Field {
    pub name: &'static str,
    pub removed: Vec<String>,
    pub added: Vec<String>,
}

/// Something that is not done, and why or what it would take.
#[derive(Serialize)]
pub(crate) struct Told {
    pub kind: Kind,
    pub name: String,
    pub declared_in: String,
    pub reason: String,
}

/// The parts of a thing by name, each as a list of texts.
pub(super) type Parts = Vec<(&'static str, Vec<String>)>;

/// What differs between two of a kind.
pub(super) fn differences(before: &Parts, after: &Parts) -> Vec<Field> {
    let without =
        |these: &[String], others: &[String]| -> Vec<String> { these.iter().filter(|item| !others.contains(item)).cloned().collect() };
    before
        .iter()
        .zip(after)
        .filter(|((_, before), (_, after))| before != after)
        .map(|((name, before), (_, after))| match (without(before, after), without(after, before)) {
            // Only their order differs, or how often one is there.
            (removed, added) if removed.is_empty() && added.is_empty() => Field { name, removed: before.clone(), added: after.clone() },
            (removed, added) => Field { name, removed, added },
        })
        .collect()
}

/// What there is to tell of something new: what is not the default anyway.
pub(super) fn beside_defaults(default: &Parts, new: Parts) -> Vec<Field> {
    let differing = new.into_iter().zip(default).filter(|((_, new), (_, default))| new != default);
    differing.map(|((name, added), _)| Field { name, removed: Vec::new(), added }).collect()
}

pub(super) fn yes_or_no(holds: bool) -> Vec<String> {
    vec![if holds { "yes" } else { "no" }.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(before: &[&str], after: &[&str]) -> Option<(Vec<String>, Vec<String>)> {
        let parts = |items: &[&str]| vec![("part", items.iter().map(|item| (*item).to_owned()).collect())];
        differences(&parts(before), &parts(after)).pop().map(|field| (field.removed, field.added))
    }

    #[test]
    fn only_what_differs_is_told() {
        let told = |removed: &[&str], added: &[&str]| {
            let owned = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
            Some((owned(removed), owned(added)))
        };
        assert_eq!(field(&["a", "b"], &["a", "b"]), None);
        assert_eq!(field(&["a", "b"], &["b", "c"]), told(&["a"], &["c"]));
        assert_eq!(field(&["a", "b"], &["a"]), told(&["b"], &[]));
        assert_eq!(field(&["a"], &["a", "b"]), told(&[], &["b"]));
        assert_eq!(field(&[], &["a"]), told(&[], &["a"]));
        assert_eq!(field(&["a"], &[]), told(&["a"], &[]));
        assert_eq!(field(&["a", "b"], &["b", "a"]), told(&["a", "b"], &["b", "a"]), "an order of its own is a change");
    }
}
