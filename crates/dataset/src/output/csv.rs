//! CSV out: commas or tabs, LF, quotes only where they are needed. Cells that were CSV keep their text exactly.

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use csv::{QuoteStyle, Terminator, Writer, WriterBuilder};
use domain::format::Format;
use domain::outcome::Outcome;

use super::OutputColumns;
use crate::cell::write_text;

/// Why writing into a vector is taken for granted here.
const VECTOR: &str = "a vector takes all bytes, and every record is ended by itself";

pub(super) fn header(format: Format, columns: &OutputColumns) -> Bytes {
    let mut writer = writer(format, Vec::new());
    writer.write_record(columns.names()).expect(VECTOR);
    writer.into_inner().expect(VECTOR).into()
}

pub(super) fn encode_part(format: Format, rows: &RecordBatch, outcomes: &[Outcome]) -> Bytes {
    let mut writer = writer(format, Vec::new());
    let mut text = Vec::new();
    for (row, outcome) in outcomes.iter().enumerate() {
        for column in rows.columns() {
            text.clear();
            write_text(column, row, &mut text);
            writer.write_field(&text).expect(VECTOR);
        }
        write_outcome(&mut writer, outcome);
    }
    writer.into_inner().expect(VECTOR).into()
}

/// The added columns, in the order of [`OutputColumns`], and the record's end.
fn write_outcome(writer: &mut Writer<Vec<u8>>, outcome: &Outcome) {
    let error = outcome.error.as_ref();
    let sent = |tokens: u64| {
        if outcome.attempts > 0 { tokens.to_string() } else { String::new() }
    };
    let mut field = |text: &str| writer.write_field(text).expect(VECTOR);
    field(outcome.response.as_deref().unwrap_or_default());
    field(outcome.status.name());
    field(error.map_or("", |error| &error.code));
    field(error.map_or("", |error| &error.message));
    field(outcome.model.as_deref().unwrap_or_default());
    field(outcome.finish_reason.as_deref().unwrap_or_default());
    field(&sent(outcome.usage.input_tokens));
    field(&sent(outcome.usage.output_tokens));
    field(&outcome.cost.map(|cost| cost.to_string()).unwrap_or_default());
    field(&outcome.attempts.to_string());
    writer.write_record(None::<&[u8]>).expect(VECTOR);
}

fn writer(format: Format, out: Vec<u8>) -> Writer<Vec<u8>> {
    WriterBuilder::new()
        .delimiter(format.delimiter().unwrap_or(b','))
        .quote_style(QuoteStyle::Necessary)
        .terminator(Terminator::Any(b'\n'))
        .from_writer(out)
}
