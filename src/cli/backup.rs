//! `grantor backup`

use std::{
    fs::File,
    io::{self, IsTerminal, stdout},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::{CommonArgs, Failure, print_json, serve::stop_signal};
use crate::{
    backup::{self, Summary},
    clock::Clock,
    config::Config,
    sealing, telemetry,
};

#[derive(Args)]
#[command(after_help = "\
The file is consistent while servers write, holds no master key, and is restored into SQLite or Postgres alike.
It appears under its name when it is whole. Whoever reads it learns who people are: keep it as safe as the database.

Examples:
  grantor backup /var/backups/grantor-$(date +%F).backup
  grantor backup --json nightly.backup --force
  grantor backup - | ssh backup 'cat > grantor.backup'")]
pub(super) struct Backup {
    #[command(flatten)]
    common: CommonArgs,
    /// Where to; - is the standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

impl Backup {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let config = self.common.config.load()?;
        telemetry::begin_quietly(&config);
        if self.file.as_os_str() == "-" {
            if self.common.json {
                return Err(Failure::Argument("--json needs the standard output, which '-' takes".to_owned()));
            }
            if stdout().is_terminal() {
                return Err(Failure::Argument("a backup is not for a terminal: name a file, or lead the output into one".to_owned()));
            }
            let (_, summary) = write(&config, stdout().lock()).await?;
            tell!("{}", told(&config, &summary, "standard output"));
            return Ok(());
        }
        let summary = tokio::select! {
            written = write_file(&config, &self.file, self.force) => written?,
            () = stop_signal()? => return Err(Failure::Refused(format!("ended by a signal: {} was not written", self.file.display()))),
        };
        let bytes = std::fs::metadata(&self.file).context("the backup is gone")?.len();
        if self.common.json {
            return print_json(&json!({ "file": self.file, "bytes": bytes, "backup": summary }));
        }
        say!("{}", told(&config, &summary, &format!("{} ({bytes} bytes)", self.file.display())))
    }
}

fn told(config: &Config, summary: &Summary, to: &str) -> String {
    format!(
        "{} rows of {} tables of {}, as of {}: written to {to}.\nThe master key {} is not in it: keep that apart.",
        summary.rows,
        summary.tables.len(),
        config.database_url,
        summary.at,
        summary.master_key
    )
}

async fn write<W: io::Write>(config: &Config, sink: W) -> Result<(W, Summary), Failure> {
    let master_keys = sealing::given(config, true)?;
    let written = backup::write(&config.database_url, &master_keys, &Clock::system(), sink).await;
    Ok(written.map_err(anyhow::Error::new)?)
}

/// Under a temporary name until it is whole and on disk.
async fn write_file(config: &Config, path: &Path, force: bool) -> Result<Summary, Failure> {
    let taken = || Failure::Refused(format!("{} is there already: choose another name, or --force", path.display()));
    if !force && path.exists() {
        return Err(taken());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unwritable = || format!("the backup cannot be written to {}", path.display());
    // The temporary file is for its owner alone, and goes if anything fails.
    let temporary = tempfile::Builder::new().prefix(".grantor-backup-").tempfile_in(folder).with_context(unwritable)?;
    let (temporary, summary) = write(config, temporary).await?;
    temporary.as_file().sync_all().with_context(unwritable)?;
    let named = if force { temporary.persist(path) } else { temporary.persist_noclobber(path) };
    match named {
        Err(error) if !force && error.error.kind() == io::ErrorKind::AlreadyExists => return Err(taken()),
        named => named.map(drop).map_err(|error| error.error).with_context(unwritable)?,
    }
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(unwritable)?;
    Ok(summary)
}
