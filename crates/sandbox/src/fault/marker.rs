//! Markers in a message: `[[sandbox:status code=500 times=2]]`.

use super::parse::Words;
use super::{Fault, InvalidFault};
use crate::batch::marker;

const OPEN: &str = "[[sandbox:";
const CLOSE: &str = "]]";

/// A fault asked for by the text of a message.
struct Marker {
    fault: Fault,
    /// Only the first so many deliveries of this request body meet it. None means all.
    times: Option<u32>,
}

/// The fault of the first marker that still applies. `delivery` says how manieth delivery of its body the
/// request is, and is asked only where a marker counts them.
pub(crate) fn from_texts<'a>(
    texts: impl Iterator<Item = &'a str>,
    delivery: impl Fn() -> u32,
) -> Result<Option<Fault>, InvalidFault> {
    for text in texts.filter(|text| text.contains(OPEN)) {
        for inner in text.split(OPEN).skip(1) {
            let (words, _) = inner.split_once(CLOSE).ok_or(InvalidFault::Unclosed)?;
            // Those are for the results of a provider batch, and checked only here.
            if marker::is_row_marker(words) {
                marker::check(words)?;
                continue;
            }
            let marker = Marker::parse(words)?;
            if marker.times.is_none_or(|times| delivery() <= times) {
                return Ok(Some(marker.fault));
            }
        }
    }
    Ok(None)
}

impl Marker {
    fn parse(text: &str) -> Result<Self, InvalidFault> {
        let mut words = Words::split(text)?;
        let fault = words.fault()?;
        let times = words.number("times")?;
        words.finish()?;
        Ok(Self { fault, times })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str, delivery: u32) -> Option<&'static str> {
        let found = from_texts([text].into_iter(), || delivery).expect("valid markers");
        found.map(|fault| fault.name())
    }

    #[test]
    fn text_without_marker_has_no_fault() {
        assert_eq!(fault("[sandbox:html]] [[sand", 1), None);
    }

    #[test]
    fn first_marker_that_still_applies_is_met() {
        let text = "a [[sandbox:html times=2]] b [[sandbox:nul times=3]] c";
        let met = [1, 2, 3, 4].map(|delivery| fault(text, delivery));
        assert_eq!(met, [Some("html"), Some("html"), Some("nul"), None]);
        assert_eq!(fault("[[sandbox:html]]", 1_000_000), Some("html"));
    }

    #[test]
    fn broken_marker_is_an_error() {
        for text in ["[[sandbox:html", "[[sandbox:]]", "[[sandbox:html times=x]]"] {
            assert!(from_texts([text].into_iter(), || 1).is_err(), "{text}");
        }
    }
}
