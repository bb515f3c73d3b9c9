//! Signing in with e-mail and password: one answer and the same work whoever is named.

use std::time::Duration;

use uuid::Uuid;

use super::{
    known_device::Devices,
    password::{self, Password, Verified},
    throttle::{self, Delay, Wait},
};
use crate::{
    audit::{Actor, AuditEvent, AuditName, Origin},
    error::Result,
    metrics::SignInOutcome,
    oauth::Email,
    server::Server,
    store::{
        audit_events::RecordEvent,
        people::{Person, Rehash},
    },
};

/// The authentication method that a password is (RFC 8176 §2).
pub(crate) const AMR_PASSWORD: &str = "pwd";

/// What came of an attempt to sign in.
pub(crate) enum SignIn {
    Person(Box<Person>),
    /// A wrong password, and just so an unknown or disabled person.
    Wrong,
    /// There were too many failures; nothing was compared. Not before so long.
    Throttled(Duration),
}

/// Looks for the person with this e-mail and password, who may have signed in from this browser before.
pub(crate) async fn with_password(server: &Server, email: &str, password: &str, devices: &Devices, origin: Origin) -> Result<SignIn> {
    let attempted = attempt(server, email, password, devices, origin).await;
    server.metrics().sign_in(match &attempted {
        Ok(SignIn::Person(_)) => SignInOutcome::Succeeded,
        Ok(SignIn::Wrong) => SignInOutcome::Failed,
        Ok(SignIn::Throttled(_)) => SignInOutcome::Throttled,
        Err(_) => SignInOutcome::Unanswered,
    });
    attempted
}

async fn attempt(server: &Server, email: &str, password: &str, devices: &Devices, origin: Origin) -> Result<SignIn> {
    let email = Email::parse(email).ok();
    let device = match &email {
        Some(email) => devices.known(server, email).await?,
        None => None,
    };
    let attempt = match throttle::admit(server, email.as_ref(), device, origin).await? {
        Ok(attempt) => attempt,
        Err(Wait(wait)) => return Ok(SignIn::Throttled(wait)),
    };
    match compare(server, email.as_ref(), password, origin).await {
        Ok(Compared::Right(person)) => {
            attempt.succeeded().await?;
            Ok(SignIn::Person(person))
        }
        Ok(Compared::Wrong { named }) => {
            record(server, named, attempt.delay(), origin).await?;
            Ok(SignIn::Wrong)
        }
        Err(error) => {
            // What went wrong is told either way; a charge that stays is forgotten in time.
            let _ = attempt.give_back().await;
            Err(error)
        }
    }
}

enum Compared {
    Right(Box<Person>),
    /// `named`: whose e-mail it is.
    Wrong {
        named: Option<Uuid>,
    },
}

async fn compare(server: &Server, email: Option<&Email>, password: &str, origin: Origin) -> Result<Compared> {
    let person = match email {
        Some(email) => server.store().person_by_email(&email.key).await?,
        None => None,
    };
    let usable = person.as_ref().filter(|person| person.disabled_at.is_none());
    // A password that cannot be set is nobody's: comparing it with nothing costs the same.
    let (candidate, hash) = match Password::parse(password) {
        Some(candidate) => (candidate, usable.and_then(|person| person.password_hash.clone())),
        None => (Password::nobodys(), None),
    };
    let verified = password::verify(server.hashing(), &server.config().passwords, origin.address, candidate, hash.clone()).await?;
    match (usable, verified) {
        (Some(person), Verified::Yes) => Ok(Compared::Right(Box::new(person.clone()))),
        (Some(person), Verified::YesAndRehashed(new_hash)) => {
            let old_hash = hash.unwrap_or_default();
            server.store().write(Rehash { person_id: person.id, old_hash, new_hash }).await?;
            Ok(Compared::Right(Box::new(person.clone())))
        }
        _ => Ok(Compared::Wrong { named: person.map(|person| person.id) }),
    }
}

/// One event for a failure, and one for the delay that it begins: attempts that are refused write nothing.
async fn record(server: &Server, named: Option<Uuid>, delay: Option<Delay>, origin: Origin) -> Result<()> {
    let event = |name| {
        let event = AuditEvent::new(server.clock().now(), name, Actor::Stranger, origin);
        named.map_or(event.clone(), |person_id| event.about(person_id))
    };
    server.store().write(RecordEvent(event(AuditName::SignInFailed))).await?;
    if let Some(delay) = delay {
        let throttled = event(AuditName::SignInThrottled).with("by", delay.by).with("seconds", delay.wait.as_secs());
        server.store().write(RecordEvent(throttled)).await?;
    }
    Ok(())
}
