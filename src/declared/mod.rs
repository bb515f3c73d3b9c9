//! What files declare, applied to the store: first a plan, then one write with its audit event for each change.

mod clients;
mod people;
mod plan;
mod resources;
mod step;

use anyhow::Context;

use crate::{audit::Actor, server::Server, store::FirstStart};

pub(crate) use plan::{Action, Change, Field, Plan};

/// What becomes of a thing that a file declared once and none declares any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It stays as it is, and is told: the server may have been started without its file.
    Keep,
    /// It is disabled, and no longer a file's.
    Disable,
    /// It is no longer a file's, and else stays as it is.
    Release,
}

/// What [`apply`] would do.
pub(crate) async fn plan(server: &Server, missing: Missing) -> anyhow::Result<Plan> {
    let mut plan = Plan::default();
    resources::plan(server, missing, &mut plan).await?;
    clients::plan(server, missing, &mut plan).await?;
    people::plan(server, missing, &mut plan).await?;
    Ok(plan)
}

/// Makes the store what the files declare, as far as it can; tells what was done and what could not be. Of processes that
/// do so at once one does it, under the lock of the first start.
pub(crate) async fn apply(server: &Server, actor: &Actor, missing: Missing) -> anyhow::Result<Plan> {
    let looked_at = plan(server, missing).await?;
    if looked_at.changes.is_empty() {
        return Ok(looked_at);
    }
    let _first_start = FirstStart::begin(server.config()).await?;
    let plan = plan(server, missing).await?;
    for change in &plan.changes {
        for step in &change.steps {
            step.run(server, actor, change).await.with_context(|| format!("the {} '{}' cannot be changed", change.kind, change.name))?;
        }
    }
    Ok(plan)
}
