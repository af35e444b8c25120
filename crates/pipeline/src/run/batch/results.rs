//! Result files on disk, by row: read once to know where each row's lines are, then row by row in any order.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use providers::BatchDriver;

use super::ids::RequestIds;

/// Longest line that is read; what is longer is no result.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// Where a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    row: u64,
    offset: u64,
    length: u32,
    file: u8,
}

/// The lines of one provider batch's result files. Holds 24 bytes for each.
#[derive(Debug, Default)]
pub(super) struct Results {
    files: Vec<File>,
    /// By row; lines of the same row in the order in which they came.
    lines: Vec<Line>,
    /// Lines that name nothing of this dispatch.
    pub unknown: u64,
    /// Lines that are no results.
    pub unreadable: u64,
}

impl Results {
    /// Reads the files through. Blocks.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn index(paths: &[PathBuf], driver: &dyn BatchDriver, ids: &RequestIds) -> io::Result<Self> {
        let mut results = Self::default();
        for path in paths {
            let file = File::open(path)?;
            results.scan(&file, driver, ids)?;
            results.files.push(file);
        }
        // Stable, so that the output file's lines come before the error file's.
        results.lines.sort_by_key(|line| line.row);
        Ok(results)
    }

    fn scan(&mut self, file: &File, driver: &dyn BatchDriver, ids: &RequestIds) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let (mut line, mut offset) = (Vec::new(), 0_u64);
        loop {
            line.clear();
            let read = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? as u64;
            if read == 0 {
                return Ok(());
            }
            let begin = offset;
            offset += read;
            if read == MAX_LINE_BYTES && !line.ends_with(b"\n") {
                offset += skip_line(&mut reader)?;
                self.unreadable += 1;
            } else if !line.trim_ascii().is_empty() {
                self.add(&line, begin, driver, ids);
            }
        }
    }

    fn add(&mut self, line: &[u8], offset: u64, driver: &dyn BatchDriver, ids: &RequestIds) {
        let Some(name) = driver.result_id(line) else {
            self.unreadable += 1;
            return;
        };
        let Some(row) = ids.row(&name) else {
            self.unknown += 1;
            return;
        };
        let length = u32::try_from(line.len()).expect("a line is at most 64 MiB");
        let file = u8::try_from(self.files.len()).expect("there are two files at most");
        self.lines.push(Line { row, offset, length, file });
    }

    /// Whether any line is of this dispatch.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// A row's lines.
    pub(super) fn of(&self, row: u64) -> &[Line] {
        let begin = self.lines.partition_point(|line| line.row < row);
        let end = begin + self.lines[begin..].partition_point(|line| line.row == row);
        &self.lines[begin..end]
    }

    /// Reads a line over what is in `buffer`. Blocks.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn read(&self, line: Line, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.resize(line.length as usize, 0);
        self.files[usize::from(line.file)].read_exact_at(buffer, line.offset)
    }
}

fn skip_line(reader: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let available = reader.fill_buf()?;
        let (length, ended) = match available.iter().position(|byte| *byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (available.len(), available.is_empty()),
        };
        reader.consume(length);
        skipped += length as u64;
        if ended {
            return Ok(skipped);
        }
    }
}
