//! Every table with its columns: what a backup holds and a copy moves. A test compares this list with both databases.
//!
//! Statements for any table are put together here and nowhere else, of names that are in the list or [`Table::is_sound`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

/// What a column holds, whichever database keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Text,
    Number,
    /// Microseconds.
    Time,
    Json,
    Bytes,
    Id,
}

/// A column by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub name: Cow<'static, str>,
    pub kind: Kind,
}

/// A table, the columns by which its rows are ordered, and all that it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    #[serde(rename = "table")]
    pub name: Cow<'static, str>,
    pub key: Cow<'static, [Cow<'static, str>]>,
    pub columns: Cow<'static, [Column]>,
}

macro_rules! tables {
    ($($table:ident($($key:ident),+): $($column:ident $kind:ident),+;)*) => {
        &[$(Table {
            name: Cow::Borrowed(stringify!($table)),
            key: Cow::Borrowed(&[$(Cow::Borrowed(stringify!($key))),+]),
            columns: Cow::Borrowed(&[$(Column { name: Cow::Borrowed(stringify!($column)), kind: Kind::$kind }),+]),
        }),*]
    };
}

/// A table comes behind those that it refers to. Two are of a database and not of its content: `_sqlx_migrations`, which the
/// migrations of the target write, and `unfinished_copies`.
pub(crate) const TABLES: &[Table] = tables! {
    settings(name): name Text, value Text;
    people(id): id Id, email Text, email_key Text, email_verified_at Time, name Text, roles Json, password_hash Text, created_at Time,
        disabled_at Time, tokens_not_before Time, declared_in Text, groups Json, claims Json, updated_at Time;
    clients(id): id Text, name Text, client_type Text, application_type Text, redirect_uris Json, grant_types Json, scope Text,
        resources Json, introspects Json, first_party_at Time, trust Text, refresh_rotation Text, created_at Time, disabled_at Time,
        tokens_not_before Time, declared_in Text, metadata Json, registration_token_hash Bytes, unused_until Time,
        revision Number, unused_from Bytes;
    client_secrets(id): id Id, client_id Text, hash Bytes, created_at Time, declared_at Time, sealed Bytes, ends_at Time;
    consents(person_id, client_id): person_id Id, client_id Text, scope Text, resources Json, given_at Time;
    authorization_requests(id): id Id, params Json, expires_at Time;
    authorization_codes(hash): hash Bytes, person_id Id, client_id Text, session_id Id, scope Text, resources Json, redirect_uri Text,
        code_challenge Text, auth_time Time, amr Json, created_at Time, expires_at Time, nonce Text, claims_request Json, sid Id;
    grants(id): id Id, person_id Id, client_id Text, session_id Id, scope Text, resources Json, code_hash Bytes, auth_time Time, amr Json,
        created_at Time, generation Number, last_used_at Time, expires_at Time, revoked_at Time, claims_request Json, sid Id;
    revoked_tokens(jti): jti Id, expires_at Time;
    browser_sessions(id_hash): id_hash Bytes, id Id, person_id Id, auth_time Time, amr Json, address Text, user_agent Text,
        created_at Time, last_seen_at Time, expires_at Time;
    session_clients(session_id, client_id): session_id Id, client_id Text, person_id Id, ended_at Time, due_at Time, attempts Number,
        expires_at Time;
    client_assertions(client_id, jti_hash): client_id Text, jti_hash Bytes, expires_at Time;
    registration_tokens(id): id Id, hash Bytes, uses_left Number, created_at Time, expires_at Time;
    resources(uri): uri Text, name Text, scope Text, access_token_ttl Number, access_token_signing_alg Text, claims Json,
        created_at Time, disabled_at Time, declared_in Text;
    keys(kid): kid Text, purpose Text, algorithm Text, public_jwk Json, sealed Bytes, created_at Time, published_at Time,
        signs_from Time, signs_until Time, removed_at Time;
    throttles(account, network): account Bytes, network Bytes, expires_at Time;
    jobs(name): name Text, leased_by Id, leased_until Time, last_run_at Time;
    audit_events(id): id Id, at Time, name Text, actor Text, subject Id, client_id Text, grant_id Id, address Text, request_id Id,
        details Json;
};

impl Table {
    /// Whether every name can stand in a statement as it is, and every row has an order: a file may say anything.
    pub(crate) fn is_sound(&self) -> bool {
        let is_name = |name: &str| {
            !name.is_empty()
                && name.len() <= 60
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        let kinds: Vec<_> = self.key.iter().map(|key| self.kind_of(key)).collect();
        is_name(&self.name)
            && self.columns.iter().all(|column| is_name(&column.name))
            && !kinds.is_empty()
            && kinds.iter().all(Option::is_some)
    }

    fn kind_of(&self, name: &str) -> Option<Kind> {
        self.columns.iter().find(|column| column.name == name).map(|column| column.kind)
    }

    fn names(&self) -> String {
        self.columns.iter().map(|column| &*column.name).collect::<Vec<_>>().join(", ")
    }

    /// All rows, in an order that both databases have: by bytes.
    pub(super) fn select(&self, dialect: Dialect) -> AssertSqlSafe<String> {
        let column = |column: &Column| match column.kind {
            Kind::Json => format!("CAST({0} AS TEXT) AS {0}", column.name),
            _ => column.name.to_string(),
        };
        let by = |name: &Cow<'_, str>| match (self.kind_of(name), dialect) {
            (Some(Kind::Text), Dialect::Postgres) => format!("{name} COLLATE \"C\""),
            _ => name.to_string(),
        };
        let columns: Vec<_> = self.columns.iter().map(column).collect();
        let order: Vec<_> = self.key.iter().map(by).collect();
        AssertSqlSafe(format!("SELECT {} FROM {} ORDER BY {}", columns.join(", "), self.name, order.join(", ")))
    }

    /// An insert of so many rows.
    pub(super) fn insert(&self, dialect: Dialect, rows: usize) -> AssertSqlSafe<String> {
        let place = |(at, column): (usize, &Column)| match (column.kind, dialect) {
            (Kind::Json, Dialect::Postgres) => format!("CAST(${at} AS JSONB)"),
            _ => format!("${at}"),
        };
        let tuple = |row: usize| {
            let first = row * self.columns.len() + 1;
            format!("({})", (first..).zip(self.columns.iter()).map(place).collect::<Vec<_>>().join(", "))
        };
        let tuples: Vec<_> = (0..rows).map(tuple).collect();
        AssertSqlSafe(format!("INSERT INTO {} ({}) VALUES {}", self.name, self.names(), tuples.join(", ")))
    }

    pub(super) fn delete(&self) -> AssertSqlSafe<String> {
        AssertSqlSafe(format!("DELETE FROM {}", self.name))
    }

    /// One, if there is a row.
    pub(super) fn any(&self) -> AssertSqlSafe<String> {
        AssertSqlSafe(format!("SELECT COUNT(*) FROM (SELECT 1 AS one FROM {} LIMIT 1) AS found", self.name))
    }

    pub(super) fn count(&self) -> AssertSqlSafe<String> {
        AssertSqlSafe(format!("SELECT COUNT(*) FROM {}", self.name))
    }

    /// Keeps others from writing to these tables (Postgres).
    pub(super) fn lock(tables: &[Self]) -> AssertSqlSafe<String> {
        let names: Vec<&str> = tables.iter().map(|table| &*table.name).collect();
        AssertSqlSafe(format!("LOCK TABLE {} IN EXCLUSIVE MODE", names.join(", ")))
    }

    /// How many rows go into one statement: SQLite takes 32,766 parameters.
    pub(crate) fn batch(&self) -> usize {
        (30_000 / self.columns.len().max(1)).min(500)
    }
}

/// Where the two databases read SQL differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, key: &str, column: &str) -> Table {
        let json = serde_json::json!({ "table": name, "key": [key], "columns": [{ "name": column, "kind": "text" }] });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_name_that_says_more_than_a_name_is_not_sound() {
        assert!(TABLES.iter().all(Table::is_sound));
        assert!(table("people", "id", "id").is_sound());
        for name in ["", "people; DROP TABLE people", "people\"", "People", "a b", "a--", "a.b", &"a".repeat(61)] {
            assert!(!table(name, "id", "id").is_sound(), "{name}");
            assert!(!table("people", name, name).is_sound(), "{name}");
            assert!(!table("people", "id", name).is_sound(), "a key that is no column");
        }
    }

    #[test]
    fn no_statement_has_more_parameters_than_either_database_takes() {
        assert!(TABLES.iter().all(|table| table.batch() > 0 && table.batch() * table.columns.len() <= 32_766));
    }
}
