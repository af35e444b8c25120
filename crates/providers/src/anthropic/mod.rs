//! Anthropic: Messages and Message Batches.
//!
//! Source of the protocol facts: Anthropic's API reference (<https://platform.claude.com/docs/en/api/messages>).

mod batch;
mod encode;
mod error;
mod line;
mod message;
mod message_batch;
mod realtime;

use std::sync::Arc;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use self::encode::Fixed;
use crate::client::{Api, HttpClient, secret_header};
use crate::driver::{Connection, Endpoint};

/// The driver, on both routes.
pub(crate) struct Anthropic {
    api: Api,
    /// Where messages go. `None` if the record's base URL can't be one.
    url: Option<Url>,
    headers: HeaderMap,
    fixed: Fixed,
}

/// Sent as `anthropic-version` where the record names none.
const DEFAULT_VERSION: &str = "2023-06-01";

/// From this version on, sampling parameters are an error. Versions are dates, so they sort as text.
const WITHOUT_SAMPLING: &str = "2026-10-21";

/// Bound on an answer where neither the job nor the model's record names one.
const DEFAULT_MAX_TOKENS: u32 = 4096;

pub(crate) fn connect(http: HttpClient, endpoint: Endpoint) -> Connection {
    let driver = Arc::new(Anthropic::new(http, endpoint));
    Connection { realtime: driver.clone(), batch: Some(driver) }
}

impl Anthropic {
    fn new(http: HttpClient, endpoint: Endpoint) -> Self {
        let version = endpoint.options.get("anthropic_version").map_or(DEFAULT_VERSION, String::as_str);
        // SDKs take the address without the version's segment; other providers' records have one.
        let base = endpoint.base_url.trim_end_matches('/').trim_end_matches("/v1");
        let api = Api::new(http, base, headers(version, &endpoint), endpoint.timeout);
        Self {
            url: api.url(&["v1", "messages"]).ok(),
            headers: api.json_headers(),
            api,
            fixed: Fixed {
                max_tokens: endpoint.max_output_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
                samples: version < WITHOUT_SAMPLING,
                upstream_model: endpoint.upstream_model,
            },
        }
    }
}

fn headers(version: &str, endpoint: &Endpoint) -> Vec<(HeaderName, HeaderValue)> {
    let version =
        HeaderValue::from_str(version).ok().map(|value| (HeaderName::from_static("anthropic-version"), value));
    let secret = endpoint.secret.as_ref();
    let key = secret.and_then(|key| secret_header(HeaderName::from_static("x-api-key"), key.expose_secret()));
    version.into_iter().chain(key).collect()
}
