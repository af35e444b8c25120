//! A provider batch as clients see it.

use std::sync::Arc;

use super::files::StoredFile;

/// Where a provider batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Validating,
    Running,
    Finalizing,
    Completed,
    Failed,
    Expired,
    Cancelling,
    Cancelled,
    /// A stage that no client knows.
    Unknown,
}

/// Why an input file is invalid, or what else failed a provider batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub code: &'static str,
    pub message: String,
    pub param: Option<String>,
    /// Counted from 1.
    pub line: Option<u64>,
}

/// When stages began, in Unix milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub running: Option<u64>,
    pub finalizing: Option<u64>,
    pub cancelling: Option<u64>,
    pub ended: Option<u64>,
}

/// What a provider batch has brought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Results {
    pub output: Option<Arc<StoredFile>>,
    pub errors: Option<Arc<StoredFile>>,
    pub completed: u64,
    pub failed: u64,
    pub unfinished: u64,
    pub billed: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
}

/// A provider batch as a client sees it.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub stage: Stage,
    pub model: Option<String>,
    pub times: Times,
    pub total: u64,
    pub completed: u64,
    pub failed: u64,
    pub problems: Vec<Problem>,
    /// Once it has ended.
    pub results: Results,
}

impl Problem {
    /// A line that is none.
    pub fn invalid_json(line: u64, why: &str) -> Self {
        let message = format!("Line {line} is no JSON object: {why}.");
        Self { code: "invalid_json_line", message, param: None, line: Some(line) }
    }

    /// A line without one of its fields.
    pub fn missing(param: &str) -> Self {
        let message = format!("The line has no '{param}'.");
        Self { code: "invalid_request", message, param: Some(param.to_owned()), line: None }
    }
}

impl Stage {
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Expired | Self::Cancelled)
    }

    /// As in the oracle log and the statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Validating => "validating",
            Self::Running => "running",
            Self::Finalizing => "finalizing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}
