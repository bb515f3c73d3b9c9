//! `grantor restore`

use std::{
    fs::File,
    io::{Read, stdin},
    path::PathBuf,
};

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::{CommonArgs, Failure, print_json};
use crate::{
    backup::{self, Issued, Restored, Summary},
    clock::Clock,
    config::Config,
    sealing,
    store::{FirstStart, Migrations, SoleServer, Store, transfer::Occupied},
    telemetry,
};

#[derive(Args)]
#[command(after_help = "\
Give the same master key as the backed-up server: it is not in the file. Everything is checked before anything is kept.

A backup knows nothing of what was revoked after it. So everybody signs in again: sessions and grants end, codes and
registration tokens go, and access tokens of before are no longer active. --keep-grants is for a backup after which
nothing happened any more, such as one of a server that was stopped first.

Examples:
  grantor restore grantor.backup --check
  grantor restore grantor.backup
  grantor restore grantor.backup --database-url postgres://grantor@db/grantor --replace")]
pub(super) struct Restore {
    #[command(flatten)]
    common: CommonArgs,
    /// The backup; - is the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Read the whole backup and change nothing
    #[arg(long, conflicts_with_all = ["replace", "keep_grants"])]
    check: bool,
    /// Delete everything that the database holds
    #[arg(long)]
    replace: bool,
    /// Keep sessions, grants, codes and tokens as they were
    #[arg(long)]
    keep_grants: bool,
}

impl Restore {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = self.common.config.load()?;
        telemetry::begin_quietly(&config);
        let source: Box<dyn Read + Send> = match self.file.as_os_str().to_str() {
            Some("-") => Box::new(stdin()),
            _ => Box::new(File::open(&self.file).with_context(|| format!("{} cannot be read", self.file.display()))?),
        };
        let master_keys = sealing::given(&config, true)?;
        if self.check {
            let summary = backup::check(source, &master_keys).map_err(anyhow::Error::new)?;
            return told_of_check(&summary, self.common.json);
        }
        let Some(_sole) = SoleServer::of(&config.database_url).map_err(anyhow::Error::new)? else {
            return Err(Failure::Refused(format!("a server runs on {}: stop it first", config.database_url)));
        };
        let first_start = FirstStart::begin(&config).await.map_err(anyhow::Error::new)?;
        let occupied = if self.replace { Occupied::Replace } else { Occupied::Refuse };
        let issued = if self.keep_grants { Issued::Stays } else { Issued::Ends };
        let restored = backup::restore(source, &config.database_url, &master_keys, &Clock::system(), occupied, issued).await;
        let restored = restored.map_err(anyhow::Error::new)?;
        // A backup of an earlier schema is migrated now.
        Store::open(&config, Migrations::Apply).await.map_err(anyhow::Error::new)?.close().await;
        drop(first_start);
        if self.common.json { print_json(&as_json(&restored)) } else { told(&config, &restored) }
    }
}

fn told_of_check(summary: &Summary, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&json!({ "backup": summary }));
    }
    say!(
        "The backup is whole: {} rows of {} tables, as of {}, schema version {}, made by Grantor {} with the master key {}.",
        summary.rows,
        summary.tables.len(),
        summary.at,
        summary.schema,
        summary.grantor,
        summary.master_key
    )
}

fn as_json(restored: &Restored) -> serde_json::Value {
    let ended = restored.ended.map(|ended| json!({ "sessions": ended.sessions, "grants": ended.grants }));
    json!({ "backup": restored.backup, "ended": ended })
}

fn told(config: &Config, restored: &Restored) -> Result<(), Failure> {
    let backup = &restored.backup;
    say!("Restored {} rows of {} tables to {}, as they were {}.", backup.rows, backup.tables.len(), config.database_url, backup.at)?;
    match restored.ended {
        Some(ended) => say!(
            "Ended {} sessions and {} grants: everybody signs in again, and apps that were signed in to are told.",
            ended.sessions,
            ended.grants
        )?,
        None => say!("Sessions and grants stand as they were: those that ended since then are alive again.")?,
    }
    say!(
        "Do again what was done since then: what was disabled or deleted, passwords, secrets, withdrawn consents. If a key leaked since then: \
         'grantor keys rotate --now'."
    )
}
