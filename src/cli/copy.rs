//! `grantor copy`

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use clap::Args;
use serde_json::json;

use super::{Failure, print_json};
use crate::{
    clock::Clock,
    config::DatabaseUrl,
    store::{
        FirstStart,
        transfer::{Copying, Difference, Progress, Start, TABLES},
    },
};

/// How often a long table is told of.
const TOLD_EVERY: Duration = Duration::from_secs(1);

#[derive(Args)]
#[command(after_help = "\
Stop the servers of the source first, and start them on the target afterwards, with the same master key. The target
is empty, or holds what an interrupted copy of the same source left: then the copy goes on where it was. At the end
both are compared, row by row; until they are equal no server starts on the target.

Examples:
  grantor copy --from sqlite:grantor-data/grantor.db --to postgres://grantor@db/grantor
  grantor copy --from postgres://grantor@db/grantor --to sqlite:copy/grantor.db --json")]
pub(super) struct Copy {
    /// The database to read: sqlite:PATH or postgres://...
    #[arg(long, value_name = "URL")]
    from: String,
    /// The database to write
    #[arg(long, value_name = "URL")]
    to: String,
    /// Delete what an unfinished copy of another source left
    #[arg(long)]
    start_over: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Copy {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (from, to) = (parse("--from", &self.from)?, parse("--to", &self.to)?);
        if from == to {
            return Err(Failure::Argument("--from and --to name the same database".to_owned()));
        }
        let first_start = FirstStart::of(&to).await.map_err(anyhow::Error::new)?;
        let start = if self.start_over { Start::Over } else { Start::Continue };
        let mut copying = Copying::begin(&from, &to, start, Clock::system().now()).await.map_err(anyhow::Error::new)?;
        let mut rows = BTreeMap::new();
        for table in TABLES {
            let mut last = Instant::now();
            let mut told = |progress: Progress| {
                if last.elapsed() >= TOLD_EVERY {
                    last = Instant::now();
                    tell!("{}: {} rows so far", progress.table, progress.rows);
                }
            };
            let copied = copying.table(table, &mut told).await.map_err(anyhow::Error::new)?;
            let kept = if copied.kept == 0 { String::new() } else { format!(", {} of them there already", copied.kept) };
            tell!("{}: {} rows{kept}", table.name, copied.rows);
            rows.insert(table.name.to_string(), copied.rows);
        }
        tell!("comparing");
        let differences = copying.finish().await.map_err(anyhow::Error::new)?;
        drop(first_start);
        if !differences.is_empty() {
            return Err(Failure::Refused(unequal(&differences)));
        }
        let all: u64 = rows.values().sum();
        if self.json {
            return print_json(&json!({ "from": from.to_string(), "to": to.to_string(), "rows": all, "tables": rows }));
        }
        say!("Copied {all} rows of {} tables from {from} to {to}: both hold the same.", rows.len())
    }
}

fn parse(flag: &str, text: &str) -> Result<DatabaseUrl, Failure> {
    text.parse().map_err(|remedy| Failure::Argument(format!("{flag} {remedy}")))
}

fn unequal(differences: &[Difference]) -> String {
    let told: Vec<String> = differences
        .iter()
        .map(|difference| format!("{} ({} and {} rows)", difference.table, difference.source_rows, difference.target_rows))
        .collect();
    format!("the source changed meanwhile, in {}: stop its servers and run this again, which copies these tables alone", told.join(", "))
}
