//! Reading an output object back, for checks and previews.

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
    let schema = Arc::new(input::inspect(location, &pinned, format.into()).await?);
    let start = schema.start();
    let batches = input::read(location.clone(), pinned, schema.clone(), start);
    Ok(OutputRows { schema, batches })
}

/// Appends a cell's text as CSV output has it: null is nothing, lists and structs are JSON, timestamps RFC 3339.
pub fn csv_text(column: &ArrayRef, row: usize, out: &mut Vec<u8>) {
    crate::cell::write_text(column, row, out);
}
