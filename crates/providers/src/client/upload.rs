//! A file on its way from this machine's disk to a provider, piece by piece.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Body, Method, Url};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use super::{HttpClient, HttpError, HttpReply, answered};
use crate::EncodedFile;

/// Bytes read from the disk at once.
const PIECE: usize = 64 * 1024;

/// A request's body: a file, between two pieces that are in memory.
#[derive(Debug, Clone)]
pub(crate) struct FileBody<'a> {
    pub before: Bytes,
    pub file: EncodedFile<'a>,
    pub after: Bytes,
}

impl FileBody<'_> {
    fn bytes(&self) -> u64 {
        self.before.len() as u64 + self.file.bytes + self.after.len() as u64
    }

    /// `moved` counts the pieces that were taken.
    async fn stream(self, moved: Arc<AtomicU64>) -> std::io::Result<Body> {
        // What the file may have grown by since it was measured would break the framing.
        let file = File::open(self.file.path).await?.take(self.file.bytes);
        let pieces = stream::iter([Ok(self.before)])
            .chain(ReaderStream::with_capacity(file, PIECE))
            .chain(stream::iter([Ok(self.after)]))
            .inspect(move |_| {
                moved.fetch_add(1, Ordering::Relaxed);
            });
        Ok(Body::wrap_stream(pieces))
    }
}

/// A form with a file (`multipart/form-data`, RFC 7578).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form<'a> {
    /// Sent ahead of the file, which is the field `file`.
    pub fields: &'a [(&'a str, &'a str)],
    pub file: EncodedFile<'a>,
    /// The media type of the file.
    pub media_type: &'a str,
}

/// A delimiter begins with a line feed after a carriage return. JSON escapes both, so no encoded request can hold one.
const BOUNDARY: &str = "gristmill-5d1f0c9a7b3e";

impl<'a> Form<'a> {
    fn body(self) -> FileBody<'a> {
        let mut before = String::new();
        for (name, value) in self.fields {
            write!(before, "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                .expect("a String takes every write");
        }
        write!(
            before,
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
            self.file.name, self.media_type
        )
        .expect("a String takes every write");
        FileBody { before: before.into(), file: self.file, after: format!("\r\n--{BOUNDARY}--\r\n").into() }
    }
}

impl HttpClient {
    /// Sends a form once, and reads the reply up to the limit. It may take as long as it likes while something moves every `stall`.
    pub(crate) async fn upload_form(
        &self,
        url: &Url,
        mut headers: HeaderMap,
        form: Form<'_>,
        stall: Duration,
    ) -> Result<HttpReply, HttpError> {
        let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
        headers
            .insert(CONTENT_TYPE, HeaderValue::try_from(media_type).expect("letters and digits make a header value"));
        self.upload(Method::POST, url, headers, form.body(), stall).await
    }

    /// Sends a file as a body, once, and reads the reply up to the limit. It may take as long as it likes while something moves
    /// every `stall`.
    pub(crate) async fn upload(
        &self,
        method: Method,
        url: &Url,
        mut headers: HeaderMap,
        body: FileBody<'_>,
        stall: Duration,
    ) -> Result<HttpReply, HttpError> {
        headers.insert(CONTENT_LENGTH, body.bytes().into());
        let moved = Arc::new(AtomicU64::new(0));
        let request = self.transfer(method, url, headers)?.body(body.stream(moved.clone()).await?);
        let sent = async { self.whole(answered(request).await?).await };
        let mut sent = std::pin::pin!(sent);
        loop {
            let before = moved.load(Ordering::Relaxed);
            match tokio::time::timeout(stall, &mut sent).await {
                Ok(reply) => return reply,
                Err(_) if moved.load(Ordering::Relaxed) == before => return Err(HttpError::Stalled(stall)),
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_form_is_as_long_as_it_says() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x");
        std::fs::write(&path, "{\"a\":1}\nlater").expect("a file");
        let file = EncodedFile { path: &path, bytes: 8, name: "x.jsonl" };
        let body = Form { fields: &[("purpose", "batch")], file, media_type: "application/jsonl" }.body();
        let bytes = body.bytes();
        let stream = body.stream(Arc::default()).await.expect("a body");
        let all = http_body_util::BodyExt::collect(stream).await.expect("all of it").to_bytes();
        assert_eq!(all.len() as u64, bytes);
        let text = std::str::from_utf8(&all).expect("text");
        assert_eq!(
            text.replace(BOUNDARY, "B"),
            "--B\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
             --B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.jsonl\"\r\n\
             Content-Type: application/jsonl\r\n\r\n{\"a\":1}\n\r\n--B--\r\n"
        );
    }
}
