//! Seals closed chunks, and ends a job when the last one is sealed.

mod enqueue;
mod row_states;

use domain::ids::{JobId, StepId};
use domain::job::{Event, State};
use domain::money::Money;
use domain::outcome::{Status, Usage};
use domain::row_set::RowSet;
use uuid::Uuid;

pub(crate) use self::enqueue::{after_settling, enqueue, enqueue_closed, fan_out};
pub use self::enqueue::{ending, sweep};
use self::row_states::row_states;
pub use self::row_states::{OTHER, row_state};
use crate::convert::{from_bits, to_bits, to_i32, to_i64, to_u32};
use crate::steps::{self, StepLease};
use crate::{Error, Result, TenantTx};

/// What was written to object storage for a chunk with one outcome per row.
#[derive(Debug)]
pub struct Sealed<'a> {
    pub chunk_no: u32,
    pub first_row: u64,
    pub generation: i32,
    /// The bits that the outcomes were read under.
    pub closed: &'a RowSet,
    /// How each row ended, with the error's code.
    pub rows: &'a [(Status, Option<&'a str>)],
    pub results_path: &'a str,
    pub attempts_path: Option<&'a str>,
    pub part_path: &'a str,
    /// What attempts of rows used that end without an outcome of their own.
    pub unfinished: (Usage, Money),
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    Sealed,
    /// A success arrived after the outcomes were read: seal again.
    Changed,
}

/// Commits a sealed chunk: its summary comes, its outcomes leave. The job's last one makes the assemble step.
///
/// # Errors
/// [`Error::Fenced`] if the step was claimed by another worker.
pub async fn finish(tx: &mut TenantTx, lease: &StepLease, sealed: &Sealed<'_>) -> Result<Finished> {
    let state = crate::jobs::lock(tx, lease.job_id).await?.ok_or(Error::Fenced)?;
    steps::fence(tx, lease).await?;
    let chunk = sqlx::query!(
        "SELECT closed FROM chunks WHERE job_id = $1 AND chunk_no = $2 FOR NO KEY UPDATE",
        lease.job_id.0,
        to_i32(sealed.chunk_no)
    )
    .fetch_one(tx.connection())
    .await?;
    if from_bits(&chunk.closed) != *sealed.closed {
        return Ok(Finished::Changed);
    }
    steps::finish(tx, lease).await?;
    write(tx, lease.job_id, state, sealed).await?;
    Ok(Finished::Sealed)
}

/// The same within a transaction that holds the locks of the job, which is in `state`, and of the chunk, which has `sealed.closed`.
pub(crate) async fn write(tx: &mut TenantTx, job_id: JobId, state: State, sealed: &Sealed<'_>) -> Result<()> {
    insert_summary(tx, job_id, sealed).await?;
    close(tx, job_id, sealed).await?;
    drop_outcomes(tx, job_id, sealed).await?;
    if !any_unsealed(tx, job_id).await? {
        crate::jobs::apply(tx, job_id, state, Event::Sealed, None).await?;
        enqueue_assemble(tx, job_id).await?;
    }
    Ok(())
}

async fn insert_summary(tx: &mut TenantTx, job_id: JobId, sealed: &Sealed<'_>) -> Result<()> {
    let mut codes = sqlx::query_scalar!("SELECT error_codes FROM jobs WHERE job_id = $1", job_id.0)
        .fetch_one(tx.connection())
        .await?;
    let known = codes.len();
    let row_states = row_states(&mut codes, sealed.rows);
    if codes.len() > known {
        sqlx::query!("UPDATE jobs SET error_codes = $2 WHERE job_id = $1", job_id.0, &codes)
            .execute(tx.connection())
            .await?;
    }
    let tenant_id = tx.tenant_id();
    sqlx::query!(
        "INSERT INTO chunk_summaries (job_id, chunk_no, generation, tenant_id, row_states, succeeded, failed, cancelled, expired,
            results_path, attempts_path, part_path)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        job_id.0,
        to_i32(sealed.chunk_no),
        sealed.generation,
        tenant_id.0,
        row_states,
        sealed.count(Status::Succeeded),
        sealed.count(Status::Failed),
        sealed.count(Status::Cancelled),
        sealed.count(Status::Expired),
        sealed.results_path,
        sealed.attempts_path,
        sealed.part_path,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

impl Sealed<'_> {
    fn count(&self, status: Status) -> i32 {
        let count = self.rows.iter().filter(|(of, _)| *of == status).count();
        i32::try_from(count).expect("a chunk has at most 2,000 rows")
    }
}

/// Closes the rows that ended without an outcome, and marks the chunk as sealed.
async fn close(tx: &mut TenantTx, job_id: JobId, sealed: &Sealed<'_>) -> Result<()> {
    let (used, cost) = sealed.unfinished;
    sqlx::query!(
        "UPDATE chunks SET closed = $3, has_open = false, cancelled = $4, expired = $5, failed = $6, sealed_at = now(),
            input_tokens = input_tokens + $7, cached_input_tokens = cached_input_tokens + $8,
            output_tokens = output_tokens + $9, cost = cost + $10
        WHERE job_id = $1 AND chunk_no = $2",
        job_id.0,
        to_i32(sealed.chunk_no),
        to_bits(&RowSet::full(sealed.rows.len())),
        sealed.count(Status::Cancelled),
        sealed.count(Status::Expired),
        sealed.count(Status::Failed),
        to_i64(used.input_tokens),
        to_i64(used.cached_input_tokens),
        to_i64(used.output_tokens),
        cost.0,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Late answers are no part of the sealed files: they stay.
async fn drop_outcomes(tx: &mut TenantTx, job_id: JobId, sealed: &Sealed<'_>) -> Result<()> {
    let first_row = to_i64(sealed.first_row);
    let end = first_row + to_i64(sealed.rows.len() as u64);
    sqlx::query!(
        "DELETE FROM outcomes WHERE job_id = $1 AND generation = $2 AND row_no >= $3 AND row_no < $4",
        job_id.0,
        sealed.generation,
        first_row,
        end,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "DELETE FROM batch_results WHERE job_id = $1 AND generation = $2 AND chunk_no = $3",
        job_id.0,
        sealed.generation,
        to_i32(sealed.chunk_no),
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "DELETE FROM attempts WHERE job_id = $1 AND generation = $2 AND row_no >= $3 AND row_no < $4 AND NOT late",
        job_id.0,
        sealed.generation,
        first_row,
        end,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

async fn any_unsealed(tx: &mut TenantTx, job_id: JobId) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM chunks WHERE job_id = $1 AND sealed_at IS NULL) AS "any!""#,
        job_id.0
    )
    .fetch_one(tx.connection())
    .await?)
}

async fn enqueue_assemble(tx: &mut TenantTx, job_id: JobId) -> Result<()> {
    let tenant_id = tx.tenant_id();
    sqlx::query!(
        "INSERT INTO job_steps (step_id, tenant_id, job_id, kind) VALUES ($1, $2, $3, 'assemble')",
        StepId(Uuid::now_v7()).0,
        tenant_id.0,
        job_id.0,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Removes a seal step that has nothing to do: its chunk is open again, or sealed.
pub async fn skip(tx: &mut TenantTx, lease: &StepLease) -> Result<()> {
    steps::finish(tx, lease).await
}

/// A sealed chunk's share of the output.
#[derive(Debug, Clone)]
pub struct Part {
    pub chunk_no: u32,
    pub path: String,
    pub rows: u64,
}

/// Up to `limit` output parts from chunk `first` on, in order.
pub async fn parts(tx: &mut TenantTx, job_id: JobId, generation: i32, first: u32, limit: i64) -> Result<Vec<Part>> {
    let rows = sqlx::query!(
        r#"SELECT chunk_no, part_path, octet_length(row_states) AS "rows!" FROM chunk_summaries
        WHERE job_id = $1 AND generation = $2 AND chunk_no >= $3 ORDER BY chunk_no LIMIT $4"#,
        job_id.0,
        generation,
        to_i32(first),
        limit,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Part { chunk_no: to_u32(row.chunk_no), path: row.part_path, rows: u64::from(to_u32(row.rows)) })
        .collect())
}

/// Ends the job: its output is visible.
///
/// # Errors
/// [`Error::Fenced`] if the step was claimed by another worker.
pub async fn finish_job(tx: &mut TenantTx, lease: &StepLease, output: &serde_json::Value) -> Result<State> {
    let state = crate::jobs::lock(tx, lease.job_id).await?.ok_or(Error::Fenced)?;
    steps::finish(tx, lease).await?;
    sqlx::query!("UPDATE jobs SET output = $2 WHERE job_id = $1", lease.job_id.0, output)
        .execute(tx.connection())
        .await?;
    crate::jobs::apply(tx, lease.job_id, state, Event::Assembled, None).await
}
