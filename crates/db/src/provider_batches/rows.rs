//! The rows of a provider batch.

use domain::row_set::RowSet;

use crate::convert::{from_bits, to_bit_text, to_i32, to_i64, to_u32, to_u64};
use crate::dispatches::{DispatchLease, DispatchRows, fence, release_rows};
use crate::{Error, Result, TenantTx};

/// All rows that were sent in it, whether they have an outcome by now or not: in this order, which is that of its lines.
pub async fn request_rows(tx: &mut TenantTx, lease: &DispatchLease) -> Result<Vec<DispatchRows>> {
    let rows = sqlx::query!(
        "SELECT chunk_no, rows FROM dispatch_rows WHERE dispatch_id = $1 ORDER BY chunk_no",
        lease.dispatch_id.0
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| DispatchRows { chunk_no: to_u32(row.chunk_no), rows: from_bits(&row.rows) })
        .collect())
}

/// A chunk's rows in a provider batch.
#[derive(Debug, Clone)]
pub struct SentChunk {
    pub chunk_no: u32,
    /// The number of the chunk's first row in the whole input.
    pub first_row: u64,
    /// Those that were sent.
    pub rows: RowSet,
    /// What became of them is committed.
    pub collected: bool,
}

/// The same as [`request_rows`], with how far it is collected.
pub async fn sent_chunks(tx: &mut TenantTx, lease: &DispatchLease) -> Result<Vec<SentChunk>> {
    let rows = sqlx::query!(
        "SELECT r.chunk_no, c.first_row, r.rows, r.collected
        FROM dispatch_rows r JOIN chunks c ON c.job_id = r.job_id AND c.chunk_no = r.chunk_no
        WHERE r.dispatch_id = $1 ORDER BY r.chunk_no",
        lease.dispatch_id.0
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| SentChunk {
            chunk_no: to_u32(row.chunk_no),
            first_row: to_u64(row.first_row),
            rows: from_bits(&row.rows),
            collected: row.collected,
        })
        .collect())
}

/// Keeps only these rows in it, and opens the others again: they did not fit, or have an outcome already.
///
/// # Errors
/// [`Error::Fenced`]
pub async fn keep_rows(tx: &mut TenantTx, lease: &DispatchLease, kept: &[DispatchRows], tokens: u64) -> Result<()> {
    crate::jobs::lock(tx, lease.job_id).await?;
    if !fence(tx, lease).await? {
        return Err(Error::Fenced);
    }
    release_rows(tx, lease).await?;
    let chunks: Vec<i32> = kept.iter().map(|chunk| to_i32(chunk.chunk_no)).collect();
    let rows: Vec<String> = kept.iter().map(|chunk| to_bit_text(&chunk.rows)).collect();
    let requests: usize = kept.iter().map(|chunk| chunk.rows.count()).sum();
    let tenant_id = tx.tenant_id();
    sqlx::query!("DELETE FROM dispatch_rows WHERE dispatch_id = $1", lease.dispatch_id.0)
        .execute(tx.connection())
        .await?;
    sqlx::query!(
        "WITH kept AS (
            SELECT chunk_no, rows::varbit FROM unnest($3::int[], $4::text[]) AS k (chunk_no, rows)
        ), chunk AS (
            UPDATE chunks c SET in_flight = c.in_flight | kept.rows,
                has_open = bit_count(c.closed | c.in_flight | kept.rows) < c.row_count
            FROM kept WHERE c.job_id = $2 AND c.chunk_no = kept.chunk_no
        ), dispatch AS (
            UPDATE dispatches SET requests = $6, tokens = $7 WHERE dispatch_id = $1
        )
        INSERT INTO dispatch_rows (dispatch_id, tenant_id, job_id, chunk_no, rows) SELECT $1, $5, $2, chunk_no, rows FROM kept",
        lease.dispatch_id.0,
        lease.job_id.0,
        &chunks,
        &rows,
        tenant_id.0,
        to_i64(requests as u64),
        to_i64(tokens),
    )
    .execute(tx.connection())
    .await?;
    wake(tx, lease).await
}

/// How many tokens its rows really have.
///
/// # Errors
/// [`Error::Fenced`]
pub async fn note_tokens(tx: &mut TenantTx, lease: &DispatchLease, tokens: u64) -> Result<()> {
    let noted = sqlx::query!(
        "UPDATE dispatches SET tokens = $3 WHERE dispatch_id = $1 AND lease_epoch = $2",
        lease.dispatch_id.0,
        lease.epoch,
        to_i64(tokens),
    )
    .execute(tx.connection())
    .await?;
    if noted.rows_affected() == 1 { Ok(()) } else { Err(Error::Fenced) }
}

/// Settles it: its rows that have no outcome are open again, what it keeps at the provider is to be removed, and it is gone.
///
/// # Errors
/// [`Error::Fenced`]
pub async fn settle(tx: &mut TenantTx, lease: &DispatchLease) -> Result<()> {
    crate::jobs::lock(tx, lease.job_id).await?;
    if !crate::dispatches::settle(tx, lease).await? {
        return Err(Error::Fenced);
    }
    sqlx::query!("UPDATE remote_objects SET run_at = now() WHERE dispatch_id = $1", lease.dispatch_id.0)
        .execute(tx.connection())
        .await?;
    wake(tx, lease).await
}

/// The job's rows that wait for company look again. Its row is locked.
async fn wake(tx: &mut TenantTx, lease: &DispatchLease) -> Result<()> {
    sqlx::query!(
        "UPDATE jobs SET not_before = NULL, open_since = coalesce(open_since, now()) WHERE job_id = $1 AND state = 'running'",
        lease.job_id.0,
    )
    .execute(tx.connection())
    .await?;
    tx.hint().await
}

/// Opens its rows again that have no outcome, while it goes on itself: what it still brings comes late.
///
/// # Errors
/// [`Error::Fenced`]
pub async fn settle_rows(tx: &mut TenantTx, lease: &DispatchLease) -> Result<()> {
    crate::jobs::lock(tx, lease.job_id).await?;
    if !fence(tx, lease).await? {
        return Err(Error::Fenced);
    }
    release_rows(tx, lease).await?;
    sqlx::query!("UPDATE dispatches SET owns_rows = false WHERE dispatch_id = $1", lease.dispatch_id.0)
        .execute(tx.connection())
        .await?;
    wake(tx, lease).await
}

/// A row of it must not go by provider batch again.
pub async fn bar_row(tx: &mut TenantTx, lease: &DispatchLease, chunk_no: u32, offset: usize) -> Result<()> {
    sqlx::query!(
        "UPDATE chunks SET realtime_only = set_bit(coalesce(realtime_only, closed & ~closed), $3, 1)
        WHERE job_id = $1 AND chunk_no = $2",
        lease.job_id.0,
        to_i32(chunk_no),
        to_i32(u32::try_from(offset).unwrap_or(u32::MAX)),
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// None of its rows must go by provider batch again.
pub async fn bar_rows(tx: &mut TenantTx, lease: &DispatchLease) -> Result<()> {
    sqlx::query!(
        "WITH held AS (
            SELECT c.job_id, c.chunk_no, r.rows FROM dispatch_rows r JOIN chunks c USING (job_id, chunk_no)
            WHERE r.dispatch_id = $1 ORDER BY c.chunk_no FOR NO KEY UPDATE OF c
        )
        UPDATE chunks c SET realtime_only = coalesce(c.realtime_only | held.rows, held.rows)
        FROM held WHERE c.job_id = held.job_id AND c.chunk_no = held.chunk_no",
        lease.dispatch_id.0,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The rows of a set from the `first` on, `count` of them.
pub(super) fn slice(rows: &RowSet, first: usize, count: usize) -> RowSet {
    let mut slice = RowSet::empty(rows.length());
    rows.iter().skip(first).take(count).for_each(|offset| slice.insert(offset));
    slice
}
