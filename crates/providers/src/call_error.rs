//! A call about a provider batch that failed.

use bytes::Bytes;
use domain::failure::{Class, Failure};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;

use crate::client::{HttpError, HttpReply};

/// A call about a provider batch that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", failure.error.code, failure.error.message)]
pub struct CallError {
    pub failure: Failure,
    /// The provider may have done what was asked.
    pub ambiguous: bool,
    /// There is no such thing at the provider.
    pub missing: bool,
}

/// What a call's address names, which says what a 404 means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// All files or all provider batches: creates, uploads, searches.
    Collection,
    /// One of them.
    Object,
}

impl From<HttpError> for CallError {
    fn from(error: HttpError) -> Self {
        Self { failure: (&error).into(), ambiguous: error.is_ambiguous(), missing: false }
    }
}

impl CallError {
    pub(crate) fn new(failure: Failure) -> Self {
        Self { failure, ambiguous: false, missing: false }
    }

    /// A reply that is no 2xx, with the failure that its body says it is.
    pub(crate) fn refused(target: Target, status: StatusCode, failure: Failure) -> Self {
        if status == StatusCode::NOT_FOUND && target == Target::Object {
            return Self::missing(failure.error.message);
        }
        Self { ambiguous: status.is_server_error(), ..Self::new(failure) }
    }

    /// There is no such thing at the provider.
    pub(crate) fn missing(message: String) -> Self {
        Self { missing: true, ..Self::new(Failure::new(Class::Permanent, "not_found", message)) }
    }

    /// A 2xx without what it should say.
    pub(crate) fn unreadable(wrong: impl std::fmt::Display) -> Self {
        let message = format!("the reply can't be read: {wrong}");
        Self { ambiguous: true, ..Self::new(Failure::new(Class::Transient, "invalid_provider_response", message)) }
    }
}

/// What a 2xx says. `failure` reads what anything else says.
pub(crate) fn body_of(
    target: Target,
    reply: Result<HttpReply, HttpError>,
    failure: impl FnOnce(&HttpReply) -> Failure,
) -> Result<Bytes, CallError> {
    let reply = reply?;
    if reply.status.is_success() {
        Ok(reply.body)
    } else {
        Err(CallError::refused(target, reply.status, failure(&reply)))
    }
}

/// The body of a 2xx.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(body).map_err(CallError::unreadable)
}

/// Treats a thing that is gone as done with.
pub(crate) fn or_missing<T: Default>(done: Result<T, CallError>) -> Result<T, CallError> {
    match done {
        Err(error) if error.missing => Ok(T::default()),
        other => other,
    }
}
