//! A call about files or provider batches, taken apart.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Uri};

use crate::config::Config;
use crate::state::Sandbox;

/// What a call brings beside its body.
pub(crate) struct Call<'a> {
    pub sandbox: &'a Arc<Sandbox>,
    pub config: Arc<Config>,
    /// The caller's key, which is a good one.
    pub key: String,
    pub headers: HeaderMap,
    pub uri: Uri,
}

impl<'a> Call<'a> {
    pub fn new(sandbox: &'a Arc<Sandbox>, config: &Arc<Config>, key: &str, parts: &Parts) -> Self {
        Self {
            sandbox,
            config: Arc::clone(config),
            key: key.to_owned(),
            headers: parts.headers.clone(),
            uri: parts.uri.clone(),
        }
    }

    /// What absolute URLs in answers begin with.
    pub fn origin(&self) -> String {
        let host = self.headers.get(HOST).and_then(|host| host.to_str().ok());
        format!("http://{}", host.unwrap_or("localhost"))
    }

    /// The first value of a parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.parameters(name).into_iter().next()
    }

    /// All values of a parameter of the query.
    pub fn parameters(&self, name: &str) -> Vec<String> {
        let pairs = url::form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes());
        pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
    }
}

/// A body of at most so many bytes; the error says whether it is larger, or broken.
pub(crate) async fn read(body: Incoming, max_bytes: usize) -> Result<Bytes, ReadError> {
    match Limited::new(body, max_bytes).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ReadError::TooLarge),
        Err(_) => Err(ReadError::Broken),
    }
}

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadError {
    TooLarge,
    /// The client went away before it was whole.
    Broken,
}
