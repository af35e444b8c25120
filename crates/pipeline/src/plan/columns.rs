//! What planning finds out about the columns of lines.

use dataset::input::{InputSchema, Layout, Source};
use dataset::json_lines::ColumnTypes;
use dataset::output::OutputColumns;
use domain::format::Format;
use serde_json::Value;

use crate::StepError;
use crate::job::Job;

/// Nothing where the output keeps the lines, or where the input told its columns itself.
pub(super) fn wanted(job: &Job) -> Option<ColumnTypes> {
    let schema = &job.source.schema;
    let needs = matches!(schema.layout, Layout::Jsonl { .. }) && job.spec.output.format != Format::Jsonl;
    needs.then(|| ColumnTypes::new(schema))
}

/// The output's columns, where the lines stay lines and may have any names.
pub(super) fn kept_lines(job: &Job) -> Result<Option<OutputColumns>, StepError> {
    let schema = &job.source.schema;
    let keeps = matches!(schema.layout, Layout::Jsonl { .. }) && job.spec.output.format == Format::Jsonl;
    Ok(keeps.then(|| OutputColumns::new(schema, &job.spec.output.column_prefix)).transpose()?)
}

/// What the job knows of its input from now on.
///
/// # Errors
/// `column_conflict`, where a name that came late is that of an added column.
pub(super) fn planned(job: &Job, types: &ColumnTypes) -> Result<Value, StepError> {
    let Source { pinned, schema } = &job.source;
    let schema = InputSchema { columns: types.schema(), layout: schema.layout };
    OutputColumns::new(&schema, &job.spec.output.column_prefix)?;
    let source = Source { pinned: pinned.clone(), schema };
    serde_json::to_value(source).map_err(|error| StepError::retry("the input's columns", error))
}
