//! Anthropic: Messages and Message Batches.
//!
//! Source of the protocol facts: Anthropic's API reference (<https://platform.claude.com/docs/en/api/messages>).

mod encode;
mod error;
mod line;
mod message;
mod realtime;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::ExposeSecret;

use crate::client::HttpClient;
use crate::driver::{Connection, Endpoint};
use encode::Fixed;

/// The driver.
pub(crate) struct Anthropic {
    http: HttpClient,
    /// `None` if the record's base URL can't be one: every call fails at key level then, and says so.
    messages_url: Option<Url>,
    headers: HeaderMap,
    fixed: Fixed,
    timeout: Duration,
}

/// Sent as `anthropic-version` where the record names none.
const DEFAULT_VERSION: &str = "2023-06-01";

/// From this version on, sampling parameters are an error. Versions are dates, so they sort as text.
const WITHOUT_SAMPLING: &str = "2026-10-21";

/// Bound on an answer where neither the job nor the model's record names one.
const DEFAULT_MAX_TOKENS: u32 = 4096;

pub(crate) fn connect(http: HttpClient, endpoint: Endpoint) -> Connection {
    Connection { realtime: Arc::new(Anthropic::new(http, endpoint)), batch: None }
}

impl Anthropic {
    fn new(http: HttpClient, endpoint: Endpoint) -> Self {
        let version = endpoint.options.get("anthropic_version").map_or(DEFAULT_VERSION, String::as_str);
        let base = endpoint.base_url.trim_end_matches('/').trim_end_matches("/v1");
        Self {
            http,
            messages_url: format!("{base}/v1/messages").parse().ok(),
            headers: headers(version, &endpoint),
            fixed: Fixed {
                max_tokens: endpoint.max_output_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
                samples: version < WITHOUT_SAMPLING,
                upstream_model: endpoint.upstream_model,
            },
            timeout: endpoint.timeout,
        }
    }
}

fn headers(version: &str, endpoint: &Endpoint) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    if let Ok(value) = HeaderValue::from_str(version) {
        headers.insert("anthropic-version", value);
    }
    let key = endpoint.secret.as_ref().and_then(|secret| HeaderValue::from_str(secret.expose_secret()).ok());
    if let Some(mut key) = key {
        key.set_sensitive(true);
        headers.insert("x-api-key", key);
    }
    headers
}
