//! Rows of text on their way into batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use domain::outcome::ItemError;

use crate::input::batches::{BatchSink, Stop};
use crate::input::limits::{MAX_BATCH_BYTES, MAX_BATCH_ROWS};
use crate::input::{Cursor, InputBatch};

/// Collects rows into columns of text.
pub(in crate::input) struct TextBatch {
    pub schema: SchemaRef,
    /// One per field. A row appends a cell to each.
    pub columns: Vec<StringBuilder>,
    bytes: usize,
    first_row: u64,
    row_errors: Vec<(usize, ItemError)>,
    cursors: Vec<Cursor>,
}

impl TextBatch {
    pub(in crate::input) fn new(schema: SchemaRef, first_row: u64) -> Self {
        let columns = schema.fields().iter().map(|_| StringBuilder::new()).collect();
        Self { schema, columns, bytes: 0, first_row, row_errors: Vec::new(), cursors: Vec::new() }
    }

    /// Counts the row that was appended, which ends at `position` of the text, where `line` begins.
    pub(in crate::input) fn end_row(&mut self, position: u64, line: u64, bytes: usize, error: Option<ItemError>) {
        let index = self.cursors.len();
        self.row_errors.extend(error.map(|error| (index, error)));
        self.cursors.push(Cursor { position, row: self.first_row + index as u64 + 1, line });
        self.bytes += bytes;
    }

    pub(in crate::input) fn send_if_full(&mut self, sink: &BatchSink) -> Result<(), Stop> {
        if self.cursors.len() == MAX_BATCH_ROWS || self.bytes >= MAX_BATCH_BYTES { self.send(sink) } else { Ok(()) }
    }

    /// Sends what was collected, if anything, and starts anew.
    pub(in crate::input) fn send(&mut self, sink: &BatchSink) -> Result<(), Stop> {
        let rows = self.cursors.len() as u64;
        if rows == 0 {
            return Ok(());
        }
        let columns: Vec<ArrayRef> =
            self.columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef).collect();
        let batch = InputBatch {
            rows: RecordBatch::try_new(self.schema.clone(), columns)
                .expect("one text column per field, a cell in each for every record"),
            first_row: self.first_row,
            row_errors: std::mem::take(&mut self.row_errors),
            cursors: std::mem::take(&mut self.cursors),
        };
        self.first_row += rows;
        self.bytes = 0;
        Ok(sink.send(batch)?)
    }
}
