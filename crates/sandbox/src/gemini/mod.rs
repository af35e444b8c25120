//! The Gemini API's wire format below `/gemini`.

mod batch_object;
mod batch_wire;
mod batches;
mod completion;
mod error;
mod files;
mod limits;
mod parameters;
mod request;
mod routes;
mod upload;

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use hyper::HeaderMap;
use hyper::http::request::Parts;

use crate::asked::Asked;
use crate::clock::Moment;
use crate::completion::Completion;
use crate::family::{Family, Objection, RateLimit};
use crate::limits::Levels;
use crate::reply::Reply;
use crate::value::Fields;
use error::ApiError;
pub(crate) use routes::handle;
pub(crate) use upload::Uploads;

/// `generateContent`, of the model that the path names.
pub(crate) struct Gemini {
    model: String,
}

/// Model and method of a path `/gemini/v1beta/models/{model}:{method}`.
fn model_call(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("/gemini/v1beta/models/")?.rsplit_once(':')
}

/// RFC 3339 with microseconds.
fn time(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(DateTime::from_timestamp_millis);
    time.unwrap_or(DateTime::<Utc>::MAX_UTC).to_rfc3339_opts(SecondsFormat::Micros, true)
}

impl Family for Gemini {
    type Error = ApiError;

    const MAX_BODY_BYTES: usize = 20 * 1024 * 1024;
    const REQUEST_ID: Option<&'static str> = None;
    const REFUSAL: &'static str = "";
    const WRONG_TYPE: &'static str = r#"{"candidates":{"content":"none"},"usageMetadata":[],"modelVersion":7}"#;

    fn of(parts: &Parts) -> Self {
        let model = model_call(parts.uri.path()).map_or("", |(model, _)| model);
        Self { model: model.to_owned() }
    }

    fn key<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        headers.get("x-goog-api-key")?.to_str().ok().map(str::trim).filter(|key| !key.is_empty())
    }

    fn model<'a>(&'a self, _fields: &'a Fields<'_>) -> Option<&'a str> {
        Some(&self.model)
    }

    /// The model stands in the path.
    fn identity<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        Cow::Owned([body, b"\n", self.model.as_bytes()].concat())
    }

    fn read<'a>(&'a self, fields: &'a Fields<'_>) -> Result<Asked<'a>, ApiError> {
        request::read(fields, &self.model)
    }

    fn error(&self, objection: &Objection<'_>) -> ApiError {
        objection.into()
    }

    fn error_reply(error: ApiError, _seq: u64) -> Reply {
        error.into()
    }

    fn rate_limit(rate_limit: &RateLimit<'_>, _seq: u64) -> Reply {
        limits::rate_limit(rate_limit)
    }

    /// Nothing says how much is left.
    fn put_levels(_levels: &Levels, reply: Reply, _now: Moment) -> Reply {
        reply
    }

    fn body(completion: &Completion<'_>) -> Vec<u8> {
        completion::body(completion)
    }

    fn head(completion: &Completion<'_>) -> Vec<u8> {
        completion::head(completion)
    }

    fn tail(completion: &Completion<'_>) -> Vec<u8> {
        completion::tail(completion)
    }
}
