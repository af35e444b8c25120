//! A chunk's attempts in a generation, as a Parquet file.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType, UInt16Type, UInt32Type, UInt64Type};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::money::Money;
use domain::outcome::{ItemError, Usage};

use crate::chunk::column;
use crate::parquet_bytes::{FileError, decode as decode_parquet, encode as encode_parquet, properties};
use crate::results::owned;

/// One request that was sent for an item, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// The row's offset in its chunk.
    pub row: u32,
    /// From 1.
    pub attempt: u32,
    /// `{provider}/{model}`.
    pub model: String,
    /// `None` if it succeeded.
    pub error: Option<ItemError>,
    pub usage: Usage,
    /// `None` where the model has no known prices.
    pub cost: Option<Money>,
    /// `None` if no answer came.
    pub http_status: Option<u16>,
    /// The provider's own name for the request.
    pub provider_request_id: Option<String>,
    /// It ended after the row had its outcome, so it is billed and not merged.
    pub late: bool,
    /// When it ended; kept to the microsecond.
    pub at: DateTime<Utc>,
}

/// The attempts in the order given.
pub fn encode(attempts: &[AttemptRecord]) -> Result<Bytes, FileError> {
    let rows = || attempts.iter();
    let error = |text: fn(&ItemError) -> &String| -> ArrayRef {
        Arc::new(rows().map(|attempt| attempt.error.as_ref().map(text)).collect::<StringArray>())
    };
    let usage = |tokens: fn(&Usage) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(rows().map(|a| tokens(&a.usage))))
    };
    let at = TimestampMicrosecondArray::from_iter_values(rows().map(|attempt| attempt.at.timestamp_micros()))
        .with_timezone_utc();
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("row", Arc::new(UInt32Array::from_iter_values(rows().map(|attempt| attempt.row))) as ArrayRef, false),
        ("attempt", Arc::new(UInt32Array::from_iter_values(rows().map(|attempt| attempt.attempt))), false),
        ("model", Arc::new(StringArray::from_iter_values(rows().map(|attempt| &attempt.model))), false),
        ("error_code", error(|error| &error.code), true),
        ("error", error(|error| &error.message), true),
        ("input_tokens", usage(|usage| usage.input_tokens), false),
        ("cached_input_tokens", usage(|usage| usage.cached_input_tokens), false),
        ("output_tokens", usage(|usage| usage.output_tokens), false),
        (
            "cost_usd_pico",
            Arc::new(rows().map(|attempt| attempt.cost.map(|cost| cost.0)).collect::<Int64Array>()),
            true,
        ),
        ("http_status", Arc::new(rows().map(|attempt| attempt.http_status).collect::<UInt16Array>()), true),
        (
            "provider_request_id",
            Arc::new(rows().map(|a| a.provider_request_id.as_deref()).collect::<StringArray>()),
            true,
        ),
        ("late", Arc::new(rows().map(|attempt| Some(attempt.late)).collect::<BooleanArray>()), false),
        ("at", Arc::new(at), false),
    ])?;
    encode_parquet(&batch, properties().build())
}

/// The attempts that [`encode`] wrote.
pub fn decode(bytes: Bytes) -> Result<Vec<AttemptRecord>, FileError> {
    let batch = decode_parquet(bytes)?;
    let damaged = |what| FileError::Damaged { what };
    let text = |name| column(&batch, name)?.as_string_opt::<i32>().ok_or(damaged(name));
    let count = |name| column(&batch, name)?.as_primitive_opt::<UInt64Type>().ok_or(damaged(name));
    let number = |name| column(&batch, name)?.as_primitive_opt::<UInt32Type>().ok_or(damaged(name));
    let (rows, numbers) = (number("row")?, number("attempt")?);
    let (models, request_ids) = (text("model")?, text("provider_request_id")?);
    let (codes, messages) = (text("error_code")?, text("error")?);
    let (input, cached, output) = (count("input_tokens")?, count("cached_input_tokens")?, count("output_tokens")?);
    let costs = column(&batch, "cost_usd_pico")?.as_primitive_opt::<Int64Type>().ok_or(damaged("cost_usd_pico"))?;
    let statuses = column(&batch, "http_status")?.as_primitive_opt::<UInt16Type>().ok_or(damaged("http_status"))?;
    let late = column(&batch, "late")?.as_boolean_opt().ok_or(damaged("late"))?;
    let times = column(&batch, "at")?.as_primitive_opt::<TimestampMicrosecondType>().ok_or(damaged("at"))?;

    let attempt = |row| {
        Ok(AttemptRecord {
            row: rows.value(row),
            attempt: numbers.value(row),
            model: models.value(row).to_owned(),
            error: codes
                .is_valid(row)
                .then(|| ItemError { code: codes.value(row).into(), message: messages.value(row).into() }),
            usage: Usage {
                input_tokens: input.value(row),
                cached_input_tokens: cached.value(row),
                output_tokens: output.value(row),
            },
            cost: costs.is_valid(row).then(|| Money(costs.value(row))),
            http_status: statuses.is_valid(row).then(|| statuses.value(row)),
            provider_request_id: owned(request_ids, row),
            late: late.value(row),
            at: DateTime::from_timestamp_micros(times.value(row)).ok_or(damaged("at"))?,
        })
    };
    (0..batch.num_rows()).map(attempt).collect()
}
