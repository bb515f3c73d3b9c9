//! How a client is printed.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    cli::{Failure, print_json},
    oauth::{
        Client, ClientId, GrantType, RedirectUri, Resource, Scope,
        client::{ApplicationType, ClientType, RefreshRotation, Trust},
        client_secret::ClientSecret,
        registration,
    },
    secret::Secret,
};

/// What is told of a secret.
#[derive(Serialize)]
struct ShownSecret {
    created_at: String,
    ends_at: Option<String>,
}

impl ShownSecret {
    fn of(secret: &ClientSecret) -> Self {
        Self { created_at: secret.created_at.to_string(), ends_at: secret.ends_at.map(|at| at.to_string()) }
    }

    fn told(&self) -> String {
        let Self { created_at, ends_at } = self;
        match ends_at {
            Some(ends_at) => format!("made {created_at}, ends {ends_at}"),
            None => format!("made {created_at}, without an end"),
        }
    }
}

/// What `--json` prints of a client.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    client_id: &'a ClientId,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    /// When each secret was made, and when it ends by itself; the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    client_secrets: Vec<ShownSecret>,
    client_name: &'a str,
    client_type: ClientType,
    application_type: ApplicationType,
    redirect_uris: &'a [RedirectUri],
    grant_types: &'a [GrantType],
    scope: &'a Scope,
    resources: &'a [Resource],
    introspects: &'a [Resource],
    first_party: bool,
    refresh_rotation: bool,
    trust: Trust,
    created_at: String,
    disabled_at: Option<String>,
    /// The file that declares it, in which it is changed.
    declared_in: Option<&'a str>,
    /// It registered itself, and is deleted then if it obtained no token.
    #[serde(skip_serializing_if = "Option::is_none")]
    unused_until: Option<String>,
    /// Whatever else is registered, by the registered names.
    #[serde(flatten)]
    metadata: Map<String, Value>,
}

impl<'a> Shown<'a> {
    pub(super) fn of(client: &'a Client, client_secret: Option<&'a Secret>) -> Self {
        Self {
            client_id: &client.id,
            client_secret: client_secret.map(Secret::expose),
            client_secrets: client.secrets.iter().map(ShownSecret::of).collect(),
            client_name: &client.name,
            client_type: client.client_type,
            application_type: client.application_type,
            redirect_uris: &client.redirect_uris,
            grant_types: &client.grant_types,
            scope: &client.scope,
            resources: &client.resources,
            introspects: &client.introspects,
            first_party: client.first_party,
            refresh_rotation: client.refresh_rotation == RefreshRotation::Rotate,
            trust: client.trust,
            created_at: client.created_at.to_string(),
            disabled_at: client.disabled_at.map(|at| at.to_string()),
            declared_in: client.declared_in.as_deref(),
            unused_until: client.unused_until.map(|at| at.to_string()),
            metadata: registration::metadata_members(client),
        }
    }

    pub(super) fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return print_json(self);
        }
        let list = |items: Vec<&str>| if items.is_empty() { "-".to_owned() } else { items.join("\n                  ") };
        say!("client_id         {}", self.client_id)?;
        if let Some(secret) = self.client_secret {
            say!("client_secret     {secret}")?;
        }
        if !self.client_secrets.is_empty() {
            let told: Vec<String> = self.client_secrets.iter().map(ShownSecret::told).collect();
            say!("client_secrets    {}", told.join("\n                  "))?;
        }
        say!("name              {}", self.client_name)?;
        say!("type              {}, {}", self.client_type.as_str(), self.application_type.as_str())?;
        say!("redirect_uris     {}", list(self.redirect_uris.iter().map(RedirectUri::as_str).collect()))?;
        say!("grant_types       {}", list(self.grant_types.iter().map(|grant_type| grant_type.as_str()).collect()))?;
        say!("scope             {}", self.scope)?;
        say!("resources         {}", list(self.resources.iter().map(Resource::as_str).collect()))?;
        say!("introspects       {}", list(self.introspects.iter().map(Resource::as_str).collect()))?;
        say!("first_party       {}", if self.first_party { "yes" } else { "no" })?;
        say!("refresh_rotation  {}", if self.refresh_rotation { "yes" } else { "no" })?;
        say!("trust             {}", self.trust.as_str())?;
        say!("created_at        {}", self.created_at)?;
        if let Some(disabled_at) = &self.disabled_at {
            say!("disabled_at       {disabled_at}")?;
        }
        if let Some(declared_in) = self.declared_in {
            say!("declared_in       {declared_in}")?;
        }
        if let Some(unused_until) = &self.unused_until {
            say!("unused_until      {unused_until}")?;
        }
        for (member, value) in &self.metadata {
            say!("{member:17} {}", in_a_line(value))?;
        }
        if self.client_secret.is_some() {
            tell!("\nKeep the client_secret: it is not stored and cannot be shown again.");
        }
        Ok(())
    }
}

/// A text as it is, a list by its items, anything else as JSON.
fn in_a_line(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(in_a_line).collect::<Vec<_>>().join("\n                  "),
        other => other.to_string(),
    }
}
