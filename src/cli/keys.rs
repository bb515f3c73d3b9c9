//! `grantor keys`

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{CommonArgs, Failure, print_json, print_table};
use crate::{
    clock::Timestamp,
    jose::{
        SIGNATURE,
        rotation::{self, Rotated, Urgency},
    },
    store::keys::StoredKey,
};

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  grantor keys list
  grantor keys rotate")]
pub(super) enum Command {
    /// List the signing keys and their times
    List(List),
    /// Replace the signing keys
    Rotate(Rotate),
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Args)]
#[command(after_help = "\
Without --now, the new keys are published at once and sign when every cache of the JWKS has them;
the old ones stay published until the last token that they signed has expired.

Examples:
  grantor keys rotate
  grantor keys rotate --now      a key leaked: what it signed is refused as soon as caches forget it")]
pub(super) struct Rotate {
    #[command(flatten)]
    common: CommonArgs,
    /// Sign with the new keys at once, and withdraw the old ones
    #[arg(long)]
    now: bool,
}

impl Command {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run().await,
            Self::Rotate(rotate) => rotate.run().await,
        }
    }
}

#[derive(Serialize)]
struct Shown {
    kid: String,
    alg: String,
    state: &'static str,
    published_at: String,
    signs_from: String,
    signs_until: Option<String>,
    removed_at: Option<String>,
}

impl Shown {
    fn of(key: StoredKey, now: Timestamp) -> Self {
        let is_over = |end: Option<Timestamp>| end.is_some_and(|end| end <= now);
        let state = match () {
            () if is_over(key.removed_at) => "removed",
            () if is_over(key.signs_until) => "retired",
            () if key.signs_from > now => "next",
            () => "active",
        };
        Self {
            kid: key.kid,
            alg: key.algorithm,
            state,
            published_at: key.published_at.to_string(),
            signs_from: key.signs_from.to_string(),
            signs_until: key.signs_until.map(|at| at.to_string()),
            removed_at: key.removed_at.map(|at| at.to_string()),
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let read = self.common.config.with_server(async |server| Ok((server.store().keys().await?, server.clock().now())));
        let (keys, now) = read.await?;
        let keys: Vec<Shown> = keys.into_iter().filter(|key| key.purpose == SIGNATURE).map(|key| Shown::of(key, now)).collect();
        if self.common.json {
            return print_json(&keys);
        }
        let rows: Vec<Vec<String>> = keys
            .into_iter()
            .map(|key| {
                let end = |at: Option<String>| at.unwrap_or_else(|| "-".to_owned());
                vec![key.kid, key.alg, key.state.to_owned(), key.signs_from, end(key.signs_until), end(key.removed_at)]
            })
            .collect();
        print_table(&["KID", "ALG", "STATE", "SIGNS FROM", "SIGNS UNTIL", "REMOVED AT"], &rows)
    }
}

impl Rotate {
    async fn run(self) -> Result<(), Failure> {
        let urgency = if self.now { Urgency::Now } else { Urgency::Scheduled };
        let rotated = self.common.config.with_server(async |server| {
            let now = server.clock().now();
            Ok(rotation::rotate(server.store(), server.master_key(), server.config(), urgency, now).await?)
        });
        match rotated.await? {
            Rotated::AlreadyScheduled { signs_from } => Err(Failure::Refused(format!(
                "a rotation is under way already: its keys sign from {signs_from}. In an emergency use --now."
            ))),
            Rotated::Done { signs_from } if self.common.json => print_json(&serde_json::json!({ "signs_from": signs_from.to_string() })),
            Rotated::Done { signs_from } => {
                say!("New keys are published; they sign from {signs_from}.")
            }
        }
    }
}
