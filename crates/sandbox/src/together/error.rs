//! Error bodies: OpenAI's in real time and for files, `{"error": "text"}` for batches.

use std::borrow::Cow;

use serde_json::json;

use crate::family::Objection;
use crate::openai::ApiError;
use crate::reply::Reply;

/// An error in real time, or about files.
pub(super) fn of(objection: &Objection<'_>) -> ApiError {
    match *objection {
        Objection::Quota => ApiError {
            status: 402,
            message: Cow::Borrowed("Your account has no credit left."),
            kind: Cow::Borrowed("credit_limit"),
            param: None,
            code: None,
            innererror: None,
        },
        _ => objection.into(),
    }
}

/// An error about batches.
#[derive(Debug)]
pub(super) struct BatchError {
    status: u16,
    text: String,
}

impl BatchError {
    pub fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::new(400, text)
    }

    /// The usual error of a status.
    pub fn usual(status: u16) -> Self {
        if status == 404 {
            return ApiError::no_such_object().into();
        }
        let objection = Objection::Status { status, code: None, kind: None };
        ApiError::from(&objection).into()
    }
}

impl From<ApiError> for BatchError {
    fn from(error: ApiError) -> Self {
        Self::new(error.status, error.message)
    }
}

impl From<std::io::Error> for BatchError {
    fn from(error: std::io::Error) -> Self {
        Self::new(500, error.to_string())
    }
}

impl From<BatchError> for Reply {
    fn from(error: BatchError) -> Self {
        Self { status: error.status, ..Self::json(&json!({"error": error.text})) }
    }
}
