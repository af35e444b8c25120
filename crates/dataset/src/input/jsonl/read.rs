//! A JSONL file's rows.

use domain::outcome::ItemError;
use futures::stream::BoxStream;

use super::records::Records;
use crate::input::batches::on_thread;
use crate::input::limits::MAX_ROW_BYTES;
use crate::input::schema::line_column;
use crate::input::text::{Compression, Text, TextBatch};
use crate::input::{Cursor, InputBatch, InputError, Pinned};
use crate::json_lines;
use crate::stores::Location;

/// Batches have one column, of the lines; that of a bad row is null.
pub(in crate::input) fn read(
    location: Location,
    pinned: Pinned,
    compression: Compression,
    from: Cursor,
) -> BoxStream<'static, Result<InputBatch, InputError>> {
    on_thread(
        || InputError::ReaderStopped,
        move |sink| {
            let mut text = Text::open(location, pinned, compression, from.position)?;
            let mut records = Records::new(from.position, from.line);
            let mut batch = TextBatch::new(line_column(), from.row);
            while let Some(mut rest) = text.next()? {
                while records.next(&mut rest) {
                    push(&mut batch, &records);
                    batch.send_if_full(sink)?;
                }
            }
            if records.finish() {
                push(&mut batch, &records);
            }
            batch.send(sink)
        },
    )
}

fn push(batch: &mut TextBatch, records: &Records) {
    let (text, error) = match line(records) {
        Ok(line) => (Some(line), None),
        Err(error) => (None, Some(error)),
    };
    batch.columns[0].append_option(text);
    batch.end_row(records.position(), records.line(), records.bytes().len(), error);
}

fn line(records: &Records) -> Result<&str, ItemError> {
    let line = records.start_line();
    if records.is_too_large() {
        let limit = MAX_ROW_BYTES >> 20;
        return Err(ItemError::new("line_too_large", format!("line {line} is longer than {limit} MiB")));
    }
    let text = std::str::from_utf8(records.bytes()).map_err(|error| {
        let column = error.valid_up_to() + 1;
        ItemError::new("invalid_encoding", format!("line {line}, column {column}: not UTF-8"))
    })?;
    let text = text.trim_ascii();
    json_lines::check(text, line)?;
    Ok(text)
}
