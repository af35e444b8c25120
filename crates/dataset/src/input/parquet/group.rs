//! One row group's bytes, fetched as they are needed, with every page's claims checked on the way.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::claims::{PageClaims, page_claims};
use super::file::{PinnedFile, Window};
use super::invalid;
use crate::input::InputError;
use crate::input::limits::{GROUP_AHEAD_BYTES, MAX_OPEN_PAGES_BYTES, MAX_PAGE_BYTES, MAX_REPEATED_PAGE_VALUES};

/// Page headers are read in pieces of this size.
const HEADER_BYTES: u64 = 16 << 10;

/// Fetched at least, per column of a row group too large to be fetched whole.
const MIN_BLOCK_BYTES: u64 = 64 << 10;
const MAX_BLOCK_BYTES: u64 = 4 << 20;

/// A row group of a pinned file. Its methods block, so it belongs on a thread of its own.
#[derive(Clone)]
pub(super) struct GroupFile(Arc<Shared>);

struct Shared {
    file: PinnedFile,
    block_bytes: u64,
    columns: Mutex<Vec<Column>>,
    /// Why reading failed, where the decoder would only say that it did.
    failure: Mutex<Option<InputError>>,
}

/// A column chunk and what is held of it.
struct Column {
    range: Range<u64>,
    is_repeated: bool,
    start: u64,
    bytes: Bytes,
    /// Decompressed sizes of the dictionary and of the page that is open.
    dictionary_bytes: u64,
    page_bytes: u64,
}

impl GroupFile {
    /// Fetches the group at once, through the window, where it is small enough, which most are.
    pub(super) fn open(file: &PinnedFile, group: &RowGroupMetaData, window: &mut Window) -> Result<Self, InputError> {
        let mut columns: Vec<Column> = group.columns().iter().map(Column::new).collect();
        let start = columns.iter().map(|column| column.range.start).min().unwrap_or(0);
        let end = columns.iter().map(|column| column.range.end).max().unwrap_or(0);
        if end - start <= GROUP_AHEAD_BYTES {
            let bytes = window.get(file, start..end)?;
            for column in &mut columns {
                column.start = start;
                column.bytes = bytes.clone();
            }
        }
        let block_bytes = (GROUP_AHEAD_BYTES / columns.len().max(1) as u64).clamp(MIN_BLOCK_BYTES, MAX_BLOCK_BYTES);
        Ok(Self(Arc::new(Shared {
            file: file.clone(),
            block_bytes,
            columns: Mutex::new(columns),
            failure: Mutex::default(),
        })))
    }

    /// Decompressed size of the group's dictionaries together, as their headers claim.
    pub(super) fn dictionaries_bytes(&self, group: &RowGroupMetaData) -> Result<u64, InputError> {
        let mut bytes = 0;
        for offset in
            group.columns().iter().filter_map(parquet::file::metadata::ColumnChunkMetaData::dictionary_page_offset)
        {
            let offset = super::footer::count(offset)?;
            let header = self.fetch(offset, 1)?;
            let claims = page_claims(&header)?;
            self.check(offset, claims)?;
            bytes += claims.uncompressed;
        }
        Ok(bytes)
    }

    /// The reason for the decoder's error.
    pub(super) fn failure(&self, error: &dyn std::error::Error) -> InputError {
        let failure = self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.unwrap_or_else(|| match error.to_string() {
            // The decoder has no error of its own for this.
            text if text.to_ascii_uppercase().contains("UTF-8") => InputError::InvalidText,
            text => invalid(text),
        })
    }

    fn columns(&self) -> MutexGuard<'_, Vec<Column>> {
        self.0.columns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At least `length` bytes from `offset`, and more if they are there.
    fn fetch(&self, offset: u64, length: u64) -> Result<Bytes, InputError> {
        let mut columns = self.columns();
        let column = Column::at(&mut columns, offset)?;
        let wanted = offset.checked_add(length).filter(|end| *end <= column.range.end).ok_or_else(outside)?;
        if offset < column.start || wanted > column.start + column.bytes.len() as u64 {
            let end = column.range.end.min(offset + length.max(self.0.block_bytes));
            column.bytes = self.0.file.get(offset..end)?;
            column.start = offset;
        }
        let held = usize::try_from(offset - column.start).map_err(|_| outside())?;
        let in_column = usize::try_from(column.range.end - column.start).map_err(|_| outside())?;
        Ok(column.bytes.slice(held..in_column.min(column.bytes.len())))
    }

    /// Refuses a page before the decoder allocates what it claims.
    fn check(&self, offset: u64, claims: PageClaims) -> Result<(), InputError> {
        let limit = |what, code, found, limit| Err(InputError::ParquetLimit { what, code, found, limit });
        if claims.uncompressed > MAX_PAGE_BYTES {
            return limit("page size", "parquet_limit_page", claims.uncompressed, MAX_PAGE_BYTES);
        }
        let mut columns = self.columns();
        let column = Column::at(&mut columns, offset)?;
        if claims.compressed > column.range.end - offset {
            return Err(invalid("a page claims to be longer than its column"));
        }
        if column.is_repeated && claims.values > MAX_REPEATED_PAGE_VALUES {
            return limit(
                "number of list elements in a page",
                "parquet_limit_page",
                claims.values,
                MAX_REPEATED_PAGE_VALUES,
            );
        }
        if claims.is_dictionary {
            column.dictionary_bytes = claims.uncompressed;
        } else {
            column.page_bytes = claims.uncompressed;
        }
        let open: u64 = columns.iter().map(|column| column.dictionary_bytes + column.page_bytes).sum();
        if open > MAX_OPEN_PAGES_BYTES {
            return limit("size of pages that must be held at once", "parquet_limit_page", open, MAX_OPEN_PAGES_BYTES);
        }
        Ok(())
    }

    /// Keeps the reason for [`GroupFile::failure`].
    fn fail(&self, error: InputError) -> io::Error {
        let text = error.to_string();
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        io::Error::other(text)
    }
}

impl Column {
    fn new(column: &parquet::file::metadata::ColumnChunkMetaData) -> Self {
        // The footer's check has seen that these are in the file.
        let (start, length) = column.byte_range();
        Self {
            range: start..start + length,
            is_repeated: column.column_descr().max_rep_level() > 0,
            start: 0,
            bytes: Bytes::new(),
            dictionary_bytes: 0,
            page_bytes: 0,
        }
    }

    /// The column chunk that an offset lies in.
    fn at(columns: &mut [Self], offset: u64) -> Result<&mut Self, InputError> {
        columns.iter_mut().find(|column| column.range.contains(&offset)).ok_or_else(outside)
    }
}

fn outside() -> InputError {
    invalid("a page lies outside of its column")
}

impl Length for GroupFile {
    fn len(&self) -> u64 {
        self.0.file.pinned.bytes
    }
}

impl ChunkReader for GroupFile {
    type T = HeaderReader;

    /// Used for page headers only, and sometimes made and not read from.
    fn get_read(&self, start: u64) -> ParquetResult<HeaderReader> {
        Ok(HeaderReader { file: self.clone(), offset: start, is_checked: false, bytes: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        match self.fetch(start, length as u64) {
            Ok(bytes) => Ok(bytes.slice(..length)),
            Err(error) => Err(ParquetError::External(Box::new(self.fail(error)))),
        }
    }
}

/// Gives a page header to the decoder after a look at its claims.
pub(super) struct HeaderReader {
    file: GroupFile,
    offset: u64,
    is_checked: bool,
    bytes: Bytes,
}

impl HeaderReader {
    fn fill(&mut self) -> Result<(), InputError> {
        self.bytes = self.file.fetch(self.offset, 1)?;
        self.bytes.truncate(usize::try_from(HEADER_BYTES).unwrap_or(usize::MAX));
        if !self.is_checked {
            self.file.check(self.offset, page_claims(&self.bytes)?)?;
            self.is_checked = true;
        }
        self.offset += self.bytes.len() as u64;
        Ok(())
    }
}

impl Read for HeaderReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() {
            self.fill().map_err(|error| self.file.fail(error))?;
        }
        let length = buffer.len().min(self.bytes.len());
        self.bytes.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
