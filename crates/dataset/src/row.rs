//! Rows of a batch, for templates.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;
use domain::row::{Cell, Row};
use serde_json::value::RawValue;

use crate::cell::cell;
use crate::input::{InputSchema, Layout};
use crate::json_lines;

/// Gives the rows of an input's batches and chunks to templates. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rows(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Columns,
    /// Column numbers by name.
    Lines(Arc<HashMap<String, usize>>),
}

impl Rows {
    pub fn new(schema: &InputSchema) -> Self {
        Self(match schema.layout {
            Layout::Csv { .. } | Layout::Parquet { .. } => Kind::Columns,
            Layout::Jsonl { .. } => {
                let names = schema.column_names().enumerate().map(|(index, name)| (name.to_owned(), index));
                Kind::Lines(Arc::new(names.collect()))
            }
        })
    }

    /// # Panics
    /// If the batch has no such row.
    pub fn row(&self, batch: &Arc<RecordBatch>, index: usize) -> Arc<dyn Row> {
        assert!(index < batch.num_rows(), "row {index} of {}", batch.num_rows());
        let batch = batch.clone();
        match &self.0 {
            Kind::Columns => Arc::new(ColumnRow { batch, index }),
            Kind::Lines(names) => Arc::new(LineRow::new(batch, index, names)),
        }
    }
}

/// The line of a row of JSONL; `None` where it can't be read.
///
/// # Panics
/// If the batch has no such row.
pub fn line(batch: &RecordBatch, index: usize) -> Option<&str> {
    let lines = batch.columns().first()?.as_string_opt::<i32>()?;
    lines.is_valid(index).then(|| lines.value(index))
}

/// One row of a shared batch. A cell is built when it is asked for, so a template costs what it reads.
struct ColumnRow {
    batch: Arc<RecordBatch>,
    index: usize,
}

impl Row for ColumnRow {
    fn cell(&self, column: usize) -> Cell {
        self.batch.columns().get(column).map_or(Cell::Null, |array| cell(array, self.index))
    }
}

impl fmt::Debug for ColumnRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ColumnRow({} of {})", self.index, self.batch.num_rows())
    }
}

/// One line of a shared batch, taken apart once; its values are read when they are asked for.
struct LineRow {
    batch: Arc<RecordBatch>,
    index: usize,
    /// Where each column's value stands in the line.
    values: Vec<Option<Range<usize>>>,
}

impl LineRow {
    fn new(batch: Arc<RecordBatch>, index: usize, names: &HashMap<String, usize>) -> Self {
        let mut values = vec![None; names.len()];
        let line = line(&batch, index).unwrap_or_default();
        for (name, value) in json_lines::entries(line).unwrap_or_default() {
            if let Some(column) = names.get(&*name) {
                let start = value.get().as_ptr().addr() - line.as_ptr().addr();
                values[*column] = Some(start..start + value.get().len());
            }
        }
        Self { batch, index, values }
    }
}

impl Row for LineRow {
    fn cell(&self, column: usize) -> Cell {
        let text =
            self.values.get(column).cloned().flatten().and_then(|range| line(&self.batch, self.index)?.get(range));
        let value = text.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
        value.and_then(|value| json_lines::cell(value).ok()).unwrap_or(Cell::Null)
    }
}

impl fmt::Debug for LineRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LineRow({} of {})", self.index, self.batch.num_rows())
    }
}
