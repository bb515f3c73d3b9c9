//! `jobs`: which node runs what, by leases that expire.

use uuid::Uuid;

use super::{
    Swapped,
    backend::{Conn, Extent, Verb, run},
};
use crate::{clock::Timestamp, error::Result};

/// Leases a job, if nobody holds it and its last run is long enough ago. What a clock that was ahead wrote does not count:
/// a last run that is yet to come, or a lease for more than twice as long as this one.
pub(crate) struct LeaseJob {
    pub name: &'static str,
    pub node: Uuid,
    pub now: Timestamp,
    pub until: Timestamp,
    pub not_run_since: Timestamp,
}

impl Verb for LeaseJob {
    type Told = Swapped;
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<Swapped> {
        const LEASE: &str = "INSERT INTO jobs (name, leased_by, leased_until) VALUES ($1, $2, $4) \
             ON CONFLICT (name) DO UPDATE SET leased_by = excluded.leased_by, leased_until = excluded.leased_until \
             WHERE (jobs.leased_until IS NULL OR jobs.leased_until <= $3 OR jobs.leased_until > $6) \
             AND (jobs.last_run_at IS NULL OR jobs.last_run_at <= $5 OR jobs.last_run_at > $3)";
        let leased = run!(conn, db => sqlx::query(LEASE)
            .bind(self.name)
            .bind(self.node)
            .bind(self.now)
            .bind(self.until)
            .bind(self.not_run_since)
            .bind(self.until.after(self.until.since(self.now)))
            .execute(db).await?.rows_affected());
        Ok(Swapped::from_rows(leased))
    }
}

/// Gives a lease back after a run.
pub(crate) struct FinishJob {
    pub name: &'static str,
    pub node: Uuid,
    pub now: Timestamp,
}

impl Verb for FinishJob {
    type Told = ();
    const EXTENT: Extent = Extent::OneStatement;

    async fn run(&self, conn: &mut Conn<'_>) -> Result<()> {
        const FINISH: &str = "UPDATE jobs SET leased_by = NULL, leased_until = NULL, last_run_at = $3 WHERE name = $1 AND leased_by = $2";
        run!(conn, db => sqlx::query(FINISH).bind(self.name).bind(self.node).bind(self.now).execute(db).await.map(drop)?);
        Ok(())
    }
}
