//! What is measured, against which bare server, and the ratio that each row is held to.

use std::fmt;

/// Where a server keeps its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// What is asked of a server again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    HelloGet,
    HelloPost,
    Rotate,
    Lookup,
    Argon2,
    Discovery,
    Jwks,
    ClientCredentials,
    Refresh,
    Introspect,
    CodeFlow,
    /// With `openid`: by the algorithm that the client registered for its ID tokens.
    CodeFlowOpenId(IdTokenAlgorithm),
    SignIn,
}

/// What signs an ID token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdTokenAlgorithm {
    Rs256,
    Es256,
}

impl IdTokenAlgorithm {
    /// The registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub work: Work,
    pub database: Option<Database>,
    /// The share of the baseline's rate that Grantor must reach.
    pub bar: Option<f64>,
}

/// A baseline and the rows that are measured in turns with it.
#[derive(Debug)]
pub struct Group {
    pub baseline: Row,
    pub rows: Vec<Row>,
}

const BOTH: [Database; 2] = [Database::Sqlite, Database::Postgres];

impl Database {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "Postgres",
        }
    }
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::HelloGet => "hello GET",
            Self::HelloPost => "hello POST",
            Self::Rotate => "rotate",
            Self::Lookup => "lookup",
            Self::Argon2 => "argon2",
            Self::Discovery => "discovery",
            Self::Jwks => "jwks",
            Self::ClientCredentials => "client_credentials",
            Self::Refresh => "refresh",
            Self::Introspect => "introspect",
            Self::CodeFlow => "code flow",
            Self::CodeFlowOpenId(IdTokenAlgorithm::Rs256) => "code flow openid, RS256",
            Self::CodeFlowOpenId(IdTokenAlgorithm::Es256) => "code flow openid, ES256",
            Self::SignIn => "sign-in",
        }
    }

    /// Whether its server is Grantor.
    fn is_grantors(self) -> bool {
        !matches!(self, Self::HelloGet | Self::HelloPost | Self::Rotate | Self::Lookup | Self::Argon2)
    }
}

impl Row {
    fn bare(work: Work, database: Option<Database>) -> Self {
        Self { work, database, bar: None }
    }

    fn grantor(work: Work, database: Database, bar: f64) -> Self {
        Self { work, database: Some(database), bar: Some(bar) }
    }

    /// A row that is told, and held to nothing.
    fn unbarred(work: Work, database: Database) -> Self {
        Self { work, database: Some(database), bar: None }
    }

    /// Whether Grantor must run on `database` for this row.
    pub fn needs_grantor(&self, database: Database) -> bool {
        self.work.is_grantors() && self.database == Some(database)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.database {
            Some(database) => format!("{}, {}", self.work.name(), database.name()),
            None => self.work.name().to_owned(),
        };
        formatter.pad(&name)
    }
}

/// Every group, or those with a row whose name contains one of `only`.
pub fn groups(only: &[String]) -> Vec<Group> {
    let mut groups = vec![
        Group {
            baseline: Row::bare(Work::HelloGet, None),
            rows: BOTH
                .into_iter()
                .flat_map(|database| [Row::grantor(Work::Discovery, database, 0.8), Row::grantor(Work::Jwks, database, 0.8)])
                .collect(),
        },
        Group {
            baseline: Row::bare(Work::HelloPost, None),
            rows: BOTH.map(|database| Row::grantor(Work::ClientCredentials, database, 0.3)).to_vec(),
        },
    ];
    for (database, code_flow) in [(Database::Sqlite, 0.2), (Database::Postgres, 0.25)] {
        groups.push(Group {
            baseline: Row::bare(Work::Rotate, Some(database)),
            rows: vec![
                Row::grantor(Work::Refresh, database, 0.6),
                Row::grantor(Work::CodeFlow, database, code_flow),
                Row::unbarred(Work::CodeFlowOpenId(IdTokenAlgorithm::Rs256), database),
                Row::unbarred(Work::CodeFlowOpenId(IdTokenAlgorithm::Es256), database),
            ],
        });
    }
    groups.extend(BOTH.map(|database| Group {
        baseline: Row::bare(Work::Lookup, Some(database)),
        rows: vec![Row::grantor(Work::Introspect, database, 0.6)],
    }));
    groups.push(Group {
        baseline: Row::bare(Work::Argon2, None),
        rows: BOTH.map(|database| Row::grantor(Work::SignIn, database, 0.85)).to_vec(),
    });
    select(groups, only)
}

/// A row brings its baseline along; a baseline alone stays alone.
fn select(mut groups: Vec<Group>, only: &[String]) -> Vec<Group> {
    if only.is_empty() {
        return groups;
    }
    let wanted = |row: &Row| {
        let name = row.to_string().to_lowercase();
        only.iter().any(|part| name.contains(&part.to_lowercase()))
    };
    groups.retain_mut(|group| {
        group.rows.retain(wanted);
        !group.rows.is_empty() || wanted(&group.baseline)
    });
    groups
}
