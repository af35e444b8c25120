//! How things stand, for monitoring: read at each scrape, so that every process says the same. Nothing here tells of a tenant or a job.

use std::time::Duration;

use crate::convert::{to_u32, to_u64};
use crate::{Result, SchedulerTx};

/// What is under way at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub dispatches: Vec<Dispatches>,
    pub provider_batches: Vec<ProviderBatches>,
    pub limit_groups: Vec<LimitGroup>,
    pub steps: Vec<Steps>,
    /// Files and provider batches that we keep at providers, or may.
    pub remote_objects: u64,
    /// Those of them that could not be removed in more than three tries.
    pub overdue_objects: u64,
}

/// Unsettled dispatches of one route and stage.
#[derive(Debug, Clone)]
pub struct Dispatches {
    pub route: String,
    /// `running` on the real-time route.
    pub stage: String,
    pub count: u64,
    /// How long the one that has not moved for longest has been in the stage.
    pub oldest: Duration,
}

/// Unsettled provider batches of a limit group that were formed under the same records.
#[derive(Debug, Clone)]
pub struct ProviderBatches {
    pub limit_group: String,
    /// Those records.
    pub place: serde_json::Value,
    /// What they hold of the group's allowance of enqueued tokens.
    pub reserved_tokens: u64,
    /// Since the oldest create. `None`: the provider has none of them.
    pub submitted_for: Option<Duration>,
    /// The longest time without progress of those that wait at the provider, or are validated there.
    pub queued_for: Option<Duration>,
    /// How long the fate of a create has been unknown.
    pub creating_for: Option<Duration>,
}

/// What has been learned of a limit group, and why it stands still.
#[derive(Debug, Clone)]
pub struct LimitGroup {
    pub limit_group: String,
    /// From create to end of those that were done, oldest first.
    pub latencies: Vec<Duration>,
    /// Fewer enqueued tokens than the record allows.
    pub enqueued_tokens: Option<u64>,
    pub paused_code: Option<String>,
}

/// Steps that wait for a worker.
#[derive(Debug, Clone)]
pub struct Steps {
    pub kind: String,
    pub count: u64,
}

/// Reads it all, in a few short statements over tables that stay small.
pub async fn snapshot(tx: &mut SchedulerTx) -> Result<Snapshot> {
    let (remote_objects, overdue_objects) = objects(tx).await?;
    Ok(Snapshot {
        dispatches: dispatches(tx).await?,
        provider_batches: provider_batches(tx).await?,
        limit_groups: limit_groups(tx).await?,
        steps: steps(tx).await?,
        remote_objects,
        overdue_objects,
    })
}

async fn dispatches(tx: &mut SchedulerTx) -> Result<Vec<Dispatches>> {
    let rows = sqlx::query!(
        r#"SELECT route, coalesce(stage_name, 'running') AS "stage!", count(*) AS "count!",
            extract(epoch FROM now() - min(stage_since))::float8 AS "oldest!"
        FROM dispatches GROUP BY 1, 2"#
    )
    .fetch_all(tx.connection())
    .await?;
    let dispatches = rows.into_iter().map(|row| Dispatches {
        route: row.route,
        stage: row.stage,
        count: to_u64(row.count),
        oldest: span(row.oldest),
    });
    Ok(dispatches.collect())
}

async fn provider_batches(tx: &mut SchedulerTx) -> Result<Vec<ProviderBatches>> {
    let rows = sqlx::query!(
        r#"SELECT limit_group AS "limit_group!", place AS "place!", coalesce(sum(reserved_tokens), 0)::bigint AS "reserved!",
            extract(epoch FROM now() - min(coalesce(stage ->> 'since', stage -> 'remote' ->> 'since')::timestamptz)
                FILTER (WHERE stage_name IN ('submitted', 'ended')))::float8 AS submitted,
            extract(epoch FROM now() - min(coalesce(progress_at, stage_since))
                FILTER (WHERE stage_name = 'submitted' AND remote_status = 'queued'))::float8 AS queued,
            extract(epoch FROM now() - min(stage_since) FILTER (WHERE stage_name = 'creating'))::float8 AS creating
        FROM dispatches WHERE route = 'batch' GROUP BY limit_group, place"#
    )
    .fetch_all(tx.connection())
    .await?;
    let provider_batches = rows.into_iter().map(|row| ProviderBatches {
        limit_group: row.limit_group,
        place: row.place,
        reserved_tokens: to_u64(row.reserved),
        submitted_for: row.submitted.map(span),
        queued_for: row.queued.map(span),
        creating_for: row.creating.map(span),
    });
    Ok(provider_batches.collect())
}

/// A pause counts as long as in [`crate::limit_groups::pause`].
async fn limit_groups(tx: &mut SchedulerTx) -> Result<Vec<LimitGroup>> {
    let rows = sqlx::query!(
        "SELECT limit_group, batch_latency_s, enqueued_tokens_cap,
            CASE WHEN paused_at > now() - interval '5 minutes' THEN paused_code END AS paused_code
        FROM limit_groups"
    )
    .fetch_all(tx.connection())
    .await?;
    let groups = rows.into_iter().map(|row| LimitGroup {
        limit_group: row.limit_group,
        latencies: row.batch_latency_s.into_iter().map(|seconds| Duration::from_secs(to_u32(seconds).into())).collect(),
        enqueued_tokens: row.enqueued_tokens_cap.map(to_u64),
        paused_code: row.paused_code,
    });
    Ok(groups.collect())
}

/// Those that [`crate::steps::claim`] would take.
async fn steps(tx: &mut SchedulerTx) -> Result<Vec<Steps>> {
    let rows = sqlx::query!(
        r#"SELECT s.kind, count(*) AS "count!" FROM job_steps s JOIN jobs j USING (job_id)
        WHERE s.run_at <= now() AND (s.kind <> 'plan' OR j.state IN ('queued', 'planning')) GROUP BY s.kind"#
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| Steps { kind: row.kind, count: to_u64(row.count) }).collect())
}

/// How many there are, and how many of them are overdue.
async fn objects(tx: &mut SchedulerTx) -> Result<(u64, u64)> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "count!", count(*) FILTER (WHERE failures > 3) AS "overdue!" FROM remote_objects"#
    )
    .fetch_one(tx.connection())
    .await?;
    Ok((to_u64(row.count), to_u64(row.overdue)))
}

fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
