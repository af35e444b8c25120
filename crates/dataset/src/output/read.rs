//! Reading an output object back, for checks and previews.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::ArrayRef;
use domain::format::Format;
use futures::stream::BoxStream;

use crate::input::{self, InputBatch, InputError, InputSchema};
use crate::stores::Location;

/// An output's columns and rows.
pub struct OutputRows {
    pub schema: Arc<InputSchema>,
    pub batches: BoxStream<'static, Result<InputBatch, InputError>>,
}

/// Streams the object from its first row, as it is now.
///
/// # Errors
/// As for an input: `input_not_found`, `invalid_parquet`, ….
pub async fn read_output(location: &Location, format: Format) -> Result<OutputRows, InputError> {
    let pinned = input::pin(location).await?;
    let schema = match format {
        Format::Csv | Format::Parquet | Format::Tsv => input::inspect(location, &pinned, format.into()).await?,
        // Lines need no names, and the first may be longer than an input's.
        Format::Jsonl => InputSchema::of_lines(),
    };
    let schema = Arc::new(schema);
    let start = schema.start();
    let batches = input::read(location.clone(), pinned, schema.clone(), start);
    Ok(OutputRows { schema, batches })
}

/// Appends a cell's value as JSONL output has it.
pub fn json_text(column: &ArrayRef, row: usize, out: &mut Vec<u8>) {
    crate::cell::write_json(column, row, out);
}

/// The names of a line's object and the texts of its values, in order; `None` if it is none.
pub fn json_entries(line: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    let entries = crate::json_lines::entries(line).ok()?;
    Some(entries.into_iter().map(|(name, value)| (name, value.get())).collect())
}

/// Appends a cell's text as CSV output has it: null is nothing, lists and structs are JSON, timestamps RFC 3339.
pub fn csv_text(column: &ArrayRef, row: usize, out: &mut Vec<u8>) {
    crate::cell::write_text(column, row, out);
}
