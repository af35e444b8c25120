//! The columns that are added to the input's own.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int32Array, Int64Array, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use domain::format::Format;
use domain::outcome::Outcome;

use crate::input::{InputSchema, Layout};
use crate::json_lines::{Form, entries, project};
use crate::parquet_bytes::FileError;
use crate::row::line;

/// An added column would have the name of one that the input has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the input has a column `{name}` already: choose another `output.column_prefix`")]
pub struct ColumnConflict {
    pub name: String,
}

impl ColumnConflict {
    /// The public error code.
    pub fn code(&self) -> &'static str {
        "column_conflict"
    }
}

/// Costs are exact: 12 decimals as inside, and digits enough for every amount.
const COST_PRECISION: u8 = 20;
const COST_SCALE: i8 = 12;

/// Names, without prefix, and Parquet types of what is added. In CSV all are text; JSONL has costs as texts.
const ADDED: [(&str, DataType); 10] = [
    ("response", DataType::Utf8),
    ("status", DataType::Utf8),
    ("error_code", DataType::Utf8),
    ("error", DataType::Utf8),
    ("model", DataType::Utf8),
    ("finish_reason", DataType::Utf8),
    ("input_tokens", DataType::Int64),
    ("output_tokens", DataType::Int64),
    ("cost_usd", DataType::Decimal128(COST_PRECISION, COST_SCALE)),
    ("attempts", DataType::Int32),
];

/// All columns of a job's output, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputColumns {
    schema: SchemaRef,
    inputs: usize,
    are_lines: bool,
}

impl OutputColumns {
    /// # Errors
    /// `column_conflict`, with the first name that the input has already.
    pub fn new(input: &InputSchema, prefix: &str) -> Result<Self, ColumnConflict> {
        let mut fields = input.columns.fields().to_vec();
        let inputs = fields.len();
        for (name, data_type) in ADDED {
            let name = format!("{prefix}{name}");
            if input.columns.fields().iter().any(|field| *field.name() == name) {
                return Err(ColumnConflict { name });
            }
            // Null where nothing was sent or nothing came; a status and a number of attempts there always is.
            let nullable = !matches!(data_type, DataType::Int32) && !name.ends_with("status");
            fields.push(Arc::new(Field::new(name, data_type, nullable)));
        }
        let schema = Schema::new_with_metadata(fields, input.columns.metadata().clone());
        let are_lines = matches!(input.layout, Layout::Jsonl { .. });
        Ok(Self { schema: Arc::new(schema), inputs, are_lines })
    }

    /// The column of the answers.
    pub(super) fn response_name(&self) -> &str {
        self.schema.field(self.inputs).name()
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.schema.fields().iter().map(|field| field.name().as_str())
    }

    /// How many of the columns are the input's.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Whether the input's rows are lines of JSON.
    pub fn are_lines(&self) -> bool {
        self.are_lines
    }

    /// The input's columns of these rows, as an output of this format has them; lines stay lines for JSONL.
    ///
    /// # Errors
    /// If a row isn't what planning has seen.
    pub fn inputs_of(&self, rows: &RecordBatch, format: Format) -> Result<RecordBatch, FileError> {
        let form = match format {
            Format::Jsonl => None,
            Format::Csv | Format::Tsv => Some(Form::Text),
            Format::Parquet => Some(Form::Typed),
        };
        match form.filter(|_| self.are_lines) {
            None => Ok(rows.clone()),
            Some(form) => project(rows, &Schema::new(self.schema.fields()[..self.inputs].to_vec()), form),
        }
    }

    /// The first name in these lines that an added column has. Names are asked for only where lines are to stay lines:
    /// elsewhere they are columns, which [`OutputColumns::new`] has seen.
    pub fn conflict(&self, lines: &RecordBatch) -> Option<ColumnConflict> {
        let added: Vec<&str> = self.names().skip(self.inputs).collect();
        let prefix = added.first()?.strip_suffix(ADDED[0].0)?;
        let rows = (0..lines.num_rows()).filter_map(|row| line(lines, row));
        // A line that has the prefix nowhere, and no escapes that may spell it, has none of the names.
        let suspects = rows.filter(|line| line.contains(prefix) || line.contains("\\u"));
        let mut names = suspects.flat_map(|line| entries(line).unwrap_or_default()).map(|(name, _)| name);
        names.find(|name| added.contains(&&**name)).map(|name| ColumnConflict { name: name.into_owned() })
    }

    /// The added columns of these rows, as Parquet has them.
    pub(super) fn added(outcomes: &[Outcome]) -> Result<Vec<ArrayRef>, FileError> {
        let text = |value: fn(&Outcome) -> Option<&str>| -> ArrayRef {
            Arc::new(outcomes.iter().map(value).collect::<StringArray>())
        };
        let tokens = |value: fn(&Outcome) -> u64| -> ArrayRef {
            let sent =
                |outcome: &Outcome| (outcome.attempts > 0).then(|| i64::try_from(value(outcome)).unwrap_or(i64::MAX));
            Arc::new(outcomes.iter().map(sent).collect::<Int64Array>())
        };
        let costs: Decimal128Array =
            outcomes.iter().map(|outcome| outcome.cost.map(|cost| i128::from(cost.0))).collect();
        let attempts = outcomes.iter().map(|outcome| i32::try_from(outcome.attempts).unwrap_or(i32::MAX));
        Ok(vec![
            responses(outcomes),
            text(|outcome| Some(outcome.status.name())),
            text(|outcome| outcome.error.as_ref().map(|error| error.code.as_str())),
            text(|outcome| outcome.error.as_ref().map(|error| error.message.as_str())),
            text(|outcome| outcome.model.as_deref()),
            text(|outcome| outcome.finish_reason.as_deref()),
            tokens(|outcome| outcome.usage.input_tokens),
            tokens(|outcome| outcome.usage.output_tokens),
            Arc::new(costs.with_precision_and_scale(COST_PRECISION, COST_SCALE)?),
            Arc::new(Int32Array::from_iter_values(attempts)),
        ])
    }
}

/// Memory for all answers is taken at once.
fn responses(outcomes: &[Outcome]) -> ArrayRef {
    let texts = || outcomes.iter().map(|outcome| outcome.response.as_deref());
    let mut builder = StringBuilder::with_capacity(outcomes.len(), texts().flatten().map(str::len).sum());
    texts().for_each(|text| builder.append_option(text));
    Arc::new(builder.finish())
}
