//! A job's output: its rows with the answers merged in, one part per chunk, assembled into one object.

mod assemble;
mod columns;
mod csv;
mod jsonl;
mod parquet;
mod part;
mod read;
mod upload;

pub use self::assemble::{Assembled, IfExists, assemble};
pub use self::columns::{ColumnConflict, OutputColumns};
pub use self::part::{Part, encode_part};
pub use self::read::{OutputRows, csv_text, json_entries, json_text, read_output};
use crate::parquet_bytes::FileError;
use crate::stores::StoreError;

/// The output can't be made.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    #[error("`{uri}` exists already: choose another output, or allow it to be replaced")]
    Exists { uri: String },
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Storage(StoreError),
    /// The caller couldn't give a part.
    #[error("a part of the output is missing")]
    Part(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("part {part} has {found} rows instead of {expected}")]
    RowCount { part: usize, expected: u64, found: u64 },
}

impl OutputError {
    /// The public error code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "output_exists",
            Self::Storage(error) => error.code(),
            Self::File(_) | Self::Part(_) | Self::RowCount { .. } => "internal_error",
        }
    }

    /// Whether the same call may succeed later, with nothing changed by anyone.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_transient(),
            Self::Part(_) => true,
            Self::Exists { .. } | Self::File(_) | Self::RowCount { .. } => false,
        }
    }
}

impl From<StoreError> for OutputError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::AlreadyExists { uri } => Self::Exists { uri },
            other => Self::Storage(other),
        }
    }
}
