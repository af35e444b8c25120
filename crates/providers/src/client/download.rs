//! A result file on its way from a provider, piece by piece.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::sync::mpsc;

use super::{HttpClient, HttpError, HttpReply, answered, within};

/// Takes what a download brings, and knows where to go on after it was cut off.
#[derive(Debug)]
pub struct Download {
    arrivals: mpsc::Sender<Arrival>,
    bytes: u64,
    furthest: u64,
    max_bytes: u64,
}

/// What a download brings.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The next bytes of the file.
    Piece(Bytes),
    /// The file begins anew: what was cut off in the middle of a line is void. Lines that came already come again, in whatever order.
    Restart,
    /// The file is whole.
    End,
}

/// Pieces on their way. When there are so many, the network waits.
const PIECES: usize = 8;

impl Download {
    /// Takes files of up to `max_bytes` each, one after the other.
    pub fn new(max_bytes: u64) -> (Self, mpsc::Receiver<Arrival>) {
        let (arrivals, receiver) = mpsc::channel(PIECES);
        (Self { arrivals, bytes: 0, furthest: 0, max_bytes }, receiver)
    }

    /// What has arrived of the file so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The most that any try has brought of the file: one that began anew has brought nothing new before it is past this.
    pub fn furthest(&self) -> u64 {
        self.furthest
    }

    /// The file is whole, or no more of it can be had; the next one begins.
    ///
    /// # Errors
    /// The receiver is gone.
    pub async fn end(&mut self) -> io::Result<()> {
        (self.bytes, self.furthest) = (0, 0);
        self.send(Arrival::End).await
    }

    pub(crate) async fn append(&mut self, piece: Bytes) -> Result<(), HttpError> {
        let length = self.bytes + piece.len() as u64;
        if length > self.max_bytes {
            return Err(HttpError::TooLarge { limit: self.max_bytes, status: StatusCode::OK });
        }
        self.bytes = length;
        self.furthest = self.furthest.max(length);
        Ok(self.send(Arrival::Piece(piece)).await?)
    }

    pub(crate) async fn restart(&mut self) -> io::Result<()> {
        if self.bytes > 0 {
            self.bytes = 0;
            self.send(Arrival::Restart).await?;
        }
        Ok(())
    }

    async fn send(&self, arrival: Arrival) -> io::Result<()> {
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "nobody takes the download");
        self.arrivals.send(arrival).await.map_err(gone)
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
        let mut response = within(stall, answered(self.transfer(Method::GET, url, headers)?)).await?;
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
            Some(piece) => into.append(piece).await?,
            None => return Ok(()),
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
