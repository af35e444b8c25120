//! The Gemini API: `generateContent` and its provider batches.
//!
//! Source of the protocol facts: Google's API reference (<https://ai.google.dev/api>).

mod encode;
mod error;
mod line;
mod operation;
mod realtime;
mod response;
mod split;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::ExposeSecret;

use crate::client::HttpClient;
use crate::driver::{Connection, Endpoint};

/// The driver.
pub(crate) struct Gemini {
    http: HttpClient,
    /// Ends in the API's version, such as `/v1beta`. `None` if the record's base URL can't be one: every call fails at key level
    /// then, and says so.
    base: Option<Url>,
    headers: HeaderMap,
    /// `models/…`, or another resource that answers.
    model: String,
    timeout: Duration,
}

pub(crate) fn connect(http: HttpClient, endpoint: Endpoint) -> Connection {
    Connection { realtime: Arc::new(Gemini::new(http, endpoint)), batch: None }
}

impl Gemini {
    fn new(http: HttpClient, endpoint: Endpoint) -> Self {
        let Endpoint { base_url, secret, upstream_model, timeout, .. } = endpoint;
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let key = secret.as_ref().and_then(|secret| HeaderValue::from_str(secret.expose_secret()).ok());
        if let Some(mut key) = key {
            key.set_sensitive(true);
            headers.insert("x-goog-api-key", key);
        }
        let model = if upstream_model.contains('/') { upstream_model } else { format!("models/{upstream_model}") };
        Self { http, base: base_url.trim_end_matches('/').parse().ok(), headers, model, timeout }
    }

    fn model_url(&self, method: &str) -> Option<Url> {
        self.url(&format!("{}:{method}", self.model))
    }

    /// A resource's URL.
    fn url(&self, resource: &str) -> Option<Url> {
        format!("{}/{resource}", self.base.as_ref()?.as_str().trim_end_matches('/')).parse().ok()
    }
}
