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
//! ```
//!
//! Numbers of requests begin anew after each `started`. Requests are those to chat completions; listing models
//! is not logged.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Ends a line that a dying process left half written; no whole line ends so.
const TORN: &[u8] = b" torn\n";

/// One line of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A sandbox opened the log.
    Started(Started),
    /// A request arrived, and what became of it.
    Request(Request<'static>),
    /// A request's connection ended before its answer was sent. It stays billed if it was.
    Abandoned(Abandoned),
}

/// A sandbox opened the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// When, in Unix milliseconds.
    pub started: u64,
}

/// A request that arrived whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request<'a> {
    /// Its number since the sandbox started, from 1.
    pub seq: u64,
    /// Its arrival in Unix milliseconds, by a clock that never goes back while the sandbox runs.
    pub at_ms: u64,
    /// The last four characters of its bearer.
    pub key_tail: Option<Cow<'a, str>>,
    /// The model that it named.
    pub model: Option<Cow<'a, str>>,
    /// The first 16 bytes of its body's SHA-256, in hexadecimal.
    pub request_sha256: Cow<'a, str>,
    /// How manieth delivery of the same body this is, since the sandbox started or was reset.
    pub delivery: u32,
    /// Of the prompt; 0 where the request was invalid.
    pub prompt_tokens: u64,
    /// Of the answer that was worked out; 0 where none was.
    pub completion_tokens: u64,
    /// Whether the tokens are charged. What a client knows of its spend must add up to these.
    pub billed: bool,
    /// The HTTP status sent; None where the connection gets no answer.
    pub status: Option<u16>,
    /// The name of the fault that the request met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Cow<'a, str>>,
    /// Requests at work on its arrival, itself included.
    pub in_flight: u64,
}

/// A request that lost its client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abandoned {
    /// The request's number.
    pub abandoned: u64,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
}

/// Sums over a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that arrived.
    pub requests: u64,
    /// Requests that were sent an HTTP answer of any status, as far as the sandbox knows.
    pub answered: u64,
    /// Requests whose client went away first.
    pub abandoned: u64,
    /// Requests that are charged.
    pub billed: u64,
    /// Prompt tokens of those.
    pub billed_prompt_tokens: u64,
    /// Completion tokens of those.
    pub billed_completion_tokens: u64,
}

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
        Some(parse(&self.buffer).map_err(|source| Error::LogLine { path: self.path.clone(), line: self.line, source }))
    }
}

fn parse(line: &[u8]) -> Result<Entry, serde_json::Error> {
    if line.starts_with(br#"{"started""#) {
        serde_json::from_slice(line).map(Entry::Started)
    } else if line.starts_with(br#"{"abandoned""#) {
        serde_json::from_slice(line).map(Entry::Abandoned)
    } else {
        serde_json::from_slice(line).map(Entry::Request)
    }
}

impl Totals {
    /// Sums up a log.
    ///
    /// # Errors
    ///
    /// As [`read_log`] and its iterator.
    pub fn of(path: impl AsRef<Path>) -> Result<Self, Error> {
        let mut totals = Self::default();
        for entry in read_log(path)? {
            totals.add(&entry?);
        }
        Ok(totals)
    }

    fn add(&mut self, entry: &Entry) {
        match entry {
            Entry::Started(_) => {}
            Entry::Abandoned(_) => {
                self.abandoned += 1;
                self.answered = self.answered.saturating_sub(1);
            }
            Entry::Request(request) => {
                self.requests += 1;
                self.answered += u64::from(request.status.is_some());
                if request.billed {
                    self.billed += 1;
                    self.billed_prompt_tokens += request.prompt_tokens;
                    self.billed_completion_tokens += request.completion_tokens;
                }
            }
        }
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
