//! The capability table: what a provider and its models can do, and at what price.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::money::Money;
use crate::outcome::Usage;

/// The code that speaks a provider family's wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    Openai,
    /// Any server with `/chat/completions`: vLLM, Ollama, llama.cpp, the sandbox.
    OpenaiCompatible,
}

/// A provider record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderRecord {
    pub driver: Driver,
    /// Paths such as `/chat/completions` are appended to it.
    pub base_url: String,
    /// Name of a stored credential. None: calls carry no key.
    #[serde(default)]
    pub credential: Option<String>,
    #[serde(default)]
    pub realtime: RealtimeLimits,
}

/// Limits of real-time calls. An absent limit is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RealtimeLimits {
    #[serde(default)]
    pub requests_per_minute: Option<u32>,
    #[serde(default)]
    pub input_tokens_per_minute: Option<u32>,
    #[serde(default)]
    pub output_tokens_per_minute: Option<u32>,
    #[serde(default)]
    pub requests_per_day: Option<u32>,
    /// Calls in flight at once.
    #[serde(default)]
    pub max_concurrency: Option<u32>,
    /// From the first byte sent to the last byte of the reply.
    #[serde(default)]
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

/// A model record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecord {
    /// The provider's own name of it.
    pub upstream_model: String,
    #[serde(default = "chat_only")]
    pub tasks: Vec<Task>,
    #[serde(default)]
    pub context_tokens: Option<u32>,
    #[serde(default)]
    pub max_output_tokens: Option<u32>,
    /// None: unknown, so costs are unknown too.
    #[serde(default)]
    pub prices: Option<Prices>,
    /// In place of the provider's, key by key.
    #[serde(default)]
    pub realtime: RealtimeLimits,
}

fn chat_only() -> Vec<Task> {
    vec![Task::Chat]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    Chat,
}

/// Prices per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    pub input_per_mtok_usd: Money,
    /// None: cached input costs as much as other input.
    #[serde(default)]
    pub cached_input_per_mtok_usd: Option<Money>,
    pub output_per_mtok_usd: Money,
}

impl Prices {
    /// What an answer cost on the real-time route.
    pub fn cost(&self, usage: &Usage) -> Money {
        let cached = usage.cached_input_tokens.min(usage.input_tokens);
        self.input_per_mtok_usd.per_million_tokens(usage.input_tokens - cached)
            + self.cached_input_per_mtok_usd.unwrap_or(self.input_per_mtok_usd).per_million_tokens(cached)
            + self.output_per_mtok_usd.per_million_tokens(usage.output_tokens)
    }
}

/// A model as callers name it: `{provider id}/{model}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelName {
    pub provider: String,
    pub model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a model is named `provider/model`, such as `openai/gpt-5-mini`")]
pub struct InvalidModelName;

impl FromStr for ModelName {
    type Err = InvalidModelName;

    fn from_str(text: &str) -> Result<Self, InvalidModelName> {
        let (provider, model) = text.split_once('/').ok_or(InvalidModelName)?;
        let printable = |part: &str| !part.is_empty() && part.len() <= 200 && !part.chars().any(char::is_control);
        if printable(provider) && printable(model) {
            Ok(Self { provider: provider.to_owned(), model: model.to_owned() })
        } else {
            Err(InvalidModelName)
        }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

/// What a provider counts together: all rate, breaker and retry state is kept by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitGroup(pub String);

impl LimitGroup {
    /// Credential and model; a provider without credential counts by its own id.
    pub fn of(provider_id: &str, provider: &ProviderRecord, model: &ModelRecord) -> Self {
        let credential = provider.credential.as_deref().unwrap_or(provider_id);
        Self(format!("{credential}/{}", model.upstream_model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_input_has_its_own_price() {
        let prices = Prices {
            input_per_mtok_usd: Money::from_usd(2),
            cached_input_per_mtok_usd: Some(Money::from_usd(1)),
            output_per_mtok_usd: Money::from_usd(10),
        };
        let usage = Usage { input_tokens: 1_000_000, cached_input_tokens: 500_000, output_tokens: 100_000 };
        assert_eq!(prices.cost(&usage), "2.5".parse().expect("an amount"));
    }

    #[test]
    fn a_model_s_limits_win_key_by_key() {
        let provider = RealtimeLimits { requests_per_minute: Some(1), timeout_s: Some(2), ..Default::default() };
        let model = RealtimeLimits { requests_per_minute: Some(9), ..Default::default() };
        let limits = provider.overridden_by(&model);
        assert_eq!((limits.requests_per_minute, limits.timeout_s), (Some(9), Some(2)));
    }

    #[test]
    fn a_model_s_name_may_hold_slashes() {
        let name: ModelName = "together/meta/llama".parse().expect("a name");
        assert_eq!((name.provider.as_str(), name.model.as_str()), ("together", "meta/llama"));
        assert_eq!("gpt".parse::<ModelName>(), Err(InvalidModelName));
    }
}
