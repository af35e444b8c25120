//! A CSV file's rows.

use std::sync::Arc;

use arrow::array::StringBuilder;
use domain::outcome::ItemError;
use futures::stream::BoxStream;

use super::records::Records;
use crate::input::batches::on_thread;
use crate::input::limits::MAX_ROW_BYTES;
use crate::input::text::{Compression, Text, TextBatch};
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
            let mut batch = TextBatch::new(schema.columns.clone(), from.row);
            while let Some(mut rest) = text.next()? {
                while records.next(&mut rest) {
                    push(&mut batch, &records);
                    batch.send_if_full(sink)?;
                }
            }
            if records.finish()? {
                push(&mut batch, &records);
            }
            batch.send(sink)
        },
    )
}

fn push(batch: &mut TextBatch, records: &Records) {
    let error = append(batch, records).err();
    batch.end_row(records.position(), records.line(), records.bytes().len(), error);
}

/// Appends one cell to every column, whatever the record is like.
fn append(batch: &mut TextBatch, records: &Records) -> Result<(), ItemError> {
    let line = records.start_line();
    if records.is_too_large() {
        batch.columns.iter_mut().for_each(StringBuilder::append_null);
        let limit = MAX_ROW_BYTES >> 20;
        return Err(ItemError::new("cell_too_large", format!("the row at line {line} is larger than {limit} MiB")));
    }
    let invalid = match std::str::from_utf8(records.bytes()) {
        Ok(text) => append_cells(&mut batch.columns, records.ends(), |from, end| text.get(from..end)),
        Err(_) => append_cells(&mut batch.columns, records.ends(), |from, end| {
            std::str::from_utf8(&records.bytes()[from..end]).ok()
        }),
    };
    if let Some(column) = invalid {
        let name = batch.schema.field(column).name();
        return Err(ItemError::new("invalid_encoding", format!("the cell in `{name}` at line {line} is not UTF-8")));
    }
    let (expected, actual) = (batch.columns.len(), records.fields());
    if actual != expected {
        let message = format!("the row at line {line} has {actual} cells; the header has {expected}");
        return Err(ItemError::new("csv_field_count", message));
    }
    Ok(())
}

/// The first column whose cell isn't text; such a cell and a missing one become null.
fn append_cells<'a>(
    columns: &mut [StringBuilder],
    ends: &[usize],
    cell: impl Fn(usize, usize) -> Option<&'a str>,
) -> Option<usize> {
    let mut from = 0;
    let mut invalid = None;
    for (index, column) in columns.iter_mut().enumerate() {
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
