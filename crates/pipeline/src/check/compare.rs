//! Input and output side by side.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::record_batch::RecordBatch;
use dataset::input::{InputBatch, InputError};
use dataset::output::{OutputColumns, csv_text, read_output};
use dataset::stores::Location;
use domain::format::Format;
use domain::outcome::Status;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::{Report, lines};
use crate::StepError;

/// Compares all rows. Both objects are streamed; one batch of each is in memory.
pub(super) async fn rows(
    input: BoxStream<'static, Result<InputBatch, InputError>>,
    output: &Location,
    format: Format,
    columns: &OutputColumns,
    report: &mut Report,
) -> Result<(), StepError> {
    let output = read_output(output, format).await?;
    let names: Vec<&str> = output.schema.column_names().collect();
    if format != Format::Jsonl && names != columns.names().collect::<Vec<_>>() {
        report.find(format!("the output's columns are {}", names.join(", ")));
        return Ok(());
    }
    let (mut input, mut output) = (Rows::new(input), Rows::new(output.batches));
    let mut row = 0;
    loop {
        let (of_input, of_output) = (input.some().await?, output.some().await?);
        let count = of_input.min(of_output);
        if count == 0 {
            if of_input > 0 {
                report.find(format!("the output ends before input row {row}"));
            } else if of_output > 0 {
                report.find(format!("the output goes on after its {row} input rows"));
            }
            return Ok(());
        }
        let input = columns.inputs_of(&input.take(count), format)?;
        match format {
            Format::Csv | Format::Parquet | Format::Tsv => {
                compare(row, &input, &output.take(count), format, columns.inputs(), report);
            }
            Format::Jsonl => lines::compare(row, &input, &output.take(count), columns, report),
        }
        row += count as u64;
    }
}

/// Batches of a file, taken in slices.
struct Rows {
    batches: BoxStream<'static, Result<InputBatch, InputError>>,
    batch: Option<RecordBatch>,
}

impl Rows {
    fn new(batches: BoxStream<'static, Result<InputBatch, InputError>>) -> Self {
        Self { batches, batch: None }
    }

    /// Rows at hand; 0 at the end.
    async fn some(&mut self) -> Result<usize, StepError> {
        while self.batch.as_ref().is_none_or(|batch| batch.num_rows() == 0) {
            match self.batches.next().await {
                Some(batch) => self.batch = Some(batch?.rows),
                None => return Ok(0),
            }
        }
        Ok(self.batch.as_ref().map_or(0, RecordBatch::num_rows))
    }

    /// At most as many as are at hand.
    fn take(&mut self, count: usize) -> RecordBatch {
        let batch = self.batch.take().expect("`some` has said that there are rows");
        self.batch = Some(batch.slice(count, batch.num_rows() - count));
        batch.slice(0, count)
    }
}

fn compare(
    first_row: u64,
    input: &RecordBatch,
    output: &RecordBatch,
    format: Format,
    inputs: usize,
    report: &mut Report,
) {
    for (position, column) in input.columns().iter().enumerate() {
        let of_output = output.column(position);
        // A whole column at once, which nearly always agrees; cell by cell only to name the rows that don't.
        let same = match format {
            Format::Parquet => column.to_data() == of_output.to_data(),
            Format::Csv | Format::Jsonl | Format::Tsv => false,
        };
        if same {
            continue;
        }
        for row in 0..input.num_rows() {
            if !same_cell(column, of_output, row, format) {
                let name = input.schema().field(position).name().clone();
                report.find(format!("row {}: column `{name}` differs from the input", first_row + row as u64));
            }
        }
    }
    let statuses = text_column(output, inputs + 1);
    for row in 0..output.num_rows() {
        match statuses.as_ref().and_then(|statuses| Status::from_name(statuses.value(row))) {
            Some(status) => report.add_row(status),
            None => report.find(format!("row {}: it has no status", first_row + row as u64)),
        }
    }
}

fn same_cell(input: &ArrayRef, output: &ArrayRef, row: usize, format: Format) -> bool {
    match format {
        Format::Parquet => input.slice(row, 1).to_data() == output.slice(row, 1).to_data(),
        Format::Csv | Format::Jsonl | Format::Tsv => {
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            csv_text(input, row, &mut expected);
            csv_text(output, row, &mut found);
            expected == found
        }
    }
}

fn text_column(batch: &RecordBatch, position: usize) -> Option<arrow::array::StringArray> {
    batch.column(position).as_string_opt::<i32>().cloned()
}
