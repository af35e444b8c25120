//! How a step ends that did not succeed.

use dataset::chunk::FileError;
use dataset::input::InputError;
use dataset::output::{ColumnConflict, OutputError};
use dataset::stores::StoreError;

/// Decided where the facts are known.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Another worker has the lease, or the job no longer wants the step. Nothing is to be done.
    #[error("the step is no longer ours")]
    Lost,
    /// May succeed later.
    #[error("{what}")]
    Retry {
        what: String,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The job can't go on.
    #[error("{detail}")]
    FailJob { code: String, detail: String },
}

impl StepError {
    pub(crate) fn retry(what: &str, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Retry { what: format!("{what}: {source}"), source: Some(Box::new(source)) }
    }

    fn fail(code: &str, error: &impl std::error::Error) -> Self {
        Self::FailJob { code: code.to_owned(), detail: error.to_string() }
    }
}

impl From<db::Error> for StepError {
    fn from(error: db::Error) -> Self {
        match error {
            // A job that was paused, cancelled or has expired refuses the event that the step stands for.
            db::Error::Fenced | db::Error::Transition(_) => Self::Lost,
            other => Self::retry("database", other),
        }
    }
}

impl From<InputError> for StepError {
    fn from(error: InputError) -> Self {
        if error.is_transient() { Self::retry("reading the input", error) } else { Self::fail(error.code(), &error) }
    }
}

impl From<OutputError> for StepError {
    fn from(error: OutputError) -> Self {
        if error.is_transient() { Self::retry("writing the output", error) } else { Self::fail(error.code(), &error) }
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        if error.is_transient() { Self::retry("object storage", error) } else { Self::fail(error.code(), &error) }
    }
}

impl From<ColumnConflict> for StepError {
    fn from(error: ColumnConflict) -> Self {
        Self::fail(error.code(), &error)
    }
}

/// A file of our own that can't be read or written.
impl From<FileError> for StepError {
    fn from(error: FileError) -> Self {
        Self::FailJob { code: "internal_error".to_owned(), detail: format!("a work file is damaged: {error}") }
    }
}

/// A blocking task ends early only when the process stops.
impl From<tokio::task::JoinError> for StepError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::retry("a task was stopped", error)
    }
}
