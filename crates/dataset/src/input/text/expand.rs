//! Decompresses a stream, with a bound on what it may become and on the memory that it may ask for.

use std::error::Error;
use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use super::compression::{Compression, mismatch};
use crate::input::InputError;
use crate::input::limits::{
    FREE_TEXT_EXPANSION_BYTES, MAX_TEXT_BYTES, MAX_TEXT_EXPANSION, MAX_WINDOW_BYTES, MAX_WINDOW_LOG,
};

/// Reads the text of a compressed source. Members that follow each other are one text, as their tools have it.
pub(super) struct Expand<R: BufRead> {
    compression: Compression,
    /// `None` past the end.
    decoder: Option<Decoder<R>>,
    expanded: u64,
    compressed: u64,
    limit: u64,
}

enum Decoder<R: BufRead> {
    Gzip(Box<GzDecoder<R>>),
    Zstd(ZstdDecoder<'static, R>),
}

impl<R: BufRead> Expand<R> {
    /// `compressed` is the size of the whole file, in bytes.
    pub(super) fn new(compression: Compression, source: R, compressed: u64) -> Result<Self, InputError> {
        let limit =
            FREE_TEXT_EXPANSION_BYTES.saturating_add(compressed.saturating_mul(MAX_TEXT_EXPANSION)).min(MAX_TEXT_BYTES);
        let decoder = Some(Decoder::new(compression, source)?);
        Ok(Self { compression, decoder, expanded: 0, compressed, limit })
    }

    /// Fills the buffer from its start; 0 at the end.
    ///
    /// # Errors
    /// `truncated_input`, `compression_mismatch`, `decompression_limit`, and those of the source.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, InputError> {
        while let Some(decoder) = &mut self.decoder {
            let count = decoder.read(buffer).map_err(failure)?;
            if count > 0 {
                return self.count(count);
            }
            self.decoder = self.decoder.take().map(|decoder| self.next_member(decoder)).transpose()?.flatten();
        }
        Ok(0)
    }

    fn count(&mut self, bytes: usize) -> Result<usize, InputError> {
        self.expanded += bytes as u64;
        if self.expanded > self.limit {
            return Err(InputError::DecompressionLimit { compressed: self.compressed, limit: self.limit });
        }
        Ok(bytes)
    }

    /// What follows a member is nothing or another one.
    fn next_member(&self, ended: Decoder<R>) -> Result<Option<Decoder<R>>, InputError> {
        let mut source = match ended {
            Decoder::Gzip(decoder) => decoder.into_inner(),
            Decoder::Zstd(decoder) => decoder.finish(),
        };
        match source.fill_buf().map_err(failure)?.first() {
            None => Ok(None),
            Some(byte) if self.compression.may_start(*byte) => Decoder::new(self.compression, source).map(Some),
            Some(_) => Err(mismatch("other bytes follow the end of the compressed data")),
        }
    }
}

impl<R: BufRead> Decoder<R> {
    fn new(compression: Compression, source: R) -> Result<Self, InputError> {
        match compression {
            Compression::None => Err(mismatch("it is not compressed")),
            Compression::Gzip => Ok(Self::Gzip(Box::new(GzDecoder::new(source)))),
            Compression::Zstd => {
                let mut decoder = ZstdDecoder::with_buffer(source).map_err(failure)?.single_frame();
                decoder.window_log_max(MAX_WINDOW_LOG).map_err(failure)?;
                Ok(Self::Zstd(decoder))
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

/// What zstd calls a window that is larger than was allowed.
const WINDOW_TOO_LARGE: &str = "Frame requires too much memory for decoding";

fn failure(error: io::Error) -> InputError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return InputError::Truncated;
    }
    let text = error.to_string();
    match error.into_inner().map(<dyn Error + Send + Sync>::downcast::<InputError>) {
        // The source's own.
        Some(Ok(error)) => *error,
        _ if text == WINDOW_TOO_LARGE => InputError::WindowLimit { limit: MAX_WINDOW_BYTES },
        _ => mismatch(format!("the compressed data is damaged ({text})")),
    }
}
