//! `grantor apply`

use clap::Args;
use serde::Serialize;

use super::{CommonArgs, Failure, print_json};
use crate::{
    audit::Actor,
    declared::{self, Action, Change, Field, Missing, Plan},
    server::Server,
};

#[derive(Args)]
#[command(after_help = "\
Makes the clients, people and APIs what grantor.toml, and the files that it includes, declare as [[clients]], [[people]] and
[[resources]].
'grantor serve' does so at its start, too. Nothing is ever deleted; what a command disabled stays disabled.

Examples:
  grantor apply --dry-run
  grantor apply --config /etc/grantor/grantor.toml
  grantor apply --prune --dry-run")]
pub(super) struct Apply {
    #[command(flatten)]
    common: CommonArgs,
    /// Print what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Disable what was declared once and no longer is
    #[arg(long)]
    prune: bool,
    /// Leave what was declared once and no longer is to the command line, as it is
    #[arg(long, conflicts_with = "prune")]
    release: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Shown<'a> {
    dry_run: bool,
    #[serde(flatten)]
    plan: &'a Plan,
}

impl Apply {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let missing = match (self.prune, self.release) {
            (true, _) => Missing::Disable,
            (_, true) => Missing::Release,
            _ => Missing::Keep,
        };
        let mut config = self.common.config.load()?;
        let counts = [config.declared.clients.len(), config.declared.people.len(), config.declared.resources.len()];
        if missing == Missing::Disable && counts == [0; 3] {
            return Err(Failure::Refused(
                "nothing is declared, and --prune would disable whatever once was: is this the right folder and --config? \
                 To end declaring things, use --release"
                    .to_owned(),
            ));
        }
        // A look at a plan migrates nothing.
        config.database.migrate &= !self.dry_run;
        let plan = super::with_server_of(config, async |server: &Server| {
            let planned = if self.dry_run { declared::plan(server, missing).await } else { apply(server, missing).await };
            Ok(planned?)
        });
        let plan = match plan.await {
            Err(Failure::Failed(error)) if self.dry_run => {
                return Err(error.context("a dry run changes nothing, the database's tables included").into());
            }
            plan => plan?,
        };
        if self.common.json {
            print_json(&Shown { dry_run: self.dry_run, plan: &plan })?;
        } else {
            print(&plan, counts, self.dry_run)?;
        }
        match plan.refused.len() {
            0 => Ok(()),
            1 => Err(Failure::Refused("one declaration cannot be applied".to_owned())),
            more => Err(Failure::Refused(format!("{more} declarations cannot be applied"))),
        }
    }
}

async fn apply(server: &Server, missing: Missing) -> anyhow::Result<Plan> {
    declared::apply(server, &Actor::Operator, missing).await
}

fn print(plan: &Plan, counts: [usize; 3], dry_run: bool) -> Result<(), Failure> {
    plan.changes.iter().try_for_each(print_change)?;
    for refused in &plan.refused {
        say!("! {} {} ({}): {}", refused.kind, refused.name, refused.declared_in, refused.reason)?;
    }
    for kept in &plan.no_longer_declared {
        say!("- {} {}: no longer declared in {}; kept: {}", kept.kind, kept.name, kept.declared_in, kept.reason)?;
    }
    if plan.unchanged > 0 {
        say!("= {} unchanged", plan.unchanged)?;
    }
    match plan.changes.len() {
        0 if counts == [0; 3] => {
            say!("Nothing is declared: write [[clients]], [[people]] and [[resources]] in grantor.toml, or in files that it includes.")
        }
        0 => say!("Nothing to change: {} are declared.", counted(counts)),
        changes if dry_run => say!("{changes} to change. Nothing was changed: this was a dry run."),
        changes => say!("{changes} changed."),
    }
}

fn counted([clients, people, resources]: [usize; 3]) -> String {
    let of = |count: usize, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
    let (clients, people) = (of(clients, "client", "clients"), of(people, "person", "people"));
    match resources {
        0 => format!("{clients} and {people}"),
        _ => format!("{clients}, {people} and {}", of(resources, "resource", "resources")),
    }
}

fn print_change(change: &Change) -> Result<(), Failure> {
    let sign = match change.action {
        Action::Created => '+',
        Action::Adopted | Action::Updated => '~',
        Action::Disabled | Action::Released => '-',
    };
    let what = match change.action {
        Action::Adopted => "adopted: it was there already, and is changed in this file from now on",
        Action::Disabled => "no longer declared: disabled",
        Action::Released => "no longer declared: left to the command line",
        action => action.as_str(),
    };
    say!("{sign} {} {} ({}): {what}", change.kind, change.name, change.declared_in)?;
    let width = change.fields.iter().map(|field| field.name.len()).max().unwrap_or(0);
    change.fields.iter().try_for_each(|field| print_field(field, width))?;
    change.notes.iter().try_for_each(|note| say!("    {note}"))
}

/// One line for each value, the first with the field's name.
fn print_field(field: &Field, width: usize) -> Result<(), Failure> {
    let values = field.removed.iter().map(|value| ('-', value)).chain(field.added.iter().map(|value| ('+', value)));
    for (index, (sign, value)) in values.enumerate() {
        let name = if index == 0 { field.name } else { "" };
        say!("    {name:width$}  {sign} {value}")?;
    }
    Ok(())
}
