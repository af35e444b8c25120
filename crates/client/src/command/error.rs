//! Why a command failed.

use std::io;
use std::path::PathBuf;

use super::Outcome;
use crate::api;

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Api(#[from] api::Error),
    #[error("no API key")]
    MissingKey,
    /// What was asked can't be meant.
    #[error("{0}")]
    Usage(String),
    #[error("can't {action} {}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("can't read standard input")]
    Input { source: io::Error },
    /// The reader of the output may have gone, which is no error.
    #[error("can't print")]
    Print(#[from] io::Error),
}

impl CommandError {
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::MissingKey => Outcome::NotAuthorised,
            Self::Api(error) if matches!(error.status(), Some(401 | 403)) => Outcome::NotAuthorised,
            Self::Usage(_) | Self::Api(api::Error::InvalidBaseUrl { .. }) => Outcome::Usage,
            Self::Print(error) if error.kind() == io::ErrorKind::BrokenPipe => Outcome::Done,
            Self::Api(_) | Self::File { .. } | Self::Input { .. } | Self::Print(_) => Outcome::Error,
        }
    }
}
