//! Those who speak OpenAI's wire format, each in its own way.

use hyper::HeaderMap;

use super::bearer;
use crate::batch::{Errors, Rules, Wire};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    OpenAi,
    Azure,
    Groq,
}

impl Flavour {
    /// Who is meant by a path. OpenAI is below any prefix that is no other's.
    pub fn of(path: &str) -> Self {
        if path.starts_with("/azure/openai/") {
            Self::Azure
        } else if path.starts_with("/groq/openai/") {
            Self::Groq
        } else {
            Self::OpenAi
        }
    }

    /// The key of a request.
    pub fn key(self, headers: &HeaderMap) -> Option<&str> {
        let api_key = || headers.get("api-key")?.to_str().ok().filter(|key| !key.is_empty());
        match self {
            Self::Azure => api_key().or_else(|| bearer(headers)),
            Self::OpenAi | Self::Groq => bearer(headers),
        }
    }

    /// The wire format of its provider batches.
    pub fn wire(self) -> &'static dyn Wire {
        match self {
            Self::OpenAi => &Self::OpenAi,
            Self::Azure => &Self::Azure,
            Self::Groq => &Self::Groq,
        }
    }

    /// As in the oracle log.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
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
            one_model: true,
            error_file: Errors::OwnFile,
            tells_unfinished: true,
            expired_has_results: true,
            output_purpose: "batch_output",
        };
        const AZURE: Rules = Rules { max_requests: 100_000, error_file: Errors::OwnFileAlways, ..OPENAI };
        const GROQ: Rules = Rules { max_bytes: 100_000_000, creates_per_hour: None, ..OPENAI };
        match self {
            Self::OpenAi => &OPENAI,
            Self::Azure => &AZURE,
            Self::Groq => &GROQ,
        }
    }
}
