//! The pinned file, read from a thread that may block.

use std::ops::Range;

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::input::{InputError, Pinned, pin};
use crate::stores::Location;

/// Fetched at least where row groups are read whole, so that many small ones cost one request.
const WINDOW_BYTES: u64 = 8 << 20;

#[derive(Clone)]
pub(super) struct PinnedFile {
    pub(super) location: Location,
    pub(super) pinned: Pinned,
    pub(super) runtime: Handle,
}

impl PinnedFile {
    /// Exactly these bytes. Blocks.
    pub(super) fn get(&self, range: Range<u64>) -> Result<Bytes, InputError> {
        self.runtime.block_on(pin::get(&self.location, &self.pinned, range))
    }
}

/// A stretch of the file that is held, and moves on as row groups are read.
#[derive(Default)]
pub(super) struct Window {
    start: u64,
    bytes: Bytes,
}

impl Window {
    /// Bytes from where the range starts to its end or beyond.
    pub(super) fn get(&mut self, file: &PinnedFile, range: Range<u64>) -> Result<Bytes, InputError> {
        let end = self.start + self.bytes.len() as u64;
        if range.start < self.start || range.end > end {
            let ahead = range.end.max(range.start + WINDOW_BYTES).min(file.pinned.bytes);
            self.bytes = file.get(range.start..ahead)?;
            self.start = range.start;
        }
        let skipped = usize::try_from(range.start - self.start).unwrap_or(self.bytes.len());
        Ok(self.bytes.slice(skipped..))
    }
}
