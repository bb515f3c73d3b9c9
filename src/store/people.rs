//! `people`: who can sign in.

use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{
    Saved, Store, Swapped, audit_events,
    backend::{Conn, Extent, Verb, read, run},
    grants::stands_behind,
    session_clients::{self, Ended},
    throttles,
};
use crate::{
    audit::AuditEvent,
    clock::Timestamp,
    error::Result,
    oauth::{Email, claims_request::AllowedClaims},
    secret::{self, ThrottleKey},
};

/// A person. `Debug` leaves out the password hash.
#[derive(Clone, FromRow)]
pub(crate) struct Person {
    pub id: Uuid,
    /// As typed.
    pub email: String,
    /// Normalised: what sign-in and uniqueness go by.
    pub email_key: String,
    pub email_verified_at: Option<Timestamp>,
    pub name: Option<String>,
    #[sqlx(json)]
    pub roles: Vec<String>,
    #[sqlx(json)]
    pub groups: Vec<String>,
    /// Standard claims (`OpenID` Core §5.1) that have no column, and attributes of the operator's, by name.
    #[sqlx(json)]
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// When what UserInfo tells was last changed; `created_at` where it never was.
    pub updated_at: Option<Timestamp>,
    /// PHC string (Argon2id).
    pub password_hash: Option<String>,
    pub created_at: Timestamp,
    pub disabled_at: Option<Timestamp>,
    /// What was issued earlier is void.
    pub tokens_not_before: Option<Timestamp>,
    /// The file that declares the person, in which e-mail, name and roles are changed.
    pub declared_in: Option<String>,
}

impl Person {
    /// A person with this e-mail and nothing else, not yet stored.
    pub(crate) fn new(email: Email, now: Timestamp) -> Self {
        Self {
            id: secret::random_id(),
            email: email.typed,
            email_key: email.key,
            email_verified_at: None,
            name: None,
            roles: Vec::new(),
            groups: Vec::new(),
            claims: serde_json::Map::new(),
            updated_at: None,
            password_hash: None,
            created_at: now,
            disabled_at: None,
            tokens_not_before: None,
            declared_in: None,
        }
    }
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A person, and what the client behind a grant asked to know of them.
#[derive(FromRow)]
struct BehindRow {
    #[sqlx(flatten)]
    person: Person,
    claims_request: Option<Json<AllowedClaims>>,
}

/// Columns by name: a statement prepared before a migration added one must go on working.
macro_rules! person_columns {
    () => {
        "id, email, email_key, email_verified_at, name, roles, groups, claims, updated_at, password_hash, created_at, disabled_at, \
         tokens_not_before, declared_in"
    };
}

macro_rules! select_person {
    ($which:literal) => {
        concat!("SELECT ", person_columns!(), " FROM people ", $which)
    };
}

impl Store {
    /// A person by id, enabled or not.
    pub(crate) async fn person(&self, id: Uuid) -> Result<Option<Person>> {
        Ok(read!(self, db => sqlx::query_as(select_person!("WHERE id = $1")).bind(id).fetch_optional(db).await?))
    }

    /// A person by normalised e-mail, enabled or not.
    pub(crate) async fn person_by_email(&self, email_key: &str) -> Result<Option<Person>> {
        Ok(read!(self, db => sqlx::query_as(select_person!("WHERE email_key = $1")).bind(email_key).fetch_optional(db).await?))
    }

    /// The person behind an access token, with the `claims` parameter of its grant, if everything stands: grant, person, client,
    /// and the token itself. One statement.
    pub(crate) async fn person_behind(&self, grant_id: Uuid, jti: Uuid) -> Result<Option<(Person, Option<AllowedClaims>)>> {
        const SELECT: &str = concat!(
            "SELECT ",
            person_columns!(),
            ", (SELECT claims_request FROM grants WHERE grants.id = $1) AS claims_request FROM people WHERE id = \
             (SELECT person_id FROM grants WHERE ",
            stands_behind!(),
            ")"
        );
        let row: Option<BehindRow> = read!(self, db => sqlx::query_as(SELECT).bind(grant_id).bind(jti).fetch_optional(db).await?);
        Ok(row.map(|row| (row.person, row.claims_request.map(|json| json.0))))
    }

    /// Everyone, by age.
    pub(crate) async fn people(&self) -> Result<Vec<Person>> {
        Ok(read!(self, db => sqlx::query_as(select_person!("ORDER BY created_at, id")).fetch_all(db).await?))
    }
}

impl Store {
    /// The people whom a file declares.
    pub(crate) async fn declared_people(&self) -> Result<Vec<Person>> {
        const PEOPLE: &str = select_person!("WHERE declared_in IS NOT NULL ORDER BY email_key");
        Ok(read!(self, db => sqlx::query_as(PEOPLE).fetch_all(db).await?))
    }
}

/// Adds a person.
pub(crate) struct InsertPerson {
    pub person: Person,
    pub event: AuditEvent,
}

impl Verb for InsertPerson {
    type Told = Saved;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Saved> {
        const INSERT: &str = "INSERT INTO people (id, email, email_key, email_verified_at, name, roles, password_hash, created_at, declared_in, \
             groups, claims) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (email_key) DO NOTHING";
        let person = &self.person;
        let inserted = run!(conn, db => sqlx::query(INSERT)
            .bind(person.id)
            .bind(&person.email)
            .bind(&person.email_key)
            .bind(person.email_verified_at)
            .bind(&person.name)
            .bind(Json(&person.roles))
            .bind(&person.password_hash)
            .bind(person.created_at)
            .bind(&person.declared_in)
            .bind(Json(&person.groups))
            .bind(Json(&person.claims))
            .execute(db).await?.rows_affected());
        if inserted > 0 {
            audit_events::insert(conn, &self.event).await?;
        }
        Ok(Saved::from_rows(inserted))
    }
}

/// Replaces e-mail, name, roles, groups and claims.
pub(crate) struct UpdatePerson {
    pub person: Person,
    pub event: AuditEvent,
}

impl Verb for UpdatePerson {
    type Told = Saved;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Saved> {
        // Says by itself whether the new e-mail is taken, so that no error must be read.
        const UPDATE: &str = "UPDATE people SET email = $2, email_key = $3, email_verified_at = $4, name = $5, roles = $6, declared_in = $7, \
             groups = $8, claims = $9, updated_at = $10 WHERE id = $1 \
             AND NOT EXISTS (SELECT 1 FROM people AS other WHERE other.email_key = $3 AND other.id <> $1)";
        let person = &self.person;
        let updated = run!(conn, db => sqlx::query(UPDATE)
            .bind(person.id)
            .bind(&person.email)
            .bind(&person.email_key)
            .bind(person.email_verified_at)
            .bind(&person.name)
            .bind(Json(&person.roles))
            .bind(&person.declared_in)
            .bind(Json(&person.groups))
            .bind(Json(&person.claims))
            .bind(self.event.at)
            .execute(db).await?.rows_affected());
        if updated > 0 {
            audit_events::insert(conn, &self.event).await?;
        }
        Ok(Saved::from_rows(updated))
    }
}

/// Sets a password, which ends every session and everything issued before, and forgets failures to sign in.
pub(crate) struct SetPassword {
    pub person_id: Uuid,
    pub password_hash: String,
    /// Whose failures are forgotten.
    pub throttle: ThrottleKey,
    pub event: AuditEvent,
}

impl Verb for SetPassword {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const SET: &str = "UPDATE people SET password_hash = $2, tokens_not_before = $3 WHERE id = $1";
        run!(conn, db => sqlx::query(SET)
            .bind(self.person_id)
            .bind(&self.password_hash)
            .bind(self.event.at)
            .execute(db).await.map(drop)?);
        end_everything(conn, self.person_id, self.event.at).await?;
        throttles::forget_account(conn, &self.throttle).await?;
        audit_events::insert(conn, &self.event).await
    }
}

/// Gives a password to a person who has none. Of one who set a password meanwhile it stays.
pub(crate) struct SetInitialPassword {
    pub person_id: Uuid,
    pub password_hash: String,
    pub event: AuditEvent,
}

impl Verb for SetInitialPassword {
    type Told = Swapped;
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Swapped> {
        const SET: &str = "UPDATE people SET password_hash = $2 WHERE id = $1 AND password_hash IS NULL";
        let set = run!(conn, db => sqlx::query(SET).bind(self.person_id).bind(&self.password_hash).execute(db).await?.rows_affected());
        if set > 0 {
            audit_events::insert(conn, &self.event).await?;
        }
        Ok(Swapped::from_rows(set))
    }
}

/// Replaces a hash by one with the parameters of today, unless the password was changed meanwhile.
pub(crate) struct Rehash {
    pub person_id: Uuid,
    pub old_hash: String,
    pub new_hash: String,
}

impl Verb for Rehash {
    type Told = ();
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const REHASH: &str = "UPDATE people SET password_hash = $3 WHERE id = $1 AND password_hash = $2";
        run!(conn, db => sqlx::query(REHASH)
            .bind(self.person_id)
            .bind(&self.old_hash)
            .bind(&self.new_hash)
            .execute(db).await.map(drop)?);
        Ok(())
    }
}

/// Disables a person, which ends every session and everything issued before.
pub(crate) struct DisablePerson {
    pub person_id: Uuid,
    pub event: AuditEvent,
}

impl Verb for DisablePerson {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const DISABLE: &str = "UPDATE people SET disabled_at = $2, tokens_not_before = $2 WHERE id = $1";
        run!(conn, db => sqlx::query(DISABLE).bind(self.person_id).bind(self.event.at).execute(db).await.map(drop)?);
        end_everything(conn, self.person_id, self.event.at).await?;
        audit_events::insert(conn, &self.event).await
    }
}

/// Enables a person again, and forgets the failed sign-ins of their account.
pub(crate) struct EnablePerson {
    pub person_id: Uuid,
    pub throttle: ThrottleKey,
    pub event: AuditEvent,
}

impl Verb for EnablePerson {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const ENABLE: &str = "UPDATE people SET disabled_at = NULL WHERE id = $1";
        run!(conn, db => sqlx::query(ENABLE).bind(self.person_id).execute(db).await.map(drop)?);
        throttles::forget_account(conn, &self.throttle).await?;
        audit_events::insert(conn, &self.event).await
    }
}

/// Deletes a person and everything issued for them. Their audit events stay.
pub(crate) struct DeletePerson {
    pub person_id: Uuid,
    pub event: AuditEvent,
}

impl Verb for DeletePerson {
    type Told = ();
    const EXTENT: Extent = Extent::Several;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const DELETES: [&str; 4] = [
            "DELETE FROM people WHERE id = $1",
            "DELETE FROM browser_sessions WHERE person_id = $1",
            "DELETE FROM authorization_codes WHERE person_id = $1",
            "DELETE FROM grants WHERE person_id = $1",
        ];
        for delete in DELETES {
            run!(conn, db => sqlx::query(delete).bind(self.person_id).execute(db).await.map(drop)?);
        }
        session_clients::end(conn, Ended::AllOf(self.person_id), self.event.at).await?;
        audit_events::insert(conn, &self.event).await
    }
}

/// Sessions, codes and grants, row by row: `tokens_not_before` alone would trust that the clocks of all machines agree.
async fn end_everything(conn: &mut Conn<'_>, person_id: Uuid, now: Timestamp) -> Result<()> {
    const DELETES: [&str; 2] =
        ["DELETE FROM browser_sessions WHERE person_id = $1", "DELETE FROM authorization_codes WHERE person_id = $1"];
    const REVOKE: &str = "UPDATE grants SET revoked_at = $2 WHERE person_id = $1 AND revoked_at IS NULL";
    for delete in DELETES {
        run!(conn, db => sqlx::query(delete).bind(person_id).execute(db).await.map(drop)?);
    }
    run!(conn, db => sqlx::query(REVOKE).bind(person_id).bind(now).execute(db).await.map(drop)?);
    session_clients::end(conn, Ended::AllOf(person_id), now).await?;
    Ok(())
}
