//! Gathers the lines of result files by chunk while they arrive, in whatever order. A chunk is ready as soon as each of its rows has a line.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use db::provider_batches::SentChunk;
use domain::row_set::RowSet;
use memchr::memchr;
use providers::BatchDriver;

use super::ids::RequestIds;
use super::lines::{Lines, Spill};

/// Longest line that is read; what is longer is no result.
const MAX_LINE_BYTES: usize = 64 << 20;
/// Lines that are kept in memory before they go to the disk. Where results come in order, only a chunk or two wait at a time.
const MAX_HELD_BYTES: usize = 16 << 20;

/// Buffers that are kept for further chunks.
const MAX_SPARE: usize = 3;

/// Lines on their way to their chunks.
pub(super) struct Gatherer {
    driver: Arc<dyn BatchDriver>,
    ids: RequestIds,
    /// By row.
    chunks: Vec<Slot>,
    /// The begin of a line whose end has not arrived.
    partial: Vec<u8>,
    /// The line is too long, and skipped to its end.
    skipping: bool,
    held_bytes: usize,
    /// Buffers of chunks that are collected. To touch fresh memory costs more than to fill it.
    spare: Vec<Vec<u8>>,
    spill: Spill,
    /// Lines of this dispatch.
    pub found: u64,
    /// Lines that name nothing of this dispatch.
    pub unknown: u64,
    /// Lines that are no results.
    pub unreadable: u64,
    /// The last two as they were when the file began.
    strays_before: (u64, u64),
}

/// A chunk's place.
struct Slot {
    first_row: u64,
    sent: RowSet,
    state: State,
}

enum State {
    Gathering(Gathered),
    /// Somebody tries to commit it. What comes meanwhile matters only if that can't be done yet.
    InHand(Lines),
    Collected,
}

/// A chunk's rows in the provider batch, and what has come of them.
pub(super) struct Gathered {
    pub sent: SentChunk,
    pub lines: Lines,
    /// Rows without a line.
    silent: RowSet,
    /// It was ready, and has to wait for the files' end all the same.
    pub waits: bool,
}

impl Gatherer {
    /// `spill` is the path of a file that may be made.
    pub(super) fn new(driver: Arc<dyn BatchDriver>, ids: RequestIds, sent: Vec<SentChunk>, spill: PathBuf) -> Self {
        let slot = |sent: SentChunk| Slot {
            first_row: sent.first_row,
            sent: sent.rows.clone(),
            state: if sent.collected {
                State::Collected
            } else {
                State::Gathering(Gathered { silent: sent.rows.clone(), sent, lines: Lines::default(), waits: false })
            },
        };
        Self {
            driver,
            ids,
            chunks: sent.into_iter().map(slot).collect(),
            partial: Vec::new(),
            skipping: false,
            held_bytes: 0,
            spare: Vec::new(),
            spill: Spill::new(spill),
            found: 0,
            unknown: 0,
            unreadable: 0,
            strays_before: (0, 0),
        }
    }

    /// Takes the next bytes of a file. Returns the chunks that are ready now.
    pub(super) fn add(&mut self, mut piece: &[u8]) -> Vec<Gathered> {
        let mut ready = Vec::new();
        while let Some(end) = memchr(b'\n', piece) {
            let (line, rest) = (&piece[..end], &piece[end + 1..]);
            if self.partial.is_empty() && !self.skipping {
                ready.extend(self.line(line));
            } else {
                self.extend_partial(line);
                ready.extend(self.end_line());
            }
            piece = rest;
        }
        self.extend_partial(piece);
        ready
    }

    fn extend_partial(&mut self, piece: &[u8]) {
        if self.skipping || self.partial.len() + piece.len() > MAX_LINE_BYTES {
            self.skipping = true;
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(piece);
        }
    }

    /// A file has ended.
    pub(super) fn end_file(&mut self) -> Option<Gathered> {
        let ready = self.end_line();
        self.strays_before = (self.unknown, self.unreadable);
        ready
    }

    fn end_line(&mut self) -> Option<Gathered> {
        if std::mem::take(&mut self.skipping) {
            self.unreadable += 1;
            return None;
        }
        let mut line = std::mem::take(&mut self.partial);
        let ready = self.line(&line);
        line.clear();
        self.partial = line;
        ready
    }

    /// The file begins anew. Lines that come twice do no harm.
    pub(super) fn restart(&mut self) {
        self.partial.clear();
        self.skipping = false;
        (self.unknown, self.unreadable) = self.strays_before;
    }

    fn line(&mut self, line: &[u8]) -> Option<Gathered> {
        if line.trim_ascii().is_empty() {
            return None;
        }
        let Some(name) = self.driver.result_id(line) else {
            self.unreadable += 1;
            return None;
        };
        let Some((chunk, offset)) = self.ids.row(&name).and_then(|row| self.place(row)) else {
            self.unknown += 1;
            return None;
        };
        self.found += 1;
        match &mut self.chunks[chunk].state {
            // The line was read before.
            State::Collected => None,
            State::InHand(meanwhile) => {
                meanwhile.push(offset, line);
                None
            }
            State::Gathering(gathered) => {
                if gathered.lines.needs_buffer() {
                    gathered.lines.use_buffer(self.spare.pop().unwrap_or_default());
                }
                gathered.lines.push(offset, line);
                gathered.silent.remove(offset);
                self.held_bytes += line.len();
                if gathered.waits || !gathered.silent.is_empty() { None } else { self.take(chunk) }
            }
        }
    }

    /// The chunk that a row was sent of, and where in it.
    fn place(&self, row: u64) -> Option<(usize, usize)> {
        let chunk = self.chunks.partition_point(|chunk| chunk.first_row <= row).checked_sub(1)?;
        let Slot { first_row, sent, .. } = self.chunks.get(chunk)?;
        let offset = usize::try_from(row - first_row).ok()?;
        sent.contains(offset).then_some((chunk, offset))
    }

    fn take(&mut self, chunk: usize) -> Option<Gathered> {
        let State::Gathering(gathered) =
            std::mem::replace(&mut self.chunks[chunk].state, State::InHand(Lines::default()))
        else {
            return None;
        };
        self.held_bytes -= gathered.lines.held_bytes();
        Some(gathered)
    }

    /// A chunk that was ready is committed.
    pub(super) fn collected(&mut self, gathered: Gathered) {
        self.slot(gathered.sent.first_row).state = State::Collected;
        let buffer = gathered.lines.into_buffer();
        if self.spare.len() < MAX_SPARE && buffer.capacity() > 0 {
            self.spare.push(buffer);
        }
    }

    /// Takes a chunk back that was ready and can't be committed yet.
    pub(super) fn put_back(&mut self, mut gathered: Gathered) {
        gathered.waits = true;
        self.held_bytes += gathered.lines.held_bytes();
        let slot = self.slot(gathered.sent.first_row);
        if let State::InHand(meanwhile) = &slot.state {
            meanwhile.for_each_held(|offset, line| gathered.lines.push(offset, line));
        }
        slot.state = State::Gathering(gathered);
    }

    fn slot(&mut self, first_row: u64) -> &mut Slot {
        let chunk = self.chunks.partition_point(|chunk| chunk.first_row < first_row);
        &mut self.chunks[chunk]
    }

    /// Whether [`Self::spill`] should be called.
    pub(super) fn is_full(&self) -> bool {
        self.held_bytes > MAX_HELD_BYTES
    }

    /// Moves all lines that wait to the disk. Blocks.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn spill(mut self) -> io::Result<Self> {
        for chunk in &mut self.chunks {
            if let State::Gathering(gathered) = &mut chunk.state {
                gathered.lines.spill(&mut self.spill)?;
            }
        }
        self.held_bytes = 0;
        Ok(self)
    }

    /// The chunks that are not collected yet, in order, with whatever lines they have.
    pub(super) fn into_rest(self) -> impl Iterator<Item = Gathered> {
        self.chunks.into_iter().filter_map(|chunk| match chunk.state {
            State::Gathering(gathered) => Some(gathered),
            State::InHand(_) | State::Collected => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use domain::ids::DispatchId;
    use providers::client::{HttpClient, HttpOptions};
    use providers::{Endpoint, connect};
    use uuid::Uuid;

    use super::*;

    const DISPATCH: DispatchId = DispatchId(Uuid::nil());

    /// Two chunks of three rows, of which the last was not sent, and one of two that is collected.
    fn gatherer(spill: PathBuf) -> Gatherer {
        let endpoint = Endpoint {
            base_url: "http://localhost/v1".to_owned(),
            secret: None,
            upstream_model: "m".to_owned(),
            max_output_tokens: None,
            timeout: Duration::from_secs(1),
            options: BTreeMap::new(),
        };
        let http = HttpClient::new(HttpOptions::default()).expect("a client");
        let driver = connect(domain::provider::Driver::Openai, http, endpoint).batch.expect("a batch driver");
        let chunk = |chunk_no: u32, first_row, rows: usize, collected| SentChunk {
            chunk_no,
            first_row,
            rows: RowSet::full(rows),
            collected,
        };
        let mut sent = vec![chunk(4, 10, 3, false), chunk(5, 13, 3, false), chunk(7, 20, 2, true)];
        sent[1].rows.remove(2);
        Gatherer::new(driver, RequestIds::new(DISPATCH), sent, spill)
    }

    fn line(row: u64, words: &str) -> String {
        format!("{{\"custom_id\":\"{DISPATCH}-{row}\",\"words\":\"{words}\"}}\n")
    }

    /// Chunk, and the words of its lines by offset.
    fn words(chunk: &Gathered) -> (u32, Vec<(usize, String)>) {
        let mut found = Vec::new();
        let each = |offset, line: &[u8]| {
            let value: serde_json::Value = serde_json::from_slice(line).expect("a line");
            found.push((offset, value["words"].as_str().expect("words").to_owned()));
        };
        chunk.lines.for_each(each).expect("the disk");
        (chunk.sent.chunk_no, found)
    }

    fn word(offset: usize, word: &str) -> (usize, String) {
        (offset, word.to_owned())
    }

    #[test]
    fn a_chunk_is_ready_when_each_of_its_rows_has_a_line_wherever_pieces_are_cut() {
        let text =
            [line(11, "b"), line(14, "e"), line(10, "a"), "\n".to_owned(), line(12, "c"), line(13, "d")].concat();
        for size in [1, 7, 40, 10_000] {
            let mut gatherer = gatherer(PathBuf::new());
            let ready: Vec<_> = text.as_bytes().chunks(size).flat_map(|piece| gatherer.add(piece)).collect();
            let found: Vec<_> = ready.iter().map(words).collect();
            let first = (4, vec![word(1, "b"), word(0, "a"), word(2, "c")]);
            assert_eq!(found, [first, (5, vec![word(1, "e"), word(0, "d")])], "pieces of {size}");
            assert_eq!((gatherer.found, gatherer.into_rest().count()), (5, 0));
        }
    }

    #[test]
    fn what_is_nobody_s_is_counted_and_what_is_collected_is_left() {
        let mut gatherer = gatherer(PathBuf::new());
        let foreign = "{\"custom_id\":\"other-10\"}\n".to_owned();
        let lines = [foreign, line(15, "not sent"), line(16, "no row"), line(9, "no row"), line(20, "collected")];
        assert_eq!(gatherer.add(lines.concat().as_bytes()).len(), 0);
        assert_eq!(gatherer.add(b"<html>\n{}\n").len(), 0);
        assert_eq!((gatherer.found, gatherer.unknown, gatherer.unreadable), (1, 4, 2));
        assert_eq!(gatherer.into_rest().map(|chunk| chunk.sent.chunk_no).collect::<Vec<_>>(), [4, 5]);
    }

    #[test]
    fn a_last_line_needs_no_end_and_a_cut_one_is_void_after_a_restart() {
        let mut gatherer = gatherer(PathBuf::new());
        assert!(gatherer.add(line(13, "d").as_bytes()).is_empty());
        assert!(gatherer.add(&line(14, "e").as_bytes()[..20]).is_empty());
        gatherer.restart();
        assert!(gatherer.add(line(13, "d").as_bytes()).is_empty());
        assert!(gatherer.add(line(14, "e").trim_end().as_bytes()).is_empty());
        let ready = gatherer.end_file().expect("a chunk");
        assert_eq!(words(&ready), (5, vec![word(0, "d"), word(0, "d"), word(1, "e")]));
    }

    #[test]
    fn a_chunk_that_waits_gets_what_came_meanwhile() {
        let mut gatherer = gatherer(PathBuf::new());
        let ready = gatherer.add([line(13, "refused"), line(14, "e")].concat().as_bytes()).pop().expect("a chunk");
        assert!(gatherer.add(line(13, "d").as_bytes()).is_empty());
        gatherer.put_back(ready);
        assert!(gatherer.add(line(14, "again").as_bytes()).is_empty(), "it waits for the end");
        let rest: Vec<_> = gatherer.into_rest().map(|chunk| words(&chunk)).collect();
        assert_eq!(rest[1], (5, vec![word(0, "refused"), word(1, "e"), word(0, "d"), word(1, "again")]));
    }

    #[test]
    fn lines_that_wait_on_the_disk_come_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut gatherer = gatherer(directory.path().join("spill"));
        for (row, text) in [(10, "a"), (13, "d"), (11, "b")] {
            assert!(gatherer.add(line(row, text).as_bytes()).is_empty());
            gatherer = gatherer.spill().expect("the disk");
        }
        assert_eq!(gatherer.held_bytes, 0);
        let ready = gatherer.add(line(12, "c").as_bytes());
        assert_eq!(words(&ready[0]), (4, vec![word(0, "a"), word(1, "b"), word(2, "c")]));
        assert_eq!(gatherer.into_rest().map(|chunk| words(&chunk)).collect::<Vec<_>>(), [(5, vec![word(0, "d")])]);
    }

    #[test]
    fn what_is_too_long_is_no_result_and_held_nowhere() {
        let mut gatherer = gatherer(PathBuf::new());
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..=MAX_LINE_BYTES >> 20 {
            assert!(gatherer.add(&piece).is_empty());
        }
        assert_eq!(gatherer.partial.capacity(), 0);
        gatherer.add(b"xx\n");
        assert_eq!(gatherer.unreadable, 1);
        gatherer.add(line(10, "a").as_bytes());
        assert_eq!(gatherer.found, 1);
    }
}
