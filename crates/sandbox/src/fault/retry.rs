//! How a rate limit on demand tells its delay.

use std::time::Duration;

const YEAR_S: u64 = 365 * 24 * 60 * 60;
const HOUR_MS: u64 = 60 * 60 * 1000;

/// How a rate limit tells its delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Not at all.
    None,
    /// `retry-after` in seconds, rounded up.
    Seconds,
    /// `retry-after-ms`.
    Ms,
    /// `retry-after` as an HTTP date.
    Date,
    /// `retry-after` that is neither number nor date.
    Garbage,
    /// `retry-after` of a year.
    Huge,
    /// `retry-after` as an HTTP date an hour ago.
    Past,
}

impl Retry {
    /// The value of the parameter `retry`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Seconds => "seconds",
            Self::Ms => "ms",
            Self::Date => "date",
            Self::Garbage => "garbage",
            Self::Huge => "huge",
            Self::Past => "past",
        }
    }

    /// The header for a delay from `unix_ms` on.
    pub(crate) fn header(self, delay: Duration, unix_ms: u64) -> Option<(&'static str, String)> {
        let delay_ms = whole_ms(delay);
        Some(match self {
            Self::None => return None,
            Self::Seconds => ("retry-after", delay_ms.div_ceil(1000).to_string()),
            Self::Ms => ("retry-after-ms", delay_ms.to_string()),
            Self::Date => ("retry-after", http_date(unix_ms.saturating_add(delay_ms))),
            Self::Garbage => ("retry-after", "soon".to_owned()),
            Self::Huge => ("retry-after", YEAR_S.to_string()),
            Self::Past => ("retry-after", http_date(unix_ms.saturating_sub(HOUR_MS))),
        })
    }

    /// The text in place of a duration in JSON, where there are no headers: `34s`.
    pub(crate) fn json_duration(self, delay: Duration, unix_ms: u64) -> Option<String> {
        let delay_ms = whole_ms(delay);
        Some(match self {
            Self::None => return None,
            Self::Seconds => format!("{}s", delay_ms.div_ceil(1000)),
            Self::Ms => json_duration(delay_ms),
            Self::Date => http_date(unix_ms.saturating_add(delay_ms)),
            Self::Garbage => "soon".to_owned(),
            Self::Huge => format!("{YEAR_S}s"),
            Self::Past => format!("-{}s", HOUR_MS / 1000),
        })
    }
}

/// A `google.protobuf.Duration` in JSON: seconds with three digits after the point where they are no whole ones.
pub(crate) fn json_duration(ms: u64) -> String {
    match ms % 1000 {
        0 => format!("{}s", ms / 1000),
        fraction => format!("{}.{fraction:03}s", ms / 1000),
    }
}

fn whole_ms(delay: Duration) -> u64 {
    u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)
}

/// RFC 9110 section 5.6.7, rounded up to a whole second so that a wait until then is long enough.
fn http_date(unix_ms: u64) -> String {
    let seconds = i64::try_from(unix_ms.div_ceil(1000)).unwrap_or(i64::MAX);
    chrono::DateTime::from_timestamp(seconds, 0)
        .unwrap_or(chrono::DateTime::<chrono::Utc>::MAX_UTC)
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_date_has_the_form_of_the_standard() {
        assert_eq!(http_date(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(784_111_776_001), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn json_duration_is_in_seconds() {
        assert_eq!([0, 34_000, 1200, 5].map(json_duration), ["0s", "34s", "1.200s", "0.005s"]);
    }
}
