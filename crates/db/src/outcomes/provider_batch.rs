//! Outcomes that a provider batch brought for a chunk: they go to object storage, and a pointer to them here.

use domain::job::Event;
use domain::outcome::Outcome;
use domain::row_set::RowSet;

use super::{Attempt, RowOutcome, lock_chunk, write};
use crate::convert::{from_bits, to_bits, to_i32, to_u32};
use crate::dispatches::DispatchLease;
use crate::seal::Sealed;
use crate::{Error, Result, TenantTx};

/// What a provider batch brought for one chunk.
#[derive(Debug)]
pub struct ChunkResults<'a> {
    pub chunk_no: u32,
    /// Outcomes of rows that had none when they were read, by row.
    pub outcomes: &'a [(u64, Outcome)],
    /// The file that holds just these outcomes, in order. `None`: there are none.
    pub path: Option<&'a str>,
    /// Requests that did not become an outcome.
    pub attempts: &'a [Attempt],
    /// Answers for rows that have an outcome already.
    pub late: &'a [RowOutcome],
    /// Rows that must not go by provider batch again.
    pub realtime_only: &'a RowSet,
}

/// What became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    Done,
    /// A row got its outcome after the results were read: read the chunk again.
    Changed,
}

/// Commits them, and notes the chunk as collected. When the chunk has closed, its seal step is made in the same transaction.
///
/// # Errors
/// [`Error::Fenced`]: whoever holds the lease now collects the same results.
pub async fn commit_results(tx: &mut TenantTx, lease: &DispatchLease, results: &ChunkResults<'_>) -> Result<Stored> {
    if !crate::dispatches::fence(tx, lease).await? {
        return Err(Error::Fenced);
    }
    let chunk_no = results.chunk_no;
    let chunk = lock_chunk(tx, lease.job_id, chunk_no).await?.ok_or(Error::Fenced)?;
    let mut rows = RowSet::empty(chunk.closed.length());
    for (row, _) in results.outcomes {
        rows.insert(chunk.offset(*row)?);
    }
    let mut tried = RowSet::empty(chunk.closed.length());
    for attempt in results.attempts {
        tried.insert(chunk.offset(attempt.row)?);
    }
    if rows.minus(&chunk.closed) != rows || tried.minus(&chunk.closed) != tried {
        return Ok(Stored::Changed);
    }
    if let Some(path) = results.path {
        insert_pointer(tx, lease, chunk_no, &rows, path).await?;
        let outcomes: Vec<_> = results.outcomes.iter().map(|(row, outcome)| (*row, outcome)).collect();
        write::close(tx, lease, chunk_no, &rows, &outcomes).await?;
    }
    write::insert_attempts(tx, lease, results.attempts).await?;
    for late in results.late {
        write::book_late(tx, lease, chunk_no, late).await?;
    }
    if !results.realtime_only.is_empty() {
        sqlx::query!(
            "UPDATE chunks SET realtime_only = coalesce(realtime_only | $3::varbit, $3) WHERE job_id = $1 AND chunk_no = $2",
            lease.job_id.0,
            to_i32(chunk_no),
            to_bits(results.realtime_only),
        )
        .execute(tx.connection())
        .await?;
    }
    note_collected(tx, lease, chunk_no).await?;
    if !rows.is_empty() && chunk.closed.union(&rows).count() == rows.length() {
        crate::seal::enqueue(tx, lease.job_id, chunk_no).await?;
    }
    Ok(Stored::Done)
}

/// Commits what a provider batch brought where that is every row of a chunk: it is sealed in the same transaction. `outcomes` need no
/// response. `sealed.closed` is empty.
///
/// # Errors
/// [`Error::Fenced`]: whoever holds the lease now collects the same results.
pub async fn commit_whole(
    tx: &mut TenantTx,
    lease: &DispatchLease,
    outcomes: &[(u64, Outcome)],
    sealed: &Sealed<'_>,
) -> Result<Stored> {
    let state = crate::jobs::lock(tx, lease.job_id).await?.ok_or(Error::Fenced)?;
    if !crate::dispatches::fence(tx, lease).await? {
        return Err(Error::Fenced);
    }
    let chunk_no = sealed.chunk_no;
    let chunk = lock_chunk(tx, lease.job_id, chunk_no).await?.ok_or(Error::Fenced)?;
    if chunk.closed != *sealed.closed {
        return Ok(Stored::Changed);
    }
    let rows = RowSet::full(sealed.rows.len());
    let outcomes: Vec<_> = outcomes.iter().map(|(row, outcome)| (*row, outcome)).collect();
    write::close(tx, lease, chunk_no, &rows, &outcomes).await?;
    if state.after(Event::Sealed).is_ok() {
        crate::seal::write(tx, lease.job_id, state, sealed).await?;
    } else {
        // Of a job that has failed nothing is merged; its rows can be looked at.
        insert_pointer(tx, lease, chunk_no, &rows, sealed.results_path).await?;
    }
    note_collected(tx, lease, chunk_no).await?;
    Ok(Stored::Done)
}

/// Whoever collects again leaves this chunk out.
async fn note_collected(tx: &mut TenantTx, lease: &DispatchLease, chunk_no: u32) -> Result<()> {
    sqlx::query!(
        "UPDATE dispatch_rows SET collected = true WHERE dispatch_id = $1 AND chunk_no = $2",
        lease.dispatch_id.0,
        to_i32(chunk_no),
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

async fn insert_pointer(
    tx: &mut TenantTx,
    lease: &DispatchLease,
    chunk_no: u32,
    rows: &RowSet,
    path: &str,
) -> Result<()> {
    let tenant_id = tx.tenant_id();
    sqlx::query!(
        "INSERT INTO batch_results (job_id, chunk_no, generation, dispatch_id, tenant_id, rows, path)
        VALUES ($1, $2, $3, $4, $5, $6, $7)",
        lease.job_id.0,
        to_i32(chunk_no),
        lease.generation,
        lease.dispatch_id.0,
        tenant_id.0,
        to_bits(rows),
        path,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A file of outcomes of an unsealed chunk.
#[derive(Debug, Clone)]
pub struct ResultsFile {
    pub chunk_no: u32,
    /// Its rows, in order.
    pub rows: RowSet,
    pub path: String,
}

/// The files of a range of chunks, from `first` on, `count` of them.
pub async fn results_files(
    tx: &mut TenantTx,
    job_id: domain::ids::JobId,
    generation: i32,
    first: u32,
    count: i64,
) -> Result<Vec<ResultsFile>> {
    let rows = sqlx::query!(
        "SELECT chunk_no, rows, path FROM batch_results
        WHERE job_id = $1 AND generation = $2 AND chunk_no >= $3 AND chunk_no < $3::bigint + $4 ORDER BY chunk_no, dispatch_id",
        job_id.0,
        generation,
        to_i32(first),
        count,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ResultsFile { chunk_no: to_u32(row.chunk_no), rows: from_bits(&row.rows), path: row.path })
        .collect())
}
