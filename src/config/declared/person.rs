//! `[[people]]`: people by their e-mail, with the password that they begin with.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::{Map, Value};

use super::{
    entry::{Entry, Keys},
    phc, roles,
};
use crate::oauth::{Email, client, standard_claims};

pub(in crate::config) const KEYS: Keys = &[
    ("email", "Who it is, whatever the case of the letters. Required."),
    ("name", "What the person is called. Without it, the name that the person has stays."),
    ("roles", "A list. Without it: none."),
    ("groups", "A list. Without it: none."),
    (
        "claims",
        "A table of standard claims of OpenID, such as `given_name`, `birthdate`, `phone_number` or `address`, and of attributes of yours. Without it: none.",
    ),
    ("email_verified", "Whether the address is known to be this person's. Without it, that stays as it is."),
    (
        "password_file",
        "A file with the password that the person begins with: set if the person has none, and never again. It may be removed then.",
    ),
    ("password_hash", "The same as an Argon2id hash in PHC form, `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`."),
];

/// A person as a file has it.
#[derive(Clone)]
pub struct DeclaredPerson {
    pub email: Email,
    pub name: Option<String>,
    pub roles: Vec<String>,
    pub groups: Vec<String>,
    pub claims: Map<String, Value>,
    pub email_verified: Option<bool>,
    pub initial_password: Option<InitialPassword>,
    pub declared_in: String,
}

/// What a person without a password gets.
#[derive(Clone)]
pub enum InitialPassword {
    /// A PHC string.
    Hash(String),
    /// Read when somebody needs it, so that it can be removed.
    File(PathBuf),
}

/// The person of one table; `None` where something is wrong with it.
pub(super) fn read(entry: &mut Entry<'_>, known_roles: &BTreeMap<String, String>) -> Option<DeclaredPerson> {
    let email = entry.parsed("email", Email::parse);
    let name = entry.parsed("name", client::display_name);
    let roles = entry.each("roles", |role| roles::check(role, known_roles).map(|()| role.to_owned())).unwrap_or_default();
    let groups = entry.each("groups", |group| roles::check_group(group).map(|()| group.to_owned())).unwrap_or_default();
    let claims = entry.table("claims").unwrap_or_default();
    if let Err((name, why)) = standard_claims::check_all(&claims) {
        entry.mistake("claims", None, format!("{name}: {why}"));
    }
    let email_verified = entry.flag("email_verified");
    let file = entry.text("password_file").map(|path| InitialPassword::File(entry.document.beside(path)));
    let hash = entry.text("password_hash");
    if let Some(why) = hash.and_then(|hash| phc::check(hash).err()) {
        entry.mistake("password_hash", None, why);
    }
    if file.is_some() && hash.is_some() {
        entry.mistake("password_hash", None, "password_file is given, too: remove one of the two");
    }
    let initial_password = file.or_else(|| hash.map(|hash| InitialPassword::Hash(hash.to_owned())));
    let declared_in = entry.document.name.to_owned();
    let email = email.filter(|_| entry.is_right())?;
    Some(DeclaredPerson { email, name, roles, groups, claims, email_verified, initial_password, declared_in })
}
