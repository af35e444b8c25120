//! The Gemini API's wire format below `/gemini`.

mod completion;
mod error;
mod limits;
mod parameters;
mod request;

use std::sync::Arc;

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

/// `generateContent`, of the model that the path names.
pub(crate) struct Gemini {
    model: String,
}

/// Answers a request to a path below `/gemini`.
pub(crate) async fn handle(
    sandbox: &Arc<Sandbox>,
    request: Request<body::Incoming>,
) -> Result<HttpResponse, ConnectionClosed> {
    let path = request.uri().path();
    if let (&Method::POST, Some((_, "generateContent"))) = (request.method(), model_call(path)) {
        return exchange::<Gemini>(sandbox, request).await;
    }
    let error = ApiError::from(&Objection::UnknownUrl { method: request.method().as_str(), path });
    Gemini::error_reply(error, 0).into_response(Gemini::REQUEST_ID, 0, ()).ok_or(ConnectionClosed)
}

/// Model and method of a path `/gemini/v1beta/models/{model}:{method}`.
fn model_call(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("/gemini/v1beta/models/")?.rsplit_once(':')
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
