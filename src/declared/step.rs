//! One write of a plan.

use std::time::Duration;

use anyhow::bail;
use uuid::Uuid;

use super::plan::Change;
use crate::{
    accounts::password::{self, Password},
    audit::{Actor, AuditEvent, AuditName, Origin},
    oauth::{Client, ClientId, ProtectedResource},
    secret::SecretHash,
    server::Server,
    store::{
        Saved,
        client_secrets::{DeclareClientSecrets, Former},
        clients::{InsertClient, SetClientDisabled, UpdateClient},
        people::{DisablePerson, InsertPerson, Person, SetInitialPassword, UpdatePerson},
        resources::{InsertResource, UpdateResource},
    },
};

pub(crate) enum Step {
    InsertClient(Box<Client>),
    UpdateClient(Box<Client>),
    DeclareSecrets(ClientId, Vec<SecretHash>, Duration),
    DisableClient(ClientId),
    InsertPerson(Box<Person>, Option<NewPassword>),
    UpdatePerson(Box<Person>),
    InitialPassword(Uuid, NewPassword),
    DisablePerson(Uuid),
    InsertResource(Box<ProtectedResource>),
    UpdateResource(Box<ProtectedResource>),
    DisableResource(Box<ProtectedResource>),
}

/// What a person gets who has no password.
pub(crate) enum NewPassword {
    /// A PHC string.
    Hash(String),
    Plain(Password),
}

impl NewPassword {
    async fn hash(&self, server: &Server) -> crate::error::Result<String> {
        match self {
            Self::Hash(hash) => Ok(hash.clone()),
            Self::Plain(password) => password::hash(server.hashing(), &server.config().passwords, None, password.clone()).await,
        }
    }
}

impl Step {
    /// Does it, and says so in the audit.
    pub(super) async fn run(&self, server: &Server, actor: &Actor, change: &Change) -> anyhow::Result<()> {
        let store = server.store();
        let event = |name| {
            let fields: Vec<&str> = change.fields.iter().map(|field| field.name).collect();
            AuditEvent::new(server.clock().now(), name, actor.clone(), Origin::default())
                .with("declared_in", change.declared_in.clone())
                .with("action", change.action.as_str())
                .with("changed", fields)
        };
        let saved = match self {
            Self::InsertClient(client) => {
                let mut client = Client { created_at: server.clock().now(), ..Client::clone(client) };
                client.secrets.iter_mut().for_each(|secret| secret.created_at = client.created_at);
                let event = event(AuditName::ClientCreated).of_client(&client.id);
                store.write(InsertClient { client, event }).await?
            }
            Self::UpdateClient(client) => {
                let event = event(AuditName::ClientUpdated).of_client(&client.id);
                store.write(UpdateClient { client: Client::clone(client), event }).await?
            }
            Self::DeclareSecrets(client_id, hashes, overlap) => {
                let name = if hashes.is_empty() { AuditName::ClientUpdated } else { AuditName::ClientSecretRotated };
                let event = event(name).of_client(client_id);
                let former = if overlap.is_zero() { Former::EndNow } else { Former::EndAt(event.at.after(*overlap)) };
                let (client_id, hashes) = (client_id.clone(), hashes.clone());
                store.write(DeclareClientSecrets { client_id, hashes, former, event }).await?;
                Saved::Done
            }
            Self::DisableClient(client_id) => {
                let event = event(AuditName::ClientDisabled).of_client(client_id);
                store.write(SetClientDisabled { client_id: client_id.clone(), disabled: true, event }).await?
            }
            Self::InsertPerson(person, password) => {
                let mut person = Person::clone(person);
                if let Some(password) = password {
                    person.password_hash = Some(password.hash(server).await?);
                }
                let event = event(AuditName::PersonCreated).about(person.id);
                store.write(InsertPerson { person, event }).await?
            }
            Self::UpdatePerson(person) => {
                let event = event(AuditName::PersonUpdated).about(person.id);
                store.write(UpdatePerson { person: Person::clone(person), event }).await?
            }
            Self::InitialPassword(person_id, password) => {
                let password_hash = password.hash(server).await?;
                let event = event(AuditName::PasswordSet).about(*person_id);
                // Whoever set a password meanwhile keeps it.
                store.write(SetInitialPassword { person_id: *person_id, password_hash, event }).await?;
                Saved::Done
            }
            Self::DisablePerson(person_id) => {
                let event = event(AuditName::PersonDisabled).about(*person_id);
                store.write(DisablePerson { person_id: *person_id, event }).await?;
                Saved::Done
            }
            Self::InsertResource(resource) => {
                let resource = ProtectedResource { created_at: server.clock().now(), ..ProtectedResource::clone(resource) };
                let event = event(AuditName::ResourceCreated).with("uri", resource.uri.as_str());
                store.write(InsertResource { resource, event }).await?
            }
            Self::UpdateResource(resource) => {
                let event = event(AuditName::ResourceUpdated).with("uri", resource.uri.as_str());
                store.write(UpdateResource { resource: ProtectedResource::clone(resource), event }).await?
            }
            Self::DisableResource(resource) => {
                let disabled_at = resource.disabled_at.or(Some(server.clock().now()));
                let resource = ProtectedResource { disabled_at, ..ProtectedResource::clone(resource) };
                let event = event(AuditName::ResourceDisabled).with("uri", resource.uri.as_str());
                store.write(UpdateResource { resource, event }).await?
            }
        };
        if saved == Saved::Conflict {
            bail!("a command changed it meanwhile: run 'grantor apply' again");
        }
        // What is registered with an algorithm or a lifetime of tokens finds keys for it.
        match self {
            Self::InsertClient(client) | Self::UpdateClient(client) => {
                server.rotation().provide_for(client.metadata.access_token_signing_alg).await?;
            }
            Self::InsertResource(resource) | Self::UpdateResource(resource) => {
                server.rotation().provide_for(resource.access_token_signing_alg).await?;
            }
            _ => {}
        }
        Ok(())
    }
}
