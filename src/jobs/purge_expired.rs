//! Deletes what expired, in small batches, on one node at a time.

use std::time::Duration;

use crate::{
    error::Result,
    registration,
    server::Server,
    store::{
        Swapped,
        audit_events::ForgetEvents,
        client_secrets::ForgetEndedSecrets,
        jobs::{FinishJob, LeaseJob},
        purge::{Expiring, Purge, Purged},
        throttles::{EvictThrottles, MOST_ROWS},
    },
};

const NAME: &str = "purge_expired";
const EVERY: Duration = Duration::from_mins(1);
/// Longer than a run takes; a node that dies in it is replaced then.
const LEASE: Duration = Duration::from_mins(5);

/// Purges, if this node gets the lease.
pub(crate) async fn run(server: &Server) -> Result<()> {
    let now = server.clock().now();
    let node = server.node();
    let lease = LeaseJob { name: NAME, node, now, until: now.after(LEASE), not_run_since: now.before(EVERY) };
    if server.store().write(lease).await? == Swapped::Missed {
        return Ok(());
    }
    let expired_before = now.before(Expiring::KEPT_FOR);
    for &table in Expiring::ALL {
        // A token that was refreshed just before the end of its grant outlives it.
        let expired_before = match table {
            Expiring::Grants => expired_before.before(server.config().tokens.access_token_ttl),
            _ => expired_before,
        };
        while server.store().write(Purge { table, expired_before }).await? == Purged::OneBatch {}
    }
    let kept_since = now.before(server.config().audit.retention);
    while server.store().write(ForgetEvents { before: kept_since }).await? == Purged::OneBatch {}
    while server.store().write(ForgetEndedSecrets { ended_before: expired_before }).await? == Purged::OneBatch {}
    registration::delete_unused(server).await?;
    while server.store().write(EvictThrottles { most: MOST_ROWS }).await? == Purged::OneBatch {}
    server.store().write(FinishJob { name: NAME, node, now: server.clock().now() }).await
}
