//! Lines cut from a stream of bytes, in bounded memory.

use memchr::memchr;

use crate::input::limits::MAX_ROW_BYTES;

/// Takes bytes in pieces of any size and gives one line at a time. Blank lines are none.
pub(super) struct Records {
    bytes: Vec<u8>,
    complete: bool,
    too_large: bool,
    start_line: u64,
    position: u64,
    line: u64,
}

impl Records {
    /// Begins at a line's start.
    pub(super) fn new(position: u64, line: u64) -> Self {
        Self { bytes: Vec::new(), complete: true, too_large: false, start_line: line, position, line }
    }

    /// Offset of the first byte that was not taken yet.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The line at [`Records::position`], from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The current line's number.
    pub(super) fn start_line(&self) -> u64 {
        self.start_line
    }

    /// The current line without its end.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the current line was longer than [`MAX_ROW_BYTES`], so that it is lost.
    pub(super) fn is_too_large(&self) -> bool {
        self.too_large
    }

    /// Takes bytes from the front of `input` until a line is complete (`true`) or nothing is left.
    pub(super) fn next(&mut self, input: &mut &[u8]) -> bool {
        while !input.is_empty() {
            self.begin();
            let end = memchr(b'\n', input);
            self.append(&input[..end.unwrap_or(input.len())]);
            let taken = end.map_or(input.len(), |end| end + 1);
            self.position += taken as u64;
            *input = &input[taken..];
            if end.is_some() {
                self.line += 1;
                self.complete = true;
                if self.is_row() {
                    return true;
                }
            }
        }
        false
    }

    /// Ends the file: whether that completes a line.
    pub(super) fn finish(&mut self) -> bool {
        let is_open = !self.complete;
        self.complete = true;
        is_open && self.is_row()
    }

    fn is_row(&self) -> bool {
        self.too_large || !self.bytes.trim_ascii().is_empty()
    }

    /// Starts the next line where the last one is complete.
    fn begin(&mut self) {
        if self.complete {
            self.complete = false;
            self.too_large = false;
            self.bytes.clear();
            self.start_line = self.line;
        }
    }

    /// Past the limit a line's bytes are dropped as they come, and only its end is looked for.
    fn append(&mut self, bytes: &[u8]) {
        if self.too_large || self.bytes.len() + bytes.len() > MAX_ROW_BYTES {
            self.too_large = true;
            self.bytes.clear();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_whatever_the_pieces() {
        let text = b"\n{1}\r\n  \n{2}\n\r\n{3}";
        let expected = [("{1}\r", 2, 6, 3), ("{2}", 4, 13, 5), ("{3}", 6, 18, 6)];
        for size in 1..text.len() {
            let mut records = Records::new(0, 1);
            let mut found = Vec::new();
            let mut note = |records: &Records| {
                let line = String::from_utf8(records.bytes().to_vec()).expect("text");
                found.push((line, records.start_line(), records.position(), records.line()));
            };
            for mut piece in text.chunks(size) {
                while records.next(&mut piece) {
                    note(&records);
                }
            }
            if records.finish() {
                note(&records);
            }
            let expected = expected.map(|(line, start, position, next)| (line.to_owned(), start, position, next));
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }
}
