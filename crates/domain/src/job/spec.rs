//! What a caller asked for, checked and with every default filled in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::format::{Format, InputFormat};
use crate::prompt::PromptSpec;

/// The accepted request of a job. Kept as it is for the job's whole life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub name: Option<String>,
    pub input: InputSpec,
    pub output: OutputSpec,
    /// `{provider}/{model}`.
    pub model: String,
    pub prompt: PromptSpec,
    pub params: Params,
    pub limits: Limits,
    pub metadata: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputSpec {
    pub uri: String,
    pub format: InputFormat,
    /// Between the cells of CSV, ASCII; `None`: the format's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSpec {
    /// None: below the work prefix, read through the API.
    pub uri: Option<String>,
    pub format: Format,
    pub column_prefix: String,
    pub if_exists: IfExists,
}

/// What happens where the output's object is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IfExists {
    #[default]
    Error,
    Replace,
}

/// Portable parameters of a call; drivers map them to their provider's names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Params {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// Passed through as it is, below what the driver sets itself.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

impl Params {
    /// These, and where they say nothing, `others`.
    #[must_use]
    pub fn or(self, others: &Self) -> Self {
        Self {
            temperature: self.temperature.or(others.temperature),
            top_p: self.top_p.or(others.top_p),
            max_output_tokens: self.max_output_tokens.or(others.max_output_tokens),
            stop: if self.stop.is_empty() { others.stop.clone() } else { self.stop },
            seed: self.seed.or(others.seed),
            reasoning_effort: self.reasoning_effort.or_else(|| others.reasoning_effort.clone()),
            extra: if self.extra.is_empty() { others.extra.clone() } else { self.extra },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Attempts of a row that count (see [`crate::failure::Class::counts`]) before it fails.
    pub max_attempts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_attempts: 5 }
    }
}
