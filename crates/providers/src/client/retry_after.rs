//! How long a provider asks to wait.

use std::time::{Duration, SystemTime};

use domain::backoff::MAX_RETRY_AFTER;
use reqwest::header::HeaderMap;

/// From `retry-after-ms` (milliseconds), else `retry-after` (seconds or an HTTP date, RFC 9110 section 10.2.3). What can't be
/// read is ignored, what has passed is no wait, and what is too long is cut.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let milliseconds = text("retry-after-ms").and_then(number).map(|number| number / 1_000.0);
    let seconds = milliseconds.or_else(|| text("retry-after").and_then(number));
    let wait = match seconds {
        Some(seconds) => Duration::try_from_secs_f64(seconds).unwrap_or(MAX_RETRY_AFTER),
        None => httpdate::parse_http_date(text("retry-after")?).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Option<Duration> {
        let headers = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header")))
            .collect();
        retry_after(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777))
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(read(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(read(&[("retry-after", "0.5")]), Some(Duration::from_millis(500)));
        assert_eq!(read(&[("retry-after-ms", "250"), ("retry-after", "7")]), Some(Duration::from_millis(250)));
        assert_eq!(read(&[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")]), Some(Duration::from_secs(10)));
    }

    #[test]
    fn what_is_absurd_is_clamped_or_ignored() {
        assert_eq!(read(&[("retry-after", "1000000000")]), Some(MAX_RETRY_AFTER));
        assert_eq!(read(&[("retry-after", "1e300")]), Some(MAX_RETRY_AFTER));
        assert_eq!(read(&[("retry-after", "Sat, 06 Nov 2094 08:49:37 GMT")]), Some(MAX_RETRY_AFTER));
        assert_eq!(read(&[("retry-after", "Tue, 06 Nov 1984 08:49:37 GMT")]), Some(Duration::ZERO));
        for garbage in ["", "soon", "-1", "NaN", "inf", "7 s"] {
            assert_eq!(read(&[("retry-after", garbage)]), None, "{garbage}");
        }
        assert_eq!(read(&[]), None);
    }
}
