//! An item as callers see it.

use domain::money::Money;
use domain::outcome::{Outcome, Usage};
use serde::Serialize;
use utoipa::ToSchema;

/// One input row.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Item {
    /// From 0, in input order.
    pub row: u64,
    /// `pending`, `running`, `succeeded`, `failed`, `cancelled` or `expired`.
    pub status: &'static str,
    pub error_code: Option<String>,
    pub error: Option<String>,
    /// Requests sent for it.
    pub attempts: u32,
    /// The model that answered.
    pub model: Option<String>,
    /// Of all its attempts.
    pub usage: ItemUsage,
    /// The answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ItemUsage {
    /// Cached ones included.
    input_tokens: u64,
    cached_input_tokens: u64,
    output_tokens: u64,
    /// Null where the model's prices are not known.
    cost_usd: Option<String>,
}

impl ItemUsage {
    pub(super) fn new(usage: Usage, cost: Option<Money>) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            cached_input_tokens: usage.cached_input_tokens,
            output_tokens: usage.output_tokens,
            cost_usd: cost.map(|cost| cost.to_string()),
        }
    }
}

impl Item {
    /// An item without an outcome.
    pub(super) fn open(row: u64, running: bool, attempts: &[db::items::StoredAttempt]) -> Self {
        let own = || attempts.iter().filter(|attempt| attempt.row == row);
        let mut usage = Usage::default();
        for attempt in own() {
            usage.input_tokens += attempt.usage.input_tokens;
            usage.cached_input_tokens += attempt.usage.cached_input_tokens;
            usage.output_tokens += attempt.usage.output_tokens;
        }
        Self {
            row,
            status: if running { "running" } else { "pending" },
            error_code: None,
            error: None,
            attempts: u32::try_from(own().count()).unwrap_or(u32::MAX),
            model: None,
            usage: ItemUsage::new(usage, own().map(|attempt| attempt.cost).sum()),
            response: None,
        }
    }

    pub(super) fn closed(row: u64, outcome: Outcome) -> Self {
        let (error_code, error) = outcome.error.map(|error| (error.code, error.message)).unzip();
        Self {
            row,
            status: outcome.status.name(),
            error_code,
            error,
            attempts: outcome.attempts,
            model: outcome.model,
            usage: ItemUsage::new(outcome.usage, outcome.cost),
            response: outcome.response,
        }
    }
}
