//! A result file on its way from a provider to this machine's disk.

use std::io::SeekFrom;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use super::{HttpClient, HttpError, HttpReply, answered, within};

/// A file on this machine's disk that a download goes into, and goes on in after it was cut off.
#[derive(Debug)]
pub struct Download {
    file: File,
    bytes: u64,
    max_bytes: u64,
}

impl Download {
    /// An empty file at `path` that takes up to `max_bytes`.
    ///
    /// # Errors
    /// The disk's.
    pub async fn create(path: &Path, max_bytes: u64) -> std::io::Result<Self> {
        Ok(Self { file: File::create(path).await?, bytes: 0, max_bytes })
    }

    /// What has arrived so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) async fn append(&mut self, piece: &[u8]) -> Result<(), HttpError> {
        let length = self.bytes + piece.len() as u64;
        if length > self.max_bytes {
            return Err(HttpError::TooLarge { limit: self.max_bytes, status: StatusCode::OK });
        }
        let written = self.file.write_all(piece).await;
        self.kept(written)?;
        self.bytes = length;
        Ok(())
    }

    /// Makes what has arrived visible to readers of the path.
    ///
    /// # Errors
    /// The disk's.
    pub async fn flush(&mut self) -> std::io::Result<()> {
        let flushed = self.file.flush().await;
        self.kept(flushed)
    }

    /// The disk reports a failed write late: nothing that was written before it can be relied on.
    fn kept(&mut self, written: std::io::Result<()>) -> std::io::Result<()> {
        if written.is_err() {
            self.bytes = 0;
        }
        written
    }

    /// Empties the file.
    pub(crate) async fn restart(&mut self) -> std::io::Result<()> {
        self.bytes = 0;
        self.file.set_len(0).await?;
        self.file.seek(SeekFrom::Start(0)).await?;
        Ok(())
    }
}

impl HttpClient {
    /// Appends what is missing of a resource, and gives the reply without its body; a refusal has its body. It may take as long as
    /// it likes while something arrives every `stall`.
    pub(crate) async fn download(
        &self,
        url: &Url,
        mut headers: HeaderMap,
        into: &mut Download,
        stall: Duration,
    ) -> Result<HttpReply, HttpError> {
        let from = into.bytes();
        if from > 0 {
            let range = format!("bytes={from}-");
            headers.insert(RANGE, HeaderValue::try_from(range).expect("letters and digits make a header value"));
        }
        let mut response = within(stall, answered(self.request(Method::GET, url, headers)?)).await?;
        let length = match response.status() {
            StatusCode::PARTIAL_CONTENT => continued(&response, from),
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => ended(&response, from),
            status if status.is_success() => {
                into.restart().await?;
                Ok(response.content_length())
            }
            _ => return within(stall, self.whole(response)).await,
        };
        if length.is_err() {
            into.restart().await?;
        }
        let length = length?;
        if response.status().is_success() {
            receive(&mut response, into, stall).await?;
        }
        match length {
            Some(of) if of != into.bytes() => Err(HttpError::Short { have: into.bytes(), of }),
            _ => Ok(HttpReply { status: StatusCode::OK, headers: response.headers().clone(), body: Bytes::new() }),
        }
    }
}

async fn receive(response: &mut Response, into: &mut Download, stall: Duration) -> Result<(), HttpError> {
    loop {
        let piece = async { response.chunk().await.map_err(|error| HttpError::of(&error)) };
        match within(stall, piece).await? {
            Some(piece) => into.append(&piece).await?,
            None => return Ok(into.flush().await?),
        }
    }
}

/// The resource's whole length as far as it is told, if a partial reply goes on where the file ends.
fn continued(response: &Response, from: u64) -> Result<Option<u64>, HttpError> {
    let range = content_range(response).filter(|range| range.first == Some(from)).ok_or(HttpError::WrongRange)?;
    Ok(range.length.or_else(|| response.content_length().map(|rest| from + rest)))
}

/// The same, if there is nothing behind the end of the file.
fn ended(response: &Response, from: u64) -> Result<Option<u64>, HttpError> {
    let range = content_range(response).filter(|range| range.length == Some(from)).ok_or(HttpError::WrongRange)?;
    Ok(range.length)
}

#[derive(Debug, PartialEq, Eq)]
struct ContentRange {
    first: Option<u64>,
    length: Option<u64>,
}

/// `bytes 5-9/10`, `bytes 5-9/*` or `bytes */10` (RFC 9110 section 14.4).
fn content_range(response: &Response) -> Option<ContentRange> {
    let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, length) = text.strip_prefix("bytes ")?.split_once('/')?;
    let first = range.split_once('-').and_then(|(first, _)| first.trim().parse().ok());
    Some(ContentRange { first, length: length.trim().parse().ok() })
}
