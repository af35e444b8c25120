//! Tables as these tests read them: with the crates `csv` and `parquet` alone.

use anyhow::{Context as _, bail};
use arrow::array::{Array, AsArray as _};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A value as its file has it. CSV has texts alone.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
}

#[derive(Debug)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

/// What a job adds, without the prefix.
pub const ADDED: [&str; 10] = [
    "response",
    "status",
    "error_code",
    "error",
    "model",
    "finish_reason",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "attempts",
];

impl Table {
    /// Reads a file by its name's ending.
    pub fn read(name: &str, bytes: Bytes) -> anyhow::Result<Self> {
        if name.ends_with(".parquet") { Self::from_parquet(bytes) } else { Self::from_csv(&bytes) }
    }

    pub fn from_csv(bytes: &[u8]) -> anyhow::Result<Self> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
        let mut records = reader.records();
        let columns = records.next().context("a header")??.iter().map(str::to_owned).collect();
        let texts = |record: csv::StringRecord| record.iter().map(|cell| Cell::Text(cell.to_owned())).collect();
        let rows = records.map(|record| record.map(texts)).collect::<Result<_, _>>()?;
        Ok(Self { columns, rows })
    }

    fn from_parquet(bytes: Bytes) -> anyhow::Result<Self> {
        let batches = batches(bytes)?;
        let schema = batches.first().context("a batch")?.schema();
        let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
        let mut rows = Vec::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                rows.push(batch.columns().iter().map(|column| cell(column, row)).collect::<anyhow::Result<_>>()?);
            }
        }
        Ok(Self { columns, rows })
    }

    /// The value's text; empty for null.
    pub fn text(&self, row: usize, column: &str) -> String {
        let column = self.columns.iter().position(|name| name == column).expect("a column of the table");
        self.rows[row][column].text()
    }

    /// Asserts that this output has the input's columns unchanged, with these added after them, and its rows in their order.
    pub fn assert_extends(&self, input: &Self, prefix: &str) {
        let added = ADDED.map(|name| format!("{prefix}{name}"));
        let names: Vec<_> = input.columns.iter().chain(&added).collect();
        assert_eq!(self.columns.iter().collect::<Vec<_>>(), names);
        assert_eq!(self.rows.len(), input.rows.len());
        for (number, (before, after)) in input.rows.iter().zip(&self.rows).enumerate() {
            for ((name, before), after) in input.columns.iter().zip(before).zip(after) {
                assert!(before.is_kept_as(after), "row {number}, `{name}`: {before:?} became {after:?}");
            }
        }
    }
}

impl Cell {
    pub fn text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    /// Types survive but in CSV, which has texts alone: nothing for null, and a number that reads as the same.
    fn is_kept_as(&self, after: &Self) -> bool {
        match (self, after) {
            (Self::Float(before), Self::Text(after)) => after.parse() == Ok(*before),
            (Self::Null | Self::Int(_), Self::Text(after)) => self.text() == *after,
            (before, after) => before == after,
        }
    }
}

/// A Parquet file's rows.
pub fn batches(bytes: Bytes) -> anyhow::Result<Vec<RecordBatch>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()?;
    Ok(reader.collect::<Result<_, _>>()?)
}

fn cell(array: &dyn Array, row: usize) -> anyhow::Result<Cell> {
    if array.is_null(row) {
        return Ok(Cell::Null);
    }
    Ok(match array.data_type() {
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::Int32 => Cell::Int(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Cell::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Cell::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(..) => Cell::Text(array.as_primitive::<Decimal128Type>().value_as_string(row)),
        other => bail!("a column of type {other} is not expected here"),
    })
}
