//! Columns of lines: which there are, of which types, and their values.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use domain::row::Cell;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::object::entries;
use super::value::{is_null, number, write_text};
use crate::input::{InputError, InputSchema, check_names_of_lines};
use crate::parquet_bytes::FileError;

/// What the values of a column have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ValueType {
    /// Nothing but nulls so far.
    Null,
    Bool,
    /// Integers that a double holds exactly.
    Int,
    /// Integers of 64 bits.
    LargeInt,
    Double,
    /// Texts, everything that nests, and all that has nothing in common.
    Text,
}

/// Integers up to this are doubles too.
const EXACT: u64 = 1 << 53;

impl ValueType {
    fn of(value: &RawValue) -> Self {
        match number(value.get()) {
            Some(Cell::Int(value)) if value.unsigned_abs() <= EXACT => Self::Int,
            Some(Cell::Int(_)) => Self::LargeInt,
            Some(Cell::Float(_)) => Self::Double,
            Some(_) => Self::Text,
            None => match value.get() {
                "null" => Self::Null,
                "true" | "false" => Self::Bool,
                _ => Self::Text,
            },
        }
    }

    /// The narrowest type that holds both without loss.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::Null, other) | (other, Self::Null) => other,
            (Self::Int, Self::LargeInt) | (Self::LargeInt, Self::Int) => Self::LargeInt,
            (Self::Int, Self::Double) | (Self::Double, Self::Int) => Self::Double,
            _ => Self::Text,
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int | Self::LargeInt => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Null | Self::Text => DataType::Utf8,
        }
    }
}

/// The columns of the lines seen so far, in the order of their first appearance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(String, ValueType)>", into = "Vec<(String, ValueType)>")]
pub struct ColumnTypes {
    columns: Vec<(String, ValueType)>,
    by_name: HashMap<String, usize>,
}

impl ColumnTypes {
    /// Begins with the columns that are known, of any type.
    pub fn new(known: &InputSchema) -> Self {
        known.column_names().map(|name| (name.to_owned(), ValueType::Null)).collect::<Vec<_>>().into()
    }

    /// Takes a batch of lines in. Seeing lines again changes nothing.
    ///
    /// # Errors
    /// `too_many_columns`, `unsupported_schema`.
    pub fn add(&mut self, lines: &RecordBatch) -> Result<(), InputError> {
        let known = self.columns.len();
        for line in texts(lines).into_iter().flatten().flatten() {
            // A line that can't be read came as a null.
            for (name, value) in entries(line).unwrap_or_default() {
                let found = ValueType::of(value);
                if let Some(index) = self.by_name.get(&*name) {
                    self.columns[*index].1 = self.columns[*index].1.and(found);
                } else {
                    self.by_name.insert(name.clone().into_owned(), self.columns.len());
                    self.columns.push((name.into_owned(), found));
                }
            }
        }
        if self.columns.len() > known { check_names_of_lines(self.names()) } else { Ok(()) }
    }

    pub fn schema(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|(name, found)| Field::new(name, found.data_type(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    fn names(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.columns.iter().map(|(name, _)| &**name)
    }
}

impl From<Vec<(String, ValueType)>> for ColumnTypes {
    fn from(columns: Vec<(String, ValueType)>) -> Self {
        let by_name = columns.iter().enumerate().map(|(index, (name, _))| (name.clone(), index)).collect();
        Self { columns, by_name }
    }
}

impl From<ColumnTypes> for Vec<(String, ValueType)> {
    fn from(types: ColumnTypes) -> Self {
        types.columns
    }
}

/// What a batch of lines becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Columns of their own types.
    Typed,
    /// Texts, which are those of the file.
    Text,
}

/// The values of a batch of lines as columns; what a line hasn't is null.
///
/// # Errors
/// If a value isn't of its column's type.
pub(crate) fn project(lines: &RecordBatch, columns: &Schema, form: Form) -> Result<RecordBatch, FileError> {
    let by_name: HashMap<&str, usize> =
        columns.fields().iter().enumerate().map(|(index, field)| (field.name().as_str(), index)).collect();
    let fields: Vec<_> = columns
        .fields()
        .iter()
        .map(|field| match form {
            Form::Typed => field.as_ref().clone(),
            Form::Text => Field::new(field.name(), DataType::Utf8, true),
        })
        .collect();
    let mut builders = fields.iter().map(|field| Builder::new(field.data_type())).collect::<Result<Vec<_>, _>>()?;
    let texts = texts(lines).ok_or(DAMAGED)?;
    let mut values: Vec<Option<&RawValue>> = vec![None; fields.len()];
    for line in texts {
        values.fill(None);
        for (name, value) in line.map(entries).transpose().map_err(|_| DAMAGED)?.unwrap_or_default() {
            if let Some(index) = by_name.get(&*name) {
                values[*index] = Some(value).filter(|value| !is_null(value));
            }
        }
        for (builder, value) in builders.iter_mut().zip(&values) {
            builder.append(*value).ok_or(DAMAGED)?;
        }
    }
    let arrays = builders.iter_mut().map(Builder::finish).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(lines.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
}

const DAMAGED: FileError = FileError::Damaged { what: "a line is not what planning has seen" };

/// The lines; `None` stands for one that can't be read.
fn texts(lines: &RecordBatch) -> Option<impl Iterator<Item = Option<&str>>> {
    Some(lines.columns().first()?.as_string_opt::<i32>()?.iter())
}

enum Builder {
    Text(StringBuilder),
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Double(Float64Builder),
}

impl Builder {
    fn new(data_type: &DataType) -> Result<Self, FileError> {
        match data_type {
            DataType::Utf8 => Ok(Self::Text(StringBuilder::new())),
            DataType::Boolean => Ok(Self::Bool(BooleanBuilder::new())),
            DataType::Int64 => Ok(Self::Int(Int64Builder::new())),
            DataType::Float64 => Ok(Self::Double(Float64Builder::new())),
            _ => Err(DAMAGED),
        }
    }

    /// `None` if the value isn't of this type.
    fn append(&mut self, value: Option<&RawValue>) -> Option<()> {
        let text = value.map(RawValue::get);
        match self {
            Self::Text(texts) => {
                let mut out = String::new();
                if let Some(value) = value {
                    write_text(value, &mut out).ok()?;
                }
                texts.append_option(value.map(|_| out));
            }
            Self::Bool(values) => values.append_option(text.map(str::parse).transpose().ok()?),
            Self::Int(values) => values.append_option(text.map(str::parse).transpose().ok()?),
            Self::Double(values) => values.append_option(text.map(str::parse).transpose().ok()?),
        }
        Some(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(values) => Arc::new(values.finish()),
            Self::Bool(values) => Arc::new(values.finish()),
            Self::Int(values) => Arc::new(values.finish()),
            Self::Double(values) => Arc::new(values.finish()),
        }
    }
}
