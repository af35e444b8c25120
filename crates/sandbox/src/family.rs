//! What the families of wire formats have in common, and where each has its own words.

use std::borrow::Cow;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::http::request::Parts;

use crate::asked::Asked;
use crate::clock::Moment;
use crate::completion::Completion;
use crate::config::Config;
use crate::fault::{InvalidFault, Retry};
use crate::limits::{Levels, Limit};
use crate::reply::{JSON, Reply};
use crate::value::Fields;

/// A provider's wire format, in one request.
pub(crate) trait Family: Sized + Send + Sync {
    /// An error as this provider tells it.
    type Error: Send;

    /// The largest body read.
    const MAX_BODY_BYTES: usize;
    /// The response header with the request's id; None where there is none.
    const REQUEST_ID: Option<&'static str>;
    /// What the model writes in order to refuse.
    const REFUSAL: &'static str;
    /// JSON whose fields have the names of an answer's and other types.
    const WRONG_TYPE: &'static str;

    /// What path and headers say beside the key.
    fn of(parts: &Parts) -> Self;

    /// The caller's key.
    fn key<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str>;

    /// The model that the request names, be it valid or not.
    fn model<'a>(&'a self, fields: &'a Fields<'_>) -> Option<&'a str>;

    /// The bytes of a body that identify a request.
    fn identity<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        Cow::Borrowed(body)
    }

    /// Checks a request as strictly as this provider does.
    fn read<'a>(&'a self, fields: &'a Fields<'_>) -> Result<Asked<'a>, Self::Error>;

    fn error(&self, objection: &Objection<'_>) -> Self::Error;

    /// The number is the request's, for its id.
    fn error_reply(error: Self::Error, seq: u64) -> Reply;

    fn rate_limit(rate_limit: &RateLimit<'_>, seq: u64) -> Reply;

    /// Adds the headers that say how much of the limits is left.
    fn put_levels(levels: &Levels, reply: Reply, now: Moment) -> Reply;

    /// The whole body.
    fn body(completion: &Completion<'_>) -> Vec<u8>;

    /// Everything before the first byte of the content.
    fn head(completion: &Completion<'_>) -> Vec<u8>;

    /// Everything after the last byte of the content.
    fn tail(completion: &Completion<'_>) -> Vec<u8>;

    /// A billed 200.
    fn answer(completion: &Completion<'_>) -> Reply {
        let mut reply = Reply::new(200, JSON, Self::body(completion));
        reply.billed_tokens = Some(completion.completion_tokens());
        reply
    }

    /// A request needs a key, and one of the configured ones where there are any.
    fn authenticate<'k>(&self, config: &Config, key: Option<&'k str>) -> Result<&'k str, Self::Error> {
        let key = key.ok_or_else(|| self.error(&Objection::NoKey))?;
        if config.api_keys.is_empty() || config.api_keys.iter().any(|known| known == key) {
            Ok(key)
        } else {
            Err(self.error(&Objection::WrongKey { tail: key_tail(key) }))
        }
    }
}

/// Why a request is not answered, where all families have a word for it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Objection<'a> {
    NoKey,
    WrongKey {
        tail: &'a str,
    },
    TooLarge {
        max_bytes: usize,
    },
    NotJson,
    UnknownUrl {
        method: &'a str,
        path: &'a str,
    },
    UnknownModel(&'a str),
    ContextLength {
        prompt_tokens: u64,
        answer_tokens: u64,
        context_tokens: u64,
    },
    Marker(&'a InvalidFault),
    ContentFilter,
    /// Money or a quota is used up; waiting a minute does not help.
    Quota,
    /// An error status on demand, with names in place of the usual ones.
    Status {
        status: u16,
        code: Option<&'a str>,
        kind: Option<&'a str>,
    },
    LogFailed,
}

/// A request over a limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RateLimit<'a> {
    pub limit: Limit,
    /// Follows on "rate limit reached".
    pub detail: &'a str,
    pub wait: Wait,
}

/// How a rate limit says when to come back.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wait {
    /// Not at all.
    Unknown,
    /// As this provider does.
    Usual(Duration),
    /// In a way asked for, after a delay that counts from `unix_ms`.
    Told { retry: Retry, delay: Duration, unix_ms: u64 },
}

/// The last four characters of a key: enough to tell the callers of a test apart.
pub(crate) fn key_tail(key: &str) -> &str {
    let start = key.char_indices().rev().nth(3).map_or(0, |(index, _)| index);
    &key[start..]
}
