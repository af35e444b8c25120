//! Outcomes and attempts: written once, under the chunk's lock, and only for rows that have none.

use std::time::Duration;

use domain::ids::JobId;
use domain::money::Money;
use domain::outcome::{ItemError, Outcome, Status, Usage};
use domain::row_set::RowSet;

use crate::convert::{from_bits, to_bits, to_i32, to_i64, to_u32, to_u64, without_nul};
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
            book_late(tx, lease, chunk_no, result).await?;
        }
    }
    committed.stored = fresh.len();
    insert(tx, lease.job_id, lease.generation, &fresh).await?;
    close(tx, lease, chunk_no, &rows, &fresh).await?;
    if held {
        insert_attempts(tx, lease, attempts).await?;
    } else {
        committed.fenced += attempts.len();
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
            .ok_or_else(|| Error::inconsistent("chunks", format!("row {row} is not in the chunk at {}", self.first_row)))
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

/// Sets the rows' bits and adds to the chunk's counters. The chunk's row is locked.
async fn close(
    tx: &mut TenantTx,
    lease: &DispatchLease,
    chunk_no: u32,
    rows: &RowSet,
    outcomes: &[(u64, &Outcome)],
) -> Result<()> {
    if outcomes.is_empty() {
        return Ok(());
    }
    let count = |status: Status| {
        let count = outcomes.iter().filter(|(_, outcome)| outcome.status == status).count();
        to_i32(u32::try_from(count).unwrap_or(u32::MAX))
    };
    let sum = |of: fn(&Usage) -> u64| to_i64(outcomes.iter().map(|(_, outcome)| of(&outcome.usage)).sum());
    sqlx::query!(
        "UPDATE chunks SET closed = closed | $3, succeeded = succeeded + $4, failed = failed + $5, cancelled = cancelled + $6,
            expired = expired + $7, input_tokens = input_tokens + $8, cached_input_tokens = cached_input_tokens + $9,
            output_tokens = output_tokens + $10, cost = cost + $11
        WHERE job_id = $1 AND chunk_no = $2",
        lease.job_id.0,
        to_i32(chunk_no),
        to_bits(rows),
        count(Status::Succeeded),
        count(Status::Failed),
        count(Status::Cancelled),
        count(Status::Expired),
        sum(|usage| usage.input_tokens),
        sum(|usage| usage.cached_input_tokens),
        sum(|usage| usage.output_tokens),
        outcomes.iter().filter_map(|(_, outcome)| outcome.cost).sum::<Money>().0,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Inserts outcomes of rows whose bits are 0 in a chunk that is locked, or new.
pub(crate) async fn insert(tx: &mut TenantTx, job_id: JobId, generation: i32, outcomes: &[(u64, &Outcome)]) -> Result<()> {
    if outcomes.is_empty() {
        return Ok(());
    }
    let tenant_id = tx.tenant_id();
    let each = |of: fn(&Usage) -> u64| -> Vec<i64> {
        outcomes.iter().map(|(_, outcome)| to_i64(of(&outcome.usage))).collect()
    };
    let error = |of: fn(&ItemError) -> String| -> Vec<Option<String>> {
        outcomes.iter().map(|(_, outcome)| outcome.error.as_ref().map(of)).collect()
    };
    sqlx::query!(
        "INSERT INTO outcomes (job_id, generation, tenant_id, row_no, status, attempts, input_tokens, cached_input_tokens,
            output_tokens, cost, error_code, error, model, finish_reason, response)
        SELECT $1, $2, $3, * FROM unnest($4::bigint[], $5::smallint[], $6::int[], $7::bigint[], $8::bigint[], $9::bigint[],
            $10::bigint[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bytea[])",
        job_id.0,
        generation,
        tenant_id.0,
        &outcomes.iter().map(|(row, _)| to_i64(*row)).collect::<Vec<_>>(),
        &outcomes.iter().map(|(_, outcome)| outcome.status as i16).collect::<Vec<_>>(),
        &outcomes.iter().map(|(_, outcome)| to_i32(outcome.attempts)).collect::<Vec<_>>(),
        &each(|usage| usage.input_tokens),
        &each(|usage| usage.cached_input_tokens),
        &each(|usage| usage.output_tokens),
        &outcomes.iter().map(|(_, outcome)| outcome.cost.map(|cost| cost.0)).collect::<Vec<_>>() as &[Option<i64>],
        &error(|error| error.code.clone()) as &[Option<String>],
        &error(|error| without_nul(&error.message)) as &[Option<String>],
        &outcomes.iter().map(|(_, outcome)| outcome.model.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
        &outcomes.iter().map(|(_, outcome)| outcome.finish_reason.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
        &outcomes.iter().map(|(_, outcome)| outcome.response.as_deref().map(str::as_bytes)).collect::<Vec<_>>()
            as &[Option<&[u8]>],
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

async fn insert_attempts(tx: &mut TenantTx, lease: &DispatchLease, attempts: &[Attempt]) -> Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    let tenant_id = tx.tenant_id();
    let each = |of: fn(&Usage) -> u64| -> Vec<i64> { attempts.iter().map(|attempt| to_i64(of(&attempt.usage))).collect() };
    sqlx::query!(
        "INSERT INTO attempts (job_id, generation, tenant_id, model, row_no, attempt, counted, error_code, error, http_status,
            request_id, input_tokens, cached_input_tokens, output_tokens, cost, retry_at)
        SELECT $1, $2, $3, $4, row_no, attempt, counted, error_code, error, http_status, request_id, input_tokens,
            cached_input_tokens, output_tokens, cost, now() + wait * interval '1 second'
        FROM unnest($5::bigint[], $6::int[], $7::bool[], $8::text[], $9::text[], $10::smallint[], $11::text[], $12::bigint[],
            $13::bigint[], $14::bigint[], $15::bigint[], $16::float8[])
            AS new (row_no, attempt, counted, error_code, error, http_status, request_id, input_tokens,
                cached_input_tokens, output_tokens, cost, wait)
        ON CONFLICT DO NOTHING",
        lease.job_id.0,
        lease.generation,
        tenant_id.0,
        lease.model.to_string(),
        &attempts.iter().map(|attempt| to_i64(attempt.row)).collect::<Vec<_>>(),
        &attempts.iter().map(|attempt| to_i32(attempt.attempt)).collect::<Vec<_>>(),
        &attempts.iter().map(|attempt| attempt.counted).collect::<Vec<_>>(),
        &attempts.iter().map(|attempt| attempt.error.code.clone()).collect::<Vec<_>>(),
        &attempts.iter().map(|attempt| without_nul(&attempt.error.message)).collect::<Vec<_>>(),
        &attempts.iter().map(|attempt| attempt.http_status.and_then(|status| i16::try_from(status).ok())).collect::<Vec<_>>()
            as &[Option<i16>],
        &attempts.iter().map(|attempt| attempt.request_id.as_deref().map(without_nul)).collect::<Vec<_>>()
            as &[Option<String>],
        &each(|usage| usage.input_tokens),
        &each(|usage| usage.cached_input_tokens),
        &each(|usage| usage.output_tokens),
        &attempts.iter().map(|attempt| attempt.cost.map(|cost| cost.0)).collect::<Vec<_>>() as &[Option<i64>],
        &attempts.iter().map(|attempt| attempt.retry_after.as_secs_f64()).collect::<Vec<_>>(),
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Books what an answer used that came when its row had its outcome.
async fn book_late(tx: &mut TenantTx, lease: &DispatchLease, chunk_no: u32, result: &RowOutcome) -> Result<()> {
    let tenant_id = tx.tenant_id();
    let error = result.outcome.error.as_ref();
    sqlx::query!(
        "WITH chunk AS (
            UPDATE chunks SET input_tokens = input_tokens + $8, cached_input_tokens = cached_input_tokens + $9,
                output_tokens = output_tokens + $10, cost = cost + coalesce($11::bigint, 0)
            WHERE job_id = $1 AND chunk_no = $12
        )
        INSERT INTO attempts (job_id, generation, row_no, attempt, tenant_id, counted, late, error_code, error, model,
            input_tokens, cached_input_tokens, output_tokens, cost)
        SELECT $1, $2, $3,
            1 + greatest(
                (SELECT max(attempt) FROM attempts WHERE job_id = $1 AND generation = $2 AND row_no = $3),
                (SELECT attempts FROM outcomes WHERE job_id = $1 AND generation = $2 AND row_no = $3),
                0),
            $4, false, true, $5, $6, $7, $8, $9, $10, $11",
        lease.job_id.0,
        lease.generation,
        to_i64(result.row),
        tenant_id.0,
        error.map(|error| error.code.as_str()),
        error.map(|error| without_nul(&error.message)),
        lease.model.to_string(),
        to_i64(result.last_usage.input_tokens),
        to_i64(result.last_usage.cached_input_tokens),
        to_i64(result.last_usage.output_tokens),
        result.last_cost.map(|cost| cost.0),
        to_i32(chunk_no),
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A row's attempts so far, as whoever goes on with it needs them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct History {
    pub row: u64,
    pub counted: u32,
    pub total: u32,
    pub usage: Usage,
    pub cost: Option<Money>,
    /// Until its next attempt may be made.
    pub wait: Duration,
}

/// Histories of those rows of a range that were attempted before. Late answers are not part of them.
pub async fn histories(tx: &mut TenantTx, lease: &DispatchLease, first_row: u64, rows: usize) -> Result<Vec<History>> {
    let records = sqlx::query!(
        r#"SELECT row_no, count(*) FILTER (WHERE counted) AS "counted!", count(*) AS "total!",
            sum(input_tokens)::bigint AS "input_tokens!", sum(cached_input_tokens)::bigint AS "cached_input_tokens!",
            sum(output_tokens)::bigint AS "output_tokens!", sum(cost)::bigint AS cost,
            greatest(0, extract(epoch FROM max(retry_at) - now()))::float8 AS "wait!"
        FROM attempts
        WHERE job_id = $1 AND generation = $2 AND row_no >= $3 AND row_no < $3 + $4::bigint AND NOT late
        GROUP BY row_no"#,
        lease.job_id.0,
        lease.generation,
        to_i64(first_row),
        to_i64(rows as u64),
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(records
        .into_iter()
        .map(|record| History {
            row: to_u64(record.row_no),
            counted: u32::try_from(record.counted).unwrap_or(u32::MAX),
            total: u32::try_from(record.total).unwrap_or(u32::MAX),
            usage: Usage {
                input_tokens: to_u64(record.input_tokens),
                cached_input_tokens: to_u64(record.cached_input_tokens),
                output_tokens: to_u64(record.output_tokens),
            },
            cost: record.cost.map(Money),
            wait: Duration::try_from_secs_f64(record.wait).unwrap_or_default(),
        })
        .collect())
}

/// Outcomes of a range of rows that are still in Postgres, by row.
pub async fn range(
    tx: &mut TenantTx,
    job_id: JobId,
    generation: i32,
    first_row: u64,
    rows: usize,
) -> Result<Vec<(u64, Outcome)>> {
    let records = sqlx::query!(
        "SELECT row_no, status, attempts, input_tokens, cached_input_tokens, output_tokens, cost, error_code, error, model,
            finish_reason, response
        FROM outcomes WHERE job_id = $1 AND generation = $2 AND row_no >= $3 AND row_no < $3 + $4::bigint ORDER BY row_no",
        job_id.0,
        generation,
        to_i64(first_row),
        to_i64(rows as u64),
    )
    .fetch_all(tx.connection())
    .await?;
    records
        .into_iter()
        .map(|record| {
            let status = u8::try_from(record.status).ok().and_then(Status::from_code);
            let response = record.response.map(String::from_utf8).transpose();
            let outcome = Outcome {
                status: status.ok_or_else(|| Error::inconsistent("outcomes", format!("status {}", record.status)))?,
                response: response.map_err(|error| Error::inconsistent("outcomes", error.to_string()))?,
                error: record.error_code.map(|code| ItemError { code, message: record.error.unwrap_or_default() }),
                model: record.model,
                finish_reason: record.finish_reason,
                usage: Usage {
                    input_tokens: to_u64(record.input_tokens),
                    cached_input_tokens: to_u64(record.cached_input_tokens),
                    output_tokens: to_u64(record.output_tokens),
                },
                cost: record.cost.map(Money),
                attempts: to_u32(record.attempts),
            };
            Ok((to_u64(record.row_no), outcome))
        })
        .collect()
}
