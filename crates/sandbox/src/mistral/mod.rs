//! Mistral's wire format below `/mistral`, in real time and for provider batches.

mod batch_wire;
mod completion;
mod error;
mod files;
mod job_object;
mod jobs;
mod limits;
mod page;
mod parameters;
mod routes;

use std::borrow::Cow;

use hyper::HeaderMap;
use hyper::http::request::Parts;

use crate::asked::Asked;
use crate::clock::Moment;
use crate::completion::Completion;
use crate::family::{Family, Objection, RateLimit};
use crate::limits::Levels;
use crate::openai::bearer;
use crate::reply::Reply;
use crate::value::Fields;
use error::ApiError;
pub(crate) use routes::handle;

/// Chat completions, files and batch jobs.
pub(crate) struct Mistral;

impl Family for Mistral {
    type Error = ApiError;

    const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
    const REQUEST_ID: Option<&'static str> = Some("mistral-correlation-id");
    const REFUSAL: &'static str = "I'm sorry, but I can't help with that.";
    const WRONG_TYPE: &'static str = r#"{"choices":{"message":"none"},"usage":[],"id":7}"#;

    fn of(_parts: &Parts) -> Self {
        Self
    }

    fn key<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        bearer(headers)
    }

    fn model<'a>(&'a self, fields: &'a Fields<'_>) -> Option<&'a str> {
        fields.text("model")
    }

    fn identity<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        batch_wire::identity(body, None)
    }

    fn read<'a>(&'a self, fields: &'a Fields<'_>) -> Result<Asked<'a>, ApiError> {
        parameters::read(fields)
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
