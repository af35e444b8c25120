//! Lines about files and provider batches.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A file arrived whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileUploaded<'a> {
    /// Its id.
    pub file_uploaded: Cow<'a, str>,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// `openai`, `azure` and so on.
    pub family: Cow<'a, str>,
    /// The last four characters of the bearer.
    pub key_tail: Cow<'a, str>,
    /// As the client calls it.
    pub name: Cow<'a, str>,
    /// Its size.
    pub bytes: u64,
    /// Whether the client is told of it.
    pub answered: bool,
}

/// A file was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDeleted<'a> {
    /// Its id.
    pub file_deleted: Cow<'a, str>,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
}

/// A provider batch was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchCreated<'a> {
    /// Its id.
    pub batch_created: Cow<'a, str>,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// `openai`, `azure` and so on.
    pub family: Cow<'a, str>,
    /// The last four characters of the bearer.
    pub key_tail: Cow<'a, str>,
    /// Lines of its input file.
    pub requests: u64,
    /// Of its input file.
    pub bytes: u64,
    /// Its metadata as JSON, its name, or the name of its input file.
    pub tag: Cow<'a, str>,
    /// Whether the client is told of it.
    pub answered: bool,
}

/// The input of a provider batch is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchValidated<'a> {
    /// Its id.
    pub batch_validated: Cow<'a, str>,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// How many requests there are.
    pub requests: u64,
    /// Their prompt tokens.
    pub tokens: u64,
}

/// Somebody asked to cancel a provider batch that had not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchCancelAsked<'a> {
    /// Its id.
    pub batch_cancel_asked: Cow<'a, str>,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
}

/// A provider batch ended. Stands in the log before any result can be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchEnded<'a> {
    /// Its id.
    pub batch_ended: Cow<'a, str>,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// `completed`, `failed`, `expired` or `cancelled`.
    pub status: Cow<'a, str>,
    /// Requests answered, as clients are told.
    pub completed: u64,
    /// Requests failed, as clients are told.
    pub failed: u64,
    /// Requests charged.
    pub billed: u64,
    /// Prompt tokens of those.
    pub billed_prompt_tokens: u64,
    /// Completion tokens of those.
    pub billed_completion_tokens: u64,
    /// Bodies among those for which another provider batch or a call in real time had been charged before.
    pub billed_again: u64,
}

/// Somebody listed provider batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchesListed<'a> {
    /// Of that family.
    pub batches_listed: Cow<'a, str>,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// The last four characters of the bearer.
    pub key_tail: Cow<'a, str>,
}
