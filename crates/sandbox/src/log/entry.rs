//! The lines of the log.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{BatchCancelAsked, BatchCreated, BatchEnded, BatchValidated, BatchesListed, FileDeleted, FileUploaded};

/// One line of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A sandbox opened the log.
    Started(Started),
    /// A request arrived, and what became of it.
    Request(Request<'static>),
    /// A request's connection ended before its answer was sent. It stays billed if it was.
    Abandoned(Abandoned),
    /// A file arrived whole.
    FileUploaded(FileUploaded<'static>),
    /// A file was deleted.
    FileDeleted(FileDeleted<'static>),
    /// A provider batch was created.
    BatchCreated(BatchCreated<'static>),
    /// The input of a provider batch is valid.
    BatchValidated(BatchValidated<'static>),
    /// Somebody asked to cancel a provider batch.
    BatchCancelAsked(BatchCancelAsked<'static>),
    /// A provider batch ended.
    BatchEnded(BatchEnded<'static>),
    /// Somebody listed provider batches.
    BatchesListed(BatchesListed<'static>),
}

/// A sandbox opened the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// When, in Unix milliseconds.
    pub started: u64,
}

/// A request that arrived whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request<'a> {
    /// Its number since the sandbox started, from 1.
    pub seq: u64,
    /// Its arrival in Unix milliseconds, by a clock that never goes back while the sandbox runs.
    pub at_ms: u64,
    /// The last four characters of its bearer.
    pub key_tail: Option<Cow<'a, str>>,
    /// The model that it named.
    pub model: Option<Cow<'a, str>>,
    /// The first 16 bytes of its body's SHA-256, in hexadecimal.
    pub request_sha256: Cow<'a, str>,
    /// How manieth delivery of the same body this is, since the sandbox started or was reset.
    pub delivery: u32,
    /// Of the prompt; 0 where the request was invalid.
    pub prompt_tokens: u64,
    /// Of the answer that was worked out; 0 where none was.
    pub completion_tokens: u64,
    /// Whether the tokens are charged. What a client knows of its spend must add up to these.
    pub billed: bool,
    /// Whether a provider batch was charged for the same body before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub billed_again: bool,
    /// The HTTP status sent; None where the connection gets no answer.
    pub status: Option<u16>,
    /// The name of the fault that the request met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Cow<'a, str>>,
    /// Requests at work on its arrival, itself included.
    pub in_flight: u64,
}

/// A request that lost its client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abandoned {
    /// The request's number.
    pub abandoned: u64,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
}

/// Tells the kinds apart by their first key.
pub(super) fn parse(line: &[u8]) -> Result<Entry, serde_json::Error> {
    let key = line.split(|byte| *byte == b'"').nth(1).unwrap_or_default();
    match key {
        b"started" => serde_json::from_slice(line).map(Entry::Started),
        b"abandoned" => serde_json::from_slice(line).map(Entry::Abandoned),
        b"file_uploaded" => serde_json::from_slice(line).map(Entry::FileUploaded),
        b"file_deleted" => serde_json::from_slice(line).map(Entry::FileDeleted),
        b"batch_created" => serde_json::from_slice(line).map(Entry::BatchCreated),
        b"batch_validated" => serde_json::from_slice(line).map(Entry::BatchValidated),
        b"batch_cancel_asked" => serde_json::from_slice(line).map(Entry::BatchCancelAsked),
        b"batch_ended" => serde_json::from_slice(line).map(Entry::BatchEnded),
        b"batches_listed" => serde_json::from_slice(line).map(Entry::BatchesListed),
        _ => serde_json::from_slice(line).map(Entry::Request),
    }
}
