//! A chunk's outcomes in a generation, as a Parquet file.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, LargeStringBuilder, RecordBatch, StringArray, UInt8Array, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::{Int64Type, UInt8Type, UInt32Type, UInt64Type};
use bytes::Bytes;
use domain::money::Money;
use domain::outcome::{ItemError, Outcome, Status, Usage};
use parquet::schema::types::ColumnPath;

use crate::chunk::column;
use crate::parquet_bytes::{FileError, decode as decode_parquet, encode as encode_parquet, properties};

/// Outcomes with the numbers of their rows, in order. Answers are kept as they are, NULs included.
pub fn encode(outcomes: &[(u64, &Outcome)]) -> Result<Bytes, FileError> {
    let rows = || outcomes.iter().map(|(_, outcome)| *outcome);
    let error = |text: fn(&ItemError) -> &String| -> ArrayRef {
        Arc::new(rows().map(|outcome| outcome.error.as_ref().map(text)).collect::<StringArray>())
    };
    let usage = |tokens: fn(&Usage) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(rows().map(|o| tokens(&o.usage))))
    };
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("row_no", Arc::new(UInt64Array::from_iter_values(outcomes.iter().map(|(row, _)| *row))) as ArrayRef, false),
        ("status", Arc::new(UInt8Array::from_iter_values(rows().map(|outcome| outcome.status as u8))), false),
        ("response", responses(outcomes), true),
        ("error_code", error(|error| &error.code), true),
        ("error", error(|error| &error.message), true),
        ("model", Arc::new(rows().map(|outcome| outcome.model.as_deref()).collect::<StringArray>()), true),
        (
            "finish_reason",
            Arc::new(rows().map(|outcome| outcome.finish_reason.as_deref()).collect::<StringArray>()),
            true,
        ),
        ("input_tokens", usage(|usage| usage.input_tokens), false),
        ("cached_input_tokens", usage(|usage| usage.cached_input_tokens), false),
        ("output_tokens", usage(|usage| usage.output_tokens), false),
        (
            "cost_usd_pico",
            Arc::new(rows().map(|outcome| outcome.cost.map(|cost| cost.0)).collect::<Int64Array>()),
            true,
        ),
        ("attempts", Arc::new(UInt32Array::from_iter_values(rows().map(|outcome| outcome.attempts))), false),
    ])?;
    // Answers hardly ever repeat: looking each up in a dictionary would cost more than writing it.
    encode_parquet(&batch, properties().set_column_dictionary_enabled(ColumnPath::from("response"), false).build())
}

/// Answers of a chunk may be more than 2 GiB together. Memory for all of them is taken at once.
fn responses(outcomes: &[(u64, &Outcome)]) -> ArrayRef {
    let texts = || outcomes.iter().map(|(_, outcome)| outcome.response.as_deref());
    let mut builder = LargeStringBuilder::with_capacity(outcomes.len(), texts().flatten().map(str::len).sum());
    texts().for_each(|text| builder.append_option(text));
    Arc::new(builder.finish())
}

/// The outcomes that [`encode`] wrote.
pub fn decode(bytes: Bytes) -> Result<Vec<Outcome>, FileError> {
    let batch = decode_parquet(bytes)?;
    let damaged = |what| FileError::Damaged { what };
    let text = |name| column(&batch, name)?.as_string_opt::<i32>().ok_or(damaged(name));
    let count = |name| column(&batch, name)?.as_primitive_opt::<UInt64Type>().ok_or(damaged(name));
    let statuses = column(&batch, "status")?.as_primitive_opt::<UInt8Type>().ok_or(damaged("status"))?;
    let responses = column(&batch, "response")?.as_string_opt::<i64>().ok_or(damaged("response"))?;
    let (codes, messages) = (text("error_code")?, text("error")?);
    let (models, finish_reasons) = (text("model")?, text("finish_reason")?);
    let (input, cached, output) = (count("input_tokens")?, count("cached_input_tokens")?, count("output_tokens")?);
    let costs = column(&batch, "cost_usd_pico")?.as_primitive_opt::<Int64Type>().ok_or(damaged("cost_usd_pico"))?;
    let attempts = column(&batch, "attempts")?.as_primitive_opt::<UInt32Type>().ok_or(damaged("attempts"))?;

    let outcome = |row| {
        Ok(Outcome {
            status: Status::from_code(statuses.value(row)).ok_or(damaged("status"))?,
            response: responses.is_valid(row).then(|| responses.value(row).to_owned()),
            error: codes
                .is_valid(row)
                .then(|| ItemError { code: codes.value(row).into(), message: messages.value(row).into() }),
            model: owned(models, row),
            finish_reason: owned(finish_reasons, row),
            usage: Usage {
                input_tokens: input.value(row),
                cached_input_tokens: cached.value(row),
                output_tokens: output.value(row),
            },
            cost: costs.is_valid(row).then(|| Money(costs.value(row))),
            attempts: attempts.value(row),
        })
    };
    (0..batch.num_rows()).map(outcome).collect()
}

pub(crate) fn owned(texts: &StringArray, row: usize) -> Option<String> {
    texts.is_valid(row).then(|| texts.value(row).to_owned())
}
