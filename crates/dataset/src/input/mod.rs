//! A job's input: pinned to one version, described by its header or footer, read as batches from any row.

mod batches;
mod csv;
mod error;
mod jsonl;
pub mod limits;
mod parquet;
mod pin;
mod schema;
mod text;

use std::sync::Arc;

use domain::format::Format;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

pub use self::batches::{Cursor, InputBatch};
pub use self::error::InputError;
pub use self::pin::{Pinned, pin};
pub(crate) use self::schema::check_names_of_lines;
pub use self::schema::{InputSchema, Layout};
pub use self::text::Compression;
use crate::stores::Location;

/// What a job has to know of its input, kept with it as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub pinned: Pinned,
    pub schema: InputSchema,
}

/// What the submission says about the input's form.
#[derive(Debug, Clone, Copy)]
pub struct ReadOptions {
    pub format: Format,
    /// The byte between CSV cells, ASCII; the format's own unless given.
    pub delimiter: Option<u8>,
}

impl From<Format> for ReadOptions {
    fn from(format: Format) -> Self {
        Self { format, delimiter: None }
    }
}

/// Describes the input from its header (CSV, the first [`limits::MAX_HEADER_BYTES`] of its text) its first lines (JSONL, as many
/// bytes), or its footer (Parquet).
///
/// # Errors
/// Everything about the header or footer that keeps the file from being read; `input_empty` where it can be seen here.
pub async fn inspect(location: &Location, pinned: &Pinned, options: ReadOptions) -> Result<InputSchema, InputError> {
    match options.format {
        Format::Csv | Format::Tsv => {
            let delimiter = options.delimiter.or(options.format.delimiter()).unwrap_or(b',');
            csv::inspect(location, pinned, delimiter).await
        }
        Format::Jsonl => jsonl::inspect(location, pinned).await,
        Format::Parquet => parquet::inspect(location, pinned).await,
    }
}

/// Reads the rows from a cursor to the end: of `from` and every cursor in the batches before, the rows that follow
/// are the same.
///
/// It stops reading when the stream is dropped. An error is the last item.
///
/// # Errors
/// `input_changed` if the object isn't the pinned version any more; what is broken past the header.
pub fn read(
    location: Location,
    pinned: Pinned,
    schema: Arc<InputSchema>,
    from: Cursor,
) -> BoxStream<'static, Result<InputBatch, InputError>> {
    match schema.layout {
        Layout::Csv { delimiter, compression, .. } => csv::read(location, pinned, schema, delimiter, compression, from),
        Layout::Jsonl { compression, .. } => jsonl::read(location, pinned, compression, from),
        Layout::Parquet { .. } => parquet::read(location, pinned, from),
    }
}
