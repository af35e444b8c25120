//! Records cut from a stream of bytes, in bounded memory.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::input::InputError;
use crate::input::limits::MAX_ROW_BYTES;

/// Room for the ends of fields that a ragged record has too many.
const SPARE_ENDS: usize = 64;

/// Takes bytes in pieces of any size and gives one record at a time.
pub(super) struct Records {
    core: Reader,
    /// Fields that are kept per record; those beyond are only counted.
    columns: usize,
    bytes: Vec<u8>,
    written: usize,
    ends: Vec<usize>,
    ends_written: usize,
    fields: usize,
    started: bool,
    too_large: bool,
    start_line: u64,
    position: u64,
    line: u64,
}

impl Records {
    /// Begins at a record's start.
    pub(super) fn new(delimiter: u8, columns: usize, position: u64, line: u64) -> Self {
        let mut core = ReaderBuilder::new().delimiter(delimiter).build();
        // A byte order mark is skipped at a file's start only, and that is the header's business: this makes the
        // parser forget it.
        core.read_record(b"\n", &mut [0], &mut [0]);
        Self {
            core,
            columns,
            bytes: vec![0; 16 << 10],
            written: 0,
            ends: vec![0; columns + SPARE_ENDS],
            ends_written: 0,
            fields: 0,
            started: false,
            too_large: false,
            start_line: line,
            position,
            line,
        }
    }

    /// Offset of the first byte that was not taken yet.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The line at [`Records::position`], from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Line where the current record starts.
    pub(super) fn start_line(&self) -> u64 {
        self.start_line
    }

    /// Fields that the current record has in the file.
    pub(super) fn fields(&self) -> usize {
        self.fields
    }

    /// Whether the current record was longer than [`MAX_ROW_BYTES`], so that its cells are lost.
    pub(super) fn is_too_large(&self) -> bool {
        self.too_large
    }

    /// All bytes of the current record's cells.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.written]
    }

    /// Where each kept field ends in [`Records::bytes`].
    pub(super) fn ends(&self) -> &[usize] {
        &self.ends[..self.fields.min(self.columns)]
    }

    /// Takes bytes from the front of `input` until a record is complete (`true`) or nothing is left.
    pub(super) fn next(&mut self, input: &mut &[u8]) -> bool {
        while !input.is_empty() {
            if !self.started {
                self.skip_line_ends(input);
                if input.is_empty() {
                    return false;
                }
                self.begin();
            }
            let (result, taken, written, ends) =
                self.core.read_record(input, &mut self.bytes[self.written..], &mut self.ends[self.ends_written..]);
            self.line += line_feeds(&input[..taken]);
            self.position += taken as u64;
            *input = &input[taken..];
            self.written += written;
            self.ends_written += ends;
            self.fields += ends;
            match result {
                ReadRecordResult::Record => {
                    self.started = false;
                    return true;
                }
                ReadRecordResult::OutputFull => self.make_room(),
                ReadRecordResult::OutputEndsFull => self.ends_written = self.columns,
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
            }
        }
        false
    }

    /// Ends the file: whether that completes a record.
    pub(super) fn finish(&mut self) -> Result<bool, InputError> {
        if !self.started {
            return Ok(false);
        }
        let (position, line) = (self.position, self.line);
        // Inside of quotes a line end is text; anywhere else it ends the record.
        if !self.next(&mut &b"\n"[..]) {
            return Err(InputError::UnterminatedQuote { line: self.start_line });
        }
        (self.position, self.line) = (position, line);
        Ok(true)
    }

    fn skip_line_ends(&mut self, input: &mut &[u8]) {
        let skipped = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.line += line_feeds(&input[..skipped]);
        self.position += skipped as u64;
        *input = &input[skipped..];
    }

    fn begin(&mut self) {
        self.started = true;
        self.too_large = false;
        self.written = 0;
        self.ends_written = 0;
        self.fields = 0;
        self.start_line = self.line;
    }

    /// Grows to the limit; past it the record's bytes are dropped as they come, and only its end is looked for.
    fn make_room(&mut self) {
        if self.bytes.len() < MAX_ROW_BYTES {
            let larger = (self.bytes.len() * 2).min(MAX_ROW_BYTES);
            self.bytes.resize(larger, 0);
        } else {
            self.too_large = true;
            self.written = 0;
        }
    }
}

/// Counted so that the compiler makes vector code of it.
fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}
