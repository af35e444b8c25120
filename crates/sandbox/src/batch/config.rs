//! What the provider batches are told to be.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::fault::OperationFault;
use super::outcome::ConfiguredOutcome;
use super::webhook::Webhook;

/// Times, limits and faults of provider batches. The default ends them at once, with the true limits of their
/// family and without faults. None, for a limit, is the family's own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchConfig {
    /// From the creation of a provider batch to its end.
    pub complete_ms: u64,
    /// Added to that: 0 to this many milliseconds, from the seed and the provider batch's number.
    pub complete_jitter_ms: u64,
    /// From the creation to the end of the validation.
    pub validating_ms: u64,
    /// From a call to cancel to the end.
    pub cancel_ms: u64,
    /// A new provider batch is missing from lists for so long.
    pub list_lag_ms: u64,
    /// A new provider batch is a 404 for so long.
    pub get_lag_ms: u64,
    /// A new file is not ready for use for so long, where the family says so at all.
    pub file_processing_ms: u64,
    /// A poll that comes earlier after the last one of the same provider batch is a 429. 0 allows any.
    pub min_poll_ms: u64,
    /// Requests in one provider batch.
    pub max_requests: Option<u64>,
    /// Bytes of one uploaded file, or of the body that creates a provider batch.
    pub max_bytes: Option<u64>,
    /// Bytes of one line of an input file.
    pub max_line_bytes: Option<u64>,
    /// Prompt tokens in provider batches that have not ended, for each bearer and model. None: no limit.
    pub max_enqueued_tokens: Option<u64>,
    /// Provider batches that have not ended, for each bearer.
    pub max_batches: Option<u64>,
    /// Requests in provider batches that have not ended, for each bearer.
    pub max_queued_requests: Option<u64>,
    /// Calls about provider batches in any 60 seconds, for each bearer, where the family limits them.
    pub calls_per_minute: Option<u64>,
    /// Provider batches created in any 60 minutes, for each bearer.
    pub creates_per_hour: Option<u64>,
    /// From the creation to the expiry. None: as the creation asks for.
    pub window_ms: Option<u64>,
    /// The values of `completion_window` that are accepted.
    pub allow_completion_window: Option<Vec<String>>,
    /// Where a temporary directory for the files is made. None: where the system makes them.
    pub directory: Option<PathBuf>,
    /// Told when a provider batch has ended.
    pub webhook: Option<Webhook>,
    /// What goes wrong with calls about files and provider batches.
    pub faults: Vec<OperationFault>,
    /// What becomes of provider batches.
    pub outcomes: Vec<ConfiguredOutcome>,
}

impl BatchConfig {
    /// The first contradiction.
    pub(crate) fn validate(&self) -> Result<(), String> {
        for (index, fault) in self.faults.iter().enumerate() {
            fault.validate().map_err(|reason| format!("batch.faults[{index}]: {reason}"))?;
        }
        for (index, outcome) in self.outcomes.iter().enumerate() {
            outcome.validate().map_err(|reason| format!("batch.outcomes[{index}]: {reason}"))?;
        }
        match &self.webhook {
            Some(webhook) => webhook.validate().map_err(|reason| format!("batch.webhook: {reason}")),
            None => Ok(()),
        }
    }

    /// This configuration with the fields of `patch` in place of its own; null is the default again.
    pub(crate) fn patched(&self, patch: serde_json::Map<String, serde_json::Value>) -> serde_json::Result<Self> {
        let serde_json::Value::Object(mut fields) = serde_json::to_value(self)? else {
            unreachable!("a struct serialises to an object")
        };
        for (name, value) in patch {
            // Absent fields take their default; a name that does not exist must stay to be refused.
            if value.is_null() && fields.contains_key(&name) {
                fields.remove(&name);
            } else {
                fields.insert(name, value);
            }
        }
        serde_json::from_value(serde_json::Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(config: &BatchConfig, patch: &str) -> serde_json::Result<BatchConfig> {
        config.patched(serde_json::from_str(patch).expect("an object"))
    }

    #[test]
    fn patch_changes_only_what_it_names_and_null_is_the_default() {
        let config = BatchConfig { complete_ms: 5, max_requests: Some(3), ..BatchConfig::default() };
        let changed = patched(&config, r#"{"validating_ms": 7, "complete_ms": null}"#).expect("valid");
        let expected = BatchConfig { validating_ms: 7, max_requests: Some(3), ..BatchConfig::default() };
        assert_eq!(changed, expected);
        assert!(patched(&config, r#"{"complete": 7}"#).is_err());
        assert!(patched(&config, r#"{"complete": null}"#).is_err());
        assert!(patched(&config, r#"{"complete_ms": "7"}"#).is_err());
    }

    #[test]
    fn every_field_is_documented() {
        let readme = include_str!("../../README.md");
        let (_, section) = readme.split_once("## Provider batches").expect("a section");
        let serde_json::Value::Object(fields) = serde_json::to_value(BatchConfig::default()).expect("serialises")
        else {
            panic!("an object");
        };
        for name in fields.keys() {
            let documented = |line: &str| line.starts_with("| ") && line.split([' ', ',']).any(|word| word == name);
            assert!(section.lines().any(documented), "{name}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for patch in [
            r#"{"faults": [{"op": "poll", "fault": "status_500", "every_nth": 0}]}"#,
            r#"{"outcomes": [{"outcome": "expire", "done_fraction": 1.5}]}"#,
            r#"{"webhook": {"url": "http://example.org/hook", "secret": "whsec_AAAA"}}"#,
            r#"{"webhook": {"url": "http://127.0.0.1:9/hook", "secret": "not base64"}}"#,
        ] {
            let config = patched(&BatchConfig::default(), patch).expect("parses");
            assert!(config.validate().is_err(), "{patch}");
        }
    }
}
