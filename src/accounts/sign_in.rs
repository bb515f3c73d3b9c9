//! Signing in with e-mail and password: one answer and the same work whoever is named.

use super::{
    email::Email,
    password::{self, Password, Verified},
};
use crate::{
    audit::{Actor, AuditEvent, AuditName, Origin},
    error::Result,
    server::Server,
    store::{
        audit_events::RecordEvent,
        people::{Person, Rehash},
    },
};

/// The authentication method that a password is (RFC 8176 §2).
pub(crate) const AMR_PASSWORD: &str = "pwd";

/// The person with this e-mail and password. `None` for a wrong password, and just so for an unknown or disabled person.
pub(crate) async fn with_password(server: &Server, email: &str, password: &str, origin: Origin) -> Result<Option<Person>> {
    let person = match Email::parse(email) {
        Ok(email) => server.store().person_by_email(&email.key).await?,
        Err(_) => None,
    };
    let usable = person.as_ref().filter(|person| person.disabled_at.is_none());
    // A password that cannot be set is nobody's: comparing it with nothing costs the same.
    let (candidate, hash) = match Password::parse(password) {
        Ok(candidate) => (candidate, usable.and_then(|person| person.password_hash.clone())),
        Err(_) => (Password::nobodys(), None),
    };
    let verified = password::verify(server.hashing(), &server.config().passwords, origin.address, candidate, hash.clone()).await?;
    match (usable, verified) {
        (Some(person), Verified::Yes) => Ok(Some(person.clone())),
        (Some(person), Verified::YesAndRehashed(new_hash)) => {
            let old_hash = hash.unwrap_or_default();
            server.store().write(Rehash { person_id: person.id, old_hash, new_hash }).await?;
            Ok(Some(person.clone()))
        }
        _ => {
            let event = AuditEvent::new(server.clock().now(), AuditName::SignInFailed, Actor::Stranger, origin);
            let event = person.map_or(event.clone(), |person| event.about(person.id));
            server.store().write(RecordEvent(event)).await?;
            Ok(None)
        }
    }
}
