//! A connection of one's own to either database, and what both can be asked: rows in order, by a statement for any table.

use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use sqlx::{ConnectOptions, Connection, PgConnection, Row as _, SqliteConnection};
use uuid::Uuid;

use super::{
    super::{
        backend::{Conn, run},
        opening::{self, OpenError},
    },
    row::{Content, Contents, Row, Value},
    tables::{Dialect, Kind, Table},
};
use crate::{clock::Timestamp, config::DatabaseUrl};

/// Why a database was not read or written; the message says what to change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the database {0} is empty: it has no tables of Grantor")]
    NoTables(String),
    #[error(
        "the database {database} is of schema version {found}, and this is Grantor {program} with schema version {known}: run 'grantor migrate' \
         first, or use the Grantor that the database belongs to",
        program = env!("CARGO_PKG_VERSION")
    )]
    OlderSchema { database: String, found: i64, known: i64 },
    #[error("the database {database} is not empty ({table} has rows): {remedy}")]
    NotEmpty { database: String, table: String, remedy: &'static str },
    #[error("the database {database} holds an unfinished copy of {source_database}: {remedy}")]
    UnfinishedCopy { database: String, source_database: String, remedy: &'static str },
    #[error(
        "the backup is of schema version {backup}, and the tables of {database} are of version {found}: restore it into a database without \
         tables, which is then migrated"
    )]
    TablesAreNewer { database: String, backup: i64, found: i64 },
    #[error("the table {table} of {database}: {cause}")]
    Table { database: String, table: String, cause: sqlx::Error },
    #[error("the database {database}: {cause}")]
    Database { database: String, cause: sqlx::Error },
    #[error("{0}")]
    Store(crate::error::Error),
}

pub(super) type Result<T, E = TransferError> = std::result::Result<T, E>;

/// A row of either driver as ours.
macro_rules! read_row {
    ($row:expr, $table:expr) => {{
        let row = $row?;
        let mut values = Row::with_capacity($table.columns.len());
        for (at, column) in $table.columns.iter().enumerate() {
            let value = match column.kind {
                Kind::Text => row.try_get::<Option<String>, _>(at)?.map(Value::Text),
                Kind::Json => row.try_get::<Option<String>, _>(at)?.map(Value::Json),
                Kind::Number => row.try_get::<Option<i64>, _>(at)?.map(Value::Number),
                Kind::Time => row.try_get::<Option<Timestamp>, _>(at)?.map(Value::Time),
                Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(at)?.map(Value::Bytes),
                Kind::Id => row.try_get::<Option<Uuid>, _>(at)?.map(Value::Id),
            };
            values.push(value.unwrap_or(Value::Null));
        }
        Ok::<Row, sqlx::Error>(values)
    }};
}

/// A connection to either database.
pub(super) enum Link {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// A connection that is nobody else's.
pub(super) struct Session {
    pub link: Link,
    /// What messages call the database, without its password.
    pub name: String,
}

/// Whether a file that is not there is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Make,
    Refuse,
}

impl Link {
    pub(super) fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(db) => Conn::Sqlite(db),
            Self::Postgres(db) => Conn::Postgres(db),
        }
    }
}

impl Session {
    pub(super) async fn open(url: &DatabaseUrl, missing: Missing) -> Result<Self> {
        let name = url.to_string();
        let connect = |cause| OpenError::Connect { database: name.clone(), cause };
        let link = match url {
            DatabaseUrl::Sqlite(path) => {
                let options = opening::sqlite_options(path).create_if_missing(missing == Missing::Make);
                Link::Sqlite(options.connect().await.map_err(connect)?)
            }
            DatabaseUrl::Postgres(url) => {
                Link::Postgres(opening::postgres_options(url).map_err(connect)?.connect().await.map_err(connect)?)
            }
        };
        Ok(Self { link, name })
    }

    fn dialect(&self) -> Dialect {
        match self.link {
            Link::Sqlite(_) => Dialect::Sqlite,
            Link::Postgres(_) => Dialect::Postgres,
        }
    }

    pub(super) fn fault(&self, cause: sqlx::Error) -> TransferError {
        TransferError::Database { database: self.name.clone(), cause }
    }

    /// A statement that answers nothing, with the text that each database needs.
    pub(super) async fn execute(&mut self, sqlite: &'static str, postgres: &'static str) -> Result<u64> {
        let done = match &mut self.link {
            Link::Sqlite(db) => sqlx::query(sqlite).execute(db).await.map(|done| done.rows_affected()),
            Link::Postgres(db) => sqlx::query(postgres).execute(db).await.map(|done| done.rows_affected()),
        };
        done.map_err(|cause| self.fault(cause))
    }

    /// The version of the last migration; `None` before the first.
    pub(super) async fn schema(&mut self) -> Result<Option<i64>> {
        const LAST: &str = "SELECT MAX(version) FROM _sqlx_migrations";
        let tables: Result<i64, _> = match &mut self.link {
            Link::Sqlite(db) => {
                sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'").fetch_one(db).await
            }
            Link::Postgres(db) => {
                sqlx::query_scalar("SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('_sqlx_migrations')").fetch_one(db).await
            }
        };
        if tables.map_err(|cause| self.fault(cause))? == 0 {
            return Ok(None);
        }
        let last = run!(&mut self.link.conn(), db => sqlx::query_scalar(LAST).fetch_one(db).await);
        last.map_err(|cause| self.fault(cause))
    }

    /// The version of the schema, which must be this program's.
    pub(super) async fn todays_schema(&mut self) -> Result<i64> {
        let known = opening::newest_schema();
        match self.schema().await? {
            Some(found) if found == known => Ok(found),
            Some(found) if found > known => Err(OpenError::FromTheFuture { found, known }.into()),
            Some(found) => Err(TransferError::OlderSchema { database: self.name.clone(), found, known }),
            None => Err(TransferError::NoTables(self.name.clone())),
        }
    }

    /// Applies the migrations up to a version.
    pub(super) async fn migrate_to(&mut self, version: i64) -> Result<()> {
        let migrated = match &mut self.link {
            Link::Sqlite(db) => opening::SQLITE_MIGRATIONS.run_direct(Some(version), db, false).await,
            Link::Postgres(db) => opening::POSTGRES_MIGRATIONS.run_direct(Some(version), db, false).await,
        };
        Ok(migrated.map_err(OpenError::Migrate)?)
    }

    /// Every row of a table, in the order of its key.
    pub(super) fn rows<'s>(&'s mut self, table: &'s Table) -> BoxStream<'s, Result<Row>> {
        let select = table.select(self.dialect());
        let (name, link) = (&self.name, &mut self.link);
        let fault = move |cause| TransferError::Table { database: name.clone(), table: table.name.to_string(), cause };
        match link {
            Link::Sqlite(db) => sqlx::query(select).fetch(db).map(move |row| read_row!(row, table)).map_err(fault).boxed(),
            Link::Postgres(db) => {
                sqlx::query(select).persistent(false).fetch(db).map(move |row| read_row!(row, table)).map_err(fault).boxed()
            }
        }
    }

    /// What a table holds.
    pub(super) async fn content(&mut self, table: &Table) -> Result<Content> {
        let mut contents = Contents::default();
        let mut rows = self.rows(table);
        while let Some(row) = rows.try_next().await? {
            contents.add(&row);
        }
        Ok(contents.finish())
    }

    /// Inserts at most [`Table::batch`] rows by one statement.
    pub(super) async fn insert(&mut self, table: &Table, rows: &[Row]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let insert = table.insert(self.dialect(), rows.len());
        let done = run!(&mut self.link.conn(), db => {
            let mut query = sqlx::query(insert).persistent(false);
            for (value, column) in rows.iter().flat_map(|row| row.iter().zip(table.columns.iter())) {
                query = match (value, column.kind) {
                    (Value::Text(text) | Value::Json(text), _) => query.bind(text),
                    (Value::Number(number), _) => query.bind(number),
                    (Value::Time(time), _) => query.bind(time),
                    (Value::Bytes(bytes), _) => query.bind(bytes),
                    (Value::Id(id), _) => query.bind(id),
                    (Value::Null, Kind::Text | Kind::Json) => query.bind(None::<String>),
                    (Value::Null, Kind::Number) => query.bind(None::<i64>),
                    (Value::Null, Kind::Time) => query.bind(None::<Timestamp>),
                    (Value::Null, Kind::Bytes) => query.bind(None::<Vec<u8>>),
                    (Value::Null, Kind::Id) => query.bind(None::<Uuid>),
                };
            }
            query.execute(db).await.map(drop)
        });
        done.map_err(|cause| self.fault_of(table, cause))
    }

    /// Deletes every row of a table.
    pub(super) async fn clear(&mut self, table: &Table) -> Result<()> {
        let done = run!(&mut self.link.conn(), db => sqlx::query(table.delete()).execute(db).await.map(drop));
        done.map_err(|cause| self.fault_of(table, cause))
    }

    /// The first of these tables that has a row.
    pub(super) async fn occupied<'t>(&mut self, tables: &'t [Table]) -> Result<Option<&'t Table>> {
        for table in tables {
            let rows: Result<i64, _> = run!(&mut self.link.conn(), db => sqlx::query_scalar(table.any()).fetch_one(db).await);
            if rows.map_err(|cause| self.fault_of(table, cause))? > 0 {
                return Ok(Some(table));
            }
        }
        Ok(None)
    }

    fn fault_of(&self, table: &Table, cause: sqlx::Error) -> TransferError {
        TransferError::Table { database: self.name.clone(), table: table.name.to_string(), cause }
    }

    pub(super) async fn close(self) -> Result<()> {
        let name = self.name;
        let closed = match self.link {
            Link::Sqlite(db) => db.close().await,
            Link::Postgres(db) => db.close().await,
        };
        closed.map_err(|cause| TransferError::Database { database: name, cause })
    }
}

/// A database as it was at one moment, however much is written meanwhile.
pub(crate) struct Snapshot {
    session: Session,
    pub schema: i64,
}

impl Snapshot {
    pub(crate) async fn begin(url: &DatabaseUrl) -> Result<Self> {
        let mut session = Session::open(url, Missing::Refuse).await?;
        session.execute("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        // The first thing read is what fixes the moment.
        let schema = session.todays_schema().await?;
        if let Some(source_database) = super::copy::unfinished_in(&mut session).await? {
            let remedy = "run 'grantor copy' again to finish it";
            return Err(TransferError::UnfinishedCopy { database: session.name, source_database, remedy });
        }
        Ok(Self { session, schema })
    }

    /// `sqlite` or `postgres`.
    pub(crate) fn kind(&self) -> &'static str {
        match self.session.link {
            Link::Sqlite(_) => "sqlite",
            Link::Postgres(_) => "postgres",
        }
    }

    /// Every row of a table, in the order of its key.
    pub(crate) fn rows<'s>(&'s mut self, table: &'s Table) -> BoxStream<'s, Result<Row>> {
        self.session.rows(table)
    }

    /// What a table holds.
    pub(super) async fn content(&mut self, table: &Table) -> Result<Content> {
        self.session.content(table).await
    }

    /// The value of a setting.
    pub(crate) async fn setting(&mut self, name: &str) -> Result<Option<String>> {
        const SELECT: &str = "SELECT value FROM settings WHERE name = $1";
        let value = run!(&mut self.session.link.conn(), db => sqlx::query_scalar(SELECT).bind(name).fetch_optional(db).await);
        value.map_err(|cause| self.session.fault(cause))
    }

    pub(crate) async fn end(self) -> Result<()> {
        self.session.close().await
    }
}
