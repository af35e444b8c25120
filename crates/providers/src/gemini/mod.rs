//! The Gemini API: `generateContent` and its provider batches.
//!
//! Source of the protocol facts: Google's API reference (<https://ai.google.dev/api>).

mod batch;
mod encode;
mod error;
mod files;
mod inline;
mod line;
mod list;
mod operation;
mod realtime;
mod response;
mod split;

use std::sync::Arc;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName};
use secrecy::ExposeSecret;

use crate::client::{Api, HttpClient, secret_header};
use crate::driver::{Connection, Endpoint};

/// The driver, on both routes.
pub(crate) struct Gemini {
    /// Its base ends in the API's version, such as `/v1beta`.
    api: Api,
    /// Where a model is asked. `None` if the record's base URL can't be one.
    url: Option<Url>,
    headers: HeaderMap,
    /// `models/…`, or another resource that answers.
    model: String,
}

pub(crate) fn connect(http: HttpClient, endpoint: Endpoint) -> Connection {
    let driver = Arc::new(Gemini::new(http, endpoint));
    Connection { realtime: driver.clone(), batch: Some(driver) }
}

impl Gemini {
    fn new(http: HttpClient, endpoint: Endpoint) -> Self {
        let Endpoint { base_url, secret, upstream_model, timeout, .. } = endpoint;
        let name = HeaderName::from_static("x-goog-api-key");
        let key = secret.as_ref().and_then(|secret| secret_header(name, secret.expose_secret()));
        let api = Api::new(http, &base_url, key, timeout);
        let model = if upstream_model.contains('/') { upstream_model } else { format!("models/{upstream_model}") };
        let url = api.url(&resource(&format!("{model}:generateContent"))).ok();
        Self { url, headers: api.json_headers(), api, model }
    }
}

/// The segments of a resource's path.
fn resource(name: &str) -> Vec<&str> {
    name.split('/').collect()
}
