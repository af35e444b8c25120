//! Answers the requests of a provider batch and writes its result files.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::answer::SERVER_ERROR;
use super::files::{Label, OnDisk, StoredFile};
use super::ids::Token;
use super::marker::{self, RowFault};
use super::record::ProviderBatch;
use super::validate::Index;
use super::view::Results;
use super::wire::{Answer, At, Errors, Item, RowKind, RowResult};
use crate::arrival::Identity;
use crate::config::Config;
use crate::fault::split_mix;
use crate::state::Sandbox;

/// After so many requests it looks whether the sandbox stops.
const STEP: usize = 1024;

/// What is answered of a provider batch, and what becomes of the rest.
pub(super) struct Work<'a> {
    pub sandbox: &'a Sandbox,
    pub config: &'a Config,
    pub batch: &'a ProviderBatch,
    pub index: &'a Index,
    /// So many requests are answered.
    pub done: usize,
    pub rest: RowKind<'static>,
    /// Whether each request fails.
    pub errors_only: bool,
    /// Whether the error file is made, empty or not.
    pub completes: bool,
}

/// What the work has brought, beside what clients see.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub results: Results,
    /// Requests that some other provider batch or a call in real time had bought already.
    pub billed_again: u64,
    /// Requests that a marker let expire.
    pub expired: u64,
}

/// Answers and writes. An error of kind `Interrupted` says that the sandbox stops.
pub(super) fn run(work: &Work<'_>) -> io::Result<Done> {
    let input = File::open(work.batch.input.path())?;
    let rules = work.batch.wire.rules();
    let always = work.completes && rules.error_file == Errors::OwnFileAlways;
    let mut sink = Sink { work, output: None, errors: None, line: Vec::new() };
    let mut done = Done::default();
    let mut buffer = Vec::new();
    for (position, row) in shuffled(work.index.len(), work.config.seed ^ work.batch.number).into_iter().enumerate() {
        if position % STEP == 0 && work.sandbox.batches.is_closing() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let row = row as usize;
        let item = read(&input, work, row, &mut buffer)?;
        if position < work.done {
            sink.request(row, &item, &mut done)?;
        } else {
            done.results.unfinished += 1;
            if rules.tells_unfinished {
                sink.fail(row, &item.custom_id, work.rest)?;
            }
        }
    }
    if always && sink.errors.is_none() {
        sink.errors = Some(ResultFile::new(work)?);
    }
    done.results.output = sink.output.map(|file| file.keep(work, "output")).transpose()?;
    done.results.errors = sink.errors.map(|file| file.keep(work, "error")).transpose()?;
    Ok(done)
}

fn read<'a>(input: &File, work: &Work<'_>, row: usize, buffer: &'a mut Vec<u8>) -> io::Result<Item<'a>> {
    let (start, end) = (work.index.offsets[row], work.index.offsets[row + 1]);
    buffer.resize(usize::try_from(end - start).map_err(io::Error::other)?, 0);
    input.read_exact_at(buffer, start)?;
    work.batch.wire.split(buffer, work.batch).map_err(|problem| io::Error::other(problem.message))
}

/// The numbers below `count` in an order that only the seed decides.
fn shuffled(count: usize, seed: u64) -> Vec<u32> {
    let mut rows: Vec<u32> = (0..count).map(|row| u32::try_from(row).unwrap_or(u32::MAX)).collect();
    for last in (1..rows.len()).rev() {
        let chosen = split_mix(seed ^ split_mix(last as u64)) % (last as u64 + 1);
        rows.swap(last, usize::try_from(chosen).unwrap_or(last));
    }
    rows
}

/// Where the results go.
struct Sink<'a> {
    work: &'a Work<'a>,
    output: Option<ResultFile>,
    errors: Option<ResultFile>,
    line: Vec<u8>,
}

struct ResultFile {
    place: (Token, OnDisk),
    file: BufWriter<File>,
    bytes: u64,
    lines: u64,
}

impl Sink<'_> {
    /// Answers one request as its markers and the provider batch's outcome want it.
    fn request(&mut self, row: usize, item: &Item<'_>, done: &mut Done) -> io::Result<()> {
        let work = self.work;
        let identity = Identity::new(work.sandbox, work.batch.wire.identity(item.body, work.batch));
        let delivery = identity.delivery();
        let mut markers = marker::in_body(item.body).into_iter().filter(|marker| marker.applies(delivery));
        let fault = markers.find(|marker| !matches!(marker.fault, RowFault::Invalid { .. }));
        let fault = fault.map(|marker| marker.fault);
        let (custom_id, results) = (item.custom_id.as_ref(), &mut done.results);
        match &fault {
            _ if work.errors_only => {
                let body = work.batch.wire.error(None, SERVER_ERROR).into_json();
                results.failed += 1;
                return self.fail(row, custom_id, RowKind::Answered { status: SERVER_ERROR, body: &body });
            }
            // True to life, the counts do not know of these three.
            Some(RowFault::Missing) => {
                results.completed += 1;
                return Ok(());
            }
            Some(RowFault::StatusZero) => {
                results.completed += 1;
                return self.fail(row, custom_id, RowKind::Answered { status: 0, body: b"\"\"" });
            }
            Some(RowFault::Null) => {
                results.completed += 1;
                return self.succeed(row, custom_id, RowKind::Null);
            }
            Some(RowFault::Expired) => {
                (results.unfinished, done.expired) = (results.unfinished + 1, done.expired + 1);
                return self.fail(row, custom_id, RowKind::Expired);
            }
            Some(RowFault::Error { code }) => {
                results.failed += 1;
                return self.fail(row, custom_id, RowKind::Error { code });
            }
            Some(RowFault::Duplicate | RowFault::Unknown | RowFault::Invalid { .. }) | None => {}
        }
        let answer = self.answer(row, item, &identity, false);
        self.book(&answer, &identity, done);
        self.tell(row, custom_id, &answer)?;
        if fault == Some(RowFault::Duplicate) {
            let second = self.answer(row, item, &identity, true);
            self.tell(row, custom_id, &second)?;
        } else if fault == Some(RowFault::Unknown) {
            self.tell(row, &format!("unknown-{row}"), &answer)?;
        }
        Ok(())
    }

    fn answer(&self, row: usize, item: &Item<'_>, identity: &Identity<'_>, again: bool) -> Answer {
        let Work { sandbox, config, batch, .. } = *self.work;
        let seq = number(batch, row);
        let at = At { config, batch, now: sandbox.clock.now(), seq, identity, again };
        batch.wire.answer(&at, item.body)
    }

    /// Counts an answer and charges it.
    fn book(&self, answer: &Answer, identity: &Identity<'_>, done: &mut Done) {
        let (results, sandbox) = (&mut done.results, self.work.sandbox);
        if answer.status == 200 {
            results.completed += 1;
        } else {
            results.failed += 1;
        }
        if let Some(fault) = answer.fault {
            sandbox.counters().met(fault);
        }
        if let Some((prompt, completion)) = answer.billed {
            results.billed += 1;
            results.prompt_tokens += prompt;
            results.completion_tokens += completion;
            done.billed_again += u64::from(sandbox.deliveries.buy(identity.digest(), self.work.batch.number));
        }
    }

    fn tell(&mut self, row: usize, custom_id: &str, answer: &Answer) -> io::Result<()> {
        let kind = RowKind::Answered { status: answer.status, body: &answer.body };
        if answer.status == 200 { self.succeed(row, custom_id, kind) } else { self.fail(row, custom_id, kind) }
    }

    fn succeed(&mut self, row: usize, custom_id: &str, kind: RowKind<'_>) -> io::Result<()> {
        self.format(row, custom_id, kind);
        ResultFile::of(&mut self.output, self.work)?.write(&self.line)
    }

    fn fail(&mut self, row: usize, custom_id: &str, kind: RowKind<'_>) -> io::Result<()> {
        if self.work.batch.wire.rules().error_file == Errors::Output {
            return self.succeed(row, custom_id, kind);
        }
        self.format(row, custom_id, kind);
        ResultFile::of(&mut self.errors, self.work)?.write(&self.line)
    }

    fn format(&mut self, row: usize, custom_id: &str, kind: RowKind<'_>) {
        self.line.clear();
        let result = RowResult { number: number(self.work.batch, row), custom_id, kind };
        self.work.batch.wire.write(&mut self.line, &result);
        self.line.push(b'\n');
    }
}

/// Of a request among those of all provider batches.
fn number(batch: &ProviderBatch, row: usize) -> u64 {
    batch.number << 32 | (row as u64 + 1)
}

impl ResultFile {
    fn new(work: &Work<'_>) -> io::Result<Self> {
        let place = work.sandbox.batches.draft(work.config)?;
        let file = BufWriter::with_capacity(256 * 1024, File::create(place.1.path())?);
        Ok(Self { place, file, bytes: 0, lines: 0 })
    }

    fn of<'a>(place: &'a mut Option<Self>, work: &Work<'_>) -> io::Result<&'a mut Self> {
        Ok(match place {
            Some(file) => file,
            none => none.insert(Self::new(work)?),
        })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.bytes += line.len() as u64;
        self.lines += 1;
        self.file.write_all(line)
    }

    fn keep(mut self, work: &Work<'_>, kind: &str) -> io::Result<Arc<StoredFile>> {
        self.file.flush()?;
        let wire = work.batch.wire;
        let label = Label {
            name: format!("{}_{kind}.jsonl", work.batch.id),
            purpose: wire.rules().output_purpose.to_owned(),
            bytes: self.bytes,
            lines: Some(self.lines),
            created_ms: work.sandbox.clock.now().unix_ms,
            expires_ms: None,
        };
        Ok(work.sandbox.batches.files.keep(wire, self.place, label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_a_shuffle_that_the_seed_decides() {
        let order = shuffled(1000, 7);
        assert_eq!(order, shuffled(1000, 7));
        assert_ne!(order, shuffled(1000, 8));
        let moved = order.iter().enumerate().filter(|(position, row)| *position != **row as usize).count();
        assert!(moved > 900, "{moved}");
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
    }
}
