//! The oracle log: an append-only file of JSON lines that outlives clients and the sandbox itself.
//!
//! A request gets its line when it has arrived whole, before anything is answered, in one `write`. Since all
//! that is answered is decided then, one line says everything, and one write is enough. Only where the client
//! went away before its answer could be sent (or the sandbox stopped), a second line says so.
//!
//! The first key of a line tells its kind:
//!
//! ```json
//! {"started":1795233600000}
//! {"seq":1,"at_ms":1795233600123,"key_tail":"k-01","model":"echo","request_sha256":"9f86d081884c7d659a2feaa0c55ad015","delivery":1,"prompt_tokens":12,"completion_tokens":9,"billed":true,"status":200,"fault":"slow","in_flight":3}
//! {"abandoned":1,"at_ms":1795233600150}
//! {"file_uploaded":"file-1","at_ms":1795233600160,"family":"openai","key_tail":"k-01","name":"a.jsonl","bytes":2048,"answered":true}
//! {"batch_created":"batch_2","at_ms":1795233600170,"family":"openai","key_tail":"k-01","requests":8,"bytes":2048,"tag":"{\"chunk\":\"7\"}","answered":true}
//! {"batch_validated":"batch_2","at_ms":1795233600180,"requests":8,"tokens":96}
//! {"batches_listed":"openai","at_ms":1795233600190,"key_tail":"k-01"}
//! {"batch_cancel_asked":"batch_2","at_ms":1795233600200}
//! {"batch_ended":"batch_2","at_ms":1795233600210,"status":"cancelled","completed":4,"failed":0,"billed":4,"billed_prompt_tokens":48,"billed_completion_tokens":48,"billed_again":0}
//! {"file_deleted":"file-1","at_ms":1795233600220}
//! ```
//!
//! Numbers of requests begin anew after each `started`. Requests are those in real time; listing models
//! is not logged, nor is each request of a provider batch.

mod batch;
mod entry;
mod totals;

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use batch::{BatchCancelAsked, BatchCreated, BatchEnded, BatchValidated, BatchesListed, FileDeleted, FileUploaded};
pub use entry::{Abandoned, Entry, Request, Started};
pub use totals::{BatchTotals, Totals};

use crate::error::Error;

/// Ends a line that a dying process left half written; no whole line ends so.
const TORN: &[u8] = b" torn\n";

/// Reads a log from its first line, also while it is being written.
///
/// # Errors
///
/// [`Error::Log`] if the file cannot be opened. The iterator gives [`Error::LogLine`] for a line that is none of
/// the sandbox's; a line that a dying process left half written is passed over.
pub fn read_log(path: impl AsRef<Path>) -> Result<LogReader, Error> {
    let path = path.as_ref().to_owned();
    let file = File::open(&path).map_err(log_error(&path, "open"))?;
    Ok(LogReader { lines: BufReader::with_capacity(256 * 1024, file), buffer: Vec::new(), line: 0, path })
}

/// The lines of a log; made by [`read_log`].
pub struct LogReader {
    lines: BufReader<File>,
    buffer: Vec<u8>,
    line: u64,
    path: PathBuf,
}

impl Iterator for LogReader {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.buffer.clear();
            if let Err(error) = self.lines.read_until(b'\n', &mut self.buffer) {
                return Some(Err(log_error(&self.path, "read")(error)));
            }
            // Without its end it is being written right now, or the file has ended.
            if !self.buffer.ends_with(b"\n") {
                return None;
            }
            self.line += 1;
            if !self.buffer.ends_with(TORN) {
                break;
            }
        }
        Some(entry::parse(&self.buffer).map_err(|source| Error::LogLine {
            path: self.path.clone(),
            line: self.line,
            source,
        }))
    }
}

/// The end that the sandbox writes to.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
}

impl Log {
    /// Opens the log for appending, after ending a line left half written.
    pub fn open(path: &Path, unix_ms: u64) -> Result<Self, Error> {
        let mut file =
            OpenOptions::new().create(true).append(true).read(true).open(path).map_err(log_error(path, "open"))?;
        end_torn_line(&mut file).map_err(log_error(path, "repair"))?;
        let log = Self { file };
        log.append(&Started { started: unix_ms }).map_err(log_error(path, "repair"))?;
        Ok(log)
    }

    /// Appends one line in one write. The page cache takes it at once, so this is called on async threads too.
    pub fn append(&self, line: &impl Serialize) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(320);
        serde_json::to_writer(&mut bytes, line)?;
        bytes.push(b'\n');
        let written = (&self.file).write(&bytes)?;
        if written < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

fn end_torn_line(file: &mut File) -> io::Result<()> {
    if file.metadata()?.len() == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last != *b"\n" {
        file.write_all(TORN)?;
    }
    Ok(())
}

fn log_error(path: &Path, action: &'static str) -> impl Fn(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Log { path: path.clone(), action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(seq: u64) -> Request<'static> {
        Request {
            seq,
            at_ms: 5,
            key_tail: Some("\"k\"".into()),
            model: None,
            request_sha256: "00ff".into(),
            delivery: 1,
            prompt_tokens: 3,
            completion_tokens: 4,
            billed: true,
            billed_again: false,
            status: Some(200),
            fault: None,
            in_flight: 1,
        }
    }

    #[test]
    fn reopened_log_keeps_its_lines_and_marks_a_torn_one() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("log.jsonl");
        let log = Log::open(&path, 1).expect("opens");
        log.append(&request(1)).expect("writes");
        (&log.file).write_all(br#"{"seq":2,"at"#).expect("writes half");
        let log = Log::open(&path, 2).expect("opens again");
        log.append(&request(1)).expect("writes");
        log.append(&Abandoned { abandoned: 1, at_ms: 6 }).expect("writes");
        (&log.file).write_all(br#"{"seq":3"#).expect("writes half");

        let entries: Vec<_> = read_log(&path).expect("opens").map(|entry| entry.expect("valid")).collect();
        assert_eq!(
            entries,
            [
                Entry::Started(Started { started: 1 }),
                Entry::Request(request(1)),
                Entry::Started(Started { started: 2 }),
                Entry::Request(request(1)),
                Entry::Abandoned(Abandoned { abandoned: 1, at_ms: 6 }),
            ]
        );
        let totals = Totals::of(&path).expect("readable");
        assert_eq!((totals.requests, totals.answered, totals.abandoned), (2, 1, 1));
        assert_eq!((totals.billed, totals.billed_prompt_tokens, totals.billed_completion_tokens), (2, 6, 8));
    }

    #[test]
    fn foreign_line_is_an_error_with_its_number() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("log.jsonl");
        std::fs::write(&path, "{\"started\":1}\nhello\n").expect("writes");
        let error = Totals::of(&path).expect_err("foreign");
        assert!(matches!(error, Error::LogLine { line: 2, .. }));
    }
}
