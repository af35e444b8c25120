//! OpenAI's wire format, in real time and for provider batches.

mod batch_object;
mod batch_wire;
mod batches;
mod completion;
mod error;
mod files;
mod flavour;
mod limits;
mod models;
mod page;
mod parameters;
mod request;
mod routes;

pub(crate) use batch_wire::{into_model, write_line};
pub(crate) use error::ApiError;
pub(crate) use flavour::OpenAi;
pub(crate) use parameters::check_by;
pub(crate) use request::read_messages;
pub(crate) use routes::handle;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;

use crate::asked::Asked;
use crate::clock::Moment;
use crate::completion::Completion;
use crate::family::{Family, Objection, RateLimit};
use crate::limits::Levels;
use crate::reply::Reply;
use crate::value::Fields;

/// The bearer of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !key.trim().is_empty()).then_some(key.trim())
}

impl Family for OpenAi {
    type Error = ApiError;

    const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
    const REQUEST_ID: Option<&'static str> = Some("x-request-id");
    const REFUSAL: &'static str = "I'm sorry, but I can't help with that.";
    const WRONG_TYPE: &'static str = r#"{"choices":{"message":"none"},"usage":[],"id":7}"#;

    fn of(parts: &Parts) -> Self {
        Self::below(parts.uri.path())
    }

    fn key<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let api_key = || headers.get("api-key")?.to_str().ok().filter(|key| !key.is_empty());
        match self {
            Self::Azure => api_key().or_else(|| bearer(headers)),
            Self::Plain | Self::Groq => bearer(headers),
        }
    }

    fn model<'a>(&'a self, fields: &'a Fields<'_>) -> Option<&'a str> {
        fields.text("model")
    }

    fn read<'a>(&'a self, fields: &'a Fields<'_>) -> Result<Asked<'a>, ApiError> {
        request::read(fields)
    }

    fn error(&self, objection: &Objection<'_>) -> ApiError {
        match (self, objection) {
            (Self::Azure, Objection::ContentFilter) => ApiError::azure_content_filter(),
            _ => objection.into(),
        }
    }

    fn error_reply(error: ApiError, _seq: u64) -> Reply {
        error.into()
    }

    fn rate_limit(rate_limit: &RateLimit<'_>, _seq: u64) -> Reply {
        limits::rate_limit(rate_limit)
    }

    fn put_levels(levels: &Levels, reply: Reply, _now: Moment) -> Reply {
        limits::put_levels(levels, reply)
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
