//! Signing up: who makes their own account, and what it costs to try (decision 0022).

use std::time::Duration;

use super::{
    password::{self, Password},
    throttle::{self, Wait},
};
use crate::{
    audit::{Actor, AuditEvent, AuditName, Origin},
    error::Result,
    oauth::{ClientId, Email},
    server::Server,
    store::{
        Saved,
        people::{InsertPerson, Person},
    },
};

/// What a person says of themselves; each part was checked.
pub(crate) struct Newcomer {
    pub email: Email,
    pub name: String,
    pub password: Password,
}

/// What came of it.
pub(crate) enum SignUp {
    Person(Box<Person>),
    /// No account can be made with this e-mail: mostly, it has one.
    Refused,
    /// There were too many attempts from this network. Not before so long.
    Throttled(Duration),
}

/// Makes an account. Each attempt counts like a failed sign-in of its network and is not given back, whatever comes of it; and the
/// password is hashed before anyone looks whether the e-mail is taken, so that time does not tell.
pub(crate) async fn with_password(server: &Server, newcomer: Newcomer, client_id: Option<&ClientId>, origin: Origin) -> Result<SignUp> {
    let attempt = match throttle::admit(server, None, None, origin).await? {
        Ok(attempt) => attempt,
        Err(Wait(wait)) => return Ok(SignUp::Throttled(wait)),
    };
    let hashed = password::hash(server.hashing(), &server.config().passwords, origin.address, newcomer.password).await;
    let password_hash = match hashed {
        Ok(hash) => hash,
        Err(error) => {
            // Nothing was tried. What went wrong is told either way; a charge that stays is forgotten in time.
            let _ = attempt.give_back().await;
            return Err(error);
        }
    };
    let now = server.clock().now();
    let person = Person { name: Some(newcomer.name), password_hash: Some(password_hash), ..Person::new(newcomer.email, now) };
    let mut event = AuditEvent::new(now, AuditName::PersonCreated, Actor::Person(person.id), origin).about(person.id);
    event.client_id = client_id.cloned();
    Ok(match server.store().write(InsertPerson { person: person.clone(), event }).await? {
        Saved::Done => SignUp::Person(Box::new(person)),
        Saved::Conflict => SignUp::Refused,
    })
}
