//! The settings as a list, for whoever reads them by name.

use confique::{
    Config,
    meta::{Expr, Field, FieldKind, LeafKind},
};

use super::Settings;

/// One setting as declared.
#[derive(Clone, Copy)]
pub(in crate::config) struct Leaf {
    pub section: Option<&'static str>,
    pub field: &'static Field,
}

impl Leaf {
    /// Every setting in the order of its declaration.
    pub fn all() -> impl Iterator<Item = Self> {
        Settings::META.fields.iter().flat_map(|field| match &field.kind {
            FieldKind::Leaf { .. } => vec![Self { section: None, field }],
            FieldKind::Nested { meta } => meta.fields.iter().map(|inner| Self { section: Some(field.name), field: inner }).collect(),
        })
    }

    /// The names of the sections.
    pub fn sections() -> impl Iterator<Item = &'static str> {
        Settings::META.fields.iter().filter(|field| matches!(field.kind, FieldKind::Nested { .. })).map(|field| field.name)
    }

    /// `tokens.access_token_ttl`
    pub fn key(self) -> String {
        self.section.map_or_else(|| self.field.name.to_owned(), |section| format!("{section}.{}", self.field.name))
    }

    /// `GRANTOR_TOKENS__ACCESS_TOKEN_TTL`
    pub fn variable(self) -> String {
        format!("GRANTOR_{}", self.key().replace('.', "__").to_uppercase())
    }

    /// What holds where nobody says anything; `None` where that follows from other settings.
    pub fn default(self) -> Option<toml::Value> {
        match self.field.kind {
            FieldKind::Leaf { kind: LeafKind::Required { default: Some(default) }, .. } => toml::Value::try_from(default).ok(),
            _ => None,
        }
    }

    /// Whether the value is a table of names that the operator chooses, which only the file can hold.
    pub fn is_map(self) -> bool {
        matches!(self.field.kind, FieldKind::Leaf { kind: LeafKind::Required { default: Some(Expr::Map(_)) }, .. })
    }
}
