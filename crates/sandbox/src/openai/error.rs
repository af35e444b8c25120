//! Error bodies: `{"error": {"message", "type", "param", "code"}}`.

use std::borrow::Cow;

use serde::Serialize;

use crate::family::Objection;
use crate::fault::InvalidFault;
use crate::limits::Limit;
use crate::reply::{JSON, Reply};
use crate::value::Value;

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
    /// Azure's details of a content filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub innererror: Option<&'static InnerError>,
}

/// What Azure's content filter found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct InnerError {
    code: &'static str,
    content_filter_result: ContentFilterResult,
}

#[derive(Debug, Clone, Serialize)]
struct ContentFilterResult {
    violence: Finding,
}

#[derive(Debug, Clone, Serialize)]
struct Finding {
    filtered: bool,
    severity: &'static str,
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
            innererror: None,
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

    pub fn unknown_url(method: &str, path: &str) -> Self {
        let message = format!("Unknown request URL: {method} {path}.");
        Self::invalid(404, message, None, Some("unknown_url"))
    }

    /// The usual 404 of a file or a batch.
    pub fn no_such_object() -> Self {
        Self::invalid(404, "No such object.".to_owned(), Some("id"), None)
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

    /// The same with what Azure adds.
    pub fn azure_content_filter() -> Self {
        const POLICY: InnerError = InnerError {
            code: "ResponsibleAIPolicyViolation",
            content_filter_result: ContentFilterResult { violence: Finding { filtered: true, severity: "high" } },
        };
        Self { innererror: Some(&POLICY), ..Self::content_filter() }
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
            innererror: None,
            code: Some(Cow::Borrowed("rate_limit_exceeded")),
        }
    }

    pub fn insufficient_quota() -> Self {
        Self {
            status: 429,
            message: Cow::Borrowed("You exceeded your current quota; check your plan and billing details."),
            kind: Cow::Borrowed("insufficient_quota"),
            param: None,
            innererror: None,
            code: Some(Cow::Borrowed("insufficient_quota")),
        }
    }

    /// The usual error of a status, with names in place of the usual ones.
    fn on_demand(status: u16, code: Option<&str>, kind: Option<&str>) -> Self {
        let (usual_kind, usual_code, message) = usual(status);
        Self {
            status,
            message: Cow::Borrowed(message),
            kind: kind.map_or(Cow::Borrowed(usual_kind), |kind| Cow::Owned(kind.to_owned())),
            param: None,
            innererror: None,
            code: code.map(|code| Cow::Owned(code.to_owned())).or(usual_code.map(Cow::Borrowed)),
        }
    }

    pub fn server(message: String) -> Self {
        Self {
            status: 500,
            message: Cow::Owned(message),
            kind: Cow::Borrowed("server_error"),
            param: None,
            code: None,
            innererror: None,
        }
    }

    pub fn log_failed() -> Self {
        Self {
            status: 500,
            message: Cow::Borrowed("The sandbox cannot write its oracle log; is the disk full?"),
            kind: Cow::Borrowed("server_error"),
            param: None,
            innererror: None,
            code: Some(Cow::Borrowed("sandbox_log_failed")),
        }
    }
}

impl From<&Objection<'_>> for ApiError {
    fn from(objection: &Objection<'_>) -> Self {
        match *objection {
            Objection::NoKey => Self::no_key(),
            Objection::WrongKey { tail } => Self::wrong_key(tail),
            Objection::TooLarge { max_bytes } => Self::too_large(max_bytes),
            Objection::NotJson => Self::not_json(),
            Objection::UnknownUrl { method, path } => Self::unknown_url(method, path),
            Objection::UnknownModel(model) => Self::unknown_model(model),
            Objection::ContextLength { prompt_tokens, answer_tokens, context_tokens } => {
                Self::context_length(prompt_tokens, answer_tokens, context_tokens)
            }
            Objection::Marker(error) => Self::invalid_marker(error),
            Objection::ContentFilter => Self::content_filter(),
            Objection::Quota => Self::insufficient_quota(),
            Objection::Status { status, code, kind } => Self::on_demand(status, code, kind),
            Objection::LogFailed => Self::log_failed(),
        }
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let body = serde_json::to_vec(&Envelope { error: &error }).expect("strings and options always serialise");
        Self::new(error.status, JSON, body)
    }
}

/// Type, code and message that usually come with a status.
fn usual(status: u16) -> (&'static str, Option<&'static str>, &'static str) {
    const INVALID: &str = "invalid_request_error";
    match status {
        401 => (INVALID, Some("invalid_api_key"), "Incorrect API key provided."),
        403 => (INVALID, Some("unsupported_country_region_territory"), "Access denied."),
        404 => (INVALID, Some("model_not_found"), "The model does not exist."),
        408 => ("timeout", None, "The request timed out."),
        409 => ("conflict", None, "The resource is locked; try again."),
        413 => (INVALID, Some("request_too_large"), "The request body is too large."),
        422 => (INVALID, None, "The request could not be processed."),
        429 => ("requests", Some("rate_limit_exceeded"), "Rate limit reached."),
        503 => ("service_unavailable_error", Some("server_is_overloaded"), "Overloaded."),
        504 => ("server_error", Some("timeout"), "The upstream took too long."),
        529 => ("overloaded_error", None, "Overloaded."),
        500.. => ("server_error", None, "The server had an error."),
        _ => (INVALID, None, "The request is invalid."),
    }
}
