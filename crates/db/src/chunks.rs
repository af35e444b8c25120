//! Chunks, as plan makes them.

use domain::ids::JobId;
use domain::job::{Event, State};
use domain::outcome::Outcome;
use domain::row_set::RowSet;

use crate::convert::{from_bits, to_bits, to_i32, to_i64, to_u32, to_u64};
use crate::steps::{self, StepLease};
use crate::{Error, Result, TenantTx};

/// A chunk whose rows are in object storage.
#[derive(Debug)]
pub struct NewChunk<'a> {
    pub chunk_no: u32,
    pub first_row: u64,
    pub row_count: u32,
    pub bytes: u64,
    pub tokens: u64,
    pub input_path: &'a str,
    /// Rows that can't be sent, with their outcomes: offset and outcome.
    pub unsendable: &'a [(usize, Outcome)],
}

/// A chunk as it stands.
#[derive(Debug, Clone)]
pub struct Chunk {
    pub chunk_no: u32,
    pub first_row: u64,
    pub input_path: String,
    pub closed: RowSet,
    pub sealed: bool,
}

/// Marks the job as being planned.
///
/// # Errors
/// [`Error::Fenced`]; [`Error::Transition`] if the job has been paused, cancelled or has expired.
pub async fn begin_plan(tx: &mut TenantTx, lease: &StepLease) -> Result<()> {
    let state = crate::jobs::lock(tx, lease.job_id).await?.ok_or(Error::Fenced)?;
    steps::fence(tx, lease).await?;
    if state != State::Planning {
        crate::jobs::apply(tx, lease.job_id, state, Event::PlanStarted, None).await?;
    }
    Ok(())
}

/// Adds the next chunk and moves the plan step's cursor past it, in one transaction.
///
/// # Errors
/// [`Error::Fenced`]; [`Error::Transition`] if the job is no longer being planned.
pub async fn add(tx: &mut TenantTx, lease: &StepLease, chunk: &NewChunk<'_>, cursor: &serde_json::Value) -> Result<()> {
    let state = crate::jobs::lock(tx, lease.job_id).await?.ok_or(Error::Fenced)?;
    steps::fence(tx, lease).await?;
    if state != State::Planning {
        return Err(Error::Transition(domain::job::InvalidTransition { state, event: Event::PlanEnded }));
    }
    let tenant_id = tx.tenant_id();
    let mut closed = RowSet::empty(chunk.row_count as usize);
    chunk.unsendable.iter().for_each(|(offset, _)| closed.insert(*offset));
    sqlx::query!(
        "WITH step AS (UPDATE job_steps SET cursor = $1, failures = 0 WHERE step_id = $2)
        INSERT INTO chunks (job_id, chunk_no, tenant_id, first_row, row_count, bytes, tokens, input_path, closed, in_flight,
            has_open, failed)
        VALUES ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        cursor,
        lease.step_id.0,
        lease.job_id.0,
        to_i32(chunk.chunk_no),
        tenant_id.0,
        to_i64(chunk.first_row),
        to_i32(chunk.row_count),
        to_i64(chunk.bytes),
        to_i64(chunk.tokens),
        chunk.input_path,
        to_bits(&closed),
        to_bits(&RowSet::empty(closed.length())),
        closed.count() < closed.length(),
        to_i32(u32::try_from(chunk.unsendable.len()).unwrap_or(u32::MAX)),
    )
    .execute(tx.connection())
    .await?;
    let outcomes: Vec<_> =
        chunk.unsendable.iter().map(|(offset, outcome)| (chunk.first_row + *offset as u64, outcome)).collect();
    crate::outcomes::insert(tx, lease.job_id, 0, &outcomes).await
}

/// Ends plan: from now on rows may be sent. Chunks without a single sendable row are sealed at once. `input` replaces what the
/// job knows of its input.
///
/// # Errors
/// [`Error::Fenced`]; [`Error::Transition`] if the job is no longer being planned.
pub async fn end_plan(
    tx: &mut TenantTx,
    lease: &StepLease,
    total_rows: u64,
    chunk_count: u32,
    input: Option<&serde_json::Value>,
) -> Result<()> {
    let state = crate::jobs::lock(tx, lease.job_id).await?.ok_or(Error::Fenced)?;
    steps::finish(tx, lease).await?;
    sqlx::query!(
        "UPDATE jobs SET total_rows = $2, chunk_count = $3, input = COALESCE($4, input), open_since = now() WHERE job_id = $1",
        lease.job_id.0,
        to_i64(total_rows),
        to_i32(chunk_count),
        input,
    )
    .execute(tx.connection())
    .await?;
    crate::seal::enqueue_closed(tx, lease.job_id).await?;
    crate::jobs::apply(tx, lease.job_id, state, Event::PlanEnded, None).await?;
    Ok(())
}

pub async fn get(tx: &mut TenantTx, job_id: JobId, chunk_no: u32) -> Result<Option<Chunk>> {
    Ok(range(tx, job_id, chunk_no, 1).await?.pop())
}

/// Up to `limit` chunks from `first` on, in order.
pub async fn range(tx: &mut TenantTx, job_id: JobId, first: u32, limit: i64) -> Result<Vec<Chunk>> {
    let rows = sqlx::query!(
        r#"SELECT chunk_no, first_row, input_path, closed, sealed_at IS NOT NULL AS "sealed!"
        FROM chunks WHERE job_id = $1 AND chunk_no >= $2 AND chunk_no < $2::bigint + $3 ORDER BY chunk_no"#,
        job_id.0,
        to_i32(first),
        limit,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Chunk {
            chunk_no: to_u32(row.chunk_no),
            first_row: to_u64(row.first_row),
            input_path: row.input_path,
            closed: from_bits(&row.closed),
            sealed: row.sealed,
        })
        .collect())
}

/// The number of the chunk that holds an input row.
pub async fn of_row(tx: &mut TenantTx, job_id: JobId, row: u64) -> Result<Option<u32>> {
    let chunk_no = sqlx::query_scalar!(
        "SELECT chunk_no FROM chunks WHERE job_id = $1 AND first_row <= $2 AND $2 < first_row + row_count
        ORDER BY chunk_no LIMIT 1",
        job_id.0,
        to_i64(row),
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(chunk_no.map(to_u32))
}
