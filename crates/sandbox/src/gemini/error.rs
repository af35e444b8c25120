//! Error bodies: `{"error": {"code", "message", "status", "details"}}`, as all of Google's.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, json};

use crate::family::Objection;
use crate::reply::{JSON, Reply};

/// An error as the API tells it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ApiError {
    code: u16,
    message: Cow<'static, str>,
    status: Cow<'static, str>,
    /// Each with its `@type`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Value>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: &'a ApiError,
}

impl ApiError {
    pub fn new(code: u16, status: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), status: Cow::Borrowed(status), details: Vec::new() }
    }

    /// A 400 `INVALID_ARGUMENT`.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "INVALID_ARGUMENT", message)
    }

    /// A 400 about the JSON at `path`, which is empty at the top.
    pub fn violation(path: &str, message: String) -> Self {
        let violations = json!([{"field": path, "description": message}]);
        Self::invalid(message)
            .with(json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}))
    }

    pub fn unknown(path: &str, name: &str) -> Self {
        let place = if path.is_empty() { String::new() } else { format!(" at '{path}'") };
        let message = format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field.");
        Self::violation(path, message)
    }

    pub fn wrong_type(path: &str, expected: &str) -> Self {
        Self::violation(path, format!("Invalid value at '{path}': expected {expected}"))
    }

    /// About a field that is valid JSON and still not what the method takes.
    pub fn argument(path: &str, reason: &str) -> Self {
        Self::invalid(format!("* GenerateContentRequest.{path}: {reason}\n"))
    }

    /// With one detail more.
    pub fn with(mut self, detail: Value) -> Self {
        self.details.push(detail);
        self
    }

    fn with_reason(self, reason: &str) -> Self {
        self.with(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        }))
    }

    /// The usual error of a status, with names in place of the usual ones.
    fn on_demand(code: u16, reason: Option<&str>, status: Option<&str>) -> Self {
        let (usual_status, message) = usual(code);
        let mut error = Self::new(code, usual_status, message);
        if let Some(status) = status {
            error.status = Cow::Owned(status.to_owned());
        }
        match reason {
            Some(reason) => error.with_reason(reason),
            None => error,
        }
    }
}

impl From<&Objection<'_>> for ApiError {
    fn from(objection: &Objection<'_>) -> Self {
        match *objection {
            Objection::NoKey => {
                Self::new(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers; send an API key.")
            }
            Objection::WrongKey { .. } => {
                Self::invalid("API key not valid. Please pass a valid API key.").with_reason("API_KEY_INVALID")
            }
            Objection::TooLarge { max_bytes } => {
                Self::invalid(format!("Request payload size exceeds the limit: {max_bytes} bytes."))
            }
            Objection::NotJson => Self::invalid("Invalid JSON payload received. Expected an object."),
            Objection::UnknownUrl { method, path } => {
                Self::new(404, "NOT_FOUND", format!("The requested URL was not found: {method} {path}"))
            }
            Objection::UnknownModel(model) => {
                let message = format!("models/{model} is not found for API version v1beta.");
                Self::new(404, "NOT_FOUND", message)
            }
            Objection::ContextLength { prompt_tokens, answer_tokens, context_tokens } => {
                let tokens = prompt_tokens.saturating_add(answer_tokens);
                Self::invalid(format!(
                    "The input token count ({tokens}) exceeds the maximum number of tokens allowed ({context_tokens})."
                ))
            }
            Objection::Marker(error) => Self::invalid(format!("Sandbox marker: {error}.")),
            Objection::ContentFilter => Self::invalid("The request was blocked by the content filter."),
            Objection::Quota => super::limits::quota(),
            Objection::Status { status, code, kind } => Self::on_demand(status, code, kind),
            Objection::LogFailed => {
                Self::new(500, "INTERNAL", "The sandbox cannot write its oracle log; is the disk full?")
            }
        }
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let body = serde_json::to_vec(&Envelope { error: &error }).expect("strings and JSON always serialise");
        Self::new(error.code, JSON, body)
    }
}

/// Status and message that usually come with an HTTP status.
fn usual(code: u16) -> (&'static str, &'static str) {
    match code {
        401 => ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
        403 => ("PERMISSION_DENIED", "The caller does not have permission."),
        404 => ("NOT_FOUND", "Requested entity was not found."),
        408 | 504 => ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
        409 => ("ABORTED", "The operation was aborted."),
        429 => ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
        499 => ("CANCELLED", "The operation was cancelled."),
        500 => ("INTERNAL", "An internal error has occurred."),
        501 => ("UNIMPLEMENTED", "Operation is not implemented."),
        502.. => ("UNAVAILABLE", "The model is overloaded. Please try again later."),
        _ => ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    }
}
