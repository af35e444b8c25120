//! What the errors of other crates mean to a caller.

use axum::http::StatusCode;
use dataset::chunk::FileError;
use dataset::input::InputError;
use dataset::stores::StoreError;
use domain::job::{InvalidTransition, State};

use super::{Problem, chain};

impl From<db::Error> for Problem {
    fn from(error: db::Error) -> Self {
        if error.is_transient() {
            tracing::warn!(error = %chain(&error), "the database is away");
            return Self::unavailable(
                "temporarily_unavailable",
                "the database can't be reached at this moment; try again",
            );
        }
        match error {
            db::Error::Transition(refused) => refused.into(),
            db::Error::Exists { what } => Self::conflict("already_exists", format!("{what} exists already")),
            db::Error::Sql(_)
            | db::Error::Migrate(_)
            | db::Error::Inconsistent { .. }
            | db::Error::Fenced
            | db::Error::MasterKey(_)
            | db::Error::NotDurable { .. } => Self::internal(&error),
        }
    }
}

impl From<InvalidTransition> for Problem {
    fn from(refused: InvalidTransition) -> Self {
        let mut allowing: Vec<_> = State::allowing(refused.event).map(State::name).collect();
        allowing.dedup();
        let detail = format!("the job is {}; this needs a job that is {}", refused.state, allowing.join(", "));
        Self::conflict("invalid_state", detail)
    }
}

/// A job's own file that can't be read is no fault of the caller's.
impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        Self::internal(&error)
    }
}

impl Problem {
    /// Of an input that a submission names.
    pub(crate) fn of_input(error: InputError) -> Self {
        match error {
            InputError::Storage(error) => Self::of_store(error, "/input/uri"),
            InputError::ReaderStopped => Self::internal(&error),
            error => Self::field(error.pointer(), error.code(), error.to_string()),
        }
    }

    /// Of a place in storage that a field of the request names.
    pub(crate) fn of_store(error: StoreError, pointer: &str) -> Self {
        match error {
            error if error.is_transient() => Self::storage_away(&error),
            StoreError::OutsideRoot { .. } => Self::forbidden(error.code(), error.to_string()),
            error => Self::field(pointer, error.code(), error.to_string()),
        }
    }

    /// Of an object that is to be read and that no field names.
    pub(crate) fn of_object(error: &StoreError) -> Self {
        match error {
            error if error.is_transient() => Self::storage_away(error),
            StoreError::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, error.code(), error.to_string()),
            error => Self::conflict(error.code(), error.to_string()),
        }
    }

    /// Of a job's own file.
    pub(crate) fn of_work_file(error: &StoreError) -> Self {
        if error.is_transient() { Self::storage_away(error) } else { Self::internal(error) }
    }

    fn storage_away(error: &StoreError) -> Self {
        tracing::warn!(error = %chain(error), "object storage failed");
        Self::unavailable("storage_unavailable", "object storage can't be reached at this moment; try again")
    }
}
