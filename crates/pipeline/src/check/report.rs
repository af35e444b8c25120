//! What a check has found.

use std::fmt;

use domain::outcome::Status;

/// Findings that are kept; further ones are only counted.
const KEPT: usize = 20;

/// The result of a check. Clean: every input row is in the output exactly once, in order and unchanged, with one outcome.
#[derive(Debug, Default)]
pub struct Report {
    /// The status of each output row, in order: a byte a row.
    states: Vec<u8>,
    counts: [u64; Status::ALL.len()],
    findings: Vec<String>,
    found: u64,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.found == 0
    }

    pub fn findings(&self) -> &[String] {
        &self.findings
    }

    pub(super) fn find(&mut self, finding: String) {
        self.found += 1;
        if self.findings.len() < KEPT {
            self.findings.push(finding);
        }
    }

    pub(super) fn add_row(&mut self, status: Status) {
        self.states.push(status as u8);
        self.counts[status as usize] += 1;
    }

    pub(super) fn rows(&self) -> u64 {
        self.states.len() as u64
    }

    pub(super) fn count(&self, status: Status) -> u64 {
        self.counts[status as usize]
    }

    /// Holds a chunk's summary against the output's rows.
    pub(super) fn compare_states(&mut self, first_row: u64, row_states: &[u8]) {
        for (row, summary) in (first_row..).zip(row_states) {
            let state = usize::try_from(row).ok().and_then(|row| self.states.get(row)).copied();
            if state != Some(summary & 0b11) {
                self.find(format!("row {row}: the database and the output disagree about its status"));
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = Status::ALL.map(|status| format!("{} {}", self.count(status), status.name()));
        writeln!(f, "{} rows: {}", self.rows(), counts.join(", "))?;
        if self.is_clean() {
            return write!(
                f,
                "clean: every input row is in the output exactly once, in order, unchanged, with one outcome"
            );
        }
        for finding in &self.findings {
            writeln!(f, "wrong: {finding}")?;
        }
        write!(f, "{} findings", self.found)
    }
}
