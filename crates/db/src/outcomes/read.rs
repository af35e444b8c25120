//! Reads outcomes and attempts that are still in Postgres.

use std::time::Duration;

use domain::ids::JobId;
use domain::money::Money;
use domain::outcome::{ItemError, Outcome, Status, Usage};

use crate::convert::{to_i64, to_u32, to_u64};
use crate::dispatches::DispatchLease;
use crate::{Error, Result, TenantTx};

/// A row's attempts so far, as whoever goes on with it needs them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct History {
    pub row: u64,
    pub counted: u32,
    pub total: u32,
    /// Provider batches that ended before they came to it.
    pub expiries: u32,
    pub usage: Usage,
    pub cost: Option<Money>,
    /// Until its next attempt may be made.
    pub wait: Duration,
}

impl History {
    /// Of a row that was never tried.
    pub fn none(row: u64) -> Self {
        Self { row, ..Self::default() }
    }
}

/// Histories of those rows of a range that were attempted before. Late answers are not part of them.
pub async fn histories(tx: &mut TenantTx, lease: &DispatchLease, first_row: u64, rows: usize) -> Result<Vec<History>> {
    let records = sqlx::query!(
        r#"SELECT row_no, count(*) FILTER (WHERE counted) AS "counted!", count(*) AS "total!",
            count(*) FILTER (WHERE error_code IN ('batch_expired', 'batch_cancelled')) AS "expiries!",
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
            expiries: u32::try_from(record.expiries).unwrap_or(u32::MAX),
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
