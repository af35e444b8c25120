//! What the sandbox is told to be, at the start and at run time.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::batch::BatchConfig;
use crate::error::Error;
use crate::fault::ConfiguredFault;

/// Context window of a model that does not say otherwise, in tokens.
const DEFAULT_CONTEXT_TOKENS: u64 = 128_000;

/// The sandbox's configuration. The default answers at once, without limits, faults or log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long the work of an answer takes. Refusals and errors come at once.
    pub latency_ms: u64,
    /// Added to the latency: 0 to this many milliseconds, from `seed` and the request's number.
    pub latency_jitter_ms: u64,
    /// Answers shorter than this are padded to exactly this many bytes. None leaves them natural.
    pub answer_bytes: Option<usize>,
    /// The models on offer; another name is a 404 `model_not_found`.
    pub models: BTreeMap<String, Model>,
    /// The bearers accepted. Empty accepts any, but there must be one.
    #[serde(skip_serializing)]
    pub api_keys: Vec<String>,
    /// Whether a limited model says its limits in `x-ratelimit-*` headers. False hides them.
    pub rate_limit_headers: bool,
    /// The oracle log, appended to. None writes no log.
    pub log: Option<PathBuf>,
    /// Decides which requests meet a configured fault, and the jitter.
    pub seed: u64,
    /// Faults met by requests that carry no marker; the first that matches counts.
    pub faults: Vec<ConfiguredFault>,
    /// Files and provider batches.
    pub batch: BatchConfig,
}

/// One model on offer. All models answer alike; None means unlimited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// Prompt tokens and answer tokens asked for, together, beyond which a request is a 400.
    pub context_tokens: u64,
    /// Requests in any 60 seconds, for each bearer.
    pub requests_per_minute: Option<u64>,
    /// Prompt tokens plus answer tokens asked for, in any 60 seconds, for each bearer.
    pub tokens_per_minute: Option<u64>,
    /// Requests at work at once, for each bearer.
    pub max_concurrency: Option<u64>,
    /// So many of a prompt's tokens, at most all, are said to come from a cache.
    pub cached_tokens: u64,
    /// Tokens of thought before each answer: billed with its own, and not limited by what the request asks for.
    pub thinking_tokens: u64,
}

/// A change of the configuration at run time, by `PATCH /_sandbox/config`. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Patch {
    /// See [`Config::latency_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// See [`Config::latency_jitter_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_jitter_ms: Option<u64>,
    /// See [`Config::answer_bytes`]; 0 means natural again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_bytes: Option<usize>,
    /// See [`Config::rate_limit_headers`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_headers: Option<bool>,
    /// Models to put in place of those of the same name; null takes a model away.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Option<Model>>,
    /// The whole list of configured faults from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faults: Option<Vec<ConfiguredFault>>,
    /// Fields to put in place of those of [`Config::batch`]; null makes one the default again.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub batch: Map<String, Value>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            latency_ms: 0,
            latency_jitter_ms: 0,
            answer_bytes: None,
            models: ["echo", "echo-2"].map(|name| (name.to_owned(), Model::default())).into(),
            api_keys: Vec::new(),
            rate_limit_headers: true,
            log: None,
            seed: 0,
            faults: Vec::new(),
            batch: BatchConfig::default(),
        }
    }
}

impl Default for Model {
    fn default() -> Self {
        Self {
            context_tokens: DEFAULT_CONTEXT_TOKENS,
            requests_per_minute: None,
            tokens_per_minute: None,
            max_concurrency: None,
            cached_tokens: 0,
            thinking_tokens: 0,
        }
    }
}

impl Model {
    /// Whether requests to this model need counting at all.
    pub(crate) fn is_limited(&self) -> bool {
        self.requests_per_minute.is_some() || self.tokens_per_minute.is_some() || self.max_concurrency.is_some()
    }
}

impl Config {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] names the first field that makes no sense.
    pub fn validate(&self) -> Result<(), Error> {
        for (index, fault) in self.faults.iter().enumerate() {
            fault.validate().map_err(|reason| Error::Config(format!("faults[{index}]: {reason}")))?;
        }
        self.batch.validate().map_err(Error::Config)
    }

    /// This configuration with `patch` laid over it.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the patch of the provider batches has fields or values that do not exist.
    pub fn patched(&self, patch: Patch) -> Result<Self, Error> {
        let mut config = self.clone();
        config.latency_ms = patch.latency_ms.unwrap_or(config.latency_ms);
        config.latency_jitter_ms = patch.latency_jitter_ms.unwrap_or(config.latency_jitter_ms);
        config.rate_limit_headers = patch.rate_limit_headers.unwrap_or(config.rate_limit_headers);
        if let Some(bytes) = patch.answer_bytes {
            config.answer_bytes = (bytes > 0).then_some(bytes);
        }
        for (name, model) in patch.models {
            match model {
                Some(model) => config.models.insert(name, model),
                None => config.models.remove(&name),
            };
        }
        if let Some(faults) = patch.faults {
            config.faults = faults;
        }
        let batch = config.batch.patched(patch.batch);
        config.batch = batch.map_err(|error| Error::Config(format!("batch: {error}")))?;
        Ok(config)
    }
}

impl Patch {
    /// Whether it changes that field of the provider batches.
    pub(crate) fn names(&self, field: &str) -> bool {
        self.batch.contains_key(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_config_is_what_an_empty_object_gives() {
        let config: Config = serde_json::from_str("{}").expect("empty object");
        assert_eq!(config, Config::default());
        config.validate().expect("default is valid");
    }

    #[test]
    fn unknown_field_is_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"latency": 5}"#).is_err());
        assert!(serde_json::from_str::<Patch>(r#"{"latency": 5}"#).is_err());
    }

    #[test]
    fn patch_changes_only_what_it_names() {
        let patch = r#"{"latency_ms": 5, "models": {"echo-2": null, "new": {"requests_per_minute": 3}}}"#;
        let patch: Patch = serde_json::from_str(patch).expect("valid patch");
        let config = Config { answer_bytes: Some(9), ..Config::default() }.patched(patch).expect("valid");
        assert_eq!((config.latency_ms, config.answer_bytes), (5, Some(9)));
        assert_eq!(config.models.keys().collect::<Vec<_>>(), ["echo", "new"]);
    }

    #[test]
    fn fault_needs_exactly_one_way_of_choosing_requests() {
        for faults in [
            r#"[{"fault": "html"}]"#,
            r#"[{"fault": "html", "fraction": 0.5, "every_nth": 2}]"#,
            r#"[{"fault": "html", "fraction": 1.5}]"#,
            r#"[{"fault": "html", "every_nth": 0}]"#,
        ] {
            let faults = serde_json::from_str(faults).expect("parses");
            let config = Config { faults, ..Config::default() };
            assert!(config.validate().is_err());
        }
    }
}
