//! OpenAI's wire format, in real time and for provider batches.

mod batch_object;
mod batch_wire;
mod batches;
mod chat;
mod completion;
mod desk;
mod error;
mod files;
mod flavour;
mod models;
mod page;
mod parameters;
mod request;
mod routes;
mod value;

pub(crate) use chat::completions;
pub(crate) use completion::{Completion, Content, ReportedUsage};
pub(crate) use error::{ApiError, Limit};
pub(crate) use flavour::Flavour;
pub(crate) use routes::route;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use crate::config::Config;

/// The bearer of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !key.trim().is_empty()).then_some(key.trim())
}

/// A request needs a bearer, and one of the configured ones where there are any.
pub(crate) fn authenticate<'a>(config: &Config, key: Option<&'a str>) -> Result<&'a str, ApiError> {
    let key = key.ok_or_else(ApiError::no_key)?;
    if config.api_keys.is_empty() || config.api_keys.iter().any(|known| known == key) {
        Ok(key)
    } else {
        Err(ApiError::wrong_key(key_tail(key)))
    }
}

/// The last four characters of a key: enough to tell the callers of a test apart.
pub(crate) fn key_tail(key: &str) -> &str {
    let start = key.char_indices().rev().nth(3).map_or(0, |(index, _)| index);
    &key[start..]
}
