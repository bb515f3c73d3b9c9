//! `grantor audit`

use std::{
    collections::HashSet,
    io::{Write, stdout},
    time::Duration,
};

use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{CommonArgs, Failure, print_json};
use crate::{
    audit::AuditName,
    clock::Timestamp,
    config::parse_duration,
    error::Error,
    oauth::Email,
    server::Server,
    store::audit_events::{AuditFilter, AuditRecord},
};

/// How often `tail` looks.
const LOOK: Duration = Duration::from_secs(1);
/// How far `tail` looks back: what is committed later, or by a node whose clock is behind, may be of an earlier time.
const LOOK_BACK: Duration = Duration::from_secs(30);
/// How many events are read at a time.
const PAGE: u32 = 1_000;

#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  grantor audit list --since 1h
  grantor audit list --person alice@example.com --since 2026-11-01 --json
  grantor audit tail --name refresh_token.reused")]
pub(super) enum Command {
    /// List what happened that matters to security, the newest last
    List(List),
    /// Print the newest events, and then each as it happens
    Tail(Tail),
}

#[derive(Args)]
#[command(after_help = "\
docs/operations.md says what each event means, and what to do.

Examples:
  grantor audit list
  grantor audit list --since 24h --name sign_in.throttled
  grantor audit list --client shop --limit 1000 --json")]
pub(super) struct List {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    which: Which,
    /// How many events at most: the newest
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

#[derive(Args)]
#[command(after_help = "\
With --json each event is one line. It goes on until it is stopped, with Ctrl-C or SIGTERM.

Examples:
  grantor audit tail
  grantor audit tail --json --limit 0 >> audit.jsonl")]
pub(super) struct Tail {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    which: Which,
    /// How many events of before are printed first: the newest
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    limit: u32,
}

#[derive(Args)]
struct Which {
    /// Not those before: 30m, 12h, 7d ago, a date or a time of RFC 3339
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Since>,
    /// Of a person, by id or e-mail; of one who was deleted by id
    #[arg(long, value_name = "PERSON")]
    person: Option<String>,
    /// Of a client, by its id
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
    /// Of one name
    #[arg(long, value_name = "NAME", hide_possible_values = true, value_parser = name())]
    name: Option<&'static str>,
}

#[derive(Clone, Copy)]
enum Since {
    Ago(Duration),
    At(Timestamp),
}

fn since(text: &str) -> Result<Since, String> {
    let ago = parse_duration(text).map(Since::Ago);
    ago.or_else(|| Timestamp::parse(text).map(Since::At))
        .ok_or_else(|| "a duration such as 30m, 12h or 7d, a date such as 2026-11-01, or a time such as 2026-11-01T08:00:00Z".to_owned())
}

fn name() -> impl TypedValueParser<Value = &'static str> {
    let names = || AuditName::ALL.iter().map(|name| name.as_str());
    PossibleValuesParser::new(names()).map(move |text| names().find(|name| *name == text).unwrap_or_default())
}

impl Which {
    async fn filter(&self, server: &Server) -> Result<AuditFilter, Failure> {
        let since = self.since.map(|since| match since {
            Since::Ago(ago) => server.clock().now().before(ago),
            Since::At(at) => at,
        });
        let subject = match &self.person {
            None => None,
            Some(person) => Some(person_id(server, person).await?),
        };
        Ok(AuditFilter { since, subject, client_id: self.client.clone(), name: self.name })
    }
}

/// Events stay when their person goes: an id need not be anybody's.
async fn person_id(server: &Server, person: &str) -> Result<Uuid, Failure> {
    if let Ok(id) = Uuid::parse_str(person) {
        return Ok(id);
    }
    let email = Email::parse(person).map_err(|why| Failure::Argument(format!("--person {person}: neither an id nor an e-mail: {why}")))?;
    match server.store().person_by_email(&email.key).await? {
        Some(person) => Ok(person.id),
        None => Err(Failure::Refused(format!("nobody has the e-mail {person}; whose account was deleted is found by id"))),
    }
}

/// An event as `--json` shows it.
#[derive(Serialize)]
struct Shown<'a> {
    id: Uuid,
    at: String,
    name: &'a str,
    actor: &'a str,
    subject: Option<Uuid>,
    client_id: Option<&'a str>,
    grant_id: Option<Uuid>,
    address: Option<&'a str>,
    request_id: Option<Uuid>,
    details: &'a Map<String, Value>,
}

impl<'a> Shown<'a> {
    fn of(record: &'a AuditRecord) -> Self {
        let AuditRecord { id, at, name, actor, subject, client_id, grant_id, address, request_id, details } = record;
        Self {
            id: *id,
            at: at.in_full(),
            name,
            actor,
            subject: *subject,
            client_id: client_id.as_deref(),
            grant_id: *grant_id,
            address: address.as_deref(),
            request_id: *request_id,
            details,
        }
    }

    /// For people: what there is of an event, in one line.
    fn line(&self) -> String {
        let mut line = format!("{}  {:<26}  {}", self.at, self.name, self.actor);
        let members = [
            ("subject", self.subject.map(|id| id.to_string())),
            ("client", self.client_id.map(str::to_owned)),
            ("grant", self.grant_id.map(|id| id.to_string())),
            ("address", self.address.map(str::to_owned)),
            ("request", self.request_id.map(|id| id.to_string())),
        ];
        let details = self.details.iter().map(|(name, value)| (name.as_str(), Some(value.to_string())));
        for (name, value) in members.into_iter().chain(details) {
            line.extend(value.iter().flat_map(|value| ["  ", name, "=", value]));
        }
        line
    }
}

impl Command {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run().await,
            Self::Tail(tail) => tail.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let Self { common, which, limit } = self;
        let newest = common.config.with_server(async |server| Ok(newest(server, &which.filter(server).await?, limit).await?)).await?;
        let shown: Vec<Shown<'_>> = newest.iter().rev().map(Shown::of).collect();
        if shown.len() == limit as usize {
            tell!("These are the newest {limit}: there may be others before them, which a larger --limit shows.");
        }
        if common.json { print_json(&shown) } else { shown.iter().try_for_each(|event| say!("{}", event.line())) }
    }
}

/// The newest first.
async fn newest(server: &Server, filter: &AuditFilter, limit: u32) -> crate::error::Result<Vec<AuditRecord>> {
    let mut found: Vec<AuditRecord> = Vec::new();
    loop {
        let missing = limit - u32::try_from(found.len()).unwrap_or(limit);
        let before = found.last().map(|record| (record.at, record.id));
        let page = server.store().audit_events(filter, before, missing.min(PAGE)).await?;
        let is_last = page.len() < PAGE as usize;
        found.extend(page);
        if is_last || found.len() >= limit as usize {
            return Ok(found);
        }
    }
}

impl Tail {
    async fn run(self) -> Result<(), Failure> {
        let Self { common, which, limit } = self;
        let json = common.json;
        let follow = async |server: &Server| {
            let filter = which.filter(server).await?;
            let (mut follow, mut told) = Follow::begin(server, filter, limit).await?;
            while told.iter().rev().all(|record| print(&Shown::of(record), json)) {
                tokio::time::sleep(LOOK).await;
                told = follow.look(server).await?;
            }
            Ok(())
        };
        common.config.with_server(follow).await
    }
}

/// Whether there is still someone who reads.
fn print(event: &Shown<'_>, json: bool) -> bool {
    let line = if json { serde_json::to_string(event).unwrap_or_default() } else { event.line() };
    let mut out = stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
}

/// What was printed of the last while.
struct Follow {
    filter: AuditFilter,
    seen: HashSet<(Timestamp, Uuid)>,
}

impl Follow {
    /// With the newest events of before.
    async fn begin(server: &Server, filter: AuditFilter, limit: u32) -> Result<(Self, Vec<AuditRecord>), Failure> {
        let since = filter.since.max(Some(server.clock().now().before(LOOK_BACK)));
        let lately = newest(server, &AuditFilter { since, ..filter.clone() }, u32::MAX).await?;
        let told = newest(server, &filter, limit).await?;
        let seen = lately.iter().chain(&told).map(|record| (record.at, record.id)).collect();
        Ok((Self { filter: AuditFilter { since, ..filter }, seen }, told))
    }

    /// What is new, the newest first. A database that is away for a while is waited for.
    async fn look(&mut self, server: &Server) -> Result<Vec<AuditRecord>, Failure> {
        let mut new = match newest(server, &self.filter, u32::MAX).await {
            Err(Error::Unavailable { .. }) => return Ok(Vec::new()),
            found => found?,
        };
        new.retain(|record| self.seen.insert((record.at, record.id)));
        // Neither a clock that is ahead, here or at a node, nor a quiet hour makes it miss what comes.
        let newest = self.seen.iter().map(|(at, _)| *at).max();
        let from = newest.map(|newest| newest.min(server.clock().now()).before(LOOK_BACK));
        self.filter.since = self.filter.since.max(from);
        self.seen.retain(|(at, _)| Some(*at) >= self.filter.since);
        Ok(new)
    }
}
