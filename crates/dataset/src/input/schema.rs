//! What is known of an input before its rows are read.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use domain::format::Format;
use serde::{Deserialize, Serialize};

use super::limits::MAX_COLUMNS;
use super::{Compression, Cursor, InputError};

/// An input's columns and where its rows begin. Kept with the job as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputSchema {
    /// CSV columns are text; Parquet columns have their own types. JSONL columns are text until planning has seen all
    /// lines.
    pub columns: SchemaRef,
    pub layout: Layout,
}

/// What a format needs to be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    Csv {
        /// The ASCII byte between cells.
        delimiter: u8,
        had_bom: bool,
        #[serde(default)]
        compression: Compression,
        /// Byte offset in the text of the first record after the header.
        first_record: u64,
        /// Its line, from 1.
        first_line: u64,
    },
    Jsonl {
        compression: Compression,
        /// Byte offset in the text of the first line.
        first_record: u64,
    },
    Parquet {
        rows: u64,
    },
}

impl InputSchema {
    pub fn format(&self) -> Format {
        match self.layout {
            Layout::Csv { .. } => Format::Csv,
            Layout::Jsonl { .. } => Format::Jsonl,
            Layout::Parquet { .. } => Format::Parquet,
        }
    }

    pub fn column_names(&self) -> impl Iterator<Item = &str> {
        self.columns.fields().iter().map(|field| field.name().as_str())
    }

    /// Of plain lines whose names nobody asks for.
    pub(crate) fn of_lines() -> Self {
        let layout = Layout::Jsonl { compression: Compression::None, first_record: 0 };
        Self { columns: text_columns(&[]), layout }
    }

    /// The columns that batches and chunks have: the input's own, or that of its lines.
    pub fn stored(&self) -> SchemaRef {
        match self.layout {
            Layout::Csv { .. } | Layout::Parquet { .. } => self.columns.clone(),
            Layout::Jsonl { .. } => line_column(),
        }
    }

    /// Before the first row.
    pub fn start(&self) -> Cursor {
        match self.layout {
            Layout::Csv { first_record, first_line, .. } => Cursor { position: first_record, row: 0, line: first_line },
            Layout::Jsonl { first_record, .. } => Cursor { position: first_record, row: 0, line: 1 },
            Layout::Parquet { .. } => Cursor { position: 0, row: 0, line: 0 },
        }
    }
}

/// Names that can be told apart, and not too many of them.
pub(super) fn check_names<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Result<(), InputError> {
    if names.len() > MAX_COLUMNS {
        return Err(InputError::TooManyColumns { found: names.len(), limit: MAX_COLUMNS });
    }
    let mut seen = HashMap::new();
    for (index, name) in names.enumerate() {
        if name.trim().is_empty() {
            return Err(InputError::EmptyHeader { column: index + 1 });
        }
        if let Some(first) = seen.insert(name, index) {
            return Err(InputError::DuplicateHeader { name: name.to_owned(), first: first + 1, second: index + 1 });
        }
    }
    Ok(())
}

/// As [`check_names`], for names that stand in lines, which may be any text.
pub(crate) fn check_names_of_lines<'a>(
    names: impl ExactSizeIterator<Item = &'a str> + Clone,
) -> Result<(), InputError> {
    // What is kept of a job's columns can't hold it.
    if let Some(name) = names.clone().find(|name| name.contains('\0')) {
        let reason = format!("the name {name:?} has a NUL character");
        return Err(InputError::UnsupportedSchema { reason });
    }
    check_names(names).map_err(|error| match error {
        InputError::EmptyHeader { .. } => InputError::UnsupportedSchema { reason: "a name is empty".to_owned() },
        other => other,
    })
}

/// The one column of a JSONL file's batches: each row's line, null where it can't be read.
pub(super) fn line_column() -> SchemaRef {
    text_columns(&["line"])
}

/// Text columns of these names.
pub(super) fn text_columns(names: &[&str]) -> SchemaRef {
    let fields: Vec<_> = names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
    Arc::new(Schema::new(fields))
}
