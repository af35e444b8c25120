//! A reply that is read piece by piece, because it may be longer than what should be in memory.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, Response, Url};

use super::{HttpClient, HttpError, HttpReply, answered, within};

/// The body of a 2xx on its way.
#[derive(Debug)]
pub(crate) struct Incoming {
    response: Response,
    stall: Duration,
}

#[derive(Debug)]
pub(crate) enum Opened {
    Incoming(Incoming),
    /// No 2xx, read up to the limit.
    Refused(HttpReply),
}

impl HttpClient {
    /// Begins to read a resource. It may take as long as it likes while something arrives every `stall`.
    pub(crate) async fn open(&self, url: &Url, headers: HeaderMap, stall: Duration) -> Result<Opened, HttpError> {
        let response = within(stall, answered(self.transfer(Method::GET, url, headers)?)).await?;
        if response.status().is_success() {
            Ok(Opened::Incoming(Incoming { response, stall }))
        } else {
            within(stall, self.whole(response)).await.map(Opened::Refused)
        }
    }
}

impl Incoming {
    /// The next piece. `None`: that was all.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, HttpError> {
        let piece = async { self.response.chunk().await.map_err(|error| HttpError::of(&error)) };
        within(self.stall, piece).await
    }
}
