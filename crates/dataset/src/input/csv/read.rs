//! A CSV file's rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use domain::outcome::ItemError;
use futures::stream::BoxStream;

use super::records::Records;
use crate::input::batches::{BatchSink, Stop, on_thread};
use crate::input::limits::{MAX_BATCH_BYTES, MAX_BATCH_ROWS, MAX_ROW_BYTES};
use crate::input::text::{Compression, Text};
use crate::input::{Cursor, InputBatch, InputError, InputSchema, Pinned};
use crate::stores::Location;

pub(in crate::input) fn read(
    location: Location,
    pinned: Pinned,
    schema: Arc<InputSchema>,
    delimiter: u8,
    compression: Compression,
    from: Cursor,
) -> BoxStream<'static, Result<InputBatch, InputError>> {
    on_thread(
        || InputError::ReaderStopped,
        move |sink| {
            let mut text = Text::open(location, pinned, compression, from.position)?;
            let mut records = Records::new(delimiter, schema.columns.fields().len(), from.position, from.line);
            let mut batch = BatchBuilder::new(schema.columns.clone(), from.row);
            while let Some(mut rest) = text.next()? {
                while records.next(&mut rest) {
                    batch.push(&records, sink)?;
                }
            }
            if records.finish()? {
                batch.push(&records, sink)?;
            }
            batch.send(sink)
        },
    )
}

/// Collects records into columns.
struct BatchBuilder {
    schema: SchemaRef,
    columns: Vec<StringBuilder>,
    bytes: usize,
    first_row: u64,
    row_errors: Vec<(usize, ItemError)>,
    cursors: Vec<Cursor>,
}

impl BatchBuilder {
    fn new(schema: SchemaRef, first_row: u64) -> Self {
        let columns = schema.fields().iter().map(|_| StringBuilder::new()).collect();
        Self { schema, columns, bytes: 0, first_row, row_errors: Vec::new(), cursors: Vec::new() }
    }

    fn push(&mut self, records: &Records, sink: &BatchSink) -> Result<(), Stop> {
        let index = self.cursors.len();
        if let Err(error) = self.append(records) {
            self.row_errors.push((index, error));
        }
        let row = self.first_row + index as u64 + 1;
        self.cursors.push(Cursor { position: records.position(), row, line: records.line() });
        self.bytes += records.bytes().len();
        if self.cursors.len() == MAX_BATCH_ROWS || self.bytes >= MAX_BATCH_BYTES {
            self.send(sink)?;
        }
        Ok(())
    }

    /// Sends what was collected, if anything, and starts anew.
    fn send(&mut self, sink: &BatchSink) -> Result<(), Stop> {
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

    /// Appends one cell to every column, whatever the record is like.
    fn append(&mut self, records: &Records) -> Result<(), ItemError> {
        let line = records.start_line();
        if records.is_too_large() {
            self.columns.iter_mut().for_each(StringBuilder::append_null);
            let limit = MAX_ROW_BYTES >> 20;
            return Err(ItemError::new("cell_too_large", format!("the row at line {line} is larger than {limit} MiB")));
        }
        let invalid = match std::str::from_utf8(records.bytes()) {
            Ok(text) => self.append_cells(records.ends(), |from, end| text.get(from..end)),
            Err(_) => {
                self.append_cells(records.ends(), |from, end| std::str::from_utf8(&records.bytes()[from..end]).ok())
            }
        };
        if let Some(column) = invalid {
            let name = self.schema.field(column).name();
            return Err(ItemError::new(
                "invalid_encoding",
                format!("the cell in `{name}` at line {line} is not UTF-8"),
            ));
        }
        let (expected, actual) = (self.columns.len(), records.fields());
        if actual != expected {
            let message = format!("the row at line {line} has {actual} cells; the header has {expected}");
            return Err(ItemError::new("csv_field_count", message));
        }
        Ok(())
    }

    /// The first column whose cell isn't text; such a cell and a missing one become null.
    fn append_cells<'a>(&mut self, ends: &[usize], cell: impl Fn(usize, usize) -> Option<&'a str>) -> Option<usize> {
        let mut from = 0;
        let mut invalid = None;
        for (index, column) in self.columns.iter_mut().enumerate() {
            let Some(end) = ends.get(index) else {
                column.append_null();
                continue;
            };
            let text = cell(from, *end);
            column.append_option(text);
            if text.is_none() {
                invalid = invalid.or(Some(index));
            }
            from = *end;
        }
        invalid
    }
}
