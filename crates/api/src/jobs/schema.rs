//! The body of a submission, for the document. `request` reads it.
#![expect(dead_code, reason = "only the schemas of these types are used")]

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use utoipa::ToSchema;

/// A job to submit. Only `input.uri`, `model` and `prompt` (or `messages`) are required; with the input format `openai`, no prompt.
#[derive(ToSchema)]
#[schema(example = json!({
    "name": "classify tickets",
    "input": {"uri": "s3://acme-data/tickets.csv"},
    "output": {"uri": "s3://acme-data/out/tickets.parquet"},
    "model": "openai/gpt-5-mini",
    "system": "You are a support triage assistant.",
    "prompt": "Classify this ticket: {{ body }}",
    "params": {"temperature": 0, "max_output_tokens": 200},
    "metadata": {"team": "support"}
}))]
pub(super) struct JobRequest {
    /// For people; at most 200 characters.
    name: Option<String>,
    input: InputRequest,
    output: Option<OutputRequest>,
    /// `{provider}/{model}`, as `GET /v1/models` lists them.
    model: String,
    /// `chat`, the default.
    task: Option<String>,
    /// A template, sent as the system message.
    system: Option<String>,
    /// A template: `{{ column }}` or `{{ row["Any Name"] }}`.
    prompt: Option<String>,
    /// In place of `system` and `prompt`.
    messages: Option<Vec<MessageRequest>>,
    params: Option<ParamsRequest>,
    limits: Option<LimitsRequest>,
    /// The job expires then. Default: 7 days from now; at most 30.
    deadline: Option<DateTime<Utc>>,
    /// At most 16 pairs; keys of at most 64 characters, values of at most 512.
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(ToSchema)]
struct InputRequest {
    #[schema(example = "s3://acme-data/tickets.csv")]
    uri: String,
    /// `csv`, `tsv`, `jsonl`, `parquet`, or `openai` for lines of OpenAI's batch files. Default: by the URI's extension.
    format: Option<String>,
    /// Between the cells of CSV: one ASCII character. Default: a comma, or a tab for `tsv`.
    delimiter: Option<String>,
}

#[derive(ToSchema)]
struct OutputRequest {
    /// Default: the service keeps the output; read it through `/output`.
    uri: Option<String>,
    /// `csv`, `tsv`, `jsonl` or `parquet`. Default: by the URI's extension, else the input's.
    format: Option<String>,
    /// Before the names of the added columns. Default: `llm_`.
    column_prefix: Option<String>,
    /// `error`, the default, or `replace`.
    if_exists: Option<String>,
}

#[derive(ToSchema)]
struct MessageRequest {
    /// `system`, `user` or `assistant`.
    role: String,
    /// A template, or a list of parts: `{"type": "text", "text": "…"}`.
    content: serde_json::Value,
}

/// What a provider calls otherwise is translated.
#[derive(ToSchema)]
struct ParamsRequest {
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    top_p: Option<f64>,
    #[schema(minimum = 1)]
    max_output_tokens: Option<u32>,
    /// At most 4.
    stop: Option<Vec<String>>,
    seed: Option<i64>,
    /// `none`, `minimal`, `low`, `medium`, `high` or `xhigh`.
    reasoning_effort: Option<String>,
    /// Sent to the provider as it is.
    #[schema(value_type = Option<Object>)]
    extra: Option<serde_json::Value>,
}

#[derive(ToSchema)]
struct LimitsRequest {
    /// Attempts of a row that count before it fails. Default: 5.
    #[schema(minimum = 1, maximum = 20)]
    max_attempts: Option<u32>,
}
