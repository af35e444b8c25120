//! Error bodies: `{"object": "error", "message", "type", "param", "code"}`, at the top level.

use std::borrow::Cow;

use serde::Serialize;

use crate::family::Objection;
use crate::openai;
use crate::reply::{JSON, Reply};

/// An error as the API tells it.
#[derive(Debug, Serialize)]
#[serde(tag = "object", rename = "error")]
pub(crate) struct ApiError {
    message: Cow<'static, str>,
    #[serde(rename = "type")]
    kind: Cow<'static, str>,
    param: Option<String>,
    code: Option<Cow<'static, str>>,
    /// Field by field, in a 422.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Box<[Detail]>>,
    #[serde(skip)]
    status: u16,
}

/// What is wrong with one field.
#[derive(Debug, Serialize)]
struct Detail {
    #[serde(rename = "type")]
    kind: String,
    loc: Vec<String>,
    msg: String,
}

impl ApiError {
    pub fn new(status: u16, kind: &'static str, code: Option<&'static str>, message: String) -> Self {
        Self {
            message: Cow::Owned(message),
            kind: Cow::Borrowed(kind),
            param: None,
            code: code.map(Cow::Borrowed),
            detail: None,
            status,
        }
    }

    /// A 422 about one field of the body.
    pub fn field(name: &str, kind: &str, reason: &str) -> Self {
        let loc = std::iter::once("body").chain(name.split('.').filter(|name| !name.is_empty()));
        let loc = loc.map(str::to_owned).collect();
        Self {
            detail: Some(Box::new([Detail { kind: kind.to_owned(), loc, msg: reason.to_owned() }])),
            ..Self::new(422, "invalid_request_error", None, format!("{name}: {reason}"))
        }
    }

    pub fn unknown_field(name: &str) -> Self {
        Self::field(name, "extra_forbidden", "Extra inputs are not permitted")
    }

    pub fn not_found(what: &str, id: &str) -> Self {
        Self::new(404, "not_found", None, format!("{what} not found: {id}"))
    }

    pub fn bad_request(message: String) -> Self {
        Self::new(400, "invalid_request_error", None, message)
    }

    pub fn server(message: String) -> Self {
        Self::new(500, "internal_server_error", Some("1000"), message)
    }

    pub fn unknown_model(model: &str) -> Self {
        Self::new(400, "invalid_model", Some("1500"), format!("Invalid model: {model}"))
    }

    pub fn rate_limit(detail: &str) -> Self {
        Self::new(429, "rate_limited", Some("1300"), format!("Rate limit exceeded {detail}"))
    }

    /// The usual error of a status, with names in place of the usual ones.
    fn on_demand(status: u16, code: Option<&str>, kind: Option<&str>) -> Self {
        let (usual_kind, usual_code, message) = usual(status);
        let mut error = Self::new(status, usual_kind, usual_code, message.to_owned());
        if let Some(kind) = kind {
            error.kind = Cow::Owned(kind.to_owned());
        }
        if let Some(code) = code {
            error.code = Some(Cow::Owned(code.to_owned()));
        }
        error
    }
}

/// Errors about parameters and messages are found by OpenAI's rules; here they are 422.
impl From<openai::ApiError> for ApiError {
    fn from(error: openai::ApiError) -> Self {
        match error.param {
            Some(param) => {
                let kind = error.code.unwrap_or(Cow::Borrowed("value_error"));
                Self { param: Some(param.clone()), ..Self::field(&param, &kind, &error.message) }
            }
            None => Self::bad_request(error.message.into_owned()),
        }
    }
}

impl From<&Objection<'_>> for ApiError {
    fn from(objection: &Objection<'_>) -> Self {
        match *objection {
            Objection::NoKey | Objection::WrongKey { .. } => {
                Self::new(401, "unauthorized", None, "Unauthorized".to_owned())
            }
            Objection::TooLarge { max_bytes } => {
                Self::new(413, "invalid_request_error", None, format!("The body is larger than {max_bytes} bytes"))
            }
            Objection::NotJson => Self::field("", "json_invalid", "JSON decode error"),
            Objection::UnknownUrl { method, path } => {
                Self::new(404, "not_found", None, format!("no Route matched with {method} {path}"))
            }
            Objection::UnknownModel(model) => Self::unknown_model(model),
            Objection::ContextLength { prompt_tokens, answer_tokens, context_tokens } => Self::bad_request(format!(
                "Prompt contains {prompt_tokens} tokens and {answer_tokens} were asked for, too large for model with \
                 {context_tokens} maximum context length"
            )),
            Objection::Marker(error) => Self::new(
                400,
                "invalid_request_error",
                Some("sandbox_marker_invalid"),
                format!("Sandbox marker: {error}."),
            ),
            Objection::ContentFilter => {
                let message = "The prompt was refused by the content filter.".to_owned();
                Self::new(400, "invalid_request_error", Some("content_filter"), message)
            }
            Objection::Quota => Self::new(402, "payment_required", None, "The usage limit is reached.".to_owned()),
            Objection::Status { status, code, kind } => Self::on_demand(status, code, kind),
            Objection::LogFailed => {
                Self::server("The sandbox cannot write its oracle log; is the disk full?".to_owned())
            }
        }
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let body = serde_json::to_vec(&error).expect("strings and options always serialise");
        Self::new(error.status, JSON, body)
    }
}

/// Type, code and message that usually come with a status.
fn usual(status: u16) -> (&'static str, Option<&'static str>, &'static str) {
    match status {
        401 => ("unauthorized", None, "Unauthorized"),
        402 => ("payment_required", None, "The usage limit is reached."),
        404 => ("not_found", None, "Not found"),
        429 => ("rate_limited", Some("1300"), "Rate limit exceeded"),
        503 => ("service_unavailable", None, "Service unavailable."),
        500.. => ("internal_server_error", Some("1000"), "Internal server error"),
        _ => ("invalid_request_error", None, "The request is invalid."),
    }
}
