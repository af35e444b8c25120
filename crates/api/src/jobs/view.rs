//! A job as callers see it.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, Utc};
use db::TenantTx;
use db::jobs::{Counts, Job};
use domain::format::{Format, InputFormat};
use domain::ids::JobId;
use domain::job::State;
use domain::money::Money;
use serde::Serialize;
use utoipa::ToSchema;

use super::surroundings::Surroundings;
use crate::problem::Problem;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobView {
    #[schema(example = "job_01h455vb4pex5vsknk084sn02q")]
    id: String,
    /// Always `job`.
    object: &'static str,
    name: Option<String>,
    /// `queued`, `planning`, `running`, `merging`, `paused`, `cancelling`, `expiring`; at the end `completed`, `failed`, `cancelled`, `expired`.
    status: &'static str,
    /// Why a job that has not ended stands still, or why it failed.
    status_reason: Option<Reason>,
    input: Input,
    output: Output,
    model: String,
    counts: ItemCounts,
    usage: UsageView,
    /// From 0 to 1: the part of the rows that have their outcome.
    progress: f64,
    /// When all rows should have their outcomes, judged by the pace so far.
    eta: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    /// The job expires then.
    deadline: DateTime<Utc>,
    /// Why the job itself could not go on. Rows that failed don't make a job fail.
    error: Option<Reason>,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Reason {
    pub code: String,
    pub detail: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobInput)]
struct Input {
    uri: String,
    #[schema(value_type = String, example = "csv")]
    format: InputFormat,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobOutput)]
struct Output {
    /// Null where the service keeps it: read it through `/output`.
    uri: Option<String>,
    #[schema(value_type = String, example = "csv")]
    format: Format,
    /// Null until it is there, as the next.
    bytes: Option<u64>,
    sha256: Option<String>,
}

/// Rows by how they stand. All are 0 until the input has been read.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = JobCounts)]
struct ItemCounts {
    total: u64,
    pending: u64,
    running: u64,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    expired: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobUsage)]
struct UsageView {
    /// Cached ones included.
    input_tokens: u64,
    cached_input_tokens: u64,
    output_tokens: u64,
    /// Null where the model's prices are not known.
    cost_usd: Option<String>,
    /// What the same would have cost without provider batches.
    realtime_cost_usd: Option<String>,
}

/// The job of this id as callers see it.
///
/// # Errors
/// 404 if the tenant has no such job.
pub(crate) async fn load(
    tx: &mut TenantTx,
    job_id: JobId,
    tenant_suspended: bool,
    now: DateTime<Utc>,
) -> Result<JobView, Problem> {
    let job = db::jobs::get(tx, job_id).await?.ok_or_else(Problem::not_found)?;
    let surroundings = Surroundings::load(tx, std::slice::from_ref(&job), tenant_suspended, now).await?;
    Ok(JobView::new(job, &surroundings))
}

impl JobView {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn is_over(&self) -> bool {
        self.finished_at.is_some()
    }

    pub(crate) fn new(job: Job, surroundings: &Surroundings) -> Self {
        let counts = ItemCounts::new(job.total_rows.unwrap_or(0), &job.counts);
        let progress = progress(&counts, job.state);
        let error = job.failure.clone().map(|(code, detail)| Reason { code, detail });
        let written = |name: &str| job.output.as_ref().and_then(|output| output.get(name));
        Self {
            id: job.job_id.to_string(),
            object: "job",
            status: job.state.name(),
            status_reason: error.clone().or_else(|| surroundings.standstill(&job)),
            usage: UsageView::new(&job.counts, surroundings.has_prices(&job.model)),
            progress,
            eta: eta(job.state, job.started_at, progress, surroundings.now),
            output: Output {
                bytes: written("bytes").and_then(serde_json::Value::as_u64),
                sha256: written("sha256").and_then(|sha256| sha256.as_str().map(str::to_owned)),
                uri: job.spec.output.uri,
                format: job.spec.output.format,
            },
            counts,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            deadline: job.deadline,
            error,
            name: job.spec.name,
            input: Input { uri: job.spec.input.uri, format: job.spec.input.format },
            model: job.spec.model,
            metadata: job.spec.metadata,
        }
    }
}

impl ItemCounts {
    fn new(total: u64, counts: &Counts) -> Self {
        let Counts { running, succeeded, failed, cancelled, expired, .. } = *counts;
        let rest = running + succeeded + failed + cancelled + expired;
        Self { total, pending: total.saturating_sub(rest), running, succeeded, failed, cancelled, expired }
    }
}

impl UsageView {
    fn new(counts: &Counts, has_prices: bool) -> Self {
        // A job that was billed shows it, whatever has become of the model's prices since.
        let cost = (has_prices || counts.cost != 0).then(|| Money(counts.cost).to_string());
        Self {
            input_tokens: counts.usage.input_tokens,
            cached_input_tokens: counts.usage.cached_input_tokens,
            output_tokens: counts.usage.output_tokens,
            cost_usd: cost.clone(),
            // All calls are real-time calls.
            realtime_cost_usd: cost,
        }
    }
}

/// To four decimals.
fn progress(counts: &ItemCounts, state: State) -> f64 {
    let closed = counts.succeeded + counts.failed + counts.cancelled + counts.expired;
    match (counts.total, state) {
        (_, State::Completed) => 1.0,
        (0, _) => 0.0,
        (total, _) => {
            let steps = u128::from(closed.min(total)) * 10_000 / u128::from(total);
            f64::from(u32::try_from(steps).expect("at most 10,000")) / 10_000.0
        }
    }
}

fn eta(state: State, started_at: Option<DateTime<Utc>>, progress: f64, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if state != State::Running || progress <= 0.0 {
        return None;
    }
    let elapsed = now.signed_duration_since(started_at?).to_std().ok()?;
    let rest = std::time::Duration::try_from_secs_f64(elapsed.as_secs_f64() * (1.0 - progress) / progress).ok()?;
    let eta = now.checked_add_signed(chrono::Duration::from_std(rest).ok()?)?;
    Some(eta.trunc_subsecs(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(succeeded: u64, running: u64, total: u64) -> ItemCounts {
        ItemCounts::new(total, &Counts { succeeded, running, ..Counts::default() })
    }

    #[test]
    fn what_is_neither_running_nor_over_is_pending() {
        assert_eq!(counts(3, 2, 10).pending, 5);
        assert_eq!(counts(3, 0, 0).pending, 0);
    }

    #[test]
    fn progress_goes_from_0_to_1() {
        let shown = |counts, state| progress(&counts, state).to_string();
        assert_eq!(shown(counts(0, 0, 0), State::Planning), "0");
        assert_eq!(shown(counts(1, 1, 3), State::Running), "0.3333");
        assert_eq!(shown(counts(0, 0, 0), State::Completed), "1");
    }

    #[test]
    fn the_eta_goes_on_at_the_pace_so_far() {
        let start = DateTime::from_timestamp(1_000, 0).expect("a time");
        let now = DateTime::from_timestamp(1_010, 0).expect("a time");
        assert_eq!(eta(State::Running, Some(start), 0.25, now), DateTime::from_timestamp(1_040, 0));
        assert_eq!(eta(State::Running, Some(start), 0.0, now), None);
        assert_eq!(eta(State::Merging, Some(start), 0.5, now), None);
    }

    #[test]
    fn unknown_prices_are_no_cost_of_nothing() {
        assert_eq!(UsageView::new(&Counts::default(), false).cost_usd, None);
        assert_eq!(UsageView::new(&Counts::default(), true).cost_usd.as_deref(), Some("0.00"));
    }
}
