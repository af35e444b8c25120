//! JSONL out: an object a line. Rows that were lines keep the text of their values.

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use domain::outcome::Outcome;
use serde::Serialize;

use super::OutputColumns;
use crate::cell::write_json;
use crate::row::line;

pub(super) fn encode_part(columns: &OutputColumns, rows: &RecordBatch, outcomes: &[Outcome]) -> Bytes {
    let names: Vec<Vec<u8>> = columns.names().map(name).collect();
    let (inputs, added) = names.split_at(columns.inputs());
    let mut out = Vec::with_capacity(rows.get_array_memory_size() + 256 * outcomes.len());
    for (row, outcome) in outcomes.iter().enumerate() {
        out.push(b'{');
        if columns.are_lines() {
            write_line(line(rows, row).unwrap_or_default(), &mut out);
        } else {
            for (name, column) in inputs.iter().zip(rows.columns()) {
                out.extend_from_slice(name);
                write_json(column, row, &mut out);
                out.push(b',');
            }
        }
        write_outcome(added, outcome, &mut out);
        out.extend_from_slice(b"}\n");
    }
    out.into()
}

/// A name and its colon.
fn name(name: &str) -> Vec<u8> {
    let mut json = Vec::new();
    append(&name, &mut json);
    json.push(b':');
    json
}

/// The inside of a line's object, as it is, with a comma after it.
fn write_line(line: &str, out: &mut Vec<u8>) {
    let inside = line.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default().trim_ascii();
    if !inside.is_empty() {
        out.extend_from_slice(inside.as_bytes());
        out.push(b',');
    }
}

/// The added columns, in the order of [`OutputColumns`].
fn write_outcome(names: &[Vec<u8>], outcome: &Outcome, out: &mut Vec<u8>) {
    let error = outcome.error.as_ref();
    let sent = |tokens: u64| (outcome.attempts > 0).then_some(tokens);
    let mut names = names.iter();
    let mut field = |value: &dyn Fn(&mut Vec<u8>)| {
        out.extend(names.next().into_iter().flatten());
        value(out);
        out.push(b',');
    };
    field(&|out| append(&outcome.response, out));
    field(&|out| append(outcome.status.name(), out));
    field(&|out| append(&error.map(|error| &error.code), out));
    field(&|out| append(&error.map(|error| &error.message), out));
    field(&|out| append(&outcome.model, out));
    field(&|out| append(&outcome.finish_reason, out));
    field(&|out| append(&sent(outcome.usage.input_tokens), out));
    field(&|out| append(&sent(outcome.usage.output_tokens), out));
    field(&|out| append(&outcome.cost.map(|cost| cost.to_string()), out));
    field(&|out| append(&outcome.attempts, out));
    out.pop();
}

fn append(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("texts and numbers always serialise, and a vector takes all bytes");
}
