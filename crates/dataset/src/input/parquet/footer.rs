//! The footer: fetched from the end of the file, checked, decoded.

use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};

use super::claims::check_footer;
use super::{invalid, undecodable};
use crate::input::limits::MAX_FOOTER_BYTES;
use crate::input::{InputError, Pinned, pin};
use crate::stores::Location;

const MAGIC: &[u8] = b"PAR1";
const ENCRYPTED_MAGIC: &[u8] = b"PARE";

/// Length and magic number at the file's end.
const TAIL_BYTES: u64 = 8;

/// Read at first, in the hope that the footer fits.
const FIRST_READ_BYTES: u64 = 64 << 10;

/// Fetches and checks the file's metadata.
pub(super) async fn load(location: &Location, pinned: &Pinned) -> Result<ArrowReaderMetadata, InputError> {
    if pinned.bytes == 0 {
        return Err(InputError::Empty);
    }
    let footer = fetch(location, pinned).await?;
    let bytes = pinned.bytes;
    let decoded = tokio::task::spawn_blocking(move || decode(&footer, bytes));
    decoded.await.unwrap_or_else(|_panicked| Err(undecodable()))
}

async fn fetch(location: &Location, pinned: &Pinned) -> Result<Bytes, InputError> {
    let size = pinned.bytes;
    if size < MAGIC.len() as u64 + TAIL_BYTES {
        return Err(invalid("it is too short"));
    }
    let start = size.saturating_sub(FIRST_READ_BYTES);
    let end = pin::get(location, pinned, start..size).await?;
    let (rest, tail) = end.split_at(end.len() - 8);
    match &tail[4..] {
        MAGIC => {}
        ENCRYPTED_MAGIC => return Err(unsupported("(footer)", "encryption")),
        _ => return Err(invalid("it doesn't end with `PAR1`: is it another format, or cut off?")),
    }
    let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    if length > size - TAIL_BYTES - MAGIC.len() as u64 {
        return Err(invalid("its footer claims to be longer than the file"));
    }
    if length > MAX_FOOTER_BYTES {
        let (what, code) = ("footer size", "parquet_limit_footer");
        return Err(InputError::ParquetLimit { what, code, found: length, limit: MAX_FOOTER_BYTES });
    }
    match usize::try_from(length).ok().and_then(|length| rest.len().checked_sub(length)) {
        Some(skipped) => Ok(end.slice(skipped..end.len() - 8)),
        None => pin::get(location, pinned, size - TAIL_BYTES - length..size - TAIL_BYTES).await,
    }
}

fn decode(footer: &[u8], file_bytes: u64) -> Result<ArrowReaderMetadata, InputError> {
    check_footer(footer)?;
    let metadata = ParquetMetaDataReader::decode_metadata(footer).map_err(|error| invalid(error.to_string()))?;
    check(&metadata, file_bytes)?;
    ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
        .map_err(|error| InputError::UnsupportedSchema { reason: error.to_string() })
}

/// What the metadata says fits together and into the file.
fn check(metadata: &ParquetMetaData, file_bytes: u64) -> Result<(), InputError> {
    let mut found = 0;
    for group in metadata.row_groups() {
        found += count(group.num_rows())?;
        for column in group.columns() {
            check_column(group, column, file_bytes)?;
        }
    }
    match count(metadata.file_metadata().num_rows())? {
        expected if expected != found => Err(InputError::RowCountMismatch { expected, found }),
        _ => Ok(()),
    }
}

fn check_column(group: &RowGroupMetaData, column: &ColumnChunkMetaData, file_bytes: u64) -> Result<(), InputError> {
    let name = column.column_path().string();
    let start = count(column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset()))?;
    let length = count(column.compressed_size())?;
    if start.checked_add(length).is_none_or(|end| end > file_bytes) || column.data_page_offset() < 0 {
        return Err(invalid(format!("column `{name}` lies outside of the file")));
    }
    let (rows, values) = (count(group.num_rows())?, count(column.num_values())?);
    if column.column_descr().max_rep_level() == 0 && rows != values {
        return Err(InputError::RowCountMismatch { expected: rows, found: values });
    }
    count(column.uncompressed_size())?;
    match column.compression() {
        Compression::BROTLI(_) => Err(unsupported(&name, "brotli compression")),
        Compression::LZO => Err(unsupported(&name, "LZO compression")),
        _ => Ok(()),
    }
}

pub(super) fn count(number: i64) -> Result<u64, InputError> {
    u64::try_from(number).map_err(|_| invalid("its footer has a negative size"))
}

fn unsupported(column: &str, feature: &str) -> InputError {
    InputError::UnsupportedParquetFeature { column: column.into(), feature: feature.into() }
}
