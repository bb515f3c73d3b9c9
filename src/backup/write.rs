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
    secret::MasterKeys,
    store::{
        settings::MASTER_KEY_FINGERPRINT,
        transfer::{Contents, Snapshot, TABLES},
    },
};

/// Writes everything that the database holds at this moment; gives the sink back, which is yet to be flushed to disk.
pub(crate) async fn write<W: Write>(database: &DatabaseUrl, master_keys: &MasterKeys, clock: &Clock, sink: W) -> Result<(W, Summary)> {
    let at = clock.now();
    let mut snapshot = Snapshot::begin(database).await?;
    let master_key = match snapshot.setting(MASTER_KEY_FINGERPRINT).await? {
        Some(theirs) => master_keys.named(&theirs).ok_or_else(|| BackupError::of_master_key("database", theirs, master_keys))?,
        None => master_keys.key(),
    };
    let header = Header::new(snapshot.schema, at, snapshot.kind(), master_key.fingerprint().to_owned());
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
