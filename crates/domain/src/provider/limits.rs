//! What a provider lets its callers do, on either route.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Fraction;
use crate::money::Money;

/// Limits of real-time calls. An absent limit is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RealtimeLimits {
    pub requests_per_minute: Option<u32>,
    pub input_tokens_per_minute: Option<u32>,
    pub output_tokens_per_minute: Option<u32>,
    pub requests_per_day: Option<u32>,
    /// Calls in flight at once.
    pub max_concurrency: Option<u32>,
    /// From the first byte sent to the last byte of the reply.
    pub timeout_s: Option<u32>,
}

impl RealtimeLimits {
    /// Calls in flight at once where the record names no limit.
    pub const DEFAULT_MAX_CONCURRENCY: u32 = 64;
    /// Seconds that a call may take where the record names no limit.
    pub const DEFAULT_TIMEOUT_S: u32 = 120;

    /// These limits, with a model's own in place of the provider's, key by key.
    #[must_use]
    pub fn overridden_by(&self, model: &Self) -> Self {
        Self {
            requests_per_minute: model.requests_per_minute.or(self.requests_per_minute),
            input_tokens_per_minute: model.input_tokens_per_minute.or(self.input_tokens_per_minute),
            output_tokens_per_minute: model.output_tokens_per_minute.or(self.output_tokens_per_minute),
            requests_per_day: model.requests_per_day.or(self.requests_per_day),
            max_concurrency: model.max_concurrency.or(self.max_concurrency),
            timeout_s: model.timeout_s.or(self.timeout_s),
        }
    }
}

/// What a provider's batch API takes, and when it is worth it. An absent key has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchLimits {
    /// Requests of one provider batch.
    pub max_requests: Option<u32>,
    /// Bytes of one provider batch, encoded.
    pub max_bytes: Option<u64>,
    /// Bytes of one encoded request.
    pub max_line_bytes: Option<u64>,
    /// Input tokens that may be queued at the provider, over all provider batches of a limit group.
    pub max_enqueued_tokens: Option<u64>,
    /// Provider batches of a limit group that may be queued at once.
    pub max_batches: Option<u32>,
    /// Provider batches of a limit group that may be created in an hour.
    pub creates_per_hour: Option<u32>,
    /// The time within which the provider means to be done.
    pub window_s: Option<u32>,
    /// Fewer open rows than this go real time.
    pub min_items: Option<u32>,
    /// Where less than this would be saved, rows go real time. 0 turns the test off.
    pub min_saving_usd: Option<Money>,
    /// How much of the real-time price is saved, where a model has no batch prices of its own.
    pub discount: Option<Fraction>,
    /// Time between two looks at a provider batch.
    pub poll_interval_s: Option<u32>,
    /// How long a created provider batch may stay out of the provider's list.
    pub create_settle_s: Option<u32>,
}

impl BatchLimits {
    /// These limits, with a model's own in place of the provider's, key by key.
    #[must_use]
    pub fn overridden_by(&self, model: &Self) -> Self {
        Self {
            max_requests: model.max_requests.or(self.max_requests),
            max_bytes: model.max_bytes.or(self.max_bytes),
            max_line_bytes: model.max_line_bytes.or(self.max_line_bytes),
            max_enqueued_tokens: model.max_enqueued_tokens.or(self.max_enqueued_tokens),
            max_batches: model.max_batches.or(self.max_batches),
            creates_per_hour: model.creates_per_hour.or(self.creates_per_hour),
            window_s: model.window_s.or(self.window_s),
            min_items: model.min_items.or(self.min_items),
            min_saving_usd: model.min_saving_usd.or(self.min_saving_usd),
            discount: model.discount.or(self.discount),
            poll_interval_s: model.poll_interval_s.or(self.poll_interval_s),
            create_settle_s: model.create_settle_s.or(self.create_settle_s),
        }
    }

    pub fn max_requests(&self) -> u32 {
        self.max_requests.unwrap_or(50_000)
    }

    pub fn max_bytes(&self) -> u64 {
        self.max_bytes.unwrap_or(100_000_000)
    }

    pub fn window(&self) -> Duration {
        Duration::from_secs(self.window_s.unwrap_or(86_400).into())
    }

    pub fn min_items(&self) -> u64 {
        self.min_items.unwrap_or(50).into()
    }

    pub fn min_saving(&self) -> Money {
        self.min_saving_usd.unwrap_or(Money(500_000_000_000))
    }

    pub fn discount(&self) -> Fraction {
        self.discount.unwrap_or_default()
    }

    pub fn poll_interval(&self) -> Duration {
        Duration::from_secs(self.poll_interval_s.unwrap_or(30).max(1).into())
    }

    pub fn create_settle(&self) -> Duration {
        Duration::from_secs(self.create_settle_s.unwrap_or(300).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_s_limits_win_key_by_key() {
        let provider = RealtimeLimits { requests_per_minute: Some(1), timeout_s: Some(2), ..Default::default() };
        let model = RealtimeLimits { requests_per_minute: Some(9), ..Default::default() };
        let limits = provider.overridden_by(&model);
        assert_eq!((limits.requests_per_minute, limits.timeout_s), (Some(9), Some(2)));
        let provider = BatchLimits { max_requests: Some(1), min_items: Some(2), ..Default::default() };
        let limits = provider.overridden_by(&BatchLimits { min_items: Some(7), ..Default::default() });
        assert_eq!((limits.max_requests(), limits.min_items()), (1, 7));
    }

    #[test]
    fn what_a_record_leaves_out_has_its_default() {
        let limits: BatchLimits = serde_json::from_str("{}").expect("an empty record");
        assert_eq!(limits.min_saving(), "0.50".parse().expect("an amount"));
        assert_eq!((limits.window().as_secs(), limits.create_settle().as_secs()), (86_400, 300));
    }
}
