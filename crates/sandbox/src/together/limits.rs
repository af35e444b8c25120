//! How Together speaks of rate limits: `x-ratelimit-*` and `x-tokenlimit-*`, by the second.

use std::borrow::Cow;

use crate::family::{RateLimit, Wait};
use crate::limits::{Level, Levels, Limit, ceil_ms};
use crate::openai::ApiError;
use crate::reply::Reply;

pub(super) fn rate_limit(rate_limit: &RateLimit<'_>) -> Reply {
    let mut error = ApiError::rate_limit(rate_limit.limit, rate_limit.detail);
    error.kind = Cow::Borrowed(match rate_limit.limit {
        Limit::Requests => "dynamic_request_limited",
        Limit::Tokens => "dynamic_token_limited",
    });
    error.code = None;
    let reply = Reply::from(error);
    match rate_limit.wait {
        Wait::Unknown => reply,
        Wait::Usual(wait) => reply.with_header("x-ratelimit-reset", &ceil_ms(wait).div_ceil(1000).to_string()),
        Wait::Told { retry, delay, unix_ms } => match retry.header(delay, unix_ms) {
            Some((name, value)) => reply.with_header(name, &value),
            None => reply,
        },
    }
}

/// Adds the headers of the limits that exist.
pub(super) fn put_levels(levels: &Levels, mut reply: Reply) -> Reply {
    let per_second = |level: &Level| (level.limit.div_ceil(60).to_string(), level.remaining.div_ceil(60).to_string());
    if let Some(level) = &levels.requests {
        let (limit, remaining) = per_second(level);
        reply = reply.with_header("x-ratelimit-limit", &limit).with_header("x-ratelimit-remaining", &remaining);
    }
    if let Some(level) = &levels.tokens {
        let (limit, remaining) = per_second(level);
        reply = reply.with_header("x-tokenlimit-limit", &limit).with_header("x-tokenlimit-remaining", &remaining);
    }
    reply
}
