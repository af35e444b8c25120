//! Items of a job, chunk by chunk.

use chrono::{DateTime, Utc};
use domain::ids::JobId;
use domain::money::Money;
use domain::outcome::{ItemError, Usage};
use domain::row_set::RowSet;

use crate::convert::{from_bits, to_i32, to_i64, to_u32, to_u64};
use crate::{Result, TenantTx};

/// How the rows of a chunk stand.
#[derive(Debug, Clone)]
pub struct ChunkItems {
    pub chunk_no: u32,
    pub first_row: u64,
    pub input_path: String,
    pub closed: RowSet,
    pub in_flight: RowSet,
    /// Once it is sealed; until then its outcomes are in Postgres.
    pub summary: Option<Summary>,
}

#[derive(Debug, Clone)]
pub struct Summary {
    /// See [`crate::seal::row_state`].
    pub row_states: Vec<u8>,
    pub results_path: String,
    pub attempts_path: Option<String>,
    pub part_path: String,
}

/// Up to `limit` chunks from chunk `first` on that have rows of a status (`pending`, `running` or an outcome's), or any rows.
pub async fn chunks(
    tx: &mut TenantTx,
    job_id: JobId,
    generation: i32,
    first: u32,
    status: Option<&str>,
    limit: i64,
) -> Result<Vec<ChunkItems>> {
    let rows = sqlx::query!(
        r#"SELECT c.chunk_no, c.first_row, c.input_path, c.closed, c.in_flight, s.row_states AS "row_states?",
            s.results_path AS "results_path?", s.attempts_path, s.part_path AS "part_path?"
        FROM chunks c LEFT JOIN chunk_summaries s ON s.job_id = c.job_id AND s.chunk_no = c.chunk_no AND s.generation = $2
        WHERE c.job_id = $1 AND c.chunk_no >= $3 AND CASE $4::text
            WHEN 'succeeded' THEN c.succeeded > 0
            WHEN 'failed' THEN c.failed > 0
            WHEN 'cancelled' THEN c.cancelled > 0
            WHEN 'expired' THEN c.expired > 0
            WHEN 'running' THEN bit_count(c.in_flight & ~c.closed) > 0
            WHEN 'pending' THEN c.has_open
            ELSE true END
        ORDER BY c.chunk_no LIMIT $5"#,
        job_id.0,
        generation,
        to_i32(first),
        status,
        limit,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ChunkItems {
            chunk_no: to_u32(row.chunk_no),
            first_row: to_u64(row.first_row),
            input_path: row.input_path,
            closed: from_bits(&row.closed),
            in_flight: from_bits(&row.in_flight),
            summary: row.row_states.zip(row.results_path).zip(row.part_path).map(
                |((row_states, results_path), part_path)| Summary {
                    row_states,
                    results_path,
                    attempts_path: row.attempts_path,
                    part_path,
                },
            ),
        })
        .collect())
}

/// An attempt that is still in Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAttempt {
    pub row: u64,
    pub attempt: u32,
    pub counted: bool,
    pub late: bool,
    pub error: Option<ItemError>,
    pub model: String,
    pub http_status: Option<u16>,
    pub request_id: Option<String>,
    pub usage: Usage,
    pub cost: Option<Money>,
    pub created_at: DateTime<Utc>,
}

/// Attempts of a range of rows, in order. With `late`, late answers too.
pub async fn attempts(
    tx: &mut TenantTx,
    job_id: JobId,
    generation: i32,
    first_row: u64,
    rows: usize,
    late: bool,
) -> Result<Vec<StoredAttempt>> {
    let records = sqlx::query!(
        "SELECT row_no, attempt, counted, late, error_code, error, model, http_status, request_id, input_tokens,
            cached_input_tokens, output_tokens, cost, created_at
        FROM attempts
        WHERE job_id = $1 AND generation = $2 AND row_no >= $3 AND row_no < $3 + $4::bigint AND (NOT late OR $5)
        ORDER BY row_no, attempt",
        job_id.0,
        generation,
        to_i64(first_row),
        to_i64(rows as u64),
        late,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(records
        .into_iter()
        .map(|record| StoredAttempt {
            row: to_u64(record.row_no),
            attempt: to_u32(record.attempt),
            counted: record.counted,
            late: record.late,
            error: record.error_code.map(|code| ItemError { code, message: record.error.unwrap_or_default() }),
            model: record.model,
            http_status: record.http_status.and_then(|status| u16::try_from(status).ok()),
            request_id: record.request_id,
            usage: Usage {
                input_tokens: to_u64(record.input_tokens),
                cached_input_tokens: to_u64(record.cached_input_tokens),
                output_tokens: to_u64(record.output_tokens),
            },
            cost: record.cost.map(Money),
            created_at: record.created_at,
        })
        .collect())
}
