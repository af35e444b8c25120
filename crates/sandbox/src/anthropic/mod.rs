//! Anthropic's wire format below `/anthropic`.

mod completion;
mod error;
mod limits;
mod parameters;
mod request;

use std::sync::Arc;

use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, body};

use crate::asked::Asked;
use crate::clock::Moment;
use crate::completion::Completion;
use crate::exchange::exchange;
use crate::family::{Family, Objection, RateLimit};
use crate::limits::Levels;
use crate::reply::Reply;
use crate::server::{ConnectionClosed, HttpResponse};
use crate::state::Sandbox;
use crate::value::Fields;
use error::ApiError;

/// Messages, under one version of the API.
pub(crate) struct Anthropic {
    version: Result<Version, VersionProblem>,
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

/// Answers a request to a path below `/anthropic`.
pub(crate) async fn handle(
    sandbox: &Arc<Sandbox>,
    request: Request<body::Incoming>,
) -> Result<HttpResponse, ConnectionClosed> {
    let path = request.uri().path();
    if path == "/anthropic/v1/messages" && request.method() == Method::POST {
        return exchange::<Anthropic>(sandbox, request).await;
    }
    let error = ApiError::from(&Objection::UnknownUrl { method: request.method().as_str(), path });
    Anthropic::error_reply(error, 0).into_response(Anthropic::REQUEST_ID, 0, ()).ok_or(ConnectionClosed)
}

impl Version {
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
        Self { version: Version::of(&parts.headers) }
    }

    fn key<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        headers.get("x-api-key")?.to_str().ok().map(str::trim).filter(|key| !key.is_empty())
    }

    fn model<'a>(&'a self, fields: &'a Fields<'_>) -> Option<&'a str> {
        fields.text("model")
    }

    fn read<'a>(&'a self, fields: &'a Fields<'_>) -> Result<Asked<'a>, ApiError> {
        let version = self.version.map_err(|problem| match problem {
            VersionProblem::Missing => ApiError::invalid("anthropic-version: header is required".to_owned()),
            VersionProblem::Unknown => ApiError::invalid("anthropic-version: not a known version".to_owned()),
        })?;
        request::read(fields, version)
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
