//! The bytes of a text file, in pieces and in bounded memory, decompressed where it is compressed.

mod batch;
mod compression;
mod expand;

use std::io::{self, BufRead, Read};
use std::pin::Pin;

use bytes::{Buf, Bytes};
use futures::{Stream, StreamExt};
use tokio::runtime::Handle;

pub(super) use self::batch::TextBatch;
pub use self::compression::Compression;
use self::compression::{mismatch, promised_by};
use self::expand::Expand;
use super::limits::{MAX_HEADER_BYTES, TEXT_PIECE_BYTES};
use super::pin::{self, blocks};
use super::{InputError, Pinned};
use crate::stores::Location;

pub(super) const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";
pub(super) const UTF16_BOMS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// The beginning of a text file.
pub(super) struct Sample {
    /// At most [`MAX_HEADER_BYTES`], decompressed.
    pub bytes: Bytes,
    /// Whether that is all of it.
    pub whole: bool,
    pub compression: Compression,
}

/// Reads the beginning, and finds out about the compression.
///
/// # Errors
/// `compression_mismatch` for a kind that is not read, for two layers, and where the name promises what is not there.
pub(super) async fn sample(location: &Location, pinned: &Pinned) -> Result<Sample, InputError> {
    let file_bytes = pinned.bytes;
    let bytes = pin::get(location, pinned, 0..file_bytes.min(MAX_HEADER_BYTES)).await?;
    let whole = bytes.len() as u64 == file_bytes;
    let compression = Compression::of(&bytes)?;
    if compression == Compression::None {
        return match promised_by(&location.uri().to_string()).filter(|_| !bytes.is_empty()) {
            Some(ending) => Err(mismatch(format!("its name ends in `{ending}`, and it is not compressed"))),
            None => Ok(Sample { bytes, whole, compression }),
        };
    }
    let expanded = tokio::task::spawn_blocking(move || expand_sample(compression, &bytes, file_bytes)).await;
    let sample = expanded.unwrap_or(Err(InputError::ReaderStopped))?;
    match Compression::of(&sample.bytes)? {
        Compression::None => Ok(sample),
        Compression::Gzip | Compression::Zstd => Err(mismatch("it is compressed twice: compress it once")),
    }
}

fn expand_sample(compression: Compression, bytes: &[u8], file_bytes: u64) -> Result<Sample, InputError> {
    let is_all = bytes.len() as u64 == file_bytes;
    let most = usize::try_from(MAX_HEADER_BYTES).unwrap_or(usize::MAX);
    let mut text = vec![0; most];
    let mut length = 0;
    let mut ended = false;
    let mut expand = Expand::new(compression, bytes, file_bytes)?;
    while length < most && !ended {
        match expand.read(&mut text[length..]) {
            Ok(count) => {
                length += count;
                ended = count == 0;
            }
            // Where the sample was cut, and not the file.
            Err(InputError::Truncated) if !is_all => ended = true,
            Err(error) => return Err(error),
        }
    }
    text.truncate(length);
    Ok(Sample { bytes: text.into(), whole: ended && is_all, compression })
}

/// A text from some position to its end. Its methods block, so it belongs on a thread of its own.
pub(super) struct Text(Source);

enum Source {
    Plain(Blocks),
    Compressed { expand: Box<Expand<Blocks>>, piece: Vec<u8> },
}

impl Text {
    /// `position` is an offset in the text; a compressed file is decompressed up to there again.
    pub(super) fn open(
        location: Location,
        pinned: Pinned,
        compression: Compression,
        position: u64,
    ) -> Result<Self, InputError> {
        let file_bytes = pinned.bytes;
        if compression == Compression::None {
            return Ok(Self(Source::Plain(Blocks::new(location, pinned, position))));
        }
        let mut expand = Box::new(Expand::new(compression, Blocks::new(location, pinned, 0), file_bytes)?);
        let mut piece = vec![0; TEXT_PIECE_BYTES];
        let mut left = position;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(TEXT_PIECE_BYTES);
            match expand.read(&mut piece[..most])? {
                0 => break,
                count => left -= count as u64,
            }
        }
        Ok(Self(Source::Compressed { expand, piece }))
    }

    /// The next piece; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, InputError> {
        match &mut self.0 {
            Source::Plain(blocks) => blocks.next(),
            Source::Compressed { expand, piece } => {
                let count = expand.read(piece)?;
                Ok((count > 0).then_some(&piece[..count]))
            }
        }
    }
}

/// The file's own bytes.
struct Blocks {
    runtime: Handle,
    stream: Pin<Box<dyn Stream<Item = Result<Bytes, InputError>> + Send>>,
    block: Bytes,
}

impl Blocks {
    fn new(location: Location, pinned: Pinned, from: u64) -> Self {
        let stream = Box::pin(blocks(location, pinned, from));
        Self { runtime: Handle::current(), stream, block: Bytes::new() }
    }

    fn next(&mut self) -> Result<Option<&[u8]>, InputError> {
        match self.runtime.block_on(self.stream.next()) {
            None => Ok(None),
            Some(block) => {
                self.block = block?;
                Ok(Some(&self.block))
            }
        }
    }
}

impl BufRead for Blocks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.block.is_empty() {
            self.next().map_err(io::Error::other)?;
        }
        Ok(&self.block)
    }

    fn consume(&mut self, amount: usize) {
        self.block.advance(amount);
    }
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}
