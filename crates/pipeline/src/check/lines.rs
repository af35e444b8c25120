//! Input and output side by side, where the output is lines of JSON.

use std::borrow::Cow;

use arrow::record_batch::RecordBatch;
use dataset::output::{OutputColumns, json_entries, json_text};
use dataset::row::line;
use domain::outcome::Status;

use super::Report;

type Entries<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Compares names and the text of each value, in their order.
pub(super) fn compare(
    first_row: u64,
    input: &RecordBatch,
    output: &RecordBatch,
    columns: &OutputColumns,
    report: &mut Report,
) {
    for index in 0..output.num_rows() {
        let row = first_row + index as u64;
        let Some(mut found) = line(output, index).and_then(entries) else {
            report.find(format!("row {row}: the output's line is no JSON object"));
            continue;
        };
        let expected = expected(input, index, columns);
        let added = found.split_off(expected.len().min(found.len()));
        for (expected, found) in expected.iter().zip(&found) {
            if expected != found {
                report.find(format!("row {row}: column `{}` differs from the input", expected.0));
            }
        }
        if !added.iter().map(|(name, _)| &**name).eq(columns.names().skip(columns.inputs())) {
            report.find(format!("row {row}: its columns are not the input's and those that are added"));
            continue;
        }
        let status = serde_json::from_str::<&str>(&added[1].1).ok().and_then(Status::from_name);
        match status {
            Some(status) => report.add_row(status),
            None => report.find(format!("row {row}: it has no status")),
        }
    }
}

fn entries(line: &str) -> Option<Entries<'_>> {
    Some(json_entries(line)?.into_iter().map(|(name, value)| (name, value.into())).collect())
}

/// What the input's row becomes; nothing, where it is a line that can't be read.
fn expected<'a>(input: &'a RecordBatch, index: usize, columns: &'a OutputColumns) -> Entries<'a> {
    if columns.are_lines() {
        return line(input, index).and_then(entries).unwrap_or_default();
    }
    let values = columns.names().zip(input.columns());
    let text = |column| {
        let mut text = Vec::new();
        json_text(column, index, &mut text);
        String::from_utf8(text).unwrap_or_default().into()
    };
    values.map(|(name, column)| (name.into(), text(column))).collect()
}
