//! How a resource is printed.

use serde::Serialize;

use crate::{
    cli::{Failure, print_json},
    oauth::{Algorithm, ProtectedResource, Resource, Scope},
};

/// What `--json` prints of a resource.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    uri: &'a Resource,
    name: &'a str,
    /// `null` where it takes every scope.
    scope: Option<&'a Scope>,
    /// Seconds.
    access_token_ttl: Option<u64>,
    access_token_signing_alg: Option<Algorithm>,
    claims: &'a [String],
    created_at: String,
    disabled_at: Option<String>,
    /// The file that declares it, in which it is changed.
    declared_in: Option<&'a str>,
}

impl<'a> Shown<'a> {
    pub(super) fn of(resource: &'a ProtectedResource) -> Self {
        Self {
            uri: &resource.uri,
            name: &resource.name,
            scope: resource.scope.as_ref(),
            access_token_ttl: resource.access_token_ttl.map(|ttl| ttl.as_secs()),
            access_token_signing_alg: resource.access_token_signing_alg,
            claims: &resource.claims,
            created_at: resource.created_at.to_string(),
            disabled_at: resource.disabled_at.map(|at| at.to_string()),
            declared_in: resource.declared_in.as_deref(),
        }
    }

    pub(super) fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return print_json(self);
        }
        say!("uri                       {}", self.uri)?;
        say!("name                      {}", self.name)?;
        say!("scope                     {}", self.scope.map_or_else(|| "any".to_owned(), Scope::to_string))?;
        say!("access_token_ttl          {}", self.access_token_ttl.map_or_else(|| "-".to_owned(), |ttl| format!("{ttl}s")))?;
        say!("access_token_signing_alg  {}", self.access_token_signing_alg.map_or("-", Algorithm::as_str))?;
        say!("claims                    {}", if self.claims.is_empty() { "-".to_owned() } else { self.claims.join(" ") })?;
        say!("created_at                {}", self.created_at)?;
        if let Some(disabled_at) = &self.disabled_at {
            say!("disabled_at               {disabled_at}")?;
        }
        if let Some(declared_in) = self.declared_in {
            say!("declared_in               {declared_in}")?;
        }
        Ok(())
    }
}
