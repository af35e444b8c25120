//! Small Parquet files that are held in memory whole.

use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};

/// One of a job's own files can't be written or read. Its bytes were made here, so this is damage or a defect.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("a Parquet file of the job is damaged or can't be written")]
    Parquet(#[from] ParquetError),
    #[error("a file of the job has unexpected columns")]
    Arrow(#[from] ArrowError),
    #[error("a file of the job is damaged: {what}")]
    Damaged { what: &'static str },
}

/// Nothing in the properties depends on the machine or the moment: the same rows give the same bytes.
pub(crate) fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_created_by("gristmill".to_owned())
}

pub(crate) fn encode(batch: &RecordBatch, properties: WriterProperties) -> Result<Bytes, FileError> {
    // Grown step by step, a buffer of megabytes would be copied and its pages cleared again and again.
    let room = Vec::with_capacity(batch.get_array_memory_size() / 2 + 4_096);
    let mut writer = ArrowWriter::try_new(room, batch.schema(), Some(properties))?;
    writer.write(batch)?;
    Ok(writer.into_inner()?.into())
}

/// All rows of a file that [`encode`] made.
pub(crate) fn decode(bytes: Bytes) -> Result<RecordBatch, FileError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let rows = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
    let schema = builder.schema().clone();
    let batches = builder.with_batch_size(rows.max(1)).build()?.collect::<Result<Vec<_>, _>>()?;
    match <[RecordBatch; 1]>::try_from(batches) {
        Ok([batch]) => Ok(batch),
        Err(batches) => Ok(concat_batches(&schema, &batches)?),
    }
}
