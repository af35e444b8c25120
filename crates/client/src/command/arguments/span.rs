//! Spans of time as people write them: `90s`, `6h`, `1h30m`, `2d`.

use std::time::Duration;

/// # Errors
/// No number with a unit, or more than fits.
pub fn parse(text: &str) -> Result<Duration, String> {
    let invalid = || format!("`{text}` is no span of time; write it like 90s, 30m, 6h, 1h30m or 2d");
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit()).ok_or_else(invalid)?;
        let number: u64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let unit = rest.chars().next().and_then(seconds_of).ok_or_else(invalid)?;
        rest = &rest[1..];
        total = number.checked_mul(unit).and_then(|seconds| total.checked_add(seconds)).ok_or_else(invalid)?;
    }
    if text.is_empty() { Err(invalid()) } else { Ok(Duration::from_secs(total)) }
}

fn seconds_of(unit: char) -> Option<u64> {
    match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3_600),
        'd' => Some(86_400),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        for (text, seconds) in [("90s", 90), ("6h", 21_600), ("1h30m", 5_400), ("2d", 172_800), ("0s", 0)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in ["", "6", "h", "6 h", "6y", "-6h", "6hé", "99999999999999999999d", "9999999999999999999d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
