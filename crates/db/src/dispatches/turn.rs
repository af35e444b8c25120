//! Whose turn it is, and what is known of a job before rows of it are picked.

use std::time::Duration;

use domain::ids::{JobId, TenantId};
use domain::provider::ModelName;
use domain::route::Route;
use uuid::Uuid;

use crate::convert::{to_u32, to_u64};
use crate::{Result, SchedulerTx};

/// A running job with open rows whose turn it is. Its row is locked until the transaction ends.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub job_id: JobId,
    pub tenant_id: TenantId,
    pub generation: i32,
    pub model: ModelName,
    /// Until its deadline.
    pub time_left: Duration,
    /// How long it has had open rows without a break.
    pub open_for: Duration,
    /// Rows tried in real time before its first provider batch.
    pub probes: u32,
}

/// The job that has waited longest for its turn, without those in `seen`. Jobs of models in `saturated` have one only if their rows
/// might go by provider batch.
pub async fn candidate(tx: &mut SchedulerTx, saturated: &[ModelName], seen: &[JobId]) -> Result<Option<Candidate>> {
    let (providers, models): (Vec<_>, Vec<_>) =
        saturated.iter().map(|name| (name.provider.clone(), name.model.clone())).unzip();
    let seen: Vec<Uuid> = seen.iter().map(|job| job.0).collect();
    let job = sqlx::query!(
        r#"SELECT job_id, tenant_id, generation, provider_id, model, probes,
            greatest(0, extract(epoch FROM deadline - now()))::float8 AS "time_left!",
            greatest(0, extract(epoch FROM now() - coalesce(open_since, now())))::float8 AS "open_for!"
        FROM jobs j
        WHERE state = 'running' AND (not_before IS NULL OR not_before <= now()) AND job_id <> ALL($3)
            AND (NOT EXISTS (SELECT FROM unnest($1::text[], $2::text[]) AS e (p, m) WHERE e.p = provider_id AND e.m = model)
                OR EXISTS (SELECT FROM models m JOIN provider_records p USING (provider_id)
                    WHERE m.provider_id = j.provider_id AND m.model = j.model
                        AND (json_typeof(p.record -> 'batch') = 'object' OR json_typeof(m.record -> 'batch') = 'object')))
            AND EXISTS (SELECT FROM chunks c WHERE c.job_id = j.job_id AND c.has_open)
            AND EXISTS (SELECT FROM tenants t WHERE t.tenant_id = j.tenant_id AND t.status = 'active')
        ORDER BY last_dispatched_at NULLS FIRST, job_id LIMIT 1
        FOR NO KEY UPDATE"#,
        &providers,
        &models,
        &seen,
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(job.map(|job| Candidate {
        job_id: JobId(job.job_id),
        tenant_id: TenantId(job.tenant_id),
        generation: job.generation,
        model: ModelName { provider: job.provider_id, model: job.model },
        time_left: Duration::try_from_secs_f64(job.time_left).unwrap_or(Duration::MAX),
        open_for: Duration::try_from_secs_f64(job.open_for).unwrap_or_default(),
        probes: to_u32(job.probes),
    }))
}

/// How much of a job is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenRows {
    pub rows: u64,
    /// Estimated input tokens.
    pub tokens: u64,
    /// Rendered bytes.
    pub bytes: u64,
    /// Of the rows, those that must not go by provider batch any more.
    pub realtime_only: u64,
}

/// Chunks that are looked at to know how much is open: enough for any provider batch.
const CHUNKS: i64 = 1_000;

/// Counts a job's open rows, in its first 1,000 chunks that have any.
pub async fn open_rows(tx: &mut SchedulerTx, job_id: JobId) -> Result<OpenRows> {
    let row = sqlx::query!(
        r#"SELECT coalesce(sum(open), 0)::bigint AS "rows!", coalesce(sum(tokens * open / row_count), 0)::bigint AS "tokens!",
            coalesce(sum(bytes * open / row_count), 0)::bigint AS "bytes!", coalesce(sum(kept), 0)::bigint AS "realtime_only!"
        FROM (
            SELECT row_count, tokens, bytes, row_count - bit_count(closed | in_flight) AS open,
                coalesce(bit_count(realtime_only & ~(closed | in_flight)), 0) AS kept
            FROM chunks WHERE job_id = $1 AND has_open ORDER BY chunk_no LIMIT $2
        ) chunk"#,
        job_id.0,
        CHUNKS,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(OpenRows {
        rows: to_u64(row.rows),
        tokens: to_u64(row.tokens),
        bytes: to_u64(row.bytes),
        realtime_only: to_u64(row.realtime_only),
    })
}

/// An unsettled dispatch of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderWay {
    pub route: Route,
    /// The name of its stage on the batch route.
    pub stage: Option<String>,
    /// How long it has been in the stage.
    pub age: Duration,
}

/// Dispatches that may yet give rows of the job back.
pub async fn under_way(tx: &mut SchedulerTx, job_id: JobId) -> Result<Vec<UnderWay>> {
    let rows = sqlx::query!(
        r#"SELECT stage_name, greatest(0, extract(epoch FROM now() - stage_since))::float8 AS "age!"
        FROM dispatches WHERE job_id = $1 AND owns_rows"#,
        job_id.0,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| UnderWay {
            route: if row.stage_name.is_some() { Route::Batch } else { Route::Realtime },
            stage: row.stage_name,
            age: Duration::try_from_secs_f64(row.age).unwrap_or_default(),
        })
        .collect())
}

/// Whether any row of the job was answered.
pub async fn any_succeeded(tx: &mut SchedulerTx, job_id: JobId) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM chunks WHERE job_id = $1 AND succeeded > 0) AS "any!""#,
        job_id.0
    )
    .fetch_one(tx.connection())
    .await?)
}

/// The job's open rows wait for company, unless something changes before.
pub async fn note_wait(tx: &mut SchedulerTx, job_id: JobId, wait: Duration) -> Result<()> {
    sqlx::query!(
        "UPDATE jobs SET not_before = now() + $2::float8 * interval '1 second' WHERE job_id = $1",
        job_id.0,
        wait.as_secs_f64(),
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Counts a row that is tried in real time before the job's first provider batch.
pub async fn note_probe(tx: &mut SchedulerTx, job_id: JobId) -> Result<()> {
    sqlx::query!("UPDATE jobs SET probes = probes + 1 WHERE job_id = $1", job_id.0).execute(tx.connection()).await?;
    Ok(())
}

/// Rows of the job came open, or a dispatch of it moved on: whoever waits for company looks again.
pub async fn wake(tx: &mut SchedulerTx, job_id: JobId) -> Result<()> {
    let woken = sqlx::query!(
        "UPDATE jobs SET not_before = NULL, open_since = coalesce(open_since, now())
        WHERE job_id = $1 AND state = 'running' AND (not_before IS NOT NULL OR open_since IS NULL)",
        job_id.0,
    )
    .execute(tx.connection())
    .await?;
    if woken.rows_affected() > 0 { tx.hint().await } else { Ok(()) }
}
