//! Accepts a job: the job, its first step, its history and its idempotency record, all or nothing.

use chrono::{DateTime, Utc};
use domain::ids::{JobId, StepId};
use domain::job::Spec;
use domain::provider::ModelName;
use uuid::Uuid;

use crate::{Error, Result, TenantTx};

/// A job to accept.
#[derive(Debug)]
pub struct NewJob<'a> {
    pub job_id: JobId,
    pub spec: &'a Spec,
    pub model: &'a ModelName,
    /// The pinned input version and its schema.
    pub input: &'a serde_json::Value,
    pub deadline: DateTime<Utc>,
    pub idempotency: Option<Idempotency<'a>>,
}

/// What makes a repeated submit the same submit.
#[derive(Debug, Clone, Copy)]
pub struct Idempotency<'a> {
    pub key: &'a str,
    /// Of the request body.
    pub body_sha256: [u8; 32],
}

/// What became of a submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    New,
    /// An earlier submit with this key and body made this job.
    Replayed(JobId),
    /// The key was used with another body.
    KeyReused,
    /// A submit with this key is being worked on at this moment.
    InProgress,
}

const ROUTE: &str = "POST /v1/jobs";

/// Call it, and commit, before answering: from then on the job survives anything.
pub async fn insert(tx: &mut TenantTx, job: &NewJob<'_>) -> Result<Accepted> {
    if let Some(idempotency) = &job.idempotency
        && let Some(earlier) = earlier(tx, idempotency).await?
    {
        return Ok(earlier);
    }
    let tenant_id = tx.tenant_id();
    let spec = serde_json::to_vec(job.spec).map_err(|error| Error::inconsistent("jobs", error.to_string()))?;
    let metadata = serde_json::json!(job.spec.metadata);
    sqlx::query!(
        "INSERT INTO jobs (job_id, tenant_id, name, state, provider_id, model, spec, input, metadata, deadline)
        VALUES ($1, $2, $3, 'queued', $4, $5, $6, $7, $8, $9)",
        job.job_id.0,
        tenant_id.0,
        job.spec.name,
        job.model.provider,
        job.model.model,
        spec,
        job.input,
        metadata,
        job.deadline,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "WITH event AS (INSERT INTO events (tenant_id, job_id, state) VALUES ($1, $2, 'queued'))
        INSERT INTO job_steps (step_id, tenant_id, job_id, kind) VALUES ($3, $1, $2, 'plan')",
        tenant_id.0,
        job.job_id.0,
        StepId(Uuid::now_v7()).0,
    )
    .execute(tx.connection())
    .await?;
    if let Some(idempotency) = &job.idempotency {
        remember(tx, idempotency, job.job_id).await?;
    }
    tx.hint().await?;
    Ok(Accepted::New)
}

/// What an earlier submit with the same key means for this one. Takes the key's lock until the transaction ends.
pub async fn earlier(tx: &mut TenantTx, idempotency: &Idempotency<'_>) -> Result<Option<Accepted>> {
    let lock_name = format!("{} {ROUTE} {}", tx.tenant_id(), idempotency.key);
    let free =
        sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS "free!""#, lock_name)
            .fetch_one(tx.connection())
            .await?;
    if !free {
        return Ok(Some(Accepted::InProgress));
    }
    let row = sqlx::query!(
        "SELECT body_sha256, job_id FROM idempotency_keys WHERE route = $1 AND key = $2",
        ROUTE,
        idempotency.key
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| {
        if row.body_sha256 == idempotency.body_sha256 {
            Accepted::Replayed(JobId(row.job_id))
        } else {
            Accepted::KeyReused
        }
    }))
}

async fn remember(tx: &mut TenantTx, idempotency: &Idempotency<'_>, job_id: JobId) -> Result<()> {
    let tenant_id = tx.tenant_id();
    sqlx::query!(
        "INSERT INTO idempotency_keys (tenant_id, route, key, body_sha256, job_id) VALUES ($1, $2, $3, $4, $5)",
        tenant_id.0,
        ROUTE,
        idempotency.key,
        &idempotency.body_sha256[..],
        job_id.0,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
