//! How Anthropic speaks of rate limits: `anthropic-ratelimit-*`, and `retry-after` in seconds.

use chrono::{DateTime, SecondsFormat, Utc};

use super::error::ApiError;
use crate::family::{RateLimit, Wait};
use crate::limits::{Level, Levels, ceil_ms};
use crate::reply::Reply;

pub(super) fn rate_limit(rate_limit: &RateLimit<'_>, seq: u64) -> Reply {
    let message = format!("This request would exceed your organization's rate limit {}.", rate_limit.detail);
    let reply = ApiError::new(429, "rate_limit_error", message).reply(seq);
    match rate_limit.wait {
        Wait::Unknown => reply,
        Wait::Usual(wait) => reply.with_header("retry-after", &ceil_ms(wait).div_ceil(1000).to_string()),
        Wait::Told { retry, delay, unix_ms } => match retry.header(delay, unix_ms) {
            Some((name, value)) => reply.with_header(name, &value),
            None => reply,
        },
    }
}

/// Adds the headers of the limits that exist.
pub(super) fn put_levels(levels: &Levels, mut reply: Reply, unix_ms: u64) -> Reply {
    if let Some(level) = levels.requests {
        reply = reply
            .with_header("anthropic-ratelimit-requests-limit", &level.limit.to_string())
            .with_header("anthropic-ratelimit-requests-remaining", &level.remaining.to_string())
            .with_header("anthropic-ratelimit-requests-reset", &reset(&level, unix_ms));
    }
    if let Some(level) = levels.tokens {
        reply = reply
            .with_header("anthropic-ratelimit-tokens-limit", &level.limit.to_string())
            .with_header("anthropic-ratelimit-tokens-remaining", &thousands(level.remaining).to_string())
            .with_header("anthropic-ratelimit-tokens-reset", &reset(&level, unix_ms));
    }
    reply
}

/// To the nearest thousand, as Anthropic rounds the tokens that remain.
fn thousands(tokens: u64) -> u64 {
    tokens.saturating_add(500) / 1000 * 1000
}

/// RFC 3339, rounded up to a whole second.
fn reset(level: &Level, unix_ms: u64) -> String {
    let at_ms = unix_ms.saturating_add(ceil_ms(level.reset)).div_ceil(1000).saturating_mul(1000);
    rfc3339(at_ms)
}

/// In whole seconds, as all times of the API.
pub(super) fn rfc3339(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(DateTime::from_timestamp_millis);
    time.unwrap_or(DateTime::<Utc>::MAX_UTC).to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn reset_is_a_time_and_tokens_are_rounded() {
        let level = Level { limit: 9, remaining: 0, reset: Duration::from_millis(59_001) };
        assert_eq!(reset(&level, 784_111_717_500), "1994-11-06T08:49:37Z");
        assert_eq!([499, 500, 12_345].map(thousands), [0, 1000, 12_000]);
    }
}
