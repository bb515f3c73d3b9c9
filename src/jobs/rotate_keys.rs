//! Replaces signing keys when they are old, drops what nobody needs of those that served, and keeps this node's own
//! settings met. The rows alone decide what is due: restarts and other nodes change nothing.

use std::time::Duration;

use crate::{
    error::Result,
    server::Server,
    store::{
        Swapped,
        jobs::{FinishJob, LeaseJob},
    },
};

const NAME: &str = "rotate_keys";
/// Longer than a run takes; a node that dies in it is replaced then.
const LEASE: Duration = Duration::from_mins(5);

/// Does what is due, if this node gets the lease.
pub(crate) async fn run(server: &Server) -> Result<()> {
    let (rotation, store) = (server.rotation(), server.store());
    rotation.ensure_keys().await?;
    let keys = store.keys_ever().await?;
    rotation.lengthen(&keys).await?;
    let due = rotation.due(&keys).await?;
    if due.waits_for_the_clock {
        tracing::warn!("the newest signing key is of a time that is yet to come: is the clock right? No key is rotated until then");
    }
    if due.is_nothing() {
        return Ok(());
    }
    let now = server.clock().now();
    let node = server.node();
    let lease = LeaseJob { name: NAME, node, now, until: now.after(LEASE), not_run_since: now };
    if store.write(lease).await? == Swapped::Missed {
        return Ok(());
    }
    // Another node may have done it between the look and the lease.
    let keys = store.keys_ever().await?;
    rotation.carry_out(rotation.due(&keys).await?).await?;
    store.write(FinishJob { name: NAME, node, now: server.clock().now() }).await
}
