//! One HTTP client for all providers: bounded replies, no redirects, no proxy, vetted addresses.

mod api;
mod download;
mod egress;
mod error;
mod incoming;
mod retry_after;
mod upload;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode, Url};

pub(crate) use api::{Api, secret_header};
pub use download::{Arrival, Download};
pub use egress::is_public;
pub(crate) use error::HttpError;
pub(crate) use incoming::Opened;
pub(crate) use retry_after::retry_after;
pub(crate) use upload::FileBody;
pub(crate) use upload::Form;

/// Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    calls: reqwest::Client,
    /// Files have connections of their own: one that nobody reads for a while must not hold up the calls that share a connection.
    transfers: reqwest::Client,
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

impl HttpClient {
    /// # Errors
    /// The TLS library can't start.
    pub fn new(options: HttpOptions) -> Result<Self, reqwest::Error> {
        let build = || {
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
            builder
        };
        let HttpOptions { allow_private, max_reply_bytes } = options;
        Ok(Self { calls: build().build()?, transfers: build().http1_only().build()?, allow_private, max_reply_bytes })
    }

    /// Longest reply that is read whole.
    pub(crate) fn max_reply_bytes(&self) -> usize {
        self.max_reply_bytes
    }

    /// Sends a JSON body once, and reads the reply up to the limit.
    pub(crate) async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<HttpReply, HttpError> {
        self.call(Method::POST, url, headers, body, timeout).await
    }

    /// Sends a body once, and reads the reply up to the limit.
    pub(crate) async fn call(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: impl Into<Body>,
        timeout: Duration,
    ) -> Result<HttpReply, HttpError> {
        let request = self.request(method, url, headers)?.body(body);
        let sent = async { self.whole(answered(request).await?).await };
        tokio::time::timeout(timeout, sent).await.unwrap_or(Err(HttpError::Timeout(timeout)))
    }

    fn request(&self, method: Method, url: &Url, headers: HeaderMap) -> Result<RequestBuilder, HttpError> {
        self.vet(url)?;
        Ok(self.calls.request(method, url.clone()).headers(headers))
    }

    /// A request that brings or takes a file.
    fn transfer(&self, method: Method, url: &Url, headers: HeaderMap) -> Result<RequestBuilder, HttpError> {
        self.vet(url)?;
        Ok(self.transfers.request(method, url.clone()).headers(headers))
    }

    fn vet(&self, url: &Url) -> Result<(), HttpError> {
        if self.allow_private { Ok(()) } else { egress::vet_literal(url) }
    }

    /// The rest of a reply, up to the limit.
    async fn whole(&self, mut response: Response) -> Result<HttpReply, HttpError> {
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| HttpError::of(&error))? {
            if body.len() + chunk.len() > self.max_reply_bytes {
                return Err(HttpError::TooLarge { limit: self.max_reply_bytes as u64, status });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpReply { status, headers, body: body.freeze() })
    }
}

/// The head of a reply.
async fn answered(request: RequestBuilder) -> Result<Response, HttpError> {
    request.send().await.map_err(|error| HttpError::of(&error))
}

async fn within<T>(stall: Duration, step: impl Future<Output = Result<T, HttpError>>) -> Result<T, HttpError> {
    tokio::time::timeout(stall, step).await.unwrap_or(Err(HttpError::Stalled(stall)))
}
