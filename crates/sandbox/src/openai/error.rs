//! Error bodies: `{"error": {"message", "type", "param", "code"}}`.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use super::value::Value;
use crate::fault::InvalidFault;
use crate::reply::Reply;

/// An error as the API tells it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ApiError {
    #[serde(skip)]
    pub status: u16,
    pub message: Cow<'static, str>,
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    pub param: Option<String>,
    pub code: Option<Cow<'static, str>>,
}

/// What a rate limit counts; the `type` of its 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Requests,
    Tokens,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: &'a ApiError,
}

impl ApiError {
    /// An `invalid_request_error`.
    pub fn invalid(status: u16, message: String, param: Option<&str>, code: Option<&'static str>) -> Self {
        Self {
            status,
            message: Cow::Owned(message),
            kind: Cow::Borrowed("invalid_request_error"),
            param: param.map(str::to_owned),
            code: code.map(Cow::Borrowed),
        }
    }

    /// A 400 about one parameter.
    pub fn parameter(param: &str, code: &'static str, message: String) -> Self {
        Self::invalid(400, message, Some(param), Some(code))
    }

    pub fn missing(param: &str) -> Self {
        let message = format!("Missing required parameter: '{param}'.");
        Self::parameter(param, "missing_required_parameter", message)
    }

    pub fn wrong_type(param: &str, expected: &str, value: &Value<'_>) -> Self {
        let message = format!("Invalid type for '{param}': expected {expected}, but got {}.", value.kind());
        Self::parameter(param, "invalid_type", message)
    }

    pub fn not_one_of(param: &str, value: &str, allowed: &[&str]) -> Self {
        let message = format!("Invalid value: '{value}'. Supported values are: {}.", allowed.join(", "));
        Self::parameter(param, "invalid_value", message)
    }

    pub fn unsupported(param: &str) -> Self {
        let message = format!("Unsupported parameter: '{param}' is not supported with this model.");
        Self::parameter(param, "unsupported_parameter", message)
    }

    pub fn no_key() -> Self {
        let message = "You did not provide an API key: send it as 'Authorization: Bearer KEY'.";
        Self::invalid(401, message.to_owned(), None, None)
    }

    pub fn wrong_key(tail: &str) -> Self {
        let message = format!("Incorrect API key provided: ****{tail}.");
        Self::invalid(401, message, None, Some("invalid_api_key"))
    }

    pub fn not_json() -> Self {
        let message = "We could not parse the JSON body of your request.";
        Self::invalid(400, message.to_owned(), None, None)
    }

    pub fn too_large(max_bytes: usize) -> Self {
        let message = format!("The request body is larger than {max_bytes} bytes.");
        Self::invalid(413, message, None, Some("request_too_large"))
    }

    pub fn unknown_url(method: &impl fmt::Display, path: &str) -> Self {
        let message = format!("Unknown request URL: {method} {path}.");
        Self::invalid(404, message, None, Some("unknown_url"))
    }

    pub fn unknown_model(model: &str) -> Self {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        Self::invalid(404, message, None, Some("model_not_found"))
    }

    pub fn context_length(prompt_tokens: u64, answer_tokens: u64, context_tokens: u64) -> Self {
        let message = format!(
            "This model's maximum context length is {context_tokens} tokens. However, you requested {} tokens \
             ({prompt_tokens} in the messages, {answer_tokens} in the completion).",
            prompt_tokens.saturating_add(answer_tokens)
        );
        Self::invalid(400, message, Some("messages"), Some("context_length_exceeded"))
    }

    pub fn content_filter() -> Self {
        let message = "The prompt was refused by the content filter.".to_owned();
        Self::invalid(400, message, Some("prompt"), Some("content_filter"))
    }

    pub fn invalid_marker(error: &InvalidFault) -> Self {
        let message = format!("Sandbox marker: {error}.");
        Self::invalid(400, message, Some("messages"), Some("sandbox_marker_invalid"))
    }

    pub fn rate_limit(limit: Limit, detail: &str) -> Self {
        Self {
            status: 429,
            message: Cow::Owned(format!("Rate limit reached {detail}.")),
            kind: Cow::Borrowed(match limit {
                Limit::Requests => "requests",
                Limit::Tokens => "tokens",
            }),
            param: None,
            code: Some(Cow::Borrowed("rate_limit_exceeded")),
        }
    }

    pub fn insufficient_quota() -> Self {
        Self {
            status: 429,
            message: Cow::Borrowed("You exceeded your current quota; check your plan and billing details."),
            kind: Cow::Borrowed("insufficient_quota"),
            param: None,
            code: Some(Cow::Borrowed("insufficient_quota")),
        }
    }

    pub fn server(message: String) -> Self {
        Self { status: 500, message: Cow::Owned(message), kind: Cow::Borrowed("server_error"), param: None, code: None }
    }

    pub fn log_failed() -> Self {
        Self {
            status: 500,
            message: Cow::Borrowed("The sandbox cannot write its oracle log; is the disk full?"),
            kind: Cow::Borrowed("server_error"),
            param: None,
            code: Some(Cow::Borrowed("sandbox_log_failed")),
        }
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let body = serde_json::to_vec(&Envelope { error: &error }).expect("strings and options always serialise");
        Self::new(error.status, "application/json", body)
    }
}
