//! Anthropic's wire format below `/anthropic`.

mod batch_object;
mod batch_wire;
mod batches;
mod completion;
mod error;
mod limits;
mod parameters;
mod request;
mod routes;

use hyper::HeaderMap;
use hyper::header::HeaderValue;
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

/// Messages, under one version of the API.
pub(crate) struct Anthropic {
    version: Result<Version, VersionProblem>,
    /// Whether the message is asked for in a provider batch, where some parameters are refused.
    in_batch: bool,
}

/// The header `anthropic-version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// `2023-06-01`.
    Of2023,
    /// `2026-10-21`: no sampling parameters, no documents of the assistant, no citations of the user.
    Of2026,
}

#[derive(Debug, Clone, Copy)]
enum VersionProblem {
    Missing,
    Unknown,
}

impl From<VersionProblem> for ApiError {
    fn from(problem: VersionProblem) -> Self {
        Self::invalid(match problem {
            VersionProblem::Missing => "anthropic-version: header is required".to_owned(),
            VersionProblem::Unknown => "anthropic-version: not a known version".to_owned(),
        })
    }
}

impl Version {
    /// As in the header.
    fn name(self) -> &'static str {
        match self {
            Self::Of2023 => "2023-06-01",
            Self::Of2026 => "2026-10-21",
        }
    }

    fn of(headers: &HeaderMap) -> Result<Self, VersionProblem> {
        match headers.get("anthropic-version").map(HeaderValue::as_bytes) {
            Some(b"2023-06-01") => Ok(Self::Of2023),
            Some(b"2026-10-21") => Ok(Self::Of2026),
            Some(_) => Err(VersionProblem::Unknown),
            None => Err(VersionProblem::Missing),
        }
    }
}

impl Family for Anthropic {
    type Error = ApiError;

    const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
    const REQUEST_ID: Option<&'static str> = Some("request-id");
    const REFUSAL: &'static str = "";
    const WRONG_TYPE: &'static str = r#"{"content":{"text":"none"},"usage":[],"id":7}"#;

    fn of(parts: &Parts) -> Self {
        Self { version: Version::of(&parts.headers), in_batch: false }
    }

    fn key<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        headers.get("x-api-key")?.to_str().ok().map(str::trim).filter(|key| !key.is_empty())
    }

    fn model<'a>(&'a self, fields: &'a Fields<'_>) -> Option<&'a str> {
        fields.text("model")
    }

    fn read<'a>(&'a self, fields: &'a Fields<'_>) -> Result<Asked<'a>, ApiError> {
        let version = self.version?;
        request::read(fields, version, self.in_batch)
    }

    fn error(&self, objection: &Objection<'_>) -> ApiError {
        objection.into()
    }

    fn error_reply(error: ApiError, seq: u64) -> Reply {
        error.reply(seq)
    }

    fn rate_limit(rate_limit: &RateLimit<'_>, seq: u64) -> Reply {
        limits::rate_limit(rate_limit, seq)
    }

    fn put_levels(levels: &Levels, reply: Reply, now: Moment) -> Reply {
        limits::put_levels(levels, reply, now.unix_ms)
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
