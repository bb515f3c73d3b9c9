//! What happened that matters to security: one list of names, written with the change itself.

use std::{fmt, net::IpAddr};

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{clock::Timestamp, oauth::ClientId, secret};

/// The names and how they are stored.
macro_rules! names {
    ($($name:ident = $text:literal,)*) => {
        /// Stable names, `noun.past_participle`; `docs/security.md` says when each is written.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum AuditName {
            $($name,)*
        }

        impl AuditName {
            /// Every name that there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As stored.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

names! {
    CodeReused = "authorization_code.reused",
    ClientCreated = "client.created",
    ClientDeleted = "client.deleted",
    ClientDisabled = "client.disabled",
    ClientEnabled = "client.enabled",
    ClientUpdated = "client.updated",
    ClientSecretRotated = "client_secret.rotated",
    ConsentDenied = "consent.denied",
    ConsentGiven = "consent.given",
    ConsentWithdrawn = "consent.withdrawn",
    DatabaseRestored = "database.restored",
    KeysCreated = "keys.created",
    KeysRotated = "keys.rotated",
    LogoutTokenAccepted = "logout_token.accepted",
    LogoutTokenGivenUp = "logout_token.given_up",
    LogoutTokenRefused = "logout_token.refused",
    MasterKeyReplaced = "master_key.replaced",
    PasswordSet = "password.set",
    PersonCreated = "person.created",
    PersonDeleted = "person.deleted",
    PersonDisabled = "person.disabled",
    PersonEnabled = "person.enabled",
    PersonSignedIn = "person.signed_in",
    PersonUpdated = "person.updated",
    RefreshTokenRetried = "refresh_token.retried",
    RefreshTokenReused = "refresh_token.reused",
    RegistrationTokenCreated = "registration_token.created",
    RegistrationTokenRevoked = "registration_token.revoked",
    ResourceCreated = "resource.created",
    ResourceDeleted = "resource.deleted",
    ResourceDisabled = "resource.disabled",
    ResourceEnabled = "resource.enabled",
    ResourceUpdated = "resource.updated",
    SessionEnded = "session.ended",
    SessionsRevoked = "sessions.revoked",
    SignInFailed = "sign_in.failed",
    SignInThrottled = "sign_in.throttled",
    TokenRevoked = "token.revoked",
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
