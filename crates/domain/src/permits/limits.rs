//! What a limit group may use.

use serde::{Deserialize, Serialize};

use crate::provider::RealtimeLimits;

/// What is limited by the minute, in the order of [`Amounts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    Requests,
    InputTokens,
    OutputTokens,
}

impl Resource {
    pub const ALL: [Self; 3] = [Self::Requests, Self::InputTokens, Self::OutputTokens];

    pub(super) fn index(self) -> usize {
        match self {
            Self::Requests => 0,
            Self::InputTokens => 1,
            Self::OutputTokens => 2,
        }
    }
}

/// Of each [`Resource`] in their order: requests, input tokens, output tokens.
pub type Amounts = [f64; 3];

/// What a limit group may use. `None`: not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// A minute.
    pub per_minute: [Option<f64>; 3],
    /// Requests a second, as found where nothing says it (see `concurrency`).
    pub found_per_second: Option<f64>,
    pub requests_per_day: Option<u64>,
    /// Calls in flight.
    pub calls: Option<u32>,
}

impl Limits {
    /// The limit that was found, by the minute.
    pub(super) fn found(&self, index: usize) -> Option<f64> {
        self.found_per_second.filter(|_| index == Resource::Requests.index()).map(|found| 60.0 * found)
    }

    /// The record's limit by the minute, else what was found.
    pub(super) fn of_minute(&self, index: usize) -> Option<f64> {
        self.per_minute[index].or(self.found(index))
    }
}

impl From<&RealtimeLimits> for Limits {
    fn from(limits: &RealtimeLimits) -> Self {
        let per_minute = [limits.requests_per_minute, limits.input_tokens_per_minute, limits.output_tokens_per_minute];
        Self {
            per_minute: per_minute.map(|limit| limit.map(f64::from)),
            found_per_second: None,
            requests_per_day: limits.requests_per_day.map(u64::from),
            calls: limits.max_concurrency,
        }
    }
}
