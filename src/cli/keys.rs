//! `grantor keys`

mod rewrap;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{CommonArgs, Failure, print_json, print_table};
use crate::{
    clock::Timestamp,
    jose::{
        Algorithm,
        rotation::Rotated,
        schedule::{Next, Schedule, State, newest},
    },
    server::Server,
    store::keys::StoredKey,
};

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  grantor keys list
  grantor keys rotate
  grantor keys rewrap                another master key")]
pub(super) enum Command {
    /// List the signing keys, their times, and what the server will do with them
    List(List),
    /// Replace the signing keys
    Rotate(Rotate),
    /// Seal everything under another master key
    Rewrap(rewrap::RewrapKeys),
}

#[derive(Args)]
#[command(after_help = "\
A key is next (published, not signing yet), active, retiring (published until its last token has expired) or retired
(published no more).

Example:
  grantor keys list --json")]
pub(super) struct List {
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Args)]
#[command(after_help = "\
The server rotates by itself after keys.rotation_interval; this does it now.
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
            Self::Rewrap(rewrap) => rewrap.run().await,
        }
    }
}

/// A key as `--json` shows it.
#[derive(Serialize)]
struct Shown {
    kid: String,
    alg: String,
    state: &'static str,
    published_at: String,
    signs_from: String,
    signs_until: Option<String>,
    removed_at: Option<String>,
    /// When the state changes by these times ...
    changes_at: Option<String>,
    /// ... and to what.
    becomes: Option<&'static str>,
    /// What the server will do with the newest key of an algorithm.
    job: Option<Job>,
}

#[derive(Serialize)]
struct Job {
    /// `rotate`, `end`, `wait` or `none`.
    does: &'static str,
    at: Option<String>,
}

impl Shown {
    fn of(key: &StoredKey, job: Option<Next>, schedule: Schedule, now: Timestamp) -> Self {
        let state = State::of(key, now);
        let changes_at = state.changes_at(key, schedule);
        Self {
            kid: key.kid.clone(),
            alg: key.algorithm.clone(),
            state: state.as_str(),
            published_at: key.published_at.to_string(),
            signs_from: key.signs_from.to_string(),
            signs_until: key.signs_until.map(|at| at.to_string()),
            removed_at: key.removed_at.map(|at| at.to_string()),
            changes_at: changes_at.map(|at| at.to_string()),
            becomes: changes_at.map(|_| state.followed_by()),
            job: job.map(Job::of),
        }
    }

    fn row(self) -> Vec<String> {
        let changes = match (self.becomes, self.changes_at) {
            (Some(becomes), Some(at)) => format!("{becomes} {at}"),
            _ => "-".to_owned(),
        };
        vec![self.kid, self.alg, self.state.to_owned(), self.published_at, changes]
    }
}

impl Job {
    fn of(next: Next) -> Self {
        let (does, at) = match next {
            Next::Rotates(at) => ("rotate", Some(at)),
            Next::Ends(at) => ("end", Some(at)),
            Next::WaitsForTheClock => ("wait", None),
            Next::Stays => ("none", None),
        };
        Self { does, at: at.map(|at| at.to_string()) }
    }
}

/// What the server will do, as a sentence.
fn told(algorithm: Algorithm, next: Next, now: Timestamp) -> String {
    let name = algorithm.as_str();
    let due = if next.is_due(now) { ": a running server does it now" } else { "" };
    match next {
        Next::Rotates(at) => format!("{name}: the next key is made {at}{due}"),
        Next::Ends(at) => format!("{name}: ends {at} without a successor, because tokens.access_token_alg selects another{due}"),
        Next::WaitsForTheClock => {
            format!("{name}: nothing is rotated, because the newest key is of a time that is yet to come: is the clock right?")
        }
        Next::Stays => format!("{name}: nothing is rotated, because keys.rotation_interval is 0s"),
    }
}

/// Every signing key, and what is next for the newest of each algorithm.
struct Listed {
    keys: Vec<Shown>,
    plans: Vec<String>,
}

impl Listed {
    async fn of(server: &Server) -> Result<Self, Failure> {
        let now = server.clock().now();
        let schedule = Schedule::of(server.config());
        let stored = server.store().keys_ever().await?;
        let in_use = server.rotation().in_use().await?;
        let next_of = |key: &StoredKey, algorithm: Algorithm| schedule.next(key, in_use.contains(&algorithm), now);
        let is_newest = |key: &StoredKey, algorithm| newest(&stored, algorithm).is_some_and(|newest| newest.kid == key.kid);
        let job = |key: &StoredKey| {
            Algorithm::parse(&key.algorithm).filter(|algorithm| is_newest(key, *algorithm)).map(|algorithm| next_of(key, algorithm))
        };
        let signing = stored.iter().filter(|key| key.is_of_signatures());
        let keys = signing.map(|key| Shown::of(key, job(key), schedule, now)).collect();
        let with_a_key = Algorithm::ALL.iter().filter_map(|&algorithm| Some((algorithm, newest(&stored, algorithm)?)));
        let plans = with_a_key.map(|(algorithm, key)| told(algorithm, next_of(key, algorithm), now)).collect();
        Ok(Self { keys, plans })
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let listed = self.common.config.with_server(async |server| Listed::of(server).await).await?;
        if self.common.json {
            return print_json(&listed.keys);
        }
        let rows: Vec<Vec<String>> = listed.keys.into_iter().map(Shown::row).collect();
        print_table(&["KID", "ALG", "STATE", "PUBLISHED AT", "BECOMES"], &rows)?;
        say!("")?;
        listed.plans.iter().try_for_each(|plan| say!("{plan}"))
    }
}

impl Rotate {
    async fn run(self) -> Result<(), Failure> {
        let is_emergency = self.now;
        let rotated = self.common.config.with_server(async |server| {
            if is_emergency {
                return Ok(Rotated::Done { signs_from: server.rotation().withdraw().await? });
            }
            Ok(server.rotation().rotate().await?)
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
