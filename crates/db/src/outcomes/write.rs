//! Writes to a chunk whose row is locked, or new.

use domain::ids::JobId;
use domain::money::Money;
use domain::outcome::{ItemError, Outcome, Status, Usage};
use domain::row_set::RowSet;

use super::{Attempt, RowOutcome};
use crate::convert::{to_bits, to_i32, to_i64, without_nul};
use crate::dispatches::DispatchLease;
use crate::{Result, TenantTx};

/// Sets the rows' bits and adds to the chunk's counters. The chunk's row is locked.
pub(super) async fn close(
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
        "UPDATE chunks SET closed = closed | $3, has_open = has_open AND bit_count(closed | in_flight | $3) < row_count,
            succeeded = succeeded + $4, failed = failed + $5, cancelled = cancelled + $6, expired = expired + $7,
            input_tokens = input_tokens + $8, cached_input_tokens = cached_input_tokens + $9,
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
pub(crate) async fn insert(
    tx: &mut TenantTx,
    job_id: JobId,
    generation: i32,
    outcomes: &[(u64, &Outcome)],
) -> Result<()> {
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
        &outcomes.iter().map(|(_, outcome)| outcome.finish_reason.as_deref().map(without_nul)).collect::<Vec<_>>()
            as &[Option<String>],
        &outcomes.iter().map(|(_, outcome)| outcome.response.as_deref().map(str::as_bytes)).collect::<Vec<_>>()
            as &[Option<&[u8]>],
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A repeated insert changes nothing.
pub(super) async fn insert_attempts(tx: &mut TenantTx, lease: &DispatchLease, attempts: &[Attempt]) -> Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    let tenant_id = tx.tenant_id();
    let each =
        |of: fn(&Usage) -> u64| -> Vec<i64> { attempts.iter().map(|attempt| to_i64(of(&attempt.usage))).collect() };
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

/// A reply that came too late to matter to its row. What it used is booked all the same.
pub(super) struct Late<'a> {
    row: u64,
    error: Option<&'a ItemError>,
    usage: Usage,
    cost: Option<Money>,
}

impl<'a> From<&'a RowOutcome> for Late<'a> {
    fn from(result: &'a RowOutcome) -> Self {
        Self { row: result.row, error: result.outcome.error.as_ref(), usage: result.last_usage, cost: result.last_cost }
    }
}

impl<'a> From<&'a Attempt> for Late<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        Self { row: attempt.row, error: Some(&attempt.error), usage: attempt.usage, cost: attempt.cost }
    }
}

pub(super) async fn book_late(
    tx: &mut TenantTx,
    lease: &DispatchLease,
    chunk_no: u32,
    late: impl Into<Late<'_>>,
) -> Result<()> {
    let Late { row, error, usage, cost } = late.into();
    let tenant_id = tx.tenant_id();
    sqlx::query!(
        "WITH chunk AS (
            UPDATE chunks SET input_tokens = input_tokens + $8, cached_input_tokens = cached_input_tokens + $9,
                output_tokens = output_tokens + $10, cost = cost + coalesce($11::bigint, 0)
            WHERE job_id = $1 AND chunk_no = $12
        )
        INSERT INTO attempts (job_id, generation, row_no, attempt, tenant_id, counted, late, error_code, error, model,
            input_tokens, cached_input_tokens, output_tokens, cost)
        SELECT $1, $2, $3,
            1 + coalesce(
                (SELECT max(attempt) FROM attempts WHERE job_id = $1 AND generation = $2 AND row_no = $3 AND late), 0),
            $4, false, true, $5, $6, $7, $8, $9, $10, $11",
        lease.job_id.0,
        lease.generation,
        to_i64(row),
        tenant_id.0,
        error.map(|error| error.code.as_str()),
        error.map(|error| without_nul(&error.message)),
        lease.model.to_string(),
        to_i64(usage.input_tokens),
        to_i64(usage.cached_input_tokens),
        to_i64(usage.output_tokens),
        cost.map(|cost| cost.0),
        to_i32(chunk_no),
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
