//! How OpenAI speaks of rate limits: `x-ratelimit-*`, `retry-after-ms` and `retry-after`.

use std::time::Duration;

use super::ApiError;
use crate::family::{RateLimit, Wait};
use crate::limits::{Levels, ceil_ms};
use crate::reply::Reply;

pub(super) fn rate_limit(rate_limit: &RateLimit<'_>) -> Reply {
    let reply = Reply::from(ApiError::rate_limit(rate_limit.limit, rate_limit.detail));
    match rate_limit.wait {
        Wait::Unknown => reply,
        Wait::Usual(wait) => {
            let ms = ceil_ms(wait);
            let seconds = ms.div_ceil(1000);
            reply.with_header("retry-after-ms", &ms.to_string()).with_header("retry-after", &seconds.to_string())
        }
        Wait::Told { retry, delay, unix_ms } => match retry.header(delay, unix_ms) {
            Some((name, value)) => reply.with_header(name, &value),
            None => reply,
        },
    }
}

/// Adds the headers of the limits that exist.
pub(super) fn put_levels(levels: &Levels, mut reply: Reply) -> Reply {
    if let Some(level) = levels.requests {
        reply = reply
            .with_header("x-ratelimit-limit-requests", &level.limit.to_string())
            .with_header("x-ratelimit-remaining-requests", &level.remaining.to_string())
            .with_header("x-ratelimit-reset-requests", &go_duration(level.reset));
    }
    if let Some(level) = levels.tokens {
        reply = reply
            .with_header("x-ratelimit-limit-tokens", &level.limit.to_string())
            .with_header("x-ratelimit-remaining-tokens", &level.remaining.to_string())
            .with_header("x-ratelimit-reset-tokens", &go_duration(level.reset));
    }
    reply
}

/// As Go prints durations, to the millisecond: `12ms`, `1.5s`, `6m0s`.
fn go_duration(duration: Duration) -> String {
    let ms = ceil_ms(duration);
    let (minutes, seconds, fraction) = (ms / 60_000, ms / 1000 % 60, ms % 1000);
    if ms == 0 {
        return "0s".to_owned();
    }
    if ms < 1000 {
        return format!("{ms}ms");
    }
    let fraction = match format!(".{fraction:03}").trim_end_matches('0') {
        "." => String::new(),
        digits => digits.to_owned(),
    };
    if minutes == 0 { format!("{seconds}{fraction}s") } else { format!("{minutes}m{seconds}{fraction}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_look_like_go() {
        let text =
            [0, 12, 1000, 1500, 20_050, 60_000, 360_000, 61_250].map(|ms| go_duration(Duration::from_millis(ms)));
        assert_eq!(text, ["0s", "12ms", "1s", "1.5s", "20.05s", "1m0s", "6m0s", "1m1.25s"]);
    }
}
