//! Parquet out: a part is a file of one row group; the output is all their row groups, copied as they are.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use domain::outcome::Outcome;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter, add_encoded_arrow_schema_to_metadata};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use super::OutputColumns;
use crate::parquet_bytes::{FileError, properties};

/// A part is one row group, however large.
fn part_properties() -> WriterProperties {
    properties().set_max_row_group_row_count(None).build()
}

pub(super) fn encode_part(
    columns: &OutputColumns,
    rows: &RecordBatch,
    outcomes: &[Outcome],
) -> Result<Bytes, FileError> {
    let answers = ColumnPath::from(vec![columns.response_name().to_owned()]);
    let properties =
        properties().set_max_row_group_row_count(None).set_column_dictionary_enabled(answers, false).build();
    let text: usize = outcomes.iter().map(|outcome| outcome.response.as_ref().map_or(0, String::len)).sum();
    let room = Vec::with_capacity(text / 2 + 65_536);
    let mut writer = ArrowWriter::try_new(room, columns.schema().clone(), Some(properties))?;
    let mut first = 0;
    while first < outcomes.len() {
        let count = rows_that_fit(&outcomes[first..]);
        let mut arrays = rows.slice(first, count).columns().to_vec();
        arrays.extend(OutputColumns::added(&outcomes[first..first + count])?);
        writer.write(&RecordBatch::try_new(columns.schema().clone(), arrays)?)?;
        first += count;
    }
    Ok(writer.into_inner()?.into())
}

/// A text array holds less than 2 GiB, and a chunk's answers may be more.
const MAX_ARRAY_BYTES: usize = 256 << 20;

/// How many of the rows go into one set of arrays; one at least.
fn rows_that_fit(outcomes: &[Outcome]) -> usize {
    let mut bytes = 0;
    let fits = |outcome: &&Outcome| {
        bytes += outcome.response.as_ref().map_or(0, String::len);
        bytes <= MAX_ARRAY_BYTES
    };
    outcomes.iter().take_while(fits).count().max(1)
}

/// Puts part files together. Holds the footer that grows, never rows.
pub(super) struct Splicer(SerializedFileWriter<Vec<u8>>);

impl Splicer {
    pub(super) fn new(columns: &OutputColumns) -> Result<Self, FileError> {
        let mut properties = part_properties();
        add_encoded_arrow_schema_to_metadata(columns.schema(), &mut properties);
        let schema = ArrowSchemaConverter::new().convert(columns.schema())?;
        Ok(Self(SerializedFileWriter::new(Vec::new(), schema.root_schema_ptr(), Arc::new(properties))?))
    }

    /// Takes a part's row groups; returns how many rows they have.
    pub(super) fn append(&mut self, part: &Bytes) -> Result<u64, FileError> {
        let metadata = ParquetMetaDataReader::new().parse_and_finish(part)?;
        for group in metadata.row_groups() {
            let mut spliced = self.0.next_row_group()?;
            for column in group.columns() {
                let close = ColumnCloseResult {
                    bytes_written: u64::try_from(column.compressed_size()).unwrap_or_default(),
                    rows_written: u64::try_from(group.num_rows()).unwrap_or_default(),
                    metadata: column.clone(),
                    bloom_filter: None,
                    column_index: None,
                    offset_index: None,
                };
                spliced.append_column(part, close)?;
            }
            spliced.close()?;
        }
        Ok(u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default())
    }

    /// The bytes that were made since the last call.
    pub(super) fn take(&mut self) -> Result<Bytes, FileError> {
        self.0.flush().map_err(parquet::errors::ParquetError::from)?;
        Ok(std::mem::take(self.0.inner_mut()).into())
    }

    /// Ends the file; the bytes that were not taken yet.
    pub(super) fn finish(mut self) -> Result<Bytes, FileError> {
        self.0.finish()?;
        self.take()
    }
}
