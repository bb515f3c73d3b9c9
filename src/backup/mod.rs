//! The database in a file, and back: one format for `SQLite` and Postgres, compressed, with a checksum for each table and a MAC over
//! all of it by the master key, which is not in it.

mod format;
mod restore;
mod write;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{secret::MasterKeys, store::transfer::TransferError};

pub(crate) use restore::{Issued, Restored, check, restore};
pub(crate) use write::write;

/// What a backup holds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    /// When the database was as the backup has it (RFC 3339).
    pub at: String,
    pub schema: i64,
    /// The version of the program that made it.
    pub grantor: String,
    /// Names the master key that belongs to it.
    pub master_key: String,
    pub rows: u64,
    /// Rows by table.
    pub tables: BTreeMap<String, u64>,
    /// Of everything but the last line.
    pub sha256: String,
}

/// Why a backup was not made or not restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error("the backup cannot be written: {0}")]
    Unwritable(std::io::Error),
    #[error("the backup cannot be read: {0}")]
    Unreadable(std::io::Error),
    #[error("this is no backup of Grantor")]
    Foreign,
    #[error("the backup is of format {found}, and this Grantor reads format {known}: restore it with a newer version")]
    OtherFormat { found: u32, known: u32 },
    #[error(
        "the backup was made by Grantor {program} with schema version {found}, and this one knows schema versions up to {known}: restore it \
         with that version or a later one"
    )]
    FromTheFuture { program: String, found: i64, known: i64 },
    #[error(
        "this is not the master key of the {what}: that has the key {theirs}, given is {ours}. No backup holds the master key: give the \
         right one with GRANTOR_MASTER_KEY or GRANTOR_MASTER_KEY_FILE, or as GRANTOR_MASTER_KEY_PREVIOUS if 'grantor keys rewrap' is to \
         replace it afterwards"
    )]
    OtherMasterKey { what: &'static str, theirs: String, ours: String },
    #[error("the backup is damaged or incomplete: {0}. Nothing was changed")]
    Damaged(&'static str),
    #[error("the backup was altered after it was made: it does not carry the MAC of this master key. Nothing was changed")]
    Altered,
    #[error("the database does not give the rows of {0} back as they were written. Nothing was changed")]
    NotKept(String),
}

impl BackupError {
    fn of_master_key(what: &'static str, theirs: String, ours: &MasterKeys) -> Self {
        Self::OtherMasterKey { what, theirs, ours: ours.names() }
    }
}

type Result<T, E = BackupError> = std::result::Result<T, E>;
