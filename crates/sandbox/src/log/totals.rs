//! Sums over a log.

use std::collections::BTreeMap;
use std::path::Path;

use super::{BatchEnded, Entry, read_log};
use crate::error::Error;

/// Sums over a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that arrived.
    pub requests: u64,
    /// Requests that were sent an HTTP answer of any status, as far as the sandbox knows.
    pub answered: u64,
    /// Requests whose client went away first.
    pub abandoned: u64,
    /// Requests that are charged, in real time and in provider batches.
    pub billed: u64,
    /// Prompt tokens of those.
    pub billed_prompt_tokens: u64,
    /// Completion tokens of those.
    pub billed_completion_tokens: u64,
    /// Files and provider batches; the charges are part of those above.
    pub batches: BatchTotals,
}

/// Sums over a log's files and provider batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchTotals {
    /// Provider batches created.
    pub created: u64,
    /// Those of which the client was not told.
    pub created_unanswered: u64,
    /// Those that somebody asked to cancel.
    pub cancel_asked: u64,
    /// Those that ended, by their status.
    pub ended: BTreeMap<String, u64>,
    /// Requests of provider batches that are charged.
    pub billed: u64,
    /// Prompt tokens of those.
    pub billed_prompt_tokens: u64,
    /// Completion tokens of those.
    pub billed_completion_tokens: u64,
    /// Bodies charged by a provider batch that another, or a call in real time, was charged for before; and the
    /// other way round.
    pub billed_again: u64,
    /// Files uploaded; result files are not.
    pub files_uploaded: u64,
    /// Files deleted, of both kinds.
    pub files_deleted: u64,
    /// Calls that listed provider batches.
    pub lists: u64,
}

impl Totals {
    /// Sums up a log.
    ///
    /// # Errors
    ///
    /// As [`read_log`] and its iterator.
    pub fn of(path: impl AsRef<Path>) -> Result<Self, Error> {
        let mut totals = Self::default();
        for entry in read_log(path)? {
            totals.add(&entry?);
        }
        Ok(totals)
    }

    fn add(&mut self, entry: &Entry) {
        match entry {
            Entry::Started(_) | Entry::BatchValidated(_) => {}
            Entry::FileUploaded(_) => self.batches.files_uploaded += 1,
            Entry::FileDeleted(_) => self.batches.files_deleted += 1,
            Entry::BatchesListed(_) => self.batches.lists += 1,
            Entry::BatchCancelAsked(_) => self.batches.cancel_asked += 1,
            Entry::BatchCreated(created) => {
                self.batches.created += 1;
                self.batches.created_unanswered += u64::from(!created.answered);
            }
            Entry::BatchEnded(ended) => self.batch(ended),
            Entry::Abandoned(_) => {
                self.abandoned += 1;
                self.answered = self.answered.saturating_sub(1);
            }
            Entry::Request(request) => {
                self.requests += 1;
                self.answered += u64::from(request.status.is_some());
                if request.billed {
                    self.batches.billed_again += u64::from(request.billed_again);
                    self.charge(1, request.prompt_tokens, request.completion_tokens);
                }
            }
        }
    }

    fn batch(&mut self, ended: &BatchEnded<'_>) {
        *self.batches.ended.entry(ended.status.to_string()).or_default() += 1;
        self.batches.billed += ended.billed;
        self.batches.billed_prompt_tokens += ended.billed_prompt_tokens;
        self.batches.billed_completion_tokens += ended.billed_completion_tokens;
        self.batches.billed_again += ended.billed_again;
        self.charge(ended.billed, ended.billed_prompt_tokens, ended.billed_completion_tokens);
    }

    fn charge(&mut self, requests: u64, prompt_tokens: u64, completion_tokens: u64) {
        self.billed += requests;
        self.billed_prompt_tokens += prompt_tokens;
        self.billed_completion_tokens += completion_tokens;
    }
}
