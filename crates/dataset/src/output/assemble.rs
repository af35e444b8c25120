//! From parts to one object.

use std::error::Error;

use domain::format::Format;
use futures::{Stream, StreamExt};

use super::parquet::Splicer;
use super::upload::Upload;
use super::{OutputColumns, OutputError, Part, csv};
use crate::stores::Location;

/// What happens when the output is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfExists {
    Error,
    Replace,
}

/// The finished output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    pub bytes: u64,
    pub sha256: [u8; 32],
    pub rows: u64,
}

/// Puts the parts, in order, into one object that appears whole or not at all. Holds one part and the upload's buffers.
///
/// With [`IfExists::Error`] an object that has exactly the output's bytes already is a success, so the call can be
/// repeated.
///
/// # Errors
/// `output_exists`; a part's own error; storage. Nothing is visible then.
pub async fn assemble<E>(
    format: Format,
    columns: &OutputColumns,
    parts: impl Stream<Item = Result<Part, E>> + Send,
    target: &Location,
    if_exists: IfExists,
) -> Result<Assembled, OutputError>
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let mut upload = Upload::new(target, if_exists);
    match write(format, columns, parts, &mut upload).await {
        Ok(rows) => {
            let written = upload.finish().await?;
            Ok(Assembled { bytes: written.bytes, sha256: written.sha256, rows })
        }
        Err(error) => {
            upload.abort().await;
            Err(error)
        }
    }
}

/// Rows written.
async fn write<E>(
    format: Format,
    columns: &OutputColumns,
    parts: impl Stream<Item = Result<Part, E>> + Send,
    upload: &mut Upload,
) -> Result<u64, OutputError>
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let mut file = match format {
        Format::Csv | Format::Jsonl | Format::Tsv => File::Text,
        Format::Parquet => File::Parquet(Box::new(Splicer::new(columns)?)),
    };
    if format.delimiter().is_some() {
        upload.write(csv::header(format, columns)).await?;
    }
    let mut parts = std::pin::pin!(parts.enumerate());
    let mut rows = 0;
    while let Some((index, part)) = parts.next().await {
        let part = part.map_err(|error| OutputError::Part(error.into()))?;
        rows += part.rows;
        match &mut file {
            File::Text => upload.write(part.bytes).await?,
            File::Parquet(splicer) => {
                let found = splicer.append(&part.bytes)?;
                if found != part.rows {
                    return Err(OutputError::RowCount { part: index, expected: part.rows, found });
                }
                upload.write(splicer.take()?).await?;
            }
        }
    }
    if let File::Parquet(splicer) = file {
        upload.write(splicer.finish()?).await?;
    }
    Ok(rows)
}

enum File {
    /// Parts follow each other.
    Text,
    Parquet(Box<Splicer>),
}
