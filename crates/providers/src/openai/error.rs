//! Which class an error of this family belongs to. Structured fields decide first, the message last.

use domain::failure::{Class, Failure};
use serde::Deserialize;

use crate::error::{by_status, quote};

/// The class of an error, and our code for it.
pub(crate) type Judgement = (Class, &'static str);

/// Names the class of a status that is no 2xx.
pub(crate) type Classify = fn(u16, &Signs) -> Judgement;

/// `{"error": {…}}`. Some servers send a text in place of the object, and some its fields without the object around them.
#[derive(Deserialize)]
struct Body {
    error: Option<Detail>,
    #[serde(flatten)]
    own: Fields,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Detail {
    Object(Box<Fields>),
    Text(String),
}

/// Codes may be numbers.
#[derive(Deserialize)]
struct Fields {
    message: Option<serde_json::Value>,
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<serde_json::Value>,
    /// FastAPI's place for the message.
    detail: Option<serde_json::Value>,
    /// Azure's cause.
    innererror: Option<Box<Fields>>,
}

/// What an error says of itself. What it leaves out is empty.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    pub kind: String,
    pub code: String,
    pub message: String,
    /// The code of its cause.
    pub inner_code: String,
}

/// Codes of quotas and spend limits: no waiting helps.
const QUOTA_CODES: [&str; 6] = [
    "insufficient_quota",
    "billing_hard_limit_reached",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
];

impl Signs {
    /// From the body of a reply that is no 2xx.
    pub fn of_body(body: &[u8]) -> Self {
        let signs = match serde_json::from_slice::<Body>(body) {
            Ok(Body { error: Some(detail), .. }) => detail.into(),
            Ok(Body { error: None, own }) => own.into(),
            Err(_) => Self::default(),
        };
        if signs.message.is_empty() { Self { message: quote(body), ..signs } } else { signs }
    }

    /// From an error object alone, or from its text.
    pub fn of_detail(detail: &str) -> Self {
        let signs = serde_json::from_str::<Detail>(detail).map(Self::from).unwrap_or_default();
        if signs.message.is_empty() { Self { message: quote(detail.as_bytes()), ..signs } } else { signs }
    }

    /// The failure of a reply with this status.
    pub fn failure(&self, status: u16, (class, code): Judgement) -> Failure {
        Failure::new(class, code, format!("HTTP {status}: {}", self.message))
    }

    pub fn says(&self, word: &str) -> bool {
        self.code == word || self.kind == word
    }
}

impl From<Detail> for Signs {
    fn from(detail: Detail) -> Self {
        match detail {
            Detail::Object(fields) => (*fields).into(),
            Detail::Text(message) => Self { message, ..Self::default() },
        }
    }
}

impl From<Fields> for Signs {
    fn from(fields: Fields) -> Self {
        let text = |value: Option<serde_json::Value>| match value {
            Some(serde_json::Value::String(text)) => text,
            None | Some(serde_json::Value::Null) => String::new(),
            Some(other) => other.to_string(),
        };
        Self {
            kind: fields.kind.unwrap_or_default(),
            code: text(fields.code),
            message: text(fields.message.or(fields.detail)),
            inner_code: text(fields.innererror.and_then(|inner| inner.code)),
        }
    }
}

/// The class of a status that is no 2xx.
pub(crate) fn classify(status: u16, signs: &Signs) -> Judgement {
    match status {
        400 | 422 if is_context_overflow(signs) => (Class::Permanent, "context_length_exceeded"),
        400 | 403 if is_filtered(signs) => (Class::Refusal, "refused"),
        400 | 429 if QUOTA_CODES.iter().any(|code| signs.says(code)) => (Class::KeyLevel, "provider_quota_exhausted"),
        400 | 429 if signs.says("token_limit_exceeded") => (Class::Wait, "token_limit_exceeded"),
        _ => by_status(status),
    }
}

/// The class of an error that comes without a status, as it stands in a result line. `classify` is its server's.
pub(crate) fn classify_code(signs: &Signs, classify: Classify) -> Judgement {
    let word = if signs.code.is_empty() { &signs.kind } else { &signs.code };
    match word.as_str() {
        "batch_expired" => (Class::Wait, "batch_expired"),
        "batch_cancelled" | "batch_canceled" => (Class::Wait, "batch_cancelled"),
        "request_timeout" => (Class::Transient, "provider_timeout"),
        "rate_limit_exceeded" => (Class::Wait, "rate_limited"),
        "server_is_overloaded" => (Class::Wait, "provider_overloaded"),
        "server_error" | "internal_error" | "internal_server_error" => (Class::Transient, "provider_error"),
        "model_not_found" => (Class::KeyLevel, "model_not_found"),
        word => match (word.parse::<u16>(), classify(400, signs)) {
            (Ok(status @ 400..600), _) => classify(status, signs),
            // Nothing says that it is the request's fault.
            (_, (_, "provider_rejected")) if word.is_empty() => (Class::Transient, "provider_error"),
            (_, judgement) => judgement,
        },
    }
}

fn is_filtered(signs: &Signs) -> bool {
    signs.says("content_filter")
        || signs.says("content_policy_violation")
        || signs.inner_code == "ResponsibleAIPolicyViolation"
}

/// OpenAI's code, llama.cpp's type, and vLLM's words.
fn is_context_overflow(signs: &Signs) -> bool {
    signs.code == "context_length_exceeded"
        || signs.kind == "exceed_context_size_error"
        || signs.message.starts_with("This model's maximum context length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class_of(status: u16, body: &str) -> (Class, String) {
        let signs = Signs::of_body(body.as_bytes());
        let failure = signs.failure(status, classify(status, &signs));
        (failure.class, failure.error.code)
    }

    #[test]
    fn every_status_has_its_class() {
        let table = [
            (400, "", Class::Permanent, "provider_rejected"),
            (400, r#"{"error":{"code":"context_length_exceeded"}}"#, Class::Permanent, "context_length_exceeded"),
            (
                400,
                r#"{"error":{"code":400,"type":"exceed_context_size_error"}}"#,
                Class::Permanent,
                "context_length_exceeded",
            ),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8192"}}"#,
                Class::Permanent,
                "context_length_exceeded",
            ),
            (400, r#"{"error":{"code":"content_filter"}}"#, Class::Refusal, "refused"),
            (401, "", Class::KeyLevel, "provider_auth_failed"),
            (402, "", Class::KeyLevel, "provider_quota_exhausted"),
            (403, "", Class::KeyLevel, "provider_auth_failed"),
            (403, r#"{"error":{"code":"content_policy_violation"}}"#, Class::Refusal, "refused"),
            (404, r#"{"error":"model 'x' not found"}"#, Class::KeyLevel, "model_not_found"),
            (408, "", Class::Transient, "provider_timeout"),
            (409, "", Class::Transient, "provider_conflict"),
            (413, "", Class::Permanent, "request_too_large"),
            (418, "", Class::Permanent, "provider_rejected"),
            (422, "", Class::Permanent, "provider_rejected"),
            (429, "", Class::Wait, "rate_limited"),
            (
                429,
                r#"{"error":{"type":"insufficient_quota","code":null}}"#,
                Class::KeyLevel,
                "provider_quota_exhausted",
            ),
            (429, r#"{"error":{"type":"x","code":"insufficient_quota"}}"#, Class::KeyLevel, "provider_quota_exhausted"),
            (500, "", Class::Transient, "provider_error"),
            (502, "<html>", Class::Transient, "provider_unavailable"),
            (503, "", Class::Wait, "provider_overloaded"),
            (504, "", Class::Transient, "provider_unavailable"),
            (529, "", Class::Wait, "provider_overloaded"),
            (302, "", Class::KeyLevel, "provider_misconfigured"),
        ];
        for (code, body, class, name) in table {
            assert_eq!(class_of(code, body), (class, name.to_owned()), "{code} {body}");
        }
    }
}
