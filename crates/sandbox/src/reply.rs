//! What goes back over the wire, and how.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

/// The media type of nearly everything.
pub(crate) const JSON: &str = "application/json";

/// Nothing is kept open for longer.
pub(crate) const LONGEST: Duration = Duration::from_mins(10);

/// The size of a piece of a long body.
const PIECE: usize = 64 * 1024;

static FILLER: [u8; PIECE] = [b'f'; PIECE];

/// Nearly always the one buffer; a stream only for faults.
pub(crate) type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, io::Error>>;

/// An answer, error or fault, decided when the request arrives.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, HeaderValue)>,
    pub payload: Payload,
    /// Added to the latency.
    pub delay: Duration,
    /// The answer's tokens where the work is done and billed.
    pub billed_tokens: Option<u64>,
}

/// The body, or what is done instead of sending one.
#[derive(Debug)]
pub(crate) enum Payload {
    Whole(Vec<u8>),
    /// The first half, with the length of the whole; then the connection closes.
    Half(Vec<u8>),
    /// A space each interval.
    Drip(Duration),
    /// This, and then filler without end.
    Endless(Vec<u8>),
    /// Filler between two parts.
    Padded {
        head: Vec<u8>,
        filler: u64,
        tail: Vec<u8>,
    },
    /// So many bytes of a file, from where it stands; cut to half of what was promised, or not.
    File {
        file: File,
        length: u64,
        cut: bool,
    },
    /// No byte; the connection stays open.
    Silence,
    /// No byte; the connection closes.
    Close,
}

impl From<Vec<u8>> for Payload {
    fn from(body: Vec<u8>) -> Self {
        Self::Whole(body)
    }
}

impl Reply {
    /// A reply that costs nothing.
    pub fn new(status: u16, content_type: &'static str, payload: impl Into<Payload>) -> Self {
        Self {
            status,
            content_type,
            headers: Vec::new(),
            payload: payload.into(),
            delay: Duration::ZERO,
            billed_tokens: None,
        }
    }

    /// A free 200 with `value`, whose types must be such that they always serialise.
    pub fn json(value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("plain structs with string keys serialise");
        Self::new(200, JSON, body)
    }

    /// Nothing is sent.
    pub fn unanswered(payload: Payload) -> Self {
        Self::new(0, "", payload)
    }

    /// The JSON of a reply that is a whole one.
    pub fn into_json(self) -> Vec<u8> {
        match self.payload {
            Payload::Whole(body) if self.content_type == "application/json" => body,
            _ => b"{}".to_vec(),
        }
    }

    /// The same with half of its body missing on the way.
    pub fn truncated(mut self) -> Self {
        self.payload = match self.payload {
            Payload::Whole(body) => Payload::Half(body),
            Payload::File { file, length, .. } => Payload::File { file, length, cut: true },
            other => other,
        };
        self
    }

    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("callers give printable ASCII");
        self.headers.push((name, value));
        self
    }

    /// The status that the client sees; None where it sees none.
    pub fn sent_status(&self) -> Option<u16> {
        (!matches!(self.payload, Payload::Silence | Payload::Close)).then_some(self.status)
    }

    /// The response, holding on to `held` as long as a stream goes on. None closes the connection. The request's
    /// id is its number in the header named so.
    pub fn into_response<H: Send + 'static>(
        self,
        request_id: Option<&'static str>,
        seq: u64,
        held: H,
    ) -> Option<Response<Body>> {
        let mut length = None;
        let body = match self.payload {
            Payload::Whole(body) => Either::Left(Full::from(body)),
            Payload::Half(body) => {
                length = Some(body.len() as u64);
                streamed(half(body), held)
            }
            Payload::Drip(interval) => streamed(drip(interval), held),
            Payload::Endless(start) => streamed(endless(start), held),
            Payload::Padded { head, filler, tail } => {
                length = Some((head.len() + tail.len()) as u64 + filler);
                streamed(padded(head, filler, tail), held)
            }
            Payload::File { file, length: promised, cut } => {
                length = Some(promised);
                streamed(contents(file, if cut { promised / 2 } else { promised }, cut), held)
            }
            Payload::Silence | Payload::Close => return None,
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).expect("statuses are constants or checked, 400 to 599");
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        if let Some(name) = request_id {
            let id = HeaderValue::try_from(format!("req_{seq:016x}")).expect("hexadecimal is a valid header");
            headers.insert(name, id);
        }
        for (name, value) in self.headers {
            headers.insert(HeaderName::from_static(name), value);
        }
        Some(response)
    }
}

fn streamed<H: Send + 'static>(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static, held: H) -> Body {
    let frames = pieces.map(move |piece| {
        let _ = &held;
        piece.map(Frame::data)
    });
    Either::Right(StreamBody::new(frames).boxed_unsync())
}

/// A body that ends in an error makes hyper close the connection, but it drops what it has not written yet; so
/// the error comes one turn later.
fn half(body: Vec<u8>) -> impl Stream<Item = io::Result<Bytes>> {
    let body = Bytes::from(body);
    let first = body.slice(..body.len() / 2);
    stream::once(async { Ok(first) }).chain(stream::once(async {
        tokio::task::yield_now().await;
        Err(io::Error::other("reset on demand"))
    }))
}

/// So many bytes of a file, and then an end or, where it is cut, a break.
fn contents(file: File, length: u64, cut: bool) -> impl Stream<Item = io::Result<Bytes>> {
    let pieces = stream::try_unfold((file, length), |(mut file, left)| async move {
        let size = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        if size == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; size];
        let read = file.read(&mut piece).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        piece.truncate(read);
        Ok(Some((Bytes::from(piece), (file, left - read as u64))))
    });
    let breaks = stream::iter(cut.then_some(())).then(|()| async {
        tokio::task::yield_now().await;
        Err(io::Error::other("truncated on demand"))
    });
    pieces.chain(breaks)
}

fn drip(interval: Duration) -> impl Stream<Item = io::Result<Bytes>> {
    let started = Instant::now();
    stream::unfold((), move |()| async move {
        tokio::time::sleep(interval).await;
        (started.elapsed() < LONGEST).then_some((Ok(Bytes::from_static(b" ")), ()))
    })
}

fn endless(head: Vec<u8>) -> impl Stream<Item = io::Result<Bytes>> {
    let started = Instant::now();
    let filler = stream::repeat_with(|| Ok(Bytes::from_static(&FILLER)));
    stream::once(async { Ok(Bytes::from(head)) })
        .chain(filler)
        .take_while(move |_| std::future::ready(started.elapsed() < LONGEST))
}

fn padded(head: Vec<u8>, filler: u64, tail: Vec<u8>) -> impl Stream<Item = io::Result<Bytes>> {
    let pieces = stream::unfold(filler, |left| async move {
        let piece = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        (piece > 0).then(|| (Ok(Bytes::from_static(&FILLER[..piece])), left - piece as u64))
    });
    stream::once(async { Ok(Bytes::from(head)) }).chain(pieces).chain(stream::once(async { Ok(Bytes::from(tail)) }))
}
