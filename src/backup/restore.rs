//! Restoring a backup: everything is checked before anything is kept, and what was issued before it ends (decision 0025).

use std::io::Read;

use super::{
    BackupError, Result, Summary,
    format::{Header, Part, Reader},
};
use crate::{
    audit::{Actor, AuditEvent, AuditName, Origin},
    clock::Clock,
    config::DatabaseUrl,
    secret::{MasterKey, MasterKeys},
    store::transfer::{Occupied, Restoring, Standing},
};

/// What a restore did.
pub(crate) struct Restored {
    pub backup: Summary,
    /// `None` if it was told to keep what stood.
    pub ended: Option<Standing>,
}

/// What becomes of the sessions and grants of the backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Issued {
    Ends,
    /// For a backup after which nothing happened any more.
    Stays,
}

/// Reads a whole backup and changes nothing.
pub(crate) fn check(source: impl Read, master_keys: &MasterKeys) -> Result<Summary> {
    let (mut reader, header, master_key) = begin(source, master_keys)?;
    for table in &header.tables {
        while matches!(reader.part(table)?, Part::Rows(_)) {}
    }
    reader.end(master_key)
}

/// Writes a backup into a database. Call it while holding its [`FirstStart`](crate::store::FirstStart).
pub(crate) async fn restore(
    source: impl Read,
    database: &DatabaseUrl,
    master_keys: &MasterKeys,
    clock: &Clock,
    occupied: Occupied,
    issued: Issued,
) -> Result<Restored> {
    let (mut reader, header, master_key) = begin(source, master_keys)?;
    let mut target = Restoring::begin(database, header.schema, header.tables.clone(), occupied).await?;
    for table in &header.tables {
        let written = loop {
            match reader.part(table)? {
                Part::Rows(rows) => target.insert(table, &rows).await?,
                Part::End(content) => break content,
            }
        };
        if target.content(table).await? != written {
            return Err(BackupError::NotKept(table.name.to_string()));
        }
    }
    let backup = reader.end(master_key)?;
    // A clock that is behind must not leave what came after its time.
    let now = clock.now().max(header.at);
    let ended = match issued {
        Issued::Ends => Some(target.end_what_stood(now).await?),
        Issued::Stays => None,
    };
    let mut event = AuditEvent::new(now, AuditName::DatabaseRestored, Actor::Operator, Origin::default())
        .with("backup_of", backup.at.clone())
        .with("sha256", backup.sha256.clone());
    if let Some(ended) = ended {
        event = event.with("sessions_ended", ended.sessions).with("grants_ended", ended.grants);
    }
    target.commit(&event).await?;
    Ok(Restored { backup, ended })
}

fn begin<R: Read>(source: R, master_keys: &MasterKeys) -> Result<(Reader<R>, Header, &MasterKey)> {
    let (reader, header) = Reader::begin(source)?;
    match master_keys.named(&header.master_key) {
        Some(master_key) => Ok((reader, header, master_key)),
        None => Err(BackupError::of_master_key("backup", header.master_key, master_keys)),
    }
}
