//! How a person is printed.

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    cli::{Failure, print_json},
    store::people::Person,
};

/// What `--json` prints of a person.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    id: Uuid,
    email: &'a str,
    email_verified: bool,
    name: Option<&'a str>,
    roles: &'a [String],
    groups: &'a [String],
    claims: &'a Map<String, Value>,
    has_password: bool,
    created_at: String,
    updated_at: Option<String>,
    disabled_at: Option<String>,
    /// The file that declares the person, in which e-mail, name, roles, groups and claims are changed.
    declared_in: Option<&'a str>,
}

impl<'a> Shown<'a> {
    pub(super) fn of(person: &'a Person) -> Self {
        Self {
            id: person.id,
            email: &person.email,
            email_verified: person.email_verified_at.is_some(),
            name: person.name.as_deref(),
            roles: &person.roles,
            groups: &person.groups,
            claims: &person.claims,
            has_password: person.password_hash.is_some(),
            created_at: person.created_at.to_string(),
            updated_at: person.updated_at.map(|at| at.to_string()),
            disabled_at: person.disabled_at.map(|at| at.to_string()),
            declared_in: person.declared_in.as_deref(),
        }
    }

    pub(super) fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return print_json(self);
        }
        say!("id              {}", self.id)?;
        say!("email           {}{}", self.email, if self.email_verified { " (verified)" } else { "" })?;
        say!("name            {}", self.name.unwrap_or("-"))?;
        say!("roles           {}", listed(self.roles))?;
        say!("groups          {}", listed(self.groups))?;
        for (name, value) in self.claims {
            say!("claim           {name}={}", in_one_line(value))?;
        }
        say!("password        {}", if self.has_password { "set" } else { "none: 'grantor user set-password' sets one" })?;
        say!("created_at      {}", self.created_at)?;
        if let Some(updated_at) = &self.updated_at {
            say!("updated_at      {updated_at}")?;
        }
        if let Some(disabled_at) = &self.disabled_at {
            say!("disabled_at     {disabled_at}")?;
        }
        if let Some(declared_in) = self.declared_in {
            say!("declared_in     {declared_in}")?;
        }
        Ok(())
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

/// A text as it is, all else as JSON: what `--claim` takes.
fn in_one_line(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
