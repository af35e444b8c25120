//! Outcomes and attempts: written once, under the chunk's lock, and only for rows that have none.

mod provider_batch;
mod read;
mod write;

use std::time::Duration;

use domain::ids::JobId;
use domain::money::Money;
use domain::outcome::{ItemError, Outcome, Status, Usage};
use domain::row_set::RowSet;

pub use self::provider_batch::{ChunkResults, ResultsFile, Stored, commit_results, commit_whole, results_files};
pub use self::read::{History, histories, range};
pub(crate) use self::write::insert;
use crate::convert::{from_bits, to_i32, to_u64};
use crate::dispatches::DispatchLease;
use crate::{Error, Result, TenantTx};

/// A row's outcome, and what its last answer alone used.
#[derive(Debug, Clone)]
pub struct RowOutcome {
    /// From 0, in the whole input.
    pub row: u64,
    pub outcome: Outcome,
    pub last_usage: Usage,
    pub last_cost: Option<Money>,
}

/// A request that did not become its row's outcome.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// From 0, in the whole input.
    pub row: u64,
    /// From 1.
    pub attempt: u32,
    /// Counts against `max_attempts`.
    pub counted: bool,
    pub error: ItemError,
    pub http_status: Option<u16>,
    pub request_id: Option<String>,
    pub usage: Usage,
    pub cost: Option<Money>,
    /// The next attempt is not before then.
    pub retry_after: Duration,
}

/// What became of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Committed {
    pub stored: usize,
    /// Rows that had an outcome already: their answers are booked as late attempts.
    pub late: usize,
    /// Results that a lost lease made void.
    pub fenced: usize,
}

/// Stores outcomes and failed attempts of one chunk's rows.
///
/// A success needs only that its row has no outcome yet: it is paid for, so it counts even from a worker that lost its lease.
/// Everything else needs the lease as well. When the chunk has closed, its seal step is made in the same transaction.
///
/// `repeated` says that an earlier try may have been committed: what it stored then is not taken for a late answer.
pub async fn commit(
    tx: &mut TenantTx,
    lease: &DispatchLease,
    chunk_no: u32,
    outcomes: &[RowOutcome],
    attempts: &[Attempt],
    repeated: bool,
) -> Result<Committed> {
    let held = crate::dispatches::fence(tx, lease).await?;
    let Some(chunk) = lock_chunk(tx, lease.job_id, chunk_no).await? else {
        return Ok(Committed { fenced: outcomes.len() + attempts.len(), ..Committed::default() });
    };
    let mut committed = Committed::default();
    let mut fresh = Vec::with_capacity(outcomes.len());
    let mut rows = RowSet::empty(chunk.closed.length());
    for result in outcomes {
        let offset = chunk.offset(result.row)?;
        let free = !chunk.closed.contains(offset) && !rows.contains(offset);
        if free && (held || result.outcome.status == Status::Succeeded) {
            rows.insert(offset);
            fresh.push((result.row, &result.outcome));
        } else if !(repeated && is_stored(tx, lease, result).await?) {
            committed.fenced += usize::from(!held);
            committed.late += 1;
            write::book_late(tx, lease, chunk_no, result).await?;
        }
    }
    committed.stored = fresh.len();
    write::insert(tx, lease.job_id, lease.generation, &fresh).await?;
    write::close(tx, lease, chunk_no, &rows, &fresh).await?;
    if held {
        write::insert_attempts(tx, lease, attempts).await?;
    } else {
        committed.fenced += attempts.len();
        for attempt in attempts.iter().filter(|attempt| attempt.usage != Usage::default()) {
            write::book_late(tx, lease, chunk_no, attempt).await?;
        }
    }
    if !rows.is_empty() && chunk.closed.union(&rows).count() == rows.length() {
        crate::seal::enqueue(tx, lease.job_id, chunk_no).await?;
    }
    Ok(committed)
}

/// Whether a closed row's outcome is this very one, or has been sealed since.
async fn is_stored(tx: &mut TenantTx, lease: &DispatchLease, result: &RowOutcome) -> Result<bool> {
    let stored = range(tx, lease.job_id, lease.generation, result.row, 1).await?;
    Ok(stored.first().is_none_or(|(_, outcome)| *outcome == result.outcome))
}

struct LockedChunk {
    first_row: u64,
    closed: RowSet,
}

impl LockedChunk {
    fn offset(&self, row: u64) -> Result<usize> {
        row.checked_sub(self.first_row)
            .and_then(|offset| usize::try_from(offset).ok())
            .filter(|offset| *offset < self.closed.length())
            .ok_or_else(|| {
                Error::inconsistent("chunks", format!("row {row} is not in the chunk at {}", self.first_row))
            })
    }
}

async fn lock_chunk(tx: &mut TenantTx, job_id: JobId, chunk_no: u32) -> Result<Option<LockedChunk>> {
    let row = sqlx::query!(
        "SELECT first_row, closed FROM chunks WHERE job_id = $1 AND chunk_no = $2 FOR NO KEY UPDATE",
        job_id.0,
        to_i32(chunk_no)
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| LockedChunk { first_row: to_u64(row.first_row), closed: from_bits(&row.closed) }))
}
