//! The lines of one chunk's results, in memory or on this machine's disk.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Lines of one chunk, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Lines {
    spilled: Vec<Segment>,
    bytes: Vec<u8>,
    index: Vec<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    /// The row's, in its chunk.
    offset: u32,
    length: u32,
}

/// Lines that lie on the disk.
#[derive(Debug)]
struct Segment {
    file: Arc<File>,
    begin: u64,
    index: Vec<Place>,
}

impl Lines {
    pub(super) fn push(&mut self, offset: usize, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        let number = |number| u32::try_from(number).expect("a line is at most 64 MiB, a chunk 2,000 rows");
        self.index.push(Place { offset: number(offset), length: number(line.len()) });
    }

    /// Moves what is in memory to the disk. Blocks.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn spill(&mut self, spill: &mut Spill) -> io::Result<()> {
        if self.index.is_empty() {
            return Ok(());
        }
        let (file, begin) = spill.write(&self.bytes)?;
        self.spilled.push(Segment { file, begin, index: std::mem::take(&mut self.index) });
        self.bytes = Vec::new();
        Ok(())
    }

    /// All lines with the offsets of their rows. Blocks.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn for_each(&self, mut each: impl FnMut(usize, &[u8])) -> io::Result<()> {
        for segment in &self.spilled {
            each_line(&segment.index, &segment.read()?, &mut each);
        }
        each_line(&self.index, &self.bytes, &mut each);
        Ok(())
    }

    /// The same of lines that never went to the disk.
    pub(super) fn for_each_held(&self, mut each: impl FnMut(usize, &[u8])) {
        each_line(&self.index, &self.bytes, &mut each);
    }

    /// Bytes of all lines.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.spilled.iter().map(Segment::bytes).sum::<usize>()
    }

    /// Bytes in memory.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn needs_buffer(&self) -> bool {
        self.bytes.capacity() == 0
    }

    /// Lines go there from now on, behind none.
    pub(super) fn use_buffer(&mut self, buffer: Vec<u8>) {
        self.bytes = buffer;
    }

    /// They have been read. What memory they took is kept for others, unless it is much.
    pub(super) fn clear(&mut self) {
        const MUCH: usize = 8 << 20;
        self.index = Vec::new();
        self.spilled = Vec::new();
        self.bytes.clear();
        if self.bytes.capacity() > MUCH {
            self.bytes = Vec::new();
        }
    }

    /// The memory of lines that were cleared.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}

impl Segment {
    fn bytes(&self) -> usize {
        self.index.iter().map(|place| place.length as usize).sum()
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.bytes()];
        self.file.read_exact_at(&mut bytes, self.begin)?;
        Ok(bytes)
    }
}

fn each_line(index: &[Place], mut bytes: &[u8], each: &mut impl FnMut(usize, &[u8])) {
    for place in index {
        let (line, rest) = bytes.split_at(place.length as usize);
        each(place.offset as usize, line);
        bytes = rest;
    }
}

/// A file on this machine's disk that lines may go to.
pub(super) struct Spill {
    path: PathBuf,
    file: Option<Arc<File>>,
    end: u64,
}

impl Spill {
    /// At `path`, once it is needed.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None, end: 0 }
    }

    /// Appends the bytes; returns where they begin.
    fn write(&mut self, bytes: &[u8]) -> io::Result<(Arc<File>, u64)> {
        let file = if let Some(file) = &self.file {
            file.clone()
        } else {
            let file = File::options().read(true).write(true).create(true).truncate(true).open(&self.path)?;
            self.file.insert(Arc::new(file)).clone()
        };
        let begin = self.end;
        (&*file).write_all(bytes)?;
        self.end += bytes.len() as u64;
        Ok((file, begin))
    }
}
