//! The capability table: what a provider and its models can do, and at what price.

mod limits;
mod prices;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::limits::{BatchLimits, RealtimeLimits};
pub use self::prices::{Fraction, InvalidFraction, Price, PriceKind, Prices, ShortPrices, Tariff};

/// The code that speaks a provider family's wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    Openai,
    AzureOpenai,
    Anthropic,
    Gemini,
    Mistral,
    Groq,
    Together,
    /// Any server with `/chat/completions` and without a batch API: vLLM, Ollama, llama.cpp.
    OpenaiCompatible,
}

impl Driver {
    pub const ALL: [Self; 8] = [
        Self::Openai,
        Self::AzureOpenai,
        Self::Anthropic,
        Self::Gemini,
        Self::Mistral,
        Self::Groq,
        Self::Together,
        Self::OpenaiCompatible,
    ];

    /// As records call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::AzureOpenai => "azure-openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Mistral => "mistral",
            Self::Groq => "groq",
            Self::Together => "together",
            Self::OpenaiCompatible => "openai-compatible",
        }
    }

    /// Whether the driver speaks a batch API.
    pub fn has_batch(self) -> bool {
        match self {
            Self::Openai
            | Self::AzureOpenai
            | Self::Anthropic
            | Self::Gemini
            | Self::Mistral
            | Self::Groq
            | Self::Together => true,
            Self::OpenaiCompatible => false,
        }
    }

    /// The settings that the driver takes in a record's `options`.
    pub fn options(self) -> &'static [&'static str] {
        match self {
            // The value of the header `anthropic-version`.
            Self::Anthropic => &["anthropic_version"],
            // What a provider batch is created for, where a deployment wants another path than its lines name.
            Self::AzureOpenai => &["batch_endpoint"],
            Self::Openai | Self::Gemini | Self::Mistral | Self::Groq | Self::Together | Self::OpenaiCompatible => &[],
        }
    }
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
    /// None: there is no real-time API.
    #[serde(default = "inherited")]
    pub realtime: Option<RealtimeLimits>,
    /// None: there is no batch API.
    #[serde(default)]
    pub batch: Option<BatchLimits>,
    /// Name of the stored secret that the provider signs its webhooks with. None: it sends none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_credential: Option<String>,
    /// Settings of the driver by name, such as `anthropic_version`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
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
    /// In place of the provider's, key by key. None: this model has no real-time API.
    #[serde(default = "inherited")]
    pub realtime: Option<RealtimeLimits>,
    /// In place of the provider's, key by key. None: this model has no batch API.
    #[serde(default = "inherited")]
    pub batch: Option<BatchLimits>,
}

/// An absent key inherits all; a null takes the thing away.
#[expect(clippy::unnecessary_wraps, reason = "a field's default has the field's type")]
fn inherited<T: Default>() -> Option<T> {
    Some(T::default())
}

/// The real-time limits of a model. `None`: it has no real-time API.
pub fn realtime_of(provider: &ProviderRecord, model: &ModelRecord) -> Option<RealtimeLimits> {
    let own = model.realtime.as_ref()?;
    Some(provider.realtime.as_ref()?.overridden_by(own))
}

/// The batch limits of a model. `None`: it has no batch API. A model may have one where its provider names none for all.
pub fn batch_of(provider: &ProviderRecord, model: &ModelRecord) -> Option<BatchLimits> {
    let own = model.batch.as_ref()?;
    if !provider.driver.has_batch() {
        return None;
    }
    match &provider.batch {
        Some(limits) => Some(limits.overridden_by(own)),
        None => (*own != BatchLimits::default()).then(|| own.clone()),
    }
}

/// Whether a model can be called in any way.
pub fn is_callable(provider: &ProviderRecord, model: &ModelRecord) -> bool {
    realtime_of(provider, model).is_some() || batch_of(provider, model).is_some()
}

fn chat_only() -> Vec<Task> {
    vec![Task::Chat]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    Chat,
}

impl Task {
    /// As records call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
        }
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
    fn a_model_s_name_may_hold_slashes() {
        let name: ModelName = "together/meta/llama".parse().expect("a name");
        assert_eq!((name.provider.as_str(), name.model.as_str()), ("together", "meta/llama"));
        assert_eq!("gpt".parse::<ModelName>(), Err(InvalidModelName));
    }

    fn records(provider: &str, model: &str) -> (ProviderRecord, ModelRecord) {
        let provider = format!(r#"{{"driver":"openai","base_url":"http://x"{provider}}}"#);
        let model = format!(r#"{{"upstream_model":"m"{model}}}"#);
        (serde_json::from_str(&provider).expect(&provider), serde_json::from_str(&model).expect(&model))
    }

    #[test]
    fn a_null_takes_a_way_away_and_an_absent_key_inherits() {
        let batch = |provider: &str, model: &str| {
            let (provider, model) = records(provider, model);
            batch_of(&provider, &model).map(|limits| limits.min_items())
        };
        assert_eq!(batch("", ""), None);
        assert_eq!(batch(r#","batch":{"min_items":7}"#, ""), Some(7));
        assert_eq!(batch(r#","batch":{"min_items":7}"#, r#","batch":{}"#), Some(7));
        assert_eq!(batch(r#","batch":{"min_items":7}"#, r#","batch":{"min_items":9}"#), Some(9));
        assert_eq!(batch(r#","batch":{"min_items":7}"#, r#","batch":null"#), None);
        assert_eq!(batch(r#","batch":null"#, r#","batch":{"min_items":9}"#), Some(9));
        assert_eq!(batch(r#","batch":null"#, r#","batch":{}"#), None);
        let realtime = |provider: &str, model: &str| {
            let (provider, model) = records(provider, model);
            realtime_of(&provider, &model).is_some()
        };
        assert!(realtime("", "") && !realtime(r#","realtime":null"#, "") && !realtime("", r#","realtime":null"#));
        let callable = |provider: &str| {
            let (provider, model) = records(provider, "");
            is_callable(&provider, &model)
        };
        assert!(callable("") && callable(r#","realtime":null,"batch":{}"#) && !callable(r#","realtime":null"#));
    }
}
