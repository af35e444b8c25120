//! OpenAI's wire format, and that of the many servers that speak it.
//!
//! Source of the protocol facts: OpenAI's API reference (<https://platform.openai.com/docs/api-reference/chat>).

mod encode;
mod error;
mod realtime;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderMap;

use crate::client::HttpClient;
use crate::driver::{Connection, Endpoint};

/// OpenAI itself.
pub(crate) fn connect(http: HttpClient, endpoint: Endpoint) -> Connection {
    Connection { realtime: Arc::new(OpenAi::new(http, endpoint, MaxTokens::MaxCompletionTokens)), batch: None }
}

/// Any server with `/chat/completions`.
pub(crate) fn compatible(http: HttpClient, endpoint: Endpoint) -> Connection {
    Connection { realtime: Arc::new(OpenAi::new(http, endpoint, MaxTokens::MaxTokens)), batch: None }
}

/// The driver.
pub(crate) struct OpenAi {
    http: HttpClient,
    /// `None` if the record's base URL can't be one: every call fails at key level then, and says so.
    url: Option<Url>,
    headers: HeaderMap,
    upstream_model: String,
    max_tokens: MaxTokens,
    timeout: Duration,
}

/// How a server calls the bound on the answer's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MaxTokens {
    /// OpenAI's own; its reasoning models refuse the other.
    MaxCompletionTokens,
    /// What everybody else knows.
    MaxTokens,
}
