//! Forms dispatches: picks open rows, marks them in flight, and writes down where they go. All in one transaction that holds the job.

use std::time::Duration;

use domain::ids::{DispatchId, JobId, WorkerId};
use domain::provider::LimitGroup;
use domain::provider_batch::Stage;
use domain::row_set::RowSet;
use uuid::Uuid;

use super::{Candidate, DispatchLease};
use crate::convert::{from_bits, to_bit_text, to_bits, to_i64, to_u32, to_u64};
use crate::{Error, Result, SchedulerTx};

/// Forms a real-time dispatch of up to `limit` open rows of the job's first chunk that has any, and leases it. With `is_kept`, only
/// of rows that must not go by provider batch.
pub async fn form_realtime(
    tx: &mut SchedulerTx,
    job: &Candidate,
    worker: WorkerId,
    lease: Duration,
    limit: usize,
    is_kept: bool,
) -> Result<Option<DispatchLease>> {
    let Some(chunk) = sqlx::query!(
        "SELECT chunk_no, closed, in_flight, realtime_only FROM chunks
        WHERE job_id = $1 AND has_open AND (NOT $2 OR bit_count(realtime_only & ~(closed | in_flight)) > 0)
        ORDER BY chunk_no LIMIT 1 FOR NO KEY UPDATE",
        job.job_id.0,
        is_kept,
    )
    .fetch_optional(tx.connection())
    .await?
    else {
        return Ok(None);
    };
    let in_flight = from_bits(&chunk.in_flight);
    let open = RowSet::full(in_flight.length()).minus(&from_bits(&chunk.closed)).minus(&in_flight);
    let wanted = match &chunk.realtime_only {
        Some(kept) if is_kept => open.minus(&open.minus(&from_bits(kept))),
        Some(_) | None => open.clone(),
    };
    let taken = wanted.first(limit.max(1));
    let dispatch_id = DispatchId(Uuid::now_v7());
    sqlx::query!(
        "WITH job AS (UPDATE jobs SET last_dispatched_at = clock_timestamp() WHERE job_id = $1),
        chunk AS (UPDATE chunks SET in_flight = $3, has_open = $4 WHERE job_id = $1 AND chunk_no = $2),
        dispatch AS (
            INSERT INTO dispatches (dispatch_id, tenant_id, job_id, generation, route, provider_id, model, run_at, lease_owner)
            VALUES ($5, $6, $1, $7, 'realtime', $8, $9, now() + $10::float8 * interval '1 second', $11)
        )
        INSERT INTO dispatch_rows (dispatch_id, tenant_id, job_id, chunk_no, rows) VALUES ($5, $6, $1, $2, $12)",
        job.job_id.0,
        chunk.chunk_no,
        to_bits(&in_flight.union(&taken)),
        taken.count() < open.count(),
        dispatch_id.0,
        job.tenant_id.0,
        job.generation,
        job.model.provider,
        job.model.model,
        lease.as_secs_f64(),
        worker.0,
        to_bits(&taken),
    )
    .execute(tx.connection())
    .await?;
    Ok(Some(DispatchLease {
        dispatch_id,
        tenant_id: job.tenant_id,
        job_id: job.job_id,
        generation: job.generation,
        model: job.model.clone(),
        epoch: 1,
    }))
}

/// What one provider batch may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub requests: u64,
    /// Rendered, with `overhead` for each request.
    pub bytes: u64,
    /// Bytes that encoding adds to a rendered request.
    pub overhead: u64,
    /// Estimated input tokens.
    pub tokens: u64,
}

/// Where a provider batch goes.
#[derive(Debug)]
pub struct Destination<'a> {
    /// The records as they are now.
    pub place: &'a serde_json::Value,
    pub limit_group: &'a LimitGroup,
    pub credential: Option<&'a str>,
    pub credential_version: Option<i64>,
}

/// Rows of one chunk that were picked.
struct Picked {
    chunk_no: i32,
    in_flight: RowSet,
    has_open: bool,
    rows: RowSet,
}

/// Forms a provider batch of open rows, leftovers of many chunks together, until a budget is full. Any worker may take its first
/// step at once. Returns how many rows it has; 0 if there were none.
pub async fn form_batch(
    tx: &mut SchedulerTx,
    job: &Candidate,
    budget: Budget,
    destination: &Destination<'_>,
) -> Result<u64> {
    let (picked, requests, tokens) = pick(tx, job.job_id, budget).await?;
    if picked.is_empty() {
        return Ok(0);
    }
    let dispatch_id = DispatchId(Uuid::now_v7());
    let stage =
        serde_json::to_value(Stage::Formed).map_err(|error| Error::inconsistent("dispatches", error.to_string()))?;
    sqlx::query!(
        "WITH job AS (UPDATE jobs SET last_dispatched_at = clock_timestamp() WHERE job_id = $1)
        INSERT INTO dispatches (dispatch_id, tenant_id, job_id, generation, route, provider_id, model, run_at, lease_epoch,
            stage, place, limit_group, credential, credential_version, origin, requests, tokens)
        VALUES ($2, $3, $1, $4, 'batch', $5, $6, now(), 0, $7, $8, $9, $10, $11, $2, $12, $13)",
        job.job_id.0,
        dispatch_id.0,
        job.tenant_id.0,
        job.generation,
        job.model.provider,
        job.model.model,
        stage,
        destination.place,
        destination.limit_group.0,
        destination.credential,
        destination.credential_version,
        to_i64(requests),
        to_i64(tokens),
    )
    .execute(tx.connection())
    .await?;
    mark(tx, job, dispatch_id, &picked).await?;
    Ok(requests)
}

/// Chunks that are read at once.
const PAGE: i64 = 200;

async fn pick(tx: &mut SchedulerTx, job_id: JobId, budget: Budget) -> Result<(Vec<Picked>, u64, u64)> {
    let (mut requests, mut bytes, mut tokens) = (0_u64, 0_u64, 0_u64);
    let mut picked = Vec::new();
    let mut after = -1_i32;
    loop {
        let page = sqlx::query!(
            "SELECT chunk_no, row_count, bytes, tokens, closed, in_flight, realtime_only FROM chunks
            WHERE job_id = $1 AND has_open AND chunk_no > $2 ORDER BY chunk_no LIMIT $3 FOR NO KEY UPDATE",
            job_id.0,
            after,
            PAGE,
        )
        .fetch_all(tx.connection())
        .await?;
        let Some(last) = page.last() else { return Ok((picked, requests, tokens)) };
        after = last.chunk_no;
        for chunk in &page {
            let in_flight = from_bits(&chunk.in_flight);
            let open = RowSet::full(in_flight.length()).minus(&from_bits(&chunk.closed)).minus(&in_flight);
            let free = chunk.realtime_only.as_ref().map_or_else(|| open.clone(), |kept| open.minus(&from_bits(kept)));
            let of_row = |whole: i64| to_u64(whole).div_ceil(u64::from(to_u32(chunk.row_count).max(1)));
            let (row_bytes, row_tokens) = (of_row(chunk.bytes) + budget.overhead, of_row(chunk.tokens));
            let room = (budget.requests - requests)
                .min(budget.bytes.saturating_sub(bytes) / row_bytes.max(1))
                .min(budget.tokens.saturating_sub(tokens) / row_tokens.max(1))
                // A row that is larger than any budget has to go somewhere.
                .max(u64::from(requests == 0));
            let taken = free.first(usize::try_from(room).unwrap_or(usize::MAX));
            let count = taken.count() as u64;
            requests += count;
            bytes += count * row_bytes;
            tokens += count * row_tokens;
            if count > 0 {
                picked.push(Picked {
                    chunk_no: chunk.chunk_no,
                    in_flight: in_flight.union(&taken),
                    has_open: taken.count() < open.count(),
                    rows: taken,
                });
            }
            if room <= count {
                return Ok((picked, requests, tokens));
            }
        }
    }
}

async fn mark(tx: &mut SchedulerTx, job: &Candidate, dispatch_id: DispatchId, picked: &[Picked]) -> Result<()> {
    let chunks: Vec<i32> = picked.iter().map(|chunk| chunk.chunk_no).collect();
    let in_flight: Vec<String> = picked.iter().map(|chunk| to_bit_text(&chunk.in_flight)).collect();
    let has_open: Vec<bool> = picked.iter().map(|chunk| chunk.has_open).collect();
    let rows: Vec<String> = picked.iter().map(|chunk| to_bit_text(&chunk.rows)).collect();
    sqlx::query!(
        "WITH picked AS (
            SELECT chunk_no, in_flight::varbit, has_open, rows::varbit
            FROM unnest($2::int[], $3::text[], $4::bool[], $5::text[]) AS p (chunk_no, in_flight, has_open, rows)
        ), chunk AS (
            UPDATE chunks c SET in_flight = picked.in_flight, has_open = picked.has_open
            FROM picked WHERE c.job_id = $1 AND c.chunk_no = picked.chunk_no
        )
        INSERT INTO dispatch_rows (dispatch_id, tenant_id, job_id, chunk_no, rows)
        SELECT $6, $7, $1, chunk_no, rows FROM picked",
        job.job_id.0,
        &chunks,
        &in_flight,
        &has_open,
        &rows,
        dispatch_id.0,
        job.tenant_id.0,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "UPDATE jobs SET open_since = NULL WHERE job_id = $1 AND NOT EXISTS (
            SELECT FROM chunks c WHERE c.job_id = $1 AND c.has_open)",
        job.job_id.0,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
