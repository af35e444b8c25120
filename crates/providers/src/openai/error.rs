//! Which class an error of this family belongs to. Structured fields decide first, the message last.

use std::time::SystemTime;

use domain::failure::{Class, Failure};
use serde::Deserialize;

use crate::client::{HttpError, HttpReply, retry_after};

/// `{"error": {…}}`; some servers send numbers as codes, or a text in place of the object.
#[derive(Deserialize)]
struct Body {
    error: Option<Detail>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Detail {
    Object {
        message: Option<String>,
        #[serde(rename = "type")]
        kind: Option<String>,
        code: Option<serde_json::Value>,
    },
    Text(String),
}

/// What an error reply says of itself.
#[derive(Default)]
struct Signs {
    kind: String,
    code: String,
    message: String,
}

/// Codes of a 429 that no waiting helps.
const QUOTA_CODES: [&str; 6] = [
    "insufficient_quota",
    "billing_hard_limit_reached",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
];

/// Bytes of a body without a message that are quoted in the error.
const QUOTED_BYTES: usize = 300;

/// The failure of a reply that is no 2xx.
pub(super) fn status(reply: &HttpReply, now: SystemTime) -> Failure {
    let signs = signs(&reply.body);
    let (class, code) = classify(reply.status.as_u16(), &signs);
    let said = if signs.message.is_empty() { quote(&reply.body) } else { signs.message };
    let message = format!("HTTP {}: {said}", reply.status.as_u16());
    Failure { retry_after: retry_after(&reply.headers, now), ..Failure::new(class, code, message) }
}

/// The failure of a call without a whole reply.
pub(super) fn transport(error: &HttpError) -> Failure {
    let (class, code) = match error {
        HttpError::Blocked { .. } => (Class::KeyLevel, "blocked_address"),
        HttpError::Connect(_) => (Class::Transient, "provider_unreachable"),
        HttpError::Lost(_) => (Class::Transient, "connection_lost"),
        HttpError::Timeout(_) => (Class::Transient, "provider_timeout"),
        HttpError::TooLarge { .. } => (Class::Transient, "provider_response_too_large"),
    };
    Failure::new(class, code, error.to_string())
}

fn classify(status: u16, signs: &Signs) -> (Class, &'static str) {
    let says = |word: &str| signs.code == word || signs.kind == word;
    match status {
        400 | 422 if is_context_overflow(signs) => (Class::Permanent, "context_length_exceeded"),
        400 | 403 if says("content_filter") || says("content_policy_violation") => (Class::Refusal, "refused"),
        401 | 403 => (Class::KeyLevel, "provider_auth_failed"),
        402 => (Class::KeyLevel, "provider_quota_exhausted"),
        404 => (Class::KeyLevel, "model_not_found"),
        408 => (Class::Transient, "provider_timeout"),
        409 => (Class::Transient, "provider_conflict"),
        413 => (Class::Permanent, "request_too_large"),
        429 if QUOTA_CODES.iter().any(|code| says(code)) => (Class::KeyLevel, "provider_quota_exhausted"),
        429 => (Class::Wait, "rate_limited"),
        503 | 529 => (Class::Wait, "provider_overloaded"),
        500 => (Class::Transient, "provider_error"),
        501..600 => (Class::Transient, "provider_unavailable"),
        // A redirect is not followed: the base URL is wrong, for every row.
        300..400 => (Class::KeyLevel, "provider_misconfigured"),
        _ => (Class::Permanent, "provider_rejected"),
    }
}

/// OpenAI's code, llama.cpp's type, and vLLM's words.
fn is_context_overflow(signs: &Signs) -> bool {
    signs.code == "context_length_exceeded"
        || signs.kind == "exceed_context_size_error"
        || signs.message.starts_with("This model's maximum context length")
}

fn signs(body: &[u8]) -> Signs {
    match serde_json::from_slice::<Body>(body).ok().and_then(|body| body.error) {
        Some(Detail::Object { message, kind, code }) => Signs {
            kind: kind.unwrap_or_default(),
            code: code.and_then(|code| code.as_str().map(str::to_owned)).unwrap_or_default(),
            message: message.unwrap_or_default(),
        },
        Some(Detail::Text(message)) => Signs { message, ..Signs::default() },
        None => Signs::default(),
    }
}

fn quote(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(QUOTED_BYTES)]);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() { "(empty body)".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;

    fn class_of(code: u16, body: &str) -> (Class, String) {
        let reply = HttpReply {
            status: StatusCode::from_u16(code).expect("a status"),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        let failure = status(&reply, SystemTime::UNIX_EPOCH);
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

    #[test]
    fn the_message_is_the_provider_s_or_a_quote() {
        assert_eq!(quote(b" <html>\n  <b>bad</b> "), "<html> <b>bad</b>");
        assert_eq!(quote(b""), "(empty body)");
    }
}
