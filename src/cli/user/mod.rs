//! `grantor user`

mod shown;

use std::io::{IsTerminal, stdin};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use uuid::Uuid;
use zeroize::Zeroizing;

use self::shown::Shown;
use super::{CommonArgs, Failure, print_json, print_table};
use crate::{
    accounts::{
        password::{self, Password},
        throttle,
    },
    audit::{Actor, AuditEvent, AuditName, Origin},
    config::Config,
    oauth::{Email, standard_claims},
    server::Server,
    store::{
        Saved,
        browser_sessions::RevokeSessions,
        people::{DeletePerson, DisablePerson, EnablePerson, InsertPerson, Person, SetPassword, UpdatePerson},
    },
};

const CLAIM_HELP: &str =
    "A standard claim of OpenID, such as given_name, or an attribute of yours; the value is a text or JSON; may be repeated";

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  grantor user list
  grantor user disable alice@example.com
  grantor user set-password alice@example.com
  grantor user revoke-sessions 0b9c6e4e-3d0c-4c0e-9a55-3b8a3f1c7a10")]
pub(super) enum Command {
    /// Add a person
    Create(Create),
    /// List everyone
    List(List),
    /// Show a person
    Show(One),
    /// Change a person
    Update(Update),
    /// Set a person's password, which signs them out everywhere, voids their tokens and forgets failed sign-ins
    SetPassword(SetPasswordOf),
    /// Refuse a person, sign them out everywhere and void their tokens
    Disable(One),
    /// Let a disabled person sign in again, and forget failed sign-ins: so a throttled person need not wait
    Enable(One),
    /// Delete a person and everything issued for them
    Delete(One),
    /// Sign a person out everywhere
    RevokeSessions(One),
}

#[derive(Args)]
#[command(after_help = "\
Asks for the password on a terminal. Elsewhere it is read with --password-stdin; without it the person has none and cannot sign in.

Examples:
  grantor user create --email alice@example.com --name Alice
  printf '%s\\n' \"$PASSWORD\" | grantor user create --email alice@example.com --password-stdin --json
  grantor user create --email bob@example.com --group staff --claim given_name=Bob --claim 'address={\"country\": \"Wales\"}'")]
pub(super) struct Create {
    #[command(flatten)]
    common: CommonArgs,
    /// What the person signs in with
    #[arg(long, value_parser = email)]
    email: Email,
    /// What the person is called
    #[arg(long)]
    name: Option<String>,
    /// May be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// May be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim, help = CLAIM_HELP)]
    claims: Vec<(String, Value)>,
    /// The address is known to be this person's
    #[arg(long)]
    email_verified: bool,
    /// Read the password as one line from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Args)]
pub(super) struct One {
    #[command(flatten)]
    common: CommonArgs,
    /// The person's id or e-mail
    person: String,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  grantor user update alice@example.com --email alice@example.org --role admin
  grantor user update alice@example.com --claim birthdate=1852-05-04 --claim nickname=")]
pub(super) struct Update {
    #[command(flatten)]
    one: One,
    /// What the person signs in with from now on
    #[arg(long, value_parser = email)]
    email: Option<Email>,
    /// What the person is called from now on
    #[arg(long)]
    name: Option<String>,
    /// The roles from now on; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// The groups from now on; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// A claim from now on, beside the others; without a value it is taken away; may be repeated
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// The address is known to be this person's
    #[arg(long)]
    email_verified: bool,
}

#[derive(Args)]
pub(super) struct SetPasswordOf {
    #[command(flatten)]
    one: One,
    /// Read the password as one line from standard input
    #[arg(long)]
    password_stdin: bool,
}

/// Nothing behind the name stands for no such claim.
fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, such as given_name=Alice")?;
    let value = if value.is_empty() { Value::Null } else { standard_claims::value(name, value) };
    Ok((name.to_owned(), value))
}

fn email(text: &str) -> Result<Email, String> {
    Email::parse(text).map_err(|error| error.to_string())
}

impl Command {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List(list) => list.run().await,
            Self::Show(one) => one.show().await,
            Self::Update(update) => update.run().await,
            Self::SetPassword(set) => set.run().await,
            Self::Disable(one) => one.set_disabled(true).await,
            Self::Enable(one) => one.set_disabled(false).await,
            Self::Delete(one) => one.delete().await,
            Self::RevokeSessions(one) => one.revoke_sessions().await,
        }
    }
}

fn event(server: &Server, name: AuditName, person_id: Uuid) -> AuditEvent {
    AuditEvent::new(server.clock().now(), name, Actor::Operator, Origin::default()).about(person_id)
}

/// Asks on a terminal, reads a line with `--password-stdin`; otherwise there is none.
fn read_password(from_stdin: bool) -> Result<Option<Zeroizing<String>>, Failure> {
    let text = if from_stdin {
        let mut line = Zeroizing::new(String::new());
        stdin().read_line(&mut line).context("the password cannot be read from standard input")?;
        Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned())
    } else if stdin().is_terminal() {
        let prompt = |prompt| rpassword::prompt_password(prompt).map(Zeroizing::new).context("the password cannot be read");
        let (first, second) = (prompt("Password: ")?, prompt("Once more: ")?);
        if first != second {
            return Err(Failure::Argument("the two passwords differ".to_owned()));
        }
        first
    } else {
        return Ok(None);
    };
    Ok(Some(text))
}

/// The hash of a password that this person may have.
async fn hash(server: &Server, password: &str, email: &Email) -> Result<String, Failure> {
    let password = Password::choose(password, &server.config().passwords, email).map_err(|why| Failure::Argument(why.to_string()))?;
    Ok(password::hash(server.hashing(), &server.config().passwords, None, password).await?)
}

/// Adds a person, or says that there is one with this e-mail.
pub(super) async fn create_person(server: &Server, person: Person) -> Result<Saved, Failure> {
    let event = event(server, AuditName::PersonCreated, person.id);
    Ok(server.store().write(InsertPerson { person, event }).await?)
}

/// A new person with this e-mail, not yet stored.
pub(super) fn new_person(server: &Server, email: Email, name: Option<String>, password_hash: Option<String>) -> Person {
    Person { name, password_hash, ..Person::new(email, server.clock().now()) }
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let password = read_password(self.password_stdin)?;
        let Self { common, email, name, roles, groups, claims, email_verified, .. } = self;
        let person = common.config.with_server(async |server| {
            check_roles(server, &roles)?;
            check_groups(&groups)?;
            let claims = with_claims(Map::new(), claims)?;
            let password_hash = match password {
                Some(password) => Some(hash(server, &password, &email).await?),
                None => None,
            };
            let mut person = new_person(server, email, name, password_hash);
            (person.roles, person.groups, person.claims) = (roles, groups, claims);
            person.email_verified_at = email_verified.then_some(person.created_at);
            match create_person(server, person.clone()).await? {
                Saved::Done => Ok(person),
                Saved::Conflict => Err(Failure::Refused(format!("there is a person with the e-mail {} already", person.email))),
            }
        });
        Shown::of(&person.await?).print(common.json)
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let people = self.common.config.with_server(async |server| Ok(server.store().people().await?)).await?;
        if self.common.json {
            return print_json(&people.iter().map(Shown::of).collect::<Vec<_>>());
        }
        let row = |person: &Person| {
            let state = if person.disabled_at.is_some() { "disabled" } else { "enabled" };
            let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            vec![person.id.to_string(), person.email.clone(), or_none(&person.name), state.to_owned(), or_none(&person.declared_in)]
        };
        print_table(&["ID", "EMAIL", "NAME", "STATE", "DECLARED_IN"], &people.iter().map(row).collect::<Vec<_>>())
    }
}

impl Update {
    async fn run(self) -> Result<(), Failure> {
        let Self { one, email, name, roles, groups, claims, email_verified } = self;
        let json = one.common.json;
        let person = one.with_person(async |server, mut person| {
            refuse_declared(&person, "change it there and run 'grantor apply'")?;
            check_roles(server, &roles)?;
            check_groups(&groups)?;
            person.claims = with_claims(person.claims, claims)?;
            if let Some(email) = email {
                // Another address is not known to be theirs.
                person.email_verified_at = person.email_verified_at.filter(|_| person.email_key == email.key);
                (person.email, person.email_key) = (email.typed, email.key);
            }
            if email_verified {
                person.email_verified_at = Some(server.clock().now());
            }
            person.name = name.or(person.name);
            if !roles.is_empty() {
                person.roles = roles;
            }
            if !groups.is_empty() {
                person.groups = groups;
            }
            let event = event(server, AuditName::PersonUpdated, person.id);
            person.updated_at = Some(event.at);
            match server.store().write(UpdatePerson { person: person.clone(), event }).await? {
                Saved::Done => Ok(person),
                Saved::Conflict => Err(Failure::Refused(format!("there is another person with the e-mail {}", person.email))),
            }
        });
        Shown::of(&person.await?).print(json)
    }
}

impl SetPasswordOf {
    async fn run(self) -> Result<(), Failure> {
        let Some(password) = read_password(self.password_stdin)? else {
            return Err(Failure::Argument("give the password on a terminal, or with --password-stdin".to_owned()));
        };
        let json = self.one.common.json;
        let person = self.one.with_person(async |server, person| {
            let email = Email { typed: person.email.clone(), key: person.email_key.clone() };
            let password_hash = hash(server, &password, &email).await?;
            let event = event(server, AuditName::PasswordSet, person.id);
            let throttle = throttle::account_key(server, &person.email_key);
            server.store().write(SetPassword { person_id: person.id, password_hash, throttle, event }).await?;
            Ok(person)
        });
        report(&person.await?, "password_set", "has a new password and is signed out everywhere", json)
    }
}

impl One {
    /// Does some work with the person of this id or e-mail.
    async fn with_person<T>(self, work: impl AsyncFnOnce(&Server, Person) -> Result<T, Failure>) -> Result<T, Failure> {
        let Self { common, person: named } = self;
        let done = common.config.with_server(async |server| {
            let found = match (Uuid::try_parse(&named), Email::parse(&named)) {
                (Ok(id), _) => server.store().person(id).await?,
                (_, Ok(email)) => server.store().person_by_email(&email.key).await?,
                _ => None,
            };
            let nobody =
                || Failure::Refused(format!("there is nobody with the id or e-mail '{named}'; 'grantor user list' shows everyone"));
            work(server, found.ok_or_else(nobody)?).await
        });
        done.await
    }

    async fn show(self) -> Result<(), Failure> {
        let json = self.common.json;
        let person = self.with_person(async |_, person| Ok(person)).await?;
        Shown::of(&person).print(json)
    }

    async fn set_disabled(self, disabled: bool) -> Result<(), Failure> {
        let json = self.common.json;
        let name = if disabled { AuditName::PersonDisabled } else { AuditName::PersonEnabled };
        let person = self.with_person(async |server, person| {
            let event = event(server, name, person.id);
            if disabled {
                server.store().write(DisablePerson { person_id: person.id, event }).await?;
            } else {
                let throttle = throttle::account_key(server, &person.email_key);
                server.store().write(EnablePerson { person_id: person.id, throttle, event }).await?;
            }
            Ok(person)
        });
        let person = person.await?;
        if disabled { report(&person, "disabled", "is disabled", json) } else { report(&person, "enabled", "is enabled", json) }
    }

    async fn delete(self) -> Result<(), Failure> {
        let json = self.common.json;
        let person = self.with_person(async |server, person| {
            refuse_declared(&person, "remove it there, run 'grantor apply --prune', and then delete them")?;
            let event = event(server, AuditName::PersonDeleted, person.id);
            server.store().write(DeletePerson { person_id: person.id, event }).await?;
            Ok(person)
        });
        report(&person.await?, "deleted", "is deleted", json)
    }

    async fn revoke_sessions(self) -> Result<(), Failure> {
        let json = self.common.json;
        let revoked = self.with_person(async |server, person| {
            let event = event(server, AuditName::SessionsRevoked, person.id);
            let revoked = server.store().write(RevokeSessions { person_id: person.id, event }).await?;
            Ok((person, revoked.sessions))
        });
        let (person, sessions) = revoked.await?;
        report(&person, "sessions_revoked", &format!("is signed out of {sessions} browser session(s)"), json)
    }
}

/// What a file declares is changed there: the next start would undo it.
fn refuse_declared(person: &Person, instead: &str) -> Result<(), Failure> {
    match &person.declared_in {
        None => Ok(()),
        Some(file) => Err(Failure::Refused(format!("{} is declared in {file}: {instead}", person.email))),
    }
}

/// Where `[roles]` lists some, there are no others.
fn check_roles(server: &Server, roles: &[String]) -> Result<(), Failure> {
    roles.iter().try_for_each(|role| server.config().check_role(role).map_err(|why| Failure::Argument(format!("--role {role}: {why}"))))
}

fn check_groups(groups: &[String]) -> Result<(), Failure> {
    groups.iter().try_for_each(|group| Config::check_group(group).map_err(|why| Failure::Argument(format!("--group {group}: {why}"))))
}

/// What a person has with these changes, all of which must make sense together.
fn with_claims(mut claims: Map<String, Value>, changes: Vec<(String, Value)>) -> Result<Map<String, Value>, Failure> {
    for (name, value) in changes {
        match value {
            Value::Null => drop(claims.remove(&name)),
            value => drop(claims.insert(name, value)),
        }
    }
    let refused = |(name, why)| Failure::Argument(format!("--claim {name}: {why}"));
    standard_claims::check_all(&claims).map_err(refused)?;
    Ok(claims)
}

fn report(person: &Person, what: &str, sentence: &str, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&serde_json::json!({ "id": person.id, "email": person.email, what: true }));
    }
    say!("{} {sentence}.", person.email)
}
