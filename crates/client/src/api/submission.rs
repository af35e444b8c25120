//! What a caller asks for.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

/// The body of a job's submission. What is left out takes the service's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Submission {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub input: InputPlace,
    #[serde(skip_serializing_if = "OutputPlace::is_default")]
    pub output: OutputPlace,
    /// `{provider}/{model}`.
    pub model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// A template; empty where the input's lines bring their own messages.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prompt: String,
    /// `temperature`, `top_p`, `max_output_tokens`, `stop`, `seed`, `reasoning_effort`, `extra`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    #[serde(skip_serializing_if = "JobLimits::is_default")]
    pub limits: JobLimits,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Fields that this client has no name for, sent as they are.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Submission {
    /// A submission with nothing but what is required.
    pub fn new(input_uri: &str, model: &str, prompt: &str) -> Self {
        Self {
            input: InputPlace { uri: input_uri.to_owned(), ..InputPlace::default() },
            model: model.to_owned(),
            prompt: prompt.to_owned(),
            ..Self::default()
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct InputPlace {
    pub uri: String,
    /// None: as the URI's ending says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Between the cells of CSV. None: the format's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OutputPlace {
    /// None: kept by the service and read through it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// None: as the URI's ending says, or as the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_exists: Option<IfExists>,
}

impl OutputPlace {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What happens where the output is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum IfExists {
    Error,
    Replace,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct JobLimits {
    /// Attempts of a row that count before it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
}

impl JobLimits {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_said_is_sent() {
        let submission = Submission::new("s3://data/in.csv", "openai/gpt-5-mini", "Say {{ word }}");
        assert_eq!(
            serde_json::to_string(&submission).expect("JSON"),
            r#"{"input":{"uri":"s3://data/in.csv"},"model":"openai/gpt-5-mini","prompt":"Say {{ word }}"}"#
        );
    }
}
