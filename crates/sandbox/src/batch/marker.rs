//! Markers that only provider batches meet: `[[sandbox:batch_missing times=1]]`.

use crate::fault::{InvalidFault, Words};

/// Where every marker of a provider batch begins.
const OPEN: &str = "[[sandbox:batch_";

/// What becomes of one request of a provider batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowFault {
    /// There is no result line.
    Missing,
    /// There are two, with different answers.
    Duplicate,
    /// Another line has an id that nobody sent.
    Unknown,
    /// Status 0 and an empty body.
    StatusZero,
    /// Neither response nor error.
    Null,
    /// The request expires, and so does the whole.
    Expired,
    /// The validation fails because of the line.
    Invalid {
        /// Whether it says which line.
        line: bool,
    },
    /// An error of that code and no answer.
    Error { code: String },
}

/// A fault and how many deliveries of the request meet it.
#[derive(Debug)]
pub(super) struct RowMarker {
    pub fault: RowFault,
    times: Option<u32>,
}

/// Whether a marker of this name is one of a provider batch.
pub(crate) fn is_row_marker(words: &str) -> bool {
    words.trim_start().starts_with("batch_")
}

/// The markers in the JSON of a request; none of their characters needs an escape.
pub(super) fn in_body(body: &[u8]) -> Vec<RowMarker> {
    let Some(text) = contains_open(body).then(|| String::from_utf8_lossy(body)) else {
        return Vec::new();
    };
    let markers = text.split("[[sandbox:").skip(1).filter_map(|inner| inner.split_once("]]"));
    // A broken marker is a 400 of the request, as in real time.
    markers.filter_map(|(words, _)| is_row_marker(words).then(|| parse(words).ok())?).collect()
}

/// Checks a marker without meeting it.
pub(crate) fn check(words: &str) -> Result<(), InvalidFault> {
    parse(words).map(|_| ())
}

impl RowMarker {
    pub fn applies(&self, delivery: u32) -> bool {
        self.times.is_none_or(|times| delivery <= times)
    }
}

fn contains_open(body: &[u8]) -> bool {
    memchr::memmem::find(body, OPEN.as_bytes()).is_some()
}

fn parse(text: &str) -> Result<RowMarker, InvalidFault> {
    let mut words = Words::split(text)?;
    let fault = match words.name() {
        "batch_missing" => RowFault::Missing,
        "batch_duplicate" => RowFault::Duplicate,
        "batch_unknown" => RowFault::Unknown,
        "batch_status_zero" => RowFault::StatusZero,
        "batch_null" => RowFault::Null,
        "batch_expired" => RowFault::Expired,
        "batch_invalid" => RowFault::Invalid { line: words.number("line")?.unwrap_or(true) },
        "batch_error" => {
            let code = words.take("code").unwrap_or("request_timeout");
            RowFault::Error { code: code.to_owned() }
        }
        name => return Err(InvalidFault::Name(name.to_owned())),
    };
    let times = words.number("times")?;
    words.finish()?;
    Ok(RowMarker { fault, times })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(body: &str, delivery: u32) -> Vec<RowFault> {
        let markers = in_body(body.as_bytes());
        markers.into_iter().filter(|marker| marker.applies(delivery)).map(|marker| marker.fault).collect()
    }

    #[test]
    fn markers_are_found_in_json() {
        let body = r#"{"content":"[[sandbox:batch_missing times=1]] [[sandbox:html]] [[sandbox:batch_error code=x]]"}"#;
        assert_eq!(faults(body, 1), [RowFault::Missing, RowFault::Error { code: "x".to_owned() }]);
        assert_eq!(faults(body, 2), [RowFault::Error { code: "x".to_owned() }]);
        assert_eq!(faults("[[sandbox:batch_invalid line=false]]", 9), [RowFault::Invalid { line: false }]);
        assert_eq!(faults("[[sandbox:html]] [[sandbox:batch_", 1), []);
    }

    #[test]
    fn nonsense_is_refused() {
        for words in
            ["batch_", "batch_missing line=true", "batch_invalid line=7", "batch_error code", "batch_null times=x"]
        {
            assert!(check(words).is_err(), "{words}");
        }
    }
}
