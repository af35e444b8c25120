//! The first rows of an output.

use crate::api::Job;
use crate::command::{Result, Session};
use crate::terminal::printable;

/// The header and ten rows.
const RECORDS: usize = 11;
/// Rows may be long; a glance is not.
const MAX_BYTES: usize = 64 * 1024;

/// Prints the first rows of a text output; of another, says how to get it.
pub async fn print(session: &mut Session, job: &Job) -> Result<()> {
    let format = job.output.format.as_deref().unwrap_or("csv");
    if !matches!(format, "csv" | "jsonl" | "tsv") {
        let note = format!("the output is {format}: gristmill output {} --output FILE", job.id);
        return Ok(session.terminal.note(&note)?);
    }
    let mut output = session.client.output(&job.id).await?;
    let mut head = Head::new(format != "jsonl");
    while !head.is_full() {
        match output.next().await? {
            Some(bytes) => head.take(&bytes),
            None => break,
        }
    }
    let more = head.is_full();
    let text = String::from_utf8_lossy(&head.bytes).into_owned();
    for line in text.lines() {
        let line = if session.terminal.shows_results() { printable(line) } else { line.to_owned() };
        session.terminal.line(&line)?;
    }
    if more {
        session.terminal.note(&format!("… all of it: gristmill output {} --output FILE", job.id))?;
    }
    Ok(())
}

/// Collects whole records from the beginning of a text.
struct Head {
    bytes: Vec<u8>,
    records: usize,
    quotes: bool,
    in_quotes: bool,
}

impl Head {
    fn new(quotes: bool) -> Self {
        Self { bytes: Vec::new(), records: 0, quotes, in_quotes: false }
    }

    fn is_full(&self) -> bool {
        self.records >= RECORDS || self.bytes.len() >= MAX_BYTES
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.is_full() {
                return;
            }
            match byte {
                // A doubled quote toggles twice, so it changes nothing.
                b'"' if self.quotes => self.in_quotes = !self.in_quotes,
                b'\n' if !self.in_quotes => self.records += 1,
                _ => {}
            }
            self.bytes.push(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_in_quotes_does_not_end_a_record() {
        let mut head = Head::new(true);
        for byte in "id,text\n1,\"a \"\"b\"\"\nc\"\n".repeat(20).bytes() {
            head.take(&[byte]);
        }
        let text = String::from_utf8(head.bytes).expect("UTF-8");
        assert_eq!(head.records, RECORDS);
        assert_eq!(text.matches("id,text").count(), 6);
        assert!(text.ends_with("id,text\n"));
    }

    #[test]
    fn one_endless_line_is_cut() {
        let mut head = Head::new(false);
        head.take(&vec![b'x'; MAX_BYTES * 2]);
        assert_eq!(head.bytes.len(), MAX_BYTES);
    }
}
