//! A chunk's input: its rows as they were in the file, and what planning found out about each.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, FixedSizeBinaryBuilder, StringBuilder, StructArray, UInt32Array,
    UInt64Array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema, SchemaRef, UInt32Type, UInt64Type};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use domain::outcome::ItemError;

pub use crate::parquet_bytes::FileError;
use crate::parquet_bytes::{decode as decode_parquet, encode as encode_parquet, properties};

/// Bytes of a request hash (SHA-256).
pub const HASH_BYTES: usize = 32;

/// What planning found out about a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowMeta {
    /// Size of the rendered request.
    pub bytes: u32,
    /// Estimated input tokens of the request.
    pub tokens: u32,
    pub request_hash: [u8; HASH_BYTES],
    /// Why the row can't be sent.
    pub error: Option<ItemError>,
}

/// The rows of a chunk.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkInput {
    /// The original columns, or lines: [`crate::input::InputSchema::stored`]. Of a bad row, the cells that could be read.
    pub rows: Arc<RecordBatch>,
    /// Number of the first row in the input, from 0.
    pub first_row: u64,
    /// One per row.
    pub meta: Vec<RowMeta>,
}

impl ChunkInput {
    /// Joins slices of input batches, in order; `columns` are the stored ones.
    ///
    /// # Errors
    /// If the slices don't have these columns, or not one row per `meta`.
    pub fn new(
        columns: &SchemaRef,
        slices: &[RecordBatch],
        first_row: u64,
        meta: Vec<RowMeta>,
    ) -> Result<Self, FileError> {
        let rows = concat_batches(columns, slices)?;
        if rows.num_rows() != meta.len() {
            return Err(FileError::Damaged { what: "rows and their facts differ in number" });
        }
        Ok(Self { rows: Arc::new(rows), first_row, meta })
    }

    pub fn len(&self) -> usize {
        self.meta.len()
    }

    pub fn is_empty(&self) -> bool {
        self.meta.is_empty()
    }
}

/// The chunk as a Parquet file: `row_no`, `bytes`, `tokens`, `request_hash`, `error_code`, `error`, and `input` with
/// the original columns.
pub fn encode(chunk: &ChunkInput) -> Result<Bytes, FileError> {
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "row_no",
            Arc::new(UInt64Array::from_iter_values((0..chunk.len()).map(|offset| chunk.first_row + offset as u64))),
        ),
        ("bytes", Arc::new(UInt32Array::from_iter_values(chunk.meta.iter().map(|meta| meta.bytes)))),
        ("tokens", Arc::new(UInt32Array::from_iter_values(chunk.meta.iter().map(|meta| meta.tokens)))),
        ("request_hash", Arc::new(hashes(&chunk.meta)?)),
        ("error_code", error_texts(&chunk.meta, |error| &error.code)),
        ("error", error_texts(&chunk.meta, |error| &error.message)),
        ("input", Arc::new(StructArray::from(chunk.rows.as_ref().clone()))),
    ];
    let nullable = ["error_code", "error"];
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), nullable.contains(name)))
        .collect();
    // The original schema's own metadata would be lost in a struct column.
    let schema = Schema::new_with_metadata(fields, chunk.rows.schema().metadata().clone());
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    encode_parquet(&RecordBatch::try_new(Arc::new(schema), arrays)?, properties().build())
}

/// The chunk that [`encode`] wrote.
pub fn decode(bytes: Bytes) -> Result<ChunkInput, FileError> {
    let batch = decode_parquet(bytes)?;
    let damaged = |what| FileError::Damaged { what };
    let numbers = column(&batch, "row_no")?.as_primitive_opt::<UInt64Type>().ok_or(damaged("row_no"))?;
    let sizes = column(&batch, "bytes")?.as_primitive_opt::<UInt32Type>().ok_or(damaged("bytes"))?;
    let tokens = column(&batch, "tokens")?.as_primitive_opt::<UInt32Type>().ok_or(damaged("tokens"))?;
    let hashes = column(&batch, "request_hash")?.as_fixed_size_binary_opt().ok_or(damaged("request_hash"))?;
    let codes = column(&batch, "error_code")?.as_string_opt::<i32>().ok_or(damaged("error_code"))?;
    let messages = column(&batch, "error")?.as_string_opt::<i32>().ok_or(damaged("error"))?;
    let input = column(&batch, "input")?.as_struct_opt().ok_or(damaged("input"))?;

    let meta = |row| {
        let request_hash = hashes.value(row).try_into().map_err(|_| damaged("request_hash"))?;
        let error = codes
            .is_valid(row)
            .then(|| ItemError { code: codes.value(row).into(), message: messages.value(row).into() });
        Ok(RowMeta { bytes: sizes.value(row), tokens: tokens.value(row), request_hash, error })
    };
    let schema = Schema::new_with_metadata(input.fields().clone(), batch.schema().metadata().clone());
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let rows = RecordBatch::try_new_with_options(Arc::new(schema), input.columns().to_vec(), &options)?;
    Ok(ChunkInput {
        rows: Arc::new(rows),
        first_row: numbers.iter().next().flatten().ok_or(damaged("no rows"))?,
        meta: (0..batch.num_rows()).map(meta).collect::<Result<_, FileError>>()?,
    })
}

fn hashes(meta: &[RowMeta]) -> Result<FixedSizeBinaryArray, FileError> {
    let mut builder = FixedSizeBinaryBuilder::with_capacity(meta.len(), 32);
    for row in meta {
        builder.append_value(row.request_hash)?;
    }
    Ok(builder.finish())
}

fn error_texts(meta: &[RowMeta], text: impl Fn(&ItemError) -> &String) -> ArrayRef {
    let mut builder = StringBuilder::new();
    for row in meta {
        builder.append_option(row.error.as_ref().map(&text));
    }
    Arc::new(builder.finish())
}

pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a ArrayRef, FileError> {
    batch.column_by_name(name).ok_or(FileError::Damaged { what: name })
}
