//! The plan for people.

use std::{collections::BTreeMap, fs};

use zeroize::Zeroizing;

use super::{
    Missing,
    plan::{Action, Change, Kind, Parts, Plan, Told, beside_defaults, differences, yes_or_no},
    step::{NewPassword, Step},
};
use crate::{
    accounts::password::Password,
    clock::Timestamp,
    config::{DeclaredPerson, InitialPassword},
    error::Result,
    server::Server,
    store::people::Person,
};

/// Adds what is to be done about people.
pub(super) async fn plan(server: &Server, missing: Missing, plan: &mut Plan) -> Result<()> {
    let owned = server.store().declared_people().await?;
    let mut owned: BTreeMap<String, Person> = owned.into_iter().map(|person| (person.email_key.clone(), person)).collect();
    for declared in &server.config().declared.people {
        let known = match owned.remove(&declared.email.key) {
            Some(known) => Some(known),
            None => server.store().person_by_email(&declared.email.key).await?,
        };
        match planned(server, declared, known.as_ref()) {
            Ok(Some(change)) => plan.changes.push(change),
            Ok(None) => plan.unchanged += 1,
            Err(reason) => plan.refused.push(Told {
                kind: Kind::Person,
                name: declared.email.typed.clone(),
                declared_in: declared.declared_in.clone(),
                reason,
            }),
        }
    }
    for person in owned.into_values() {
        no_longer_declared(person, missing, plan);
    }
    Ok(())
}

/// What changes about one person, if anything; or why nothing can be done.
fn planned(server: &Server, declared: &DeclaredPerson, known: Option<&Person>) -> Result<Option<Change>, String> {
    let now = server.clock().now();
    match known {
        None => created(server, declared, now).map(Some),
        Some(known) if known.declared_in.is_none() && known.email_verified_at.is_none() => Err(format!(
            "somebody has this e-mail already, and it is not known to be theirs: if it is who you mean, run \
             'grantor user update {} --email-verified' and apply again",
            known.email
        )),
        Some(known) => changed(server, declared, known, now),
    }
}

fn created(server: &Server, declared: &DeclaredPerson, now: Timestamp) -> Result<Change, String> {
    let nobody = Person::new(declared.email.clone(), now);
    let password = new_password(server, declared)?;
    let person = declared_as(declared, &nobody, now);
    let mut change = of(&person, Action::Created, &declared.declared_in);
    change.fields = beside_defaults(&parts(&nobody), parts(&person));
    if password.is_none() {
        change.notes.push(format!("has no password and cannot sign in: 'grantor user set-password {}' sets one", person.email));
    }
    change.steps.push(Step::InsertPerson(Box::new(person), password));
    Ok(change)
}

fn changed(server: &Server, declared: &DeclaredPerson, known: &Person, now: Timestamp) -> Result<Option<Change>, String> {
    let action = if known.declared_in.is_some() { Action::Updated } else { Action::Adopted };
    let after = declared_as(declared, known, now);
    let mut change = of(&after, action, &declared.declared_in);
    change.fields = differences(&parts(known), &parts(&after));
    if action == Action::Updated && known.declared_in != after.declared_in {
        let place = |person: &Person| ("declared_in", person.declared_in.iter().cloned().collect());
        change.fields.extend(differences(&vec![place(known)], &vec![place(&after)]));
    }
    if action == Action::Adopted || !change.fields.is_empty() {
        change.steps.push(Step::UpdatePerson(Box::new(after)));
    }
    if known.password_hash.is_none()
        && let Some(password) = new_password(server, declared)?
    {
        change.notes.push("gets the declared password, having none".to_owned());
        change.steps.push(Step::InitialPassword(known.id, password));
    }
    if known.disabled_at.is_some() {
        change.notes.push(format!("is disabled and stays so: 'grantor user enable {}'", known.email));
    }
    Ok(Some(change).filter(|change| !change.steps.is_empty()))
}

/// A person with what the file says. What it leaves out of name and verification stays.
fn declared_as(declared: &DeclaredPerson, known: &Person, now: Timestamp) -> Person {
    Person {
        email: declared.email.typed.clone(),
        name: declared.name.clone().or_else(|| known.name.clone()),
        roles: declared.roles.clone(),
        groups: declared.groups.clone(),
        claims: declared.claims.clone(),
        email_verified_at: match declared.email_verified {
            Some(true) => known.email_verified_at.or(Some(now)),
            Some(false) => None,
            None => known.email_verified_at,
        },
        declared_in: Some(declared.declared_in.clone()),
        ..known.clone()
    }
}

/// The password to begin with, if one is declared; the error says what is wrong with its file.
fn new_password(server: &Server, declared: &DeclaredPerson) -> Result<Option<NewPassword>, String> {
    match &declared.initial_password {
        None => Ok(None),
        Some(InitialPassword::Hash(hash)) => Ok(Some(NewPassword::Hash(hash.clone()))),
        Some(InitialPassword::File(path)) => {
            let wrong = |why: String| format!("its password_file {}: {why}", path.display());
            let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|error| wrong(format!("cannot be read: {error}")))?;
            let line = text.trim_end_matches(['\r', '\n']);
            if line.contains('\n') {
                return Err(wrong("must hold one line".to_owned()));
            }
            let chosen = Password::choose(line, &server.config().passwords, &declared.email);
            chosen.map(|password| Some(NewPassword::Plain(password))).map_err(|why| wrong(why.to_string()))
        }
    }
}

fn of(person: &Person, action: Action, declared_in: &str) -> Change {
    let (name, declared_in) = (person.email.clone(), declared_in.to_owned());
    Change { kind: Kind::Person, name, action, declared_in, fields: Vec::new(), notes: Vec::new(), steps: Vec::new() }
}

fn no_longer_declared(person: Person, missing: Missing, plan: &mut Plan) {
    let was_in = person.declared_in.clone().unwrap_or_default();
    let (action, disable) = match missing {
        Missing::Keep => {
            let reason = "'grantor apply --prune' disables them, '--release' leaves them to the command line".to_owned();
            return plan.no_longer_declared.push(Told { kind: Kind::Person, name: person.email, declared_in: was_in, reason });
        }
        Missing::Disable => (Action::Disabled, person.disabled_at.is_none()),
        Missing::Release => (Action::Released, false),
    };
    let mut change = of(&person, action, &was_in);
    if disable {
        change.steps.push(Step::DisablePerson(person.id));
    }
    change.steps.push(Step::UpdatePerson(Box::new(Person { declared_in: None, ..person })));
    plan.changes.push(change);
}

/// A person by the names of its keys.
fn parts(person: &Person) -> Parts {
    vec![
        ("email", vec![person.email.clone()]),
        ("name", person.name.iter().cloned().collect()),
        ("roles", person.roles.clone()),
        ("groups", person.groups.clone()),
        ("claims", person.claims.iter().map(|(name, value)| format!("{name} = {value}")).collect()),
        ("email_verified", yes_or_no(person.email_verified_at.is_some())),
    ]
}
