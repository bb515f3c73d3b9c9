//! Copying a database into one of either kind, table by table. Whatever is there already and the same is kept, so a copy that
//! was interrupted goes on; at the end both are compared, and until they are equal the copy is marked as unfinished.

use futures_util::TryStreamExt;

use super::{
    super::{backend::run, opening},
    row::{Contents, Row},
    session::{Missing, Result, Session, Snapshot, TransferError},
    tables::{TABLES, Table},
};
use crate::{clock::Timestamp, config::DatabaseUrl};

/// Since which migration there is a mark.
const MARKED_SINCE: i64 = 10;

/// Whether rows that an earlier copy left may be of another database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Continue,
    Over,
}

/// How far a table is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub table: &'static str,
    pub rows: u64,
}

/// What was done to a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copied {
    pub rows: u64,
    /// How many of them an earlier copy had left.
    pub kept: u64,
}

/// A table that is not the same in both.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    pub table: &'static str,
    pub source_rows: u64,
    pub target_rows: u64,
}

/// A copy under way.
pub(crate) struct Copying {
    from: DatabaseUrl,
    source: Snapshot,
    target: Session,
}

impl Copying {
    /// Opens both, and marks the target. Call it while holding its [`FirstStart`](crate::store::FirstStart).
    pub(crate) async fn begin(from: &DatabaseUrl, to: &DatabaseUrl, start: Start, now: Timestamp) -> Result<Self> {
        let source = Snapshot::begin(from).await?;
        let mut target = Session::open(to, Missing::Make).await?;
        if target.schema().await?.is_none() {
            target.migrate_to(opening::newest_schema()).await?;
        }
        target.todays_schema().await?;
        let name = from.to_string();
        match (unfinished_in(&mut target).await?, start) {
            (Some(marked), Start::Continue) if marked == name => {}
            (Some(source_database), Start::Continue) => {
                let remedy = "finish that, or use --start-over, which deletes what is there";
                return Err(TransferError::UnfinishedCopy { database: target.name, source_database, remedy });
            }
            (Some(_), Start::Over) => mark(&mut target, &name, now).await?,
            (None, _) => {
                if let Some(table) = target.occupied(TABLES).await? {
                    let remedy = "copy into an empty one";
                    return Err(TransferError::NotEmpty { database: target.name, table: table.name.to_string(), remedy });
                }
                mark(&mut target, &name, now).await?;
            }
        }
        Ok(Self { from: from.clone(), source, target })
    }

    /// Makes a table of the target what it is in the source.
    pub(crate) async fn table(&mut self, table: &'static Table, told: &mut (dyn FnMut(Progress) + Send)) -> Result<Copied> {
        let held = self.target.content(table).await?;
        let mut kept = held.rows;
        let mut rows = self.source.rows(table);
        let mut contents = Contents::default();
        while contents.rows() < held.rows {
            let Some(row) = rows.try_next().await? else { break };
            contents.add(&row);
        }
        if contents.clone().finish() != held {
            drop(rows);
            self.target.clear(table).await?;
            (kept, contents) = (0, Contents::default());
            rows = self.source.rows(table);
        }
        let mut batch: Vec<Row> = Vec::with_capacity(table.batch());
        while let Some(row) = rows.try_next().await? {
            contents.add(&row);
            batch.push(row);
            if batch.len() == table.batch() {
                self.target.insert(table, &batch).await?;
                batch.clear();
                told(Progress { table: name_of(table), rows: contents.rows() });
            }
        }
        self.target.insert(table, &batch).await?;
        Ok(Copied { rows: contents.rows(), kept })
    }

    /// Compares every table with what the source has now; without a difference the copy is finished.
    pub(crate) async fn finish(mut self) -> Result<Vec<Difference>> {
        self.source.end().await?;
        let mut source = Snapshot::begin(&self.from).await?;
        let mut differences = Vec::new();
        for table in TABLES {
            let (one, other) = (source.content(table).await?, self.target.content(table).await?);
            if one != other {
                differences.push(Difference { table: name_of(table), source_rows: one.rows, target_rows: other.rows });
            }
        }
        if differences.is_empty() {
            const UNMARK: &str = "DELETE FROM unfinished_copies";
            self.target.execute(UNMARK, UNMARK).await?;
        }
        source.end().await?;
        self.target.close().await?;
        Ok(differences)
    }
}

fn name_of(table: &'static Table) -> &'static str {
    &table.name
}

async fn mark(target: &mut Session, source: &str, now: Timestamp) -> Result<()> {
    const MARK: &str = "INSERT INTO unfinished_copies (one, source, began_at) VALUES (1, $1, $2) \
         ON CONFLICT (one) DO UPDATE SET source = excluded.source, began_at = excluded.began_at";
    let marked = run!(&mut target.link.conn(), db => sqlx::query(MARK).bind(source).bind(now).execute(db).await.map(drop));
    marked.map_err(|cause| target.fault(cause))
}

/// The source of a copy that did not come to its end in this database.
pub(super) async fn unfinished_in(session: &mut Session) -> Result<Option<String>> {
    const SELECT: &str = "SELECT source FROM unfinished_copies";
    if session.schema().await?.is_none_or(|schema| schema < MARKED_SINCE) {
        return Ok(None);
    }
    let source = run!(&mut session.link.conn(), db => sqlx::query_scalar(SELECT).fetch_optional(db).await);
    source.map_err(|cause| session.fault(cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::opening::SQLITE_MIGRATIONS;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn url(dir: &tempfile::TempDir, name: &str) -> DatabaseUrl {
        DatabaseUrl::Sqlite(dir.path().join(name))
    }

    async fn write(source: &mut Session, name: &'static str) {
        let insert = "INSERT INTO settings (name, value) VALUES ($1, '')";
        run!(&mut source.link.conn(), db => sqlx::query(insert).bind(name).execute(db).await.map(drop)).unwrap();
    }

    async fn all(copying: &mut Copying) -> Vec<u64> {
        let mut kept = Vec::new();
        for table in TABLES {
            kept.push(copying.table(table, &mut |_| ()).await.unwrap().kept);
        }
        kept
    }

    #[tokio::test]
    async fn a_source_that_changes_meanwhile_is_noticed_and_copied_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (url(&dir, "from.db"), url(&dir, "to.db"));
        let mut source = Session::open(&from, Missing::Make).await.unwrap();
        source.migrate_to(SQLITE_MIGRATIONS.iter().last().unwrap().version).await.unwrap();
        write(&mut source, "b").await;
        write(&mut source, "c").await;

        let mut copying = Copying::begin(&from, &to, Start::Continue, NOW).await.unwrap();
        all(&mut copying).await;
        write(&mut source, "d").await;
        let differences = copying.finish().await.unwrap();
        let told: Vec<_> = differences.iter().map(|table| (table.table, table.source_rows, table.target_rows)).collect();
        assert_eq!(told, [("settings", 3, 2)]);

        // What was behind the end is added; what comes in between makes the table be copied anew.
        let mut copying = Copying::begin(&from, &to, Start::Continue, NOW).await.unwrap();
        assert_eq!(all(&mut copying).await[0], 2);
        write(&mut source, "a").await;
        assert_eq!(copying.finish().await.unwrap().len(), 1);
        let mut copying = Copying::begin(&from, &to, Start::Continue, NOW).await.unwrap();
        assert_eq!(all(&mut copying).await[0], 0);
        assert!(copying.finish().await.unwrap().is_empty());
        assert!(Copying::begin(&from, &to, Start::Continue, NOW).await.is_err(), "finished: it is a database like any other");
    }
}
