//! A Parquet file's rows.

use arrow::array::Array;
use arrow::record_batch::RecordBatch;
use futures::stream::BoxStream;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::RowGroupMetaData;
use tokio::runtime::Handle;

use super::file::{PinnedFile, Window};
use super::group::GroupFile;
use super::{footer, invalid, undecodable};
use crate::input::batches::{BatchSink, Stop, on_thread};
use crate::input::limits::{
    DICTIONARY_BATCH_BYTES, FREE_EXPANSION_BYTES, MAX_BATCH_BYTES, MAX_BATCH_ROWS, MAX_EXPANSION,
};
use crate::input::{Cursor, InputBatch, InputError, Pinned};
use crate::stores::Location;

pub(in crate::input) fn read(
    location: Location,
    pinned: Pinned,
    from: Cursor,
) -> BoxStream<'static, Result<InputBatch, InputError>> {
    on_thread(undecodable, move |sink| {
        let runtime = Handle::current();
        let metadata = runtime.block_on(footer::load(&location, &pinned))?;
        let mut rows = Rows { next: from.row, decoded_bytes: 0, file_bytes: pinned.bytes };
        let file = PinnedFile { location, pinned, runtime };
        let mut window = Window::default();
        let mut group_start = 0;
        for (index, group) in metadata.metadata().row_groups().iter().enumerate() {
            let group_end = group_start + footer::count(group.num_rows())?;
            if rows.next < group_end {
                let group_file = GroupFile::open(&file, group, &mut window)?;
                rows.read_group(&metadata, index, &group_file, rows.next - group_start, sink)?;
                if rows.next != group_end {
                    let (expected, found) = (group_end - group_start, rows.next.saturating_sub(group_start));
                    return Err(InputError::RowCountMismatch { expected, found }.into());
                }
            }
            group_start = group_end;
        }
        Ok(())
    })
}

/// How far reading has come.
struct Rows {
    /// Number of the row that comes next.
    next: u64,
    decoded_bytes: u64,
    file_bytes: u64,
}

impl Rows {
    fn read_group(
        &mut self,
        metadata: &ArrowReaderMetadata,
        index: usize,
        file: &GroupFile,
        skip: u64,
        sink: &BatchSink,
    ) -> Result<(), Stop> {
        let group = metadata.metadata().row_group(index);
        let skip = usize::try_from(skip).map_err(|_| invalid("a row group has too many rows"))?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata.clone())
            .with_row_groups(vec![index])
            .with_batch_size(batch_rows(group, file)?)
            .with_offset(skip)
            .build()
            .map_err(|error| file.failure(&error))?;
        for rows in reader {
            self.send(rows.map_err(|error| file.failure(&error))?, sink)?;
        }
        Ok(())
    }

    fn send(&mut self, rows: RecordBatch, sink: &BatchSink) -> Result<(), Stop> {
        let bytes = |column: &dyn Array| column.to_data().get_slice_memory_size().unwrap_or(0) as u64;
        self.decoded_bytes += rows.columns().iter().map(|column| bytes(column)).sum::<u64>();
        let limit = FREE_EXPANSION_BYTES.saturating_add(self.file_bytes.saturating_mul(MAX_EXPANSION));
        if self.decoded_bytes > limit {
            return Err(InputError::DecompressionLimit { compressed: self.file_bytes, limit }.into());
        }
        let first_row = self.next;
        self.next += rows.num_rows() as u64;
        let cursors = (first_row + 1..=self.next).map(|row| Cursor { position: row, row, line: 0 }).collect();
        Ok(sink.send(InputBatch { rows, first_row, row_errors: Vec::new(), cursors })?)
    }
}

/// Rows per batch: as many as the average allows, and few enough that every cell may be a dictionary's only, huge
/// value.
fn batch_rows(group: &RowGroupMetaData, file: &GroupFile) -> Result<usize, InputError> {
    let rows = footer::count(group.num_rows())?.max(1);
    let average = footer::count(group.total_byte_size())? / rows + 1;
    let dictionaries = file.dictionaries_bytes(group)?;
    let most = (MAX_BATCH_BYTES as u64 / average).min(DICTIONARY_BATCH_BYTES / dictionaries.max(1));
    Ok(usize::try_from(most).unwrap_or(MAX_BATCH_ROWS).clamp(1, MAX_BATCH_ROWS))
}
