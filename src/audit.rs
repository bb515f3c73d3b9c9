//! What happened that matters to security: one list of names, written with the change itself.

use std::{fmt, net::IpAddr};

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{clock::Timestamp, oauth::ClientId, secret};

/// Stable names, `noun.past_participle`; `docs/security.md` says when each is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditName {
    ClientCreated,
    ClientDeleted,
    ClientDisabled,
    ClientEnabled,
    ClientSecretRotated,
    ClientUpdated,
    CodeReused,
    ConsentDenied,
    ConsentGiven,
    ConsentWithdrawn,
    KeysRotated,
    LogoutTokenAccepted,
    LogoutTokenGivenUp,
    LogoutTokenRefused,
    PasswordSet,
    PersonCreated,
    PersonDeleted,
    PersonDisabled,
    PersonEnabled,
    PersonSignedIn,
    PersonUpdated,
    RefreshTokenRetried,
    RefreshTokenReused,
    RegistrationTokenCreated,
    RegistrationTokenRevoked,
    ResourceCreated,
    ResourceDeleted,
    ResourceDisabled,
    ResourceEnabled,
    ResourceUpdated,
    SessionEnded,
    SessionsRevoked,
    SignInFailed,
    SignInThrottled,
    TokenRevoked,
}

impl AuditName {
    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientCreated => "client.created",
            Self::ClientDeleted => "client.deleted",
            Self::ClientDisabled => "client.disabled",
            Self::ClientEnabled => "client.enabled",
            Self::ClientSecretRotated => "client_secret.rotated",
            Self::ClientUpdated => "client.updated",
            Self::CodeReused => "authorization_code.reused",
            Self::ConsentDenied => "consent.denied",
            Self::ConsentGiven => "consent.given",
            Self::ConsentWithdrawn => "consent.withdrawn",
            Self::KeysRotated => "keys.rotated",
            Self::LogoutTokenAccepted => "logout_token.accepted",
            Self::LogoutTokenGivenUp => "logout_token.given_up",
            Self::LogoutTokenRefused => "logout_token.refused",
            Self::PasswordSet => "password.set",
            Self::PersonCreated => "person.created",
            Self::PersonDeleted => "person.deleted",
            Self::PersonDisabled => "person.disabled",
            Self::PersonEnabled => "person.enabled",
            Self::PersonSignedIn => "person.signed_in",
            Self::PersonUpdated => "person.updated",
            Self::RefreshTokenRetried => "refresh_token.retried",
            Self::RefreshTokenReused => "refresh_token.reused",
            Self::RegistrationTokenCreated => "registration_token.created",
            Self::RegistrationTokenRevoked => "registration_token.revoked",
            Self::ResourceCreated => "resource.created",
            Self::ResourceDeleted => "resource.deleted",
            Self::ResourceDisabled => "resource.disabled",
            Self::ResourceEnabled => "resource.enabled",
            Self::ResourceUpdated => "resource.updated",
            Self::SessionEnded => "session.ended",
            Self::SessionsRevoked => "sessions.revoked",
            Self::SignInFailed => "sign_in.failed",
            Self::SignInThrottled => "sign_in.throttled",
            Self::TokenRevoked => "token.revoked",
        }
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    Client(ClientId),
    /// The server itself, at its start, by what its files declare.
    Configuration,
    /// Someone with the command line.
    Operator,
    Person(Uuid),
    /// The server itself, by a job.
    Server,
    /// Someone at a browser who is not, or not yet, signed in.
    Stranger,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(id) => write!(f, "client:{id}"),
            Self::Configuration => f.write_str("configuration"),
            Self::Operator => f.write_str("operator"),
            Self::Person(id) => write!(f, "person:{id}"),
            Self::Server => f.write_str("server"),
            Self::Stranger => f.write_str("stranger"),
        }
    }
}

/// Where the request came from; nothing of it for the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    pub address: Option<IpAddr>,
    /// The id that the log lines of the request carry, too.
    pub request_id: Option<Uuid>,
}

/// One row of `audit_events`. It never holds a secret.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    pub id: Uuid,
    pub at: Timestamp,
    pub name: AuditName,
    pub actor: Actor,
    /// The person whom it concerns.
    pub subject: Option<Uuid>,
    pub client_id: Option<ClientId>,
    pub grant_id: Option<Uuid>,
    pub origin: Origin,
    pub details: Map<String, Value>,
}

impl AuditEvent {
    /// An event of now.
    pub fn new(now: Timestamp, name: AuditName, actor: Actor, origin: Origin) -> Self {
        Self { id: secret::new_id(now), at: now, name, actor, subject: None, client_id: None, grant_id: None, origin, details: Map::new() }
    }

    /// The person whom it concerns.
    #[must_use]
    pub fn about(mut self, person_id: Uuid) -> Self {
        self.subject = Some(person_id);
        self
    }

    /// The client that it concerns.
    #[must_use]
    pub fn of_client(mut self, client_id: &ClientId) -> Self {
        self.client_id = Some(client_id.clone());
        self
    }

    /// The grant that it concerns.
    #[must_use]
    pub fn of_grant(mut self, grant_id: Uuid) -> Self {
        self.grant_id = Some(grant_id);
        self
    }

    /// A detail for the reader; never a secret.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}
