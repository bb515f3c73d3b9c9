//! What is counted of a server's work. Recording is a few atomics: no lock, no allocation, no name to look up.

mod histogram;
mod page;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use self::histogram::Histogram;
pub(crate) use self::page::{Family, Page};
use crate::{
    clock::Timestamp,
    oauth::{ErrorCode, GrantType},
};

/// The statuses that the server answers with. Any other is counted as `other`.
const STATUSES: [u16; 24] =
    [200, 201, 204, 302, 303, 304, 400, 401, 403, 404, 405, 406, 408, 409, 410, 413, 415, 421, 422, 429, 431, 500, 501, 503];
/// The route of whatever has none.
const NOWHERE: &str = "-";

/// How an attempt to sign in ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignInOutcome {
    Succeeded,
    Failed,
    /// Nothing was compared: the next attempt had to wait.
    Throttled,
    /// The server was too busy, or failed.
    Unanswered,
}

impl SignInOutcome {
    const ALL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::Throttled, Self::Unanswered];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Throttled => "throttled",
            Self::Unanswered => "unanswered",
        }
    }
}

/// What happens without a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    PurgeExpired,
    RotateKeys,
    TellOfLogouts,
}

impl Job {
    const ALL: [Self; 3] = [Self::PurgeExpired, Self::RotateKeys, Self::TellOfLogouts];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::PurgeExpired => "purge_expired",
            Self::RotateKeys => "rotate_keys",
            Self::TellOfLogouts => "tell_of_logouts",
        }
    }
}

/// The counts of one process.
pub(crate) struct Metrics {
    began_at: Timestamp,
    routes: Mutex<BTreeMap<String, Arc<RouteMetrics>>>,
    sign_ins: [AtomicU64; SignInOutcome::ALL.len()],
    grants: [AtomicU64; GrantType::ALL.len()],
    refresh_retries: AtomicU64,
    refresh_reuses: AtomicU64,
    code_reuses: AtomicU64,
    jobs: [JobMetrics; Job::ALL.len()],
}

#[derive(Default)]
struct JobMetrics {
    succeeded: AtomicU64,
    failed: AtomicU64,
    micros: AtomicU64,
    /// Seconds since the epoch; 0: never.
    last_success: AtomicI64,
}

/// The requests of one route.
#[derive(Default)]
pub(crate) struct RouteMetrics {
    pattern: String,
    statuses: [AtomicU64; STATUSES.len()],
    other_statuses: AtomicU64,
    refusals: [AtomicU64; ErrorCode::ALL.len()],
    duration: Histogram,
}

impl RouteMetrics {
    /// The pattern of the route, never a path: there are as many as routes.
    pub(crate) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// A request was answered, after so long.
    pub(crate) fn answered(&self, status: u16, refused: Option<ErrorCode>, duration: Duration) {
        self.count(status);
        self.duration.observe(duration);
        if let Some(refusals) = refused.and_then(|code| self.refusals.get(code as usize)) {
            refusals.fetch_add(1, Relaxed);
        }
    }

    /// A request was answered whose time nobody took.
    pub(crate) fn count(&self, status: u16) {
        let known = STATUSES.binary_search(&status).ok().map(|index| &self.statuses[index]);
        known.unwrap_or(&self.other_statuses).fetch_add(1, Relaxed);
    }
}

impl Metrics {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            began_at: now,
            routes: Mutex::default(),
            sign_ins: Default::default(),
            grants: Default::default(),
            refresh_retries: AtomicU64::new(0),
            refresh_reuses: AtomicU64::new(0),
            code_reuses: AtomicU64::new(0),
            jobs: Default::default(),
        }
    }

    /// The counts of a route, to be kept by whoever answers it.
    pub(crate) fn route(&self, pattern: Option<&str>) -> Arc<RouteMetrics> {
        let pattern = pattern.unwrap_or(NOWHERE);
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(RouteMetrics { pattern: pattern.to_owned(), ..RouteMetrics::default() });
        Arc::clone(routes.entry(pattern.to_owned()).or_insert_with(made))
    }

    pub(crate) fn sign_in(&self, outcome: SignInOutcome) {
        self.sign_ins[outcome as usize].fetch_add(1, Relaxed);
    }

    /// Tokens were issued.
    pub(crate) fn granted(&self, grant_type: GrantType) {
        self.grants[grant_type as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn refresh_token_retried(&self) {
        self.refresh_retries.fetch_add(1, Relaxed);
    }

    pub(crate) fn refresh_token_reused(&self) {
        self.refresh_reuses.fetch_add(1, Relaxed);
    }

    pub(crate) fn code_reused(&self) {
        self.code_reuses.fetch_add(1, Relaxed);
    }

    pub(crate) fn job_ran(&self, job: Job, succeeded: bool, duration: Duration, now: Timestamp) {
        let job = &self.jobs[job as usize];
        job.micros.fetch_add(micros(duration), Relaxed);
        if succeeded {
            job.succeeded.fetch_add(1, Relaxed);
            job.last_success.store(now.as_seconds(), Relaxed);
        } else {
            job.failed.fetch_add(1, Relaxed);
        }
    }

    /// Everything that was counted.
    pub(crate) fn families(&self) -> Vec<Family> {
        let mut families = self.of_requests();
        families.extend([
            SignInOutcome::ALL
                .iter()
                .fold(Family::counter("grantor_sign_ins", "Attempts to sign in with a password by how they ended"), |family, outcome| {
                    family.with(&[("outcome", outcome.as_str())], &self.sign_ins[*outcome as usize])
                }),
            GrantType::ALL
                .iter()
                .fold(Family::counter("grantor_grants", "Token requests that got tokens by grant type"), |family, grant_type| {
                    family.with(&[("grant_type", grant_type.as_str())], &self.grants[*grant_type as usize])
                }),
            Family::counter(
                "grantor_refresh_token_retries",
                "Refresh tokens that came again within the window, and got the same successor",
            )
            .with(&[], &self.refresh_retries),
            Family::counter("grantor_refresh_token_reuses", "Refresh tokens that were used before: they leaked")
                .with(&[], &self.refresh_reuses),
            Family::counter("grantor_authorization_code_reuses", "Authorization codes that were used before").with(&[], &self.code_reuses),
        ]);
        families.extend(self.of_jobs());
        families.push(
            Family::gauge("process_start_time_seconds", "When the process began, in seconds since the epoch")
                .with(&[], self.began_at.as_seconds()),
        );
        families.push(Family::gauge("grantor_build_info", "The version that runs").with(&[("version", env!("CARGO_PKG_VERSION"))], 1));
        families
    }

    fn of_requests(&self) -> Vec<Family> {
        let routes: Vec<Arc<RouteMetrics>> = self.routes.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let mut requests = Family::counter("grantor_http_requests", "Answered requests by route and status");
        let mut refusals = Family::counter("grantor_refusals", "Refused requests by route and OAuth error code");
        let mut durations =
            Family::histogram("grantor_http_request_duration_seconds", "How long answers took, without documents in memory");
        for route in &routes {
            let named = STATUSES.iter().map(u16::to_string).chain(["other".to_owned()]);
            for (status, count) in
                named.zip(route.statuses.iter().chain([&route.other_statuses])).filter(|(_, count)| count.load(Relaxed) > 0)
            {
                requests = requests.with(&[("route", &route.pattern), ("status", &status)], count);
            }
            for (code, count) in ErrorCode::ALL.iter().zip(&route.refusals).filter(|(_, count)| count.load(Relaxed) > 0) {
                refusals = refusals.with(&[("route", &route.pattern), ("error", code.as_str())], count);
            }
            durations = durations.with(&[("route", &route.pattern)], &route.duration);
        }
        vec![requests, refusals, durations]
    }

    fn of_jobs(&self) -> [Family; 3] {
        let mut runs = Family::counter("grantor_job_runs", "Runs of jobs by how they ended");
        let mut seconds = Family::counter("grantor_job_seconds", "How long jobs took in all");
        let mut success = Family::gauge("grantor_job_last_success_timestamp_seconds", "When a job last ended well on this node");
        for (job, counts) in Job::ALL.iter().zip(&self.jobs) {
            let name = ("name", job.as_str());
            runs = runs.with(&[name, ("outcome", "succeeded")], &counts.succeeded).with(&[name, ("outcome", "failed")], &counts.failed);
            seconds = seconds.with(&[name], seconds_of(counts.micros.load(Relaxed)));
            let last = counts.last_success.load(Relaxed);
            if last > 0 {
                success = success.with(&[name], last);
            }
        }
        [runs, seconds, success]
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn seconds_of(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_indexes_an_array_is_at_its_place() {
        assert!(STATUSES.is_sorted());
        assert!(ErrorCode::ALL.iter().enumerate().all(|(index, code)| *code as usize == index));
        assert!(GrantType::ALL.iter().enumerate().all(|(index, grant_type)| *grant_type as usize == index));
        assert!(SignInOutcome::ALL.iter().enumerate().all(|(index, outcome)| *outcome as usize == index));
        assert!(Job::ALL.iter().enumerate().all(|(index, job)| *job as usize == index));
    }
}
