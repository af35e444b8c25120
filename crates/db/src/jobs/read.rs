//! Looks jobs up.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::ids::{JobId, TenantId};
use domain::job::{Spec, State};
use domain::outcome::Usage;
use domain::provider::ModelName;
use uuid::Uuid;

use crate::convert::to_u64;
use crate::{Error, Result, SchedulerTx, TenantTx};

/// A job as it stands.
#[derive(Debug, Clone)]
pub struct Job {
    pub job_id: JobId,
    pub state: State,
    pub generation: i32,
    pub spec: Spec,
    pub model: ModelName,
    /// The pinned input version and its schema.
    pub input: serde_json::Value,
    pub deadline: DateTime<Utc>,
    /// None until plan has ended.
    pub total_rows: Option<u64>,
    /// The codes that chunk summaries index into.
    pub error_codes: Vec<String>,
    /// Once it is visible.
    pub output: Option<serde_json::Value>,
    /// Code and detail of why the job itself could not go on.
    pub failure: Option<(String, String)>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub counts: Counts,
}

/// Items by how they stand, and what they used. `pending = total - running - the rest`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub running: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub expired: u64,
    pub usage: Usage,
    /// In 10⁻¹² USD.
    pub cost: i64,
}

/// Which jobs a list holds. `None` does not filter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub state: Option<String>,
    pub name: Option<String>,
    /// Pairs that the job's metadata must have.
    pub metadata: Option<serde_json::Value>,
}

/// Where a page begins, and how long it is.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// The last job of the page before; newest first.
    pub before: Option<JobId>,
    pub limit: i64,
}

pub async fn get(tx: &mut TenantTx, job_id: JobId) -> Result<Option<Job>> {
    Ok(select(tx, Some(job_id), &Filter::default(), Page { before: None, limit: 1 }).await?.pop())
}

/// The tenant's jobs, newest first.
pub async fn list(tx: &mut TenantTx, filter: &Filter, page: Page) -> Result<Vec<Job>> {
    select(tx, None, filter, page).await
}

/// What a worker needs of a job.
#[derive(Debug, Clone)]
pub struct Work {
    pub state: State,
    pub generation: i32,
    pub spec: Spec,
    /// The pinned input version and its schema.
    pub input: serde_json::Value,
}

pub async fn work(tx: &mut TenantTx, job_id: JobId) -> Result<Option<Work>> {
    let row = sqlx::query!("SELECT state, paused_from, generation, spec, input FROM jobs WHERE job_id = $1", job_id.0)
        .fetch_optional(tx.connection())
        .await?;
    row.map(|row| {
        Ok(Work {
            state: parse_state(&row.state, row.paused_from.as_deref())?,
            generation: row.generation,
            spec: serde_json::from_slice(&row.spec).map_err(|error| Error::inconsistent("jobs", error.to_string()))?,
            input: row.input,
        })
    })
    .transpose()
}

async fn select(tx: &mut TenantTx, job_id: Option<JobId>, filter: &Filter, page: Page) -> Result<Vec<Job>> {
    let rows = sqlx::query!(
        r#"SELECT job_id, state, paused_from, generation, provider_id, model, spec, input, deadline, total_rows, error_codes,
            output, failure_code, failure_detail, version, created_at, started_at, finished_at
        FROM jobs
        WHERE ($1::uuid IS NULL OR job_id = $1) AND ($2::uuid IS NULL OR job_id < $2)
            AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR name = $4)
            AND ($5::jsonb IS NULL OR metadata @> $5)
        ORDER BY job_id DESC LIMIT $6"#,
        job_id.map(|id| id.0),
        page.before.map(|id| id.0),
        filter.state,
        filter.name,
        filter.metadata,
        page.limit,
    )
    .fetch_all(tx.connection())
    .await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.job_id).collect();
    let mut counts = counts(tx, &ids).await?;
    rows.into_iter()
        .map(|row| {
            Ok(Job {
                job_id: JobId(row.job_id),
                state: parse_state(&row.state, row.paused_from.as_deref())?,
                generation: row.generation,
                spec: serde_json::from_slice(&row.spec)
                    .map_err(|error| Error::inconsistent("jobs", error.to_string()))?,
                model: ModelName { provider: row.provider_id, model: row.model },
                input: row.input,
                deadline: row.deadline,
                total_rows: row.total_rows.map(to_u64),
                error_codes: row.error_codes,
                output: row.output,
                failure: row.failure_code.map(|code| (code, row.failure_detail.unwrap_or_default())),
                version: row.version,
                created_at: row.created_at,
                started_at: row.started_at,
                finished_at: row.finished_at,
                counts: counts.remove(&row.job_id).unwrap_or_default(),
            })
        })
        .collect()
}

pub(crate) fn parse_state(name: &str, paused_from: Option<&str>) -> Result<State> {
    State::from_names(name, paused_from)
        .ok_or_else(|| Error::inconsistent("jobs", format!("unknown state {name} (paused from {paused_from:?})")))
}

async fn counts(tx: &mut TenantTx, jobs: &[Uuid]) -> Result<HashMap<Uuid, Counts>> {
    let rows = sqlx::query!(
        r#"SELECT job_id, sum(bit_count(in_flight & ~closed))::bigint AS "running!",
            sum(succeeded)::bigint AS "succeeded!", sum(failed)::bigint AS "failed!",
            sum(cancelled)::bigint AS "cancelled!", sum(expired)::bigint AS "expired!",
            sum(input_tokens)::bigint AS "input_tokens!", sum(cached_input_tokens)::bigint AS "cached_input_tokens!",
            sum(output_tokens)::bigint AS "output_tokens!", sum(cost)::bigint AS "cost!"
        FROM chunks WHERE job_id = ANY($1) GROUP BY job_id"#,
        jobs
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let counts = Counts {
                running: to_u64(row.running),
                succeeded: to_u64(row.succeeded),
                failed: to_u64(row.failed),
                cancelled: to_u64(row.cancelled),
                expired: to_u64(row.expired),
                usage: Usage {
                    input_tokens: to_u64(row.input_tokens),
                    cached_input_tokens: to_u64(row.cached_input_tokens),
                    output_tokens: to_u64(row.output_tokens),
                },
                cost: row.cost,
            };
            (row.job_id, counts)
        })
        .collect())
}

/// The states of jobs that a worker has in hand; a job that is gone is missing. `true`: its tenant is suspended.
pub async fn control(tx: &mut SchedulerTx, jobs: &[JobId]) -> Result<Vec<(JobId, TenantId, State, bool)>> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.0).collect();
    let rows = sqlx::query!(
        "SELECT j.job_id, j.tenant_id, j.state, j.paused_from, t.status
        FROM jobs j JOIN tenants t USING (tenant_id) WHERE j.job_id = ANY($1)",
        &ids
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            let state = parse_state(&row.state, row.paused_from.as_deref())?;
            Ok((JobId(row.job_id), TenantId(row.tenant_id), state, row.status == "suspended"))
        })
        .collect()
}
