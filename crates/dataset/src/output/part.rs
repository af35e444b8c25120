//! One chunk, merged.

use bytes::Bytes;
use domain::format::Format;
use domain::outcome::Outcome;

use super::{OutputColumns, csv, jsonl, parquet};
use crate::chunk::ChunkInput;
use crate::parquet_bytes::FileError;

/// A chunk's share of the output, as [`encode_part`] made it.
#[derive(Debug, Clone)]
pub struct Part {
    pub bytes: Bytes,
    pub rows: u64,
}

/// Merges a chunk's rows with their outcomes: CSV text without a header, lines of JSON, or a small Parquet file. The same input
/// gives the same bytes.
///
/// # Errors
/// If there isn't one outcome per row, or the chunk's columns aren't the output's.
pub fn encode_part(
    format: Format,
    columns: &OutputColumns,
    chunk: &ChunkInput,
    outcomes: &[Outcome],
) -> Result<Bytes, FileError> {
    if chunk.len() != outcomes.len() {
        return Err(FileError::Damaged { what: "rows and outcomes differ in number" });
    }
    let rows = columns.inputs_of(&chunk.rows, format)?;
    match format {
        Format::Csv | Format::Tsv => Ok(csv::encode_part(format, &rows, outcomes)),
        Format::Jsonl => Ok(jsonl::encode_part(columns, &rows, outcomes)),
        Format::Parquet => parquet::encode_part(columns, &rows, outcomes),
    }
}
