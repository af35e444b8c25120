//! Why an input can't be read.

use crate::stores::StoreError;

/// The job's input can't be read, or not any further.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error("there is no input at `{uri}`")]
    NotFound { uri: String },
    #[error("access to the input `{uri}` was denied: grant read access to it")]
    AccessDenied { uri: String },
    #[error("the input `{uri}` was replaced after the job was submitted: submit the job again")]
    Changed { uri: String },
    #[error("the input has no rows")]
    Empty,
    #[error("the header is not UTF-8 (byte {offset}): save the file as UTF-8")]
    InvalidEncoding { offset: u64 },
    #[error("columns {first} and {second} are both called `{name}`: give each column its own name")]
    DuplicateHeader { name: String, first: usize, second: usize },
    #[error("column {column} has no name: name every column in the first line")]
    EmptyHeader { column: usize },
    #[error("the quote that opens in the record at line {line} never closes")]
    UnterminatedQuote { line: u64 },
    #[error("the header is one column, or {count} if split at {}: set `input.delimiter`", delimiter_name(*.suggestion))]
    HeaderMismatch { suggestion: u8, count: usize },
    #[error("the input has {found} columns; at most {limit} are read")]
    TooManyColumns { found: usize, limit: usize },
    #[error("the header is longer than {limit} bytes")]
    HeaderTooLarge { limit: u64 },
    #[error("the file is {what}, and JSONL is one JSON object a line: write each row as a line of its own")]
    NotJsonl { what: &'static str },
    #[error("the first line is longer than {limit} bytes")]
    FirstLineTooLarge { limit: u64 },
    #[error("not a valid Parquet file: {reason}")]
    InvalidParquet { reason: String },
    #[error("the input's compression is not what it should be: {problem}")]
    CompressionMismatch { problem: String },
    #[error("the compressed input ends in its middle: it was cut short, so write it again")]
    Truncated,
    #[error(
        "the input can be decompressed only with a window of more than {limit} bytes: compress it without `--long`"
    )]
    WindowLimit { limit: u64 },
    #[error(
        "a text column of the Parquet file has bytes that are not UTF-8: write it as a binary column, or repair it"
    )]
    InvalidText,
    #[error("column `{column}` uses {feature}, which is not supported")]
    UnsupportedParquetFeature { column: String, feature: String },
    #[error("the schema is not supported: {reason}")]
    UnsupportedSchema { reason: String },
    #[error("the Parquet file's {what} is {found}; at most {limit} is read")]
    ParquetLimit { what: &'static str, code: &'static str, found: u64, limit: u64 },
    #[error("the file says that it has {expected} rows and has {found}")]
    RowCountMismatch { expected: u64, found: u64 },
    #[error("the file's {compressed} bytes expand beyond {limit}: that is more than any honest table does")]
    DecompressionLimit { compressed: u64, limit: u64 },
    #[error("the reader of the input ended early")]
    ReaderStopped,
    #[error(transparent)]
    Storage(StoreError),
}

impl InputError {
    /// The public error code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "input_not_found",
            Self::AccessDenied { .. } => "input_access_denied",
            Self::Changed { .. } => "input_changed",
            Self::Empty => "input_empty",
            Self::InvalidEncoding { .. } | Self::InvalidText => "invalid_encoding",
            Self::CompressionMismatch { .. } => "compression_mismatch",
            Self::Truncated => "truncated_input",
            Self::DuplicateHeader { .. } => "csv_duplicate_header",
            Self::EmptyHeader { .. } => "csv_empty_header",
            Self::UnterminatedQuote { .. } => "csv_unterminated_quote",
            Self::HeaderMismatch { .. } => "csv_header_mismatch",
            Self::TooManyColumns { .. } => "too_many_columns",
            Self::HeaderTooLarge { .. } => "cell_too_large",
            Self::NotJsonl { .. } => "not_jsonl",
            Self::FirstLineTooLarge { .. } => "line_too_large",
            Self::InvalidParquet { .. } => "invalid_parquet",
            Self::UnsupportedParquetFeature { .. } => "unsupported_parquet_feature",
            Self::UnsupportedSchema { .. } => "unsupported_schema",
            Self::ParquetLimit { code, .. } => code,
            Self::RowCountMismatch { .. } => "row_count_mismatch",
            Self::DecompressionLimit { .. } | Self::WindowLimit { .. } => "decompression_limit",
            Self::ReaderStopped => "internal_error",
            Self::Storage(error) => error.code(),
        }
    }

    /// The field of the submission that the error is about.
    pub fn pointer(&self) -> &'static str {
        match self {
            Self::HeaderMismatch { .. } => "/input/delimiter",
            Self::InvalidParquet { .. } | Self::NotJsonl { .. } => "/input/format",
            _ => "/input/uri",
        }
    }

    /// Whether the same call may succeed later, with nothing changed by anyone.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_transient(),
            Self::ReaderStopped => true,
            _ => false,
        }
    }
}

impl From<StoreError> for InputError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { uri } => Self::NotFound { uri },
            StoreError::AccessDenied { uri, .. } => Self::AccessDenied { uri },
            StoreError::Changed { uri } => Self::Changed { uri },
            other => Self::Storage(other),
        }
    }
}

fn delimiter_name(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "tabs".into(),
        other => format!("`{}`", char::from(other)),
    }
}
