//! Why a call failed.

use std::path::PathBuf;

use super::Problem;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The base URL can't be one.
    #[error("`{url}` is not the address of a service: {reason}; write it like `https://gristmill.example.com`")]
    InvalidBaseUrl { url: String, reason: String },
    /// The API key can't stand in a header.
    #[error("the API key holds characters that no key has")]
    InvalidApiKey,
    /// The HTTP client can't be made, for example because this machine has no root certificates.
    #[error("can't set up HTTPS on this machine")]
    Setup { source: reqwest::Error },
    /// Nobody answers there. The request was not sent.
    #[error("nobody answers at {url}")]
    Unreachable { url: String, source: reqwest::Error },
    /// No answer in time. The service may have done what was asked.
    #[error("no answer from {url} in time")]
    Timeout { url: String },
    /// The connection broke before the answer was complete. The service may have done what was asked.
    #[error("the connection to {url} broke before the answer was complete")]
    Broken { url: String, source: reqwest::Error },
    /// The service refused.
    #[error("{problem} (HTTP {status})")]
    Refused { status: u16, problem: Box<Problem> },
    /// The answer is not what the API promises: the address may be that of another service.
    #[error("{url} gave an answer that the API does not have: {reason}")]
    InvalidAnswer { url: String, reason: String },
    /// The output can't be written.
    #[error("can't write {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// The stream that the output goes to can't be written.
    #[error("can't write the output")]
    Write { source: std::io::Error },
}

impl Error {
    /// The service's own word on why it refused.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { problem, .. } => Some(problem),
            _ => None,
        }
    }

    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the same call may succeed a little later: nobody answered, or the service is in trouble or too busy.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Broken { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            _ => false,
        }
    }
}
