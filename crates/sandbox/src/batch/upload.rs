//! Files on their way in, as they are or as a part of `multipart/form-data` (RFC 7578).

use std::io;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use memchr::memmem;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::files::OnDisk;
use super::ids::Token;
use crate::config::Config;
use crate::state::Sandbox;

/// The largest head of a part, and the largest field.
const MAX_TEXT_BYTES: usize = 16 * 1024;

/// More fields are nonsense.
const MAX_PARTS: usize = 32;

/// A form that has arrived whole.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    fields: Vec<(String, String)>,
    pub file: Option<Received>,
}

/// A file's content, not kept yet.
#[derive(Debug)]
pub(crate) struct Received {
    pub place: (Token, OnDisk),
    /// As the form names it.
    pub name: String,
    pub bytes: u64,
    pub lines: u64,
}

/// Why nothing was received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error("the body is no multipart/form-data: {0}")]
    Form(&'static str),
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    #[error("the file could not be received")]
    Io(#[from] io::Error),
}

impl Upload {
    /// A field of the form.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// Receives a form, whose part `file` may have up to `max_bytes`.
pub(crate) async fn receive(
    sandbox: &Sandbox,
    config: &Config,
    headers: &HeaderMap,
    body: Incoming,
    max_bytes: u64,
) -> Result<Upload, UploadError> {
    let boundary = boundary(headers).ok_or(UploadError::Form("there is no boundary"))?;
    let mut parts = Parts::new(body, &boundary);
    let mut upload = Upload::default();
    let mut count = 0;
    while let Some(part) = parts.next().await? {
        count += 1;
        if count > MAX_PARTS {
            return Err(UploadError::Form("there are too many parts"));
        }
        if part.name == "file" && upload.file.is_none() {
            let mut writer = Writer::new(sandbox, config, max_bytes).await?;
            while let Some(piece) = parts.piece().await? {
                writer.write(&piece).await?;
            }
            upload.file = Some(writer.finish(part.filename.unwrap_or_default()).await?);
        } else {
            let mut text = Vec::new();
            while let Some(piece) = parts.piece().await? {
                text.extend(piece);
                if text.len() > MAX_TEXT_BYTES {
                    return Err(UploadError::Form("a field is too long"));
                }
            }
            upload.fields.push((part.name, String::from_utf8_lossy(&text).into_owned()));
        }
    }
    Ok(upload)
}

/// A file that is being written. Beyond the limit it takes everything and keeps nothing, so that the client
/// sees the refusal.
pub(crate) struct Writer {
    place: (Token, OnDisk),
    file: File,
    max_bytes: u64,
    bytes: u64,
    newlines: u64,
    ends_in_newline: bool,
}

impl Writer {
    pub async fn new(sandbox: &Sandbox, config: &Config, max_bytes: u64) -> io::Result<Self> {
        let place = sandbox.batches.draft(config)?;
        let file = File::create(place.1.path()).await?;
        Ok(Self { place, file, max_bytes, bytes: 0, newlines: 0, ends_in_newline: true })
    }

    pub async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.max_bytes {
            return Ok(());
        }
        self.newlines += memchr::memchr_iter(b'\n', piece).count() as u64;
        self.ends_in_newline = piece.last().map_or(self.ends_in_newline, |last| *last == b'\n');
        self.file.write_all(piece).await
    }

    pub async fn finish(mut self, name: String) -> Result<Received, UploadError> {
        if self.bytes > self.max_bytes {
            return Err(UploadError::TooLarge(self.max_bytes));
        }
        self.file.flush().await?;
        let lines = self.newlines + u64::from(!self.ends_in_newline);
        Ok(Received { place: self.place, name, bytes: self.bytes, lines })
    }
}

/// The head of a part.
struct Part {
    name: String,
    filename: Option<String>,
}

/// The parts of a body, one after the other.
struct Parts {
    body: Incoming,
    buffer: BytesMut,
    delimiter: Vec<u8>,
    /// Whether the buffer begins in a part.
    inside: bool,
}

impl Parts {
    fn new(body: Incoming, boundary: &str) -> Self {
        // The first delimiter has no line before it.
        let buffer = BytesMut::from(&b"\r\n"[..]);
        Self { body, buffer, delimiter: format!("\r\n--{boundary}").into_bytes(), inside: true }
    }

    /// Goes on to the next part.
    async fn next(&mut self) -> Result<Option<Part>, UploadError> {
        while self.piece().await?.is_some() {}
        while self.buffer.len() < 2 {
            self.fill().await?;
        }
        let end = self.buffer.split_to(2);
        if end[..] == *b"--" {
            while let Some(frame) = self.body.frame().await {
                frame.map_err(io::Error::other)?;
            }
            return Ok(None);
        }
        if end[..] != *b"\r\n" {
            return Err(UploadError::Form("a boundary has no line of its own"));
        }
        let end = loop {
            match memmem::find(&self.buffer, b"\r\n\r\n") {
                Some(end) => break end,
                None if self.buffer.len() > MAX_TEXT_BYTES => return Err(UploadError::Form("a head is too long")),
                None => self.fill().await?,
            }
        };
        let head = self.buffer.split_to(end + 4);
        self.inside = true;
        let head = String::from_utf8_lossy(&head);
        let disposition = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-disposition").then_some(value)
        });
        let disposition = disposition.ok_or(UploadError::Form("a part has no content-disposition"))?;
        let name = parameter(disposition, "name").ok_or(UploadError::Form("a part has no name"))?;
        Ok(Some(Part { name, filename: parameter(disposition, "filename") }))
    }

    /// A piece of the part; None at its end.
    async fn piece(&mut self) -> Result<Option<Bytes>, UploadError> {
        if !self.inside {
            return Ok(None);
        }
        loop {
            match memmem::find(&self.buffer, &self.delimiter) {
                Some(0) => {
                    let _ = self.buffer.split_to(self.delimiter.len());
                    self.inside = false;
                    return Ok(None);
                }
                Some(end) => return Ok(Some(self.buffer.split_to(end).freeze())),
                None => {}
            }
            // Its end may be the beginning of a delimiter.
            let sure = (self.buffer.len() + 1).saturating_sub(self.delimiter.len());
            if sure > 0 {
                return Ok(Some(self.buffer.split_to(sure).freeze()));
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), UploadError> {
        let frame = self.body.frame().await.ok_or(UploadError::Form("it ends too soon"))?;
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
            self.buffer.extend_from_slice(&data);
        }
        Ok(())
    }
}

fn boundary(headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (kind, parameters) = content_type.split_once(';')?;
    let is_form = kind.trim().eq_ignore_ascii_case("multipart/form-data");
    let boundary = parameter(&format!(";{parameters}"), "boundary")?;
    (is_form && !boundary.is_empty() && boundary.len() <= 70).then_some(boundary)
}

/// A parameter of a header, quoted or not.
fn parameter(header: &str, name: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once(';') {
        let (key, value) = after.split_once('=')?;
        let (value, after) = value_of(value.trim_start());
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after;
    }
    None
}

/// A value, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_quoted_or_not() {
        let header = r#" form-data; name="fi;le"; filename="a\"b=.jsonl"; x=1"#;
        assert_eq!(parameter(header, "name").as_deref(), Some("fi;le"));
        assert_eq!(parameter(header, "filename").as_deref(), Some("a\"b=.jsonl"));
        assert_eq!(parameter(header, "x").as_deref(), Some("1"));
        assert_eq!(parameter(header, "y"), None);
        assert_eq!(parameter(r#"; a="unclosed"#, "a").as_deref(), Some("unclosed"));
    }

    #[test]
    fn boundary_is_that_of_a_form_only() {
        let of = |value: &'static str| {
            let value = hyper::header::HeaderValue::from_static(value);
            boundary(&HeaderMap::from_iter([(CONTENT_TYPE, value)]))
        };
        assert_eq!(of("multipart/form-data; boundary=abc").as_deref(), Some("abc"));
        assert_eq!(of("Multipart/Form-Data; charset=utf-8; boundary=\"a b\"").as_deref(), Some("a b"));
        assert_eq!(of("application/json; boundary=abc"), None);
        assert_eq!(of("multipart/form-data"), None);
    }
}
