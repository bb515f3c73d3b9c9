//! What pending migrations will do to a database, told before they do it and without writing anything.

use std::collections::BTreeSet;

use serde::Serialize;
use sqlx::migrate::Migration;

use super::{
    super::{backend::run, opening},
    session::{Link, Missing, Result, Session},
    tables::{TABLES, Table},
};
use crate::config::DatabaseUrl;

/// Rows a second that an index reads, and that a statement rewrites, on a small machine.
const INDEXED: u64 = 200_000;
const REWRITTEN: u64 = 50_000;

/// What [`plan`] found.
#[derive(Debug, Serialize)]
pub(crate) struct Plan {
    /// The version that the tables are of; none in a new database.
    pub schema: Option<i64>,
    /// The version that they will be of.
    pub target: i64,
    pub migrations: Vec<Planned>,
}

/// A migration to come.
#[derive(Debug, Serialize)]
pub(crate) struct Planned {
    pub version: i64,
    pub name: String,
    /// The first sentence of its file.
    pub does: String,
    /// How many rows it reads or rewrites as they are now.
    pub rows: u64,
    /// A guess by that number.
    pub about_seconds: u64,
    /// Tables that cannot be written to meanwhile.
    pub holds_up: Vec<String>,
}

/// How a statement goes through the rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Index,
    Rewrite,
}

/// What is pending in a database, and how much work that is.
pub(crate) async fn plan(database: &DatabaseUrl) -> Result<Plan> {
    let target = opening::newest_schema();
    if matches!(database, DatabaseUrl::Sqlite(path) if !path.exists()) {
        return Ok(Plan {
            schema: None,
            target,
            migrations: pending(&BTreeSet::new(), &opening::SQLITE_MIGRATIONS).map(made_anew).collect(),
        });
    }
    let mut session = Session::open(database, Missing::Refuse).await?;
    let schema = session.schema().await?;
    if let Some(found) = schema.filter(|found| *found > target) {
        return Err(opening::OpenError::FromTheFuture { found, known: target }.into());
    }
    let applied = applied(&mut session, schema).await?;
    let migrator = match session.link {
        Link::Sqlite(_) => &opening::SQLITE_MIGRATIONS,
        Link::Postgres(_) => &opening::POSTGRES_MIGRATIONS,
    };
    let mut migrations = Vec::new();
    for migration in pending(&applied, migrator) {
        migrations.push(if schema.is_none() { made_anew(migration) } else { measured(&mut session, migration).await? });
    }
    session.close().await?;
    Ok(Plan { schema, target, migrations })
}

async fn applied(session: &mut Session, schema: Option<i64>) -> Result<BTreeSet<i64>> {
    const SELECT: &str = "SELECT version FROM _sqlx_migrations";
    if schema.is_none() {
        return Ok(BTreeSet::new());
    }
    let versions: Result<Vec<i64>, _> = run!(&mut session.link.conn(), db => sqlx::query_scalar(SELECT).fetch_all(db).await);
    Ok(versions.map_err(|cause| session.fault(cause))?.into_iter().collect())
}

fn pending<'m>(applied: &BTreeSet<i64>, migrator: &'m sqlx::migrate::Migrator) -> impl Iterator<Item = &'m Migration> {
    migrator.iter().filter(move |migration| !applied.contains(&migration.version))
}

/// In a new database there are no rows.
fn made_anew(migration: &Migration) -> Planned {
    Planned {
        version: migration.version,
        name: migration.description.to_string(),
        does: first_sentence(migration.sql.as_str()),
        rows: 0,
        about_seconds: 0,
        holds_up: Vec::new(),
    }
}

async fn measured(session: &mut Session, migration: &Migration) -> Result<Planned> {
    let mut planned = made_anew(migration);
    let mut hundredths = 0;
    for (work, name) in work(migration.sql.as_str()) {
        // A table that is not in the list is made by a migration of these.
        let Some(table) = TABLES.iter().find(|table| table.name == name) else { continue };
        let Some(rows) = rows(session, table).await? else { continue };
        planned.rows += rows;
        hundredths += rows * 100 / if work == Work::Index { INDEXED } else { REWRITTEN };
        if !planned.holds_up.contains(&name) {
            planned.holds_up.push(name);
        }
    }
    planned.about_seconds = hundredths.div_ceil(100);
    Ok(planned)
}

/// `None` for a table that is yet to be made.
async fn rows(session: &mut Session, table: &Table) -> Result<Option<u64>> {
    const ON_SQLITE: &str = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = $1";
    const ON_POSTGRES: &str = "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass($1)";
    let there: Result<i64, _> = match &mut session.link {
        Link::Sqlite(db) => sqlx::query_scalar(ON_SQLITE).bind(&*table.name).fetch_one(db).await,
        Link::Postgres(db) => sqlx::query_scalar(ON_POSTGRES).bind(&*table.name).fetch_one(db).await,
    };
    if there.map_err(|cause| session.fault(cause))? == 0 {
        return Ok(None);
    }
    let rows: Result<i64, _> = run!(&mut session.link.conn(), db => sqlx::query_scalar(table.count()).fetch_one(db).await);
    Ok(Some(rows.map_err(|cause| session.fault(cause))?.unsigned_abs()))
}

/// What the comment at the head of a migration says first.
fn first_sentence(sql: &str) -> String {
    let comment: Vec<&str> = sql.lines().map_while(|line| line.strip_prefix("--")).map(str::trim).collect();
    let text = comment.join(" ");
    text.split_inclusive(". ").next().unwrap_or_default().trim().to_owned()
}

/// Which tables the statements of a migration go through, row by row. What only changes the schema costs nothing.
fn work(sql: &str) -> Vec<(Work, String)> {
    let code: Vec<&str> = sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    code.join("\n").split(';').filter_map(work_of).collect()
}

fn work_of(statement: &str) -> Option<(Work, String)> {
    let upper = statement.to_ascii_uppercase();
    let words: Vec<&str> = upper.split(|letter: char| letter.is_whitespace() || letter == '(').filter(|word| !word.is_empty()).collect();
    let behind = |word: &str| {
        let at = words.iter().position(|known| *known == word)?;
        words.get(at + 1).map(|name| name.to_ascii_lowercase())
    };
    match words.as_slice() {
        ["CREATE", "INDEX", ..] | ["CREATE", "UNIQUE", "INDEX", ..] => Some((Work::Index, behind("ON")?)),
        ["UPDATE", table, ..] | ["DELETE", "FROM", table, ..] => Some((Work::Rewrite, table.to_ascii_lowercase())),
        ["INSERT", "INTO", ..] if words.contains(&"SELECT") => Some((Work::Rewrite, behind("FROM")?)),
        ["ALTER", "TABLE", table, rest @ ..] if rest.contains(&"DROP") && rest.contains(&"COLUMN") => {
            Some((Work::Rewrite, table.to_ascii_lowercase()))
        }
        ["ALTER", "TABLE", table, rest @ ..] if rest.contains(&"SET") || rest.contains(&"TYPE") => {
            Some((Work::Rewrite, table.to_ascii_lowercase()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_through_rows_is_told_from_what_does_not() {
        let sql = "-- What it does. And why.\n-- More of that.\nCREATE TABLE b (id TEXT); -- UPDATE x\nALTER TABLE grants ADD COLUMN c TEXT;\n\
            CREATE INDEX i ON audit_events (at);\nCREATE UNIQUE INDEX j\n  ON people(email);\nUPDATE clients SET name = '';\n\
            ALTER TABLE grants DROP COLUMN c;\nINSERT INTO b (id) SELECT kid FROM keys;\nDELETE FROM jobs;\nINSERT INTO b VALUES ('x');";
        assert_eq!(first_sentence(sql), "What it does.");
        let expected = [
            (Work::Index, "audit_events"),
            (Work::Index, "people"),
            (Work::Rewrite, "clients"),
            (Work::Rewrite, "grants"),
            (Work::Rewrite, "keys"),
            (Work::Rewrite, "jobs"),
        ];
        assert_eq!(work(sql), expected.map(|(work, table)| (work, table.to_owned())));
    }

    #[test]
    fn every_migration_says_what_it_does() {
        for migrator in [&opening::SQLITE_MIGRATIONS, &opening::POSTGRES_MIGRATIONS] {
            for migration in migrator.iter() {
                let sentence = first_sentence(migration.sql.as_str());
                assert!(sentence.len() > 20 && sentence.ends_with(['.', ':']), "{:04}: {sentence}", migration.version);
            }
        }
    }
}
