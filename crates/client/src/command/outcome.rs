//! Exit codes.

use std::process::ExitCode;

use crate::api::{Job, JobStatus};

/// How a command ended: its process's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    Done = 0,
    /// Also a job that failed or expired.
    Error = 1,
    /// The command line itself is wrong.
    Usage = 2,
    /// The job completed, and some of its rows failed.
    DoneWithFailedRows = 3,
    /// No key, or one that may not do this.
    NotAuthorised = 4,
    /// The job had not ended when `--timeout` had passed.
    TimedOut = 5,
    /// The job was cancelled.
    Cancelled = 6,
    /// Ctrl-C; the job goes on. As shells count it: 128 + SIGINT.
    Interrupted = 130,
}

impl Outcome {
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What a job that has ended comes to.
    pub fn of(job: &Job) -> Self {
        match job.status {
            JobStatus::Completed if job.counts.failed > 0 => Self::DoneWithFailedRows,
            JobStatus::Completed => Self::Done,
            JobStatus::Cancelled => Self::Cancelled,
            _ => Self::Error,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome.code())
    }
}
