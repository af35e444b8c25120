//! One HTTP client for all providers: bounded replies, no redirects, no proxy, vetted addresses.

mod download;
mod egress;
mod retry_after;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};

pub use download::Download;
pub use egress::is_public;
pub(crate) use retry_after::retry_after;

/// Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: reqwest::Client,
    allow_private: bool,
    max_reply_bytes: usize,
}

/// How to reach providers.
#[derive(Debug, Clone, Copy)]
pub struct HttpOptions {
    /// Lets a provider's address be private or loopback.
    pub allow_private: bool,
    /// A longer reply fails its attempt. Too small cuts long answers; too large lets a broken server fill the memory.
    pub max_reply_bytes: usize,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self { allow_private: false, max_reply_bytes: 16 * 1024 * 1024 }
    }
}

/// A whole reply.
#[derive(Debug)]
pub(crate) struct HttpReply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no whole reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("the provider's address {host} is private; set egress.allow_private to reach it")]
    Blocked { host: String },
    #[error("could not connect: {0}")]
    Connect(String),
    #[error("the connection was lost: {0}")]
    Lost(String),
    #[error("no whole reply within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    #[error("the reply is longer than {limit} bytes")]
    TooLarge { limit: usize, status: StatusCode },
}

impl HttpClient {
    /// # Errors
    /// The TLS library can't start.
    pub fn new(options: HttpOptions) -> Result<Self, reqwest::Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("gristmill/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(10))
            .pool_idle_timeout(Duration::from_mins(1))
            .tcp_nodelay(true);
        if !options.allow_private {
            builder = builder.dns_resolver(std::sync::Arc::new(egress::PublicOnly));
        }
        let HttpOptions { allow_private, max_reply_bytes } = options;
        Ok(Self { client: builder.build()?, allow_private, max_reply_bytes })
    }

    /// Sends a JSON body once, and reads the reply up to the limit.
    pub(crate) async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<HttpReply, HttpError> {
        if !self.allow_private {
            egress::vet_literal(url)?;
        }
        tokio::time::timeout(timeout, self.send(url, headers, body)).await.unwrap_or(Err(HttpError::Timeout(timeout)))
    }

    async fn send(&self, url: &Url, headers: HeaderMap, body: Vec<u8>) -> Result<HttpReply, HttpError> {
        let sent = self.client.post(url.clone()).headers(headers).body(body).send().await;
        let mut response = sent.map_err(|error| {
            if let Some(host) = egress::blocked_host(&error) {
                HttpError::Blocked { host }
            } else if error.is_connect() {
                HttpError::Connect(chain(&error))
            } else {
                HttpError::Lost(chain(&error))
            }
        })?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| HttpError::Lost(chain(&error)))? {
            if body.len() + chunk.len() > self.max_reply_bytes {
                return Err(HttpError::TooLarge { limit: self.max_reply_bytes, status });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpReply { status, headers, body: body.freeze() })
    }
}

/// An error with its causes, without the URL (it may hold what is nobody's business).
fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    if text.is_empty() { "no details".to_owned() } else { text }
}
