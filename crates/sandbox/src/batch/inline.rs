//! Requests that come in the body of the call that creates a provider batch.
//!
//! They are written to a file, one in a line, as the body arrives: it may be larger than memory should be.

use std::io;

use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::upload::{Received, UploadError, Writer};
use crate::config::Config;
use crate::state::Sandbox;

/// The name of the array that holds the requests.
const ARRAY: &[u8] = b"requests";

/// The most of the body that is not requests.
const MAX_REST_BYTES: usize = 1024 * 1024;

/// A body taken apart.
#[derive(Debug)]
pub(crate) struct Inline {
    /// The body without what stood in the array.
    pub rest: Vec<u8>,
    /// What stood in it; None where there is no array.
    pub requests: Option<Received>,
}

/// Receives a body whose first array of the name `requests`, at any depth, holds requests, in at most `max_bytes`.
pub(crate) async fn receive_inline(
    sandbox: &Sandbox,
    config: &Config,
    mut body: Incoming,
    max_bytes: u64,
) -> Result<Inline, UploadError> {
    let mut writer = Writer::new(sandbox, config, max_bytes).await?;
    let mut splitter = Splitter::default();
    let mut lines = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(io::Error::other)?.into_data() else {
            continue;
        };
        splitter.feed(&data, &mut lines);
        if splitter.rest.len() > MAX_REST_BYTES {
            return Err(UploadError::Form("there is too much beside the requests"));
        }
        writer.write(&lines).await?;
        lines.clear();
    }
    if splitter.has_line_break {
        return Err(UploadError::Form("a string has a line break"));
    }
    let received = writer.finish(String::new()).await?;
    let requests = matches!(splitter.place, Place::After).then_some(received);
    Ok(Inline { rest: splitter.rest, requests })
}

/// Where in the body the splitter is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Before,
    Within,
    After,
}

/// Whether the splitter is in a string.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Text {
    #[default]
    Outside,
    Inside,
    /// After a backslash.
    Escaped,
}

/// Tells the requests from the rest, byte by byte. It trusts the JSON, which is parsed later.
#[derive(Debug, Default)]
struct Splitter {
    place: Place,
    text: Text,
    /// The last string before or after the array: perhaps a key.
    string: Vec<u8>,
    /// Whether that was a key, and nothing has followed it yet.
    is_key: bool,
    /// Open brackets within a request.
    depth: u32,
    /// Whether the current line holds anything.
    begun: bool,
    /// Whether a string was broken, which the lines would not show.
    has_line_break: bool,
    rest: Vec<u8>,
}

impl Splitter {
    /// Appends whole requests, each with its line's end, and the beginning of the last one to `lines`.
    fn feed(&mut self, data: &[u8], lines: &mut Vec<u8>) {
        for &byte in data {
            if self.place == Place::Within {
                self.request(byte, lines);
            } else {
                self.other(byte);
            }
        }
    }

    fn other(&mut self, byte: u8) {
        self.rest.push(byte);
        if self.text != Text::Outside {
            if !self.string_goes_on(byte) {
                self.is_key = false;
            } else if self.string.len() <= ARRAY.len() {
                self.string.push(byte);
            }
            return;
        }
        match byte {
            b'"' => {
                self.text = Text::Inside;
                self.string.clear();
            }
            b':' => self.is_key = true,
            b'[' if self.place == Place::Before && self.is_key && self.string == ARRAY => self.place = Place::Within,
            byte if !byte.is_ascii_whitespace() => self.is_key = false,
            _ => {}
        }
    }

    fn request(&mut self, byte: u8, lines: &mut Vec<u8>) {
        if self.text != Text::Outside {
            self.has_line_break |= byte == b'\n';
            lines.push(byte);
            self.string_goes_on(byte);
            return;
        }
        match byte {
            b']' if self.depth == 0 => {
                self.end_line(lines);
                self.place = Place::After;
                self.rest.push(byte);
                return;
            }
            b',' if self.depth == 0 => return self.end_line(lines),
            b'"' => self.text = Text::Inside,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            // Between tokens it says nothing, and a line must not break.
            byte if byte.is_ascii_whitespace() => return,
            _ => {}
        }
        self.begun = true;
        lines.push(byte);
    }

    fn end_line(&mut self, lines: &mut Vec<u8>) {
        if std::mem::take(&mut self.begun) {
            lines.push(b'\n');
        }
    }

    /// Takes a byte within a string, and says whether it was not the last.
    fn string_goes_on(&mut self, byte: u8) -> bool {
        self.text = match (self.text, byte) {
            (Text::Inside, b'\\') => Text::Escaped,
            (Text::Inside, b'"') => Text::Outside,
            _ => Text::Inside,
        };
        self.text != Text::Outside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rest and lines, however the body is cut.
    fn split(body: &str) -> (String, String) {
        let whole = split_in(body, body.len());
        assert_eq!(whole, split_in(body, 1));
        whole
    }

    fn split_in(body: &str, size: usize) -> (String, String) {
        let (mut splitter, mut lines) = (Splitter::default(), Vec::new());
        for piece in body.as_bytes().chunks(size) {
            splitter.feed(piece, &mut lines);
        }
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (text(splitter.rest), text(lines))
    }

    #[test]
    fn requests_become_lines_and_the_rest_stays() {
        let body = r#"{"a": 1, "requests" : [ {"x": "]},\"{" , "y": [1, {}]},
            {"z": "\\"} ], "b": ["requests"]}"#;
        let (rest, lines) = split(body);
        assert_eq!(rest, r#"{"a": 1, "requests" : [], "b": ["requests"]}"#);
        assert_eq!(lines, "{\"x\":\"]},\\\"{\",\"y\":[1,{}]}\n{\"z\":\"\\\\\"}\n");
    }

    #[test]
    fn array_is_found_below_an_object_of_the_same_name() {
        let (rest, lines) = split(r#"{"in":{"requests":{"requests":[{"a":1},{"b":[]}]}}}"#);
        assert_eq!(
            (rest.as_str(), lines.as_str()),
            (r#"{"in":{"requests":{"requests":[]}}}"#, "{\"a\":1}\n{\"b\":[]}\n")
        );
    }

    #[test]
    fn other_strings_arrays_and_no_requests_are_left_alone() {
        for body in
            [r#"{"a":"requests","b":[1]}"#, r#"{"requests2":[1],"c":{"requests":7}}"#, r#"{"requests":[]}"#, "x"]
        {
            assert_eq!(split(body), (body.to_owned(), String::new()));
        }
    }
}
