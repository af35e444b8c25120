//! Those who speak OpenAI's wire format, each in its own way.

use crate::batch::{Errors, Rules, Wire};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenAi {
    Plain,
    Azure,
    Groq,
}

impl OpenAi {
    /// Who is meant by a path. OpenAI is below any prefix that is no other's.
    pub fn below(path: &str) -> Self {
        if path.starts_with("/azure/openai/") {
            Self::Azure
        } else if path.starts_with("/groq/openai/") {
            Self::Groq
        } else {
            Self::Plain
        }
    }

    /// The wire format of its provider batches.
    pub fn wire(self) -> &'static dyn Wire {
        match self {
            Self::Plain => &Self::Plain,
            Self::Azure => &Self::Azure,
            Self::Groq => &Self::Groq,
        }
    }

    /// As in the oracle log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "openai",
            Self::Azure => "azure",
            Self::Groq => "groq",
        }
    }

    /// Limits as of November 2026.
    pub fn own_rules(self) -> &'static Rules {
        const OPENAI: Rules = Rules {
            max_requests: 50_000,
            max_bytes: 200_000_000,
            max_line_bytes: 64 * 1024 * 1024,
            creates_per_hour: Some(2_000),
            max_batches: None,
            max_queued_requests: None,
            one_model: true,
            error_file: Errors::OwnFile,
            tells_unfinished: true,
            expired_has_results: true,
            output_purpose: "batch_output",
        };
        const AZURE: Rules = Rules { max_requests: 100_000, error_file: Errors::OwnFileAlways, ..OPENAI };
        const GROQ: Rules = Rules { max_bytes: 100_000_000, creates_per_hour: None, ..OPENAI };
        match self {
            Self::Plain => &OPENAI,
            Self::Azure => &AZURE,
            Self::Groq => &GROQ,
        }
    }
}
