//! Error bodies: `{"type": "error", "error": {"type", "message", "details"}, "request_id"}`.

use std::borrow::Cow;

use serde::Serialize;

use crate::family::Objection;
use crate::reply::{JSON, Reply};

const INVALID: &str = "invalid_request_error";

/// An error as the API tells it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ApiError {
    #[serde(skip)]
    status: u16,
    #[serde(rename = "type")]
    kind: Cow<'static, str>,
    message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
}

#[derive(Debug, Clone, Serialize)]
struct Details {
    error_code: Cow<'static, str>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: &'a ApiError,
    request_id: String,
}

impl ApiError {
    pub fn new(status: u16, kind: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, kind: Cow::Borrowed(kind), message: message.into(), details: None }
    }

    /// A 400 `invalid_request_error`.
    pub fn invalid(message: String) -> Self {
        Self::new(400, INVALID, message)
    }

    pub fn missing(path: &str) -> Self {
        Self::invalid(format!("{path}: Field required"))
    }

    pub fn unknown(path: &str) -> Self {
        Self::invalid(format!("{path}: Extra inputs are not permitted"))
    }

    pub fn wrong_type(path: &str, expected: &str) -> Self {
        Self::invalid(format!("{path}: Input should be {expected}"))
    }

    pub fn reply(self, seq: u64) -> Reply {
        let envelope = Envelope { kind: "error", error: &self, request_id: format!("req_{seq:016x}") };
        let body = serde_json::to_vec(&envelope).expect("strings and options always serialise");
        Reply::new(self.status, JSON, body)
    }

    fn context_length(prompt_tokens: u64, answer_tokens: u64, context_tokens: u64) -> Self {
        if prompt_tokens > context_tokens {
            return Self::invalid(format!("prompt is too long: {prompt_tokens} tokens > {context_tokens} maximum"));
        }
        Self::invalid(format!(
            "input length and `max_tokens` exceed context limit: {prompt_tokens} + {answer_tokens} > \
             {context_tokens}, decrease input length or `max_tokens` and try again"
        ))
    }

    /// The usual error of a status, with names in place of the usual ones.
    fn on_demand(status: u16, code: Option<&str>, kind: Option<&str>) -> Self {
        let (usual_kind, message) = usual(status);
        let mut error = Self::new(status, usual_kind, message);
        if let Some(kind) = kind {
            error.kind = Cow::Owned(kind.to_owned());
        }
        error.details = code.map(|code| Details { error_code: Cow::Owned(code.to_owned()) });
        error
    }
}

impl From<&Objection<'_>> for ApiError {
    fn from(objection: &Objection<'_>) -> Self {
        const AUTHENTICATION: &str = "authentication_error";
        match *objection {
            Objection::NoKey => Self::new(401, AUTHENTICATION, "x-api-key header is required"),
            Objection::WrongKey { .. } => Self::new(401, AUTHENTICATION, "invalid x-api-key"),
            Objection::TooLarge { max_bytes } => {
                let message = format!("Request exceeds the maximum size of {max_bytes} bytes");
                Self::new(413, "request_too_large", message)
            }
            Objection::NotJson => Self::invalid("The request body is not valid JSON.".to_owned()),
            Objection::UnknownUrl { method, path } => {
                Self::new(404, "not_found_error", format!("Not found: {method} {path}"))
            }
            Objection::UnknownModel(model) => Self::new(404, "not_found_error", format!("model: {model}")),
            Objection::ContextLength { prompt_tokens, answer_tokens, context_tokens } => {
                Self::context_length(prompt_tokens, answer_tokens, context_tokens)
            }
            Objection::Marker(error) => Self::invalid(format!("Sandbox marker: {error}.")),
            Objection::ContentFilter => Self::invalid("Output blocked by content filtering policy".to_owned()),
            Objection::Quota => Self {
                details: Some(Details { error_code: Cow::Borrowed("enforced_spend_limit_reached") }),
                ..Self::new(429, "rate_limit_error", "Your organization has reached its spend limit for this month.")
            },
            Objection::Status { status, code, kind } => Self::on_demand(status, code, kind),
            Objection::LogFailed => {
                Self::new(500, "api_error", "The sandbox cannot write its oracle log; is the disk full?")
            }
        }
    }
}

/// Of a call that has no number.
impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        error.reply(0)
    }
}

/// Type and message that usually come with a status.
fn usual(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => ("authentication_error", "invalid x-api-key"),
        402 => ("billing_error", "Your credit balance is too low."),
        403 => ("permission_error", "Your API key does not have permission to use the resource."),
        404 => ("not_found_error", "The model does not exist."),
        408 | 504 => ("timeout_error", "The request timed out."),
        409 => ("conflict_error", "The resource is locked; try again."),
        413 => ("request_too_large", "Request exceeds the maximum size"),
        429 => ("rate_limit_error", "This request would exceed your organization's rate limit."),
        529 => ("overloaded_error", "Overloaded"),
        500.. => ("api_error", "Internal server error"),
        _ => (INVALID, "The request is invalid."),
    }
}
