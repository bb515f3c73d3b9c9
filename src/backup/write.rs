//! Making a backup while servers write.

use std::io::Write;

use futures_util::TryStreamExt;

use super::{
    BackupError, Result, Summary,
    format::{Header, Writer},
};
use crate::{
    clock::Clock,
    config::DatabaseUrl,
    secret::MasterKey,
    store::{
        settings::MASTER_KEY_FINGERPRINT,
        transfer::{Contents, Snapshot, TABLES},
    },
};

/// Writes everything that the database holds at this moment; gives the sink back, which is yet to be flushed to disk.
pub(crate) async fn write<W: Write>(database: &DatabaseUrl, master_key: &MasterKey, clock: &Clock, sink: W) -> Result<(W, Summary)> {
    let at = clock.now();
    let mut snapshot = Snapshot::begin(database).await?;
    let ours = master_key.fingerprint();
    let theirs = snapshot.setting(MASTER_KEY_FINGERPRINT).await?;
    if let Some(theirs) = theirs.filter(|theirs| *theirs != ours) {
        return Err(BackupError::OtherMasterKey { what: "database", theirs, ours });
    }
    let header = Header::new(snapshot.schema, at, snapshot.kind(), ours);
    let mut writer = Writer::begin(sink, &header)?;
    for table in TABLES {
        let mut contents = Contents::default();
        let mut rows = snapshot.rows(table);
        while let Some(row) = rows.try_next().await? {
            contents.add(&row);
            writer.row(&row)?;
        }
        drop(rows);
        writer.section(table, contents.finish())?;
    }
    snapshot.end().await?;
    writer.end(master_key)
}
