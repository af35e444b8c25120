//! How Mistral speaks of rate limits: `retry-after` in seconds, and `x-ratelimit-*`.

use super::error::ApiError;
use crate::family::{RateLimit, Wait};
use crate::limits::{Levels, ceil_ms};
use crate::reply::Reply;

pub(super) fn rate_limit(rate_limit: &RateLimit<'_>) -> Reply {
    let reply = Reply::from(ApiError::rate_limit(rate_limit.detail));
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
pub(super) fn put_levels(levels: &Levels, mut reply: Reply) -> Reply {
    if let Some(level) = levels.requests {
        reply = reply
            .with_header("x-ratelimit-limit-req-minute", &level.limit.to_string())
            .with_header("x-ratelimit-remaining-req-minute", &level.remaining.to_string());
    }
    if let Some(level) = levels.tokens {
        reply = reply
            .with_header("x-ratelimit-limit-tokens-minute", &level.limit.to_string())
            .with_header("x-ratelimit-remaining-tokens-minute", &level.remaining.to_string());
    }
    reply
}
