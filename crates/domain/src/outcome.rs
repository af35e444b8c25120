//! An item's terminal result in a generation.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::money::Money;

/// How an item ended. The discriminants are the low bits of a chunk summary's byte per row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Status {
    Succeeded = 0,
    /// A dead letter: it may be re-driven in another generation.
    Failed = 1,
    Cancelled = 2,
    Expired = 3,
}

impl Status {
    pub const ALL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::Cancelled, Self::Expired];

    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| *status as u8 == code)
    }
}

/// What the provider says a request used. Input includes cached input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    pub input_tokens: u64,
    pub cached_input_tokens: u64,
    pub output_tokens: u64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens += other.input_tokens;
        self.cached_input_tokens += other.cached_input_tokens;
        self.output_tokens += other.output_tokens;
    }
}

/// Why an item failed, was cancelled or expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemError {
    /// Stable and machine-readable, such as `context_length_exceeded`.
    pub code: String,
    /// For people; bounded (see [`ItemError::new`]).
    pub message: String,
}

impl ItemError {
    /// Longest message that is kept, in bytes.
    pub const MAX_MESSAGE_BYTES: usize = 2_000;

    /// Cuts an over-long message at a character boundary.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > Self::MAX_MESSAGE_BYTES {
            message.truncate(message.floor_char_boundary(Self::MAX_MESSAGE_BYTES - '…'.len_utf8()));
            message.push('…');
        }
        Self { code: code.into(), message }
    }
}

/// The one outcome of an item in a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub status: Status,
    /// The answer's text. Present on success; kept on some failures too (a refusal's words).
    pub response: Option<String>,
    /// Present unless succeeded.
    pub error: Option<ItemError>,
    /// The model as the job names it, `{provider}/{model}`; absent if nothing was sent.
    pub model: Option<String>,
    /// The provider's word for why it stopped, such as `stop` or `length`.
    pub finish_reason: Option<String>,
    /// Sum over all attempts of the item.
    pub usage: Usage,
    /// Sum over all attempts of the item. `None` where the model has no known prices.
    pub cost: Option<Money>,
    /// Requests sent for the item.
    pub attempts: u32,
}

impl Outcome {
    /// The outcome of an item for which nothing was ever sent.
    pub fn unsent(status: Status, error: ItemError) -> Self {
        Self {
            status,
            response: None,
            error: Some(error),
            model: None,
            finish_reason: None,
            usage: Usage::default(),
            cost: Some(Money::ZERO),
            attempts: 0,
        }
    }
}
