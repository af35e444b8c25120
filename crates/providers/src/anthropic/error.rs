//! Which class an error of Anthropic's belongs to. Structured fields decide first, the message last.
//!
//! Source of the types: <https://platform.claude.com/docs/en/api/errors>.

use std::time::SystemTime;

use domain::failure::{Class, Failure};
use serde::Deserialize;
use serde_json::Value;

use crate::client::{HttpReply, retry_after};
use crate::error::{by_status, told};
use crate::lenient::lenient;

/// The body of an error reply, and the `error` of an item that failed.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorBody {
    #[serde(default, deserialize_with = "lenient")]
    error: Option<Detail>,
    #[serde(default, deserialize_with = "lenient")]
    pub request_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Detail {
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
    details: Option<Value>,
}

/// Codes of a limit that lasts until a month or a contract changes.
const SPEND_LIMIT_CODES: [&str; 2] = ["enforced_spend_limit_reached", "contract_spend_limit_reached"];

/// What an `invalid_request_error` says where money is what's missing.
const SPEND_LIMIT_WORDS: [&str; 3] = ["spend limit", "credit balance is too low", "api usage limits"];

/// What an `invalid_request_error` says of a prompt that is too long.
const OVERFLOW_WORDS: [&str; 2] = ["prompt is too long", "exceed context limit"];

/// The failure of a reply that is no 2xx.
pub(super) fn status(reply: &HttpReply, now: SystemTime) -> Failure {
    let status = reply.status.as_u16();
    let detail = serde_json::from_slice::<ErrorBody>(&reply.body).ok().and_then(|body| body.error).unwrap_or_default();
    let (class, code) = classify(status, &detail);
    let message = told(status, detail.message.as_deref(), &reply.body);
    Failure { retry_after: retry_after(&reply.headers, now), ..Failure::new(class, code, message) }
}

/// The failure of an item, by the type of its error. What has no known type may be tried again.
pub(super) fn item(body: ErrorBody) -> Failure {
    let detail = body.error.unwrap_or_default();
    let kind = detail.kind.as_deref().unwrap_or("an error without a type");
    let message = format!("{kind}: {}", detail.message.as_deref().unwrap_or_default());
    let (class, code) = classify(status_of(kind), &detail);
    Failure::new(class, code, message)
}

fn status_of(kind: &str) -> u16 {
    match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "conflict_error" => 409,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    }
}

fn classify(status: u16, detail: &Detail) -> (Class, &'static str) {
    let code = detail.details.as_ref().and_then(|details| details["error_code"].as_str()).unwrap_or_default();
    let message = detail.message.as_deref().unwrap_or_default().to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match status {
        400 | 403 | 429 if SPEND_LIMIT_CODES.contains(&code) => (Class::KeyLevel, "provider_quota_exhausted"),
        400 if says(&SPEND_LIMIT_WORDS) => (Class::KeyLevel, "provider_quota_exhausted"),
        400 | 413 if says(&OVERFLOW_WORDS) => (Class::Permanent, "context_length_exceeded"),
        _ => by_status(status),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::*;

    fn failure_of(status_code: u16, headers: HeaderMap, body: &str) -> Failure {
        let status_code = StatusCode::from_u16(status_code).expect("a status");
        let reply = HttpReply { status: status_code, headers, body: Bytes::copy_from_slice(body.as_bytes()) };
        status(&reply, SystemTime::UNIX_EPOCH)
    }

    fn body(kind: &str, message: &str, code: &str) -> String {
        format!(
            r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}","details":{{"error_code":"{code}"}}}},"request_id":"req_1"}}"#
        )
    }

    #[test]
    fn every_status_has_its_class() {
        let table = [
            (400, body("invalid_request_error", "no", ""), Class::Permanent, "provider_rejected"),
            (
                400,
                body("invalid_request_error", "prompt is too long: 214000 tokens > 200000 maximum", ""),
                Class::Permanent,
                "context_length_exceeded",
            ),
            (
                400,
                body("invalid_request_error", "input length and `max_tokens` exceed context limit: 1 + 2 > 2", ""),
                Class::Permanent,
                "context_length_exceeded",
            ),
            (
                400,
                body("invalid_request_error", "You have reached your workspace's spend limit", ""),
                Class::KeyLevel,
                "provider_quota_exhausted",
            ),
            (
                400,
                body("invalid_request_error", "Your credit balance is too low to access the API", ""),
                Class::KeyLevel,
                "provider_quota_exhausted",
            ),
            (401, body("authentication_error", "", ""), Class::KeyLevel, "provider_auth_failed"),
            (402, body("billing_error", "", ""), Class::KeyLevel, "provider_quota_exhausted"),
            (403, body("permission_error", "", ""), Class::KeyLevel, "provider_auth_failed"),
            (404, body("not_found_error", "model: x", ""), Class::KeyLevel, "model_not_found"),
            (409, body("conflict_error", "", ""), Class::Transient, "provider_conflict"),
            (413, body("request_too_large", "", ""), Class::Permanent, "request_too_large"),
            (429, body("rate_limit_error", "", ""), Class::Wait, "rate_limited"),
            (429, body("rate_limit_error", "", "ramp_limit_exceeded"), Class::Wait, "rate_limited"),
            (
                429,
                body("rate_limit_error", "", "enforced_spend_limit_reached"),
                Class::KeyLevel,
                "provider_quota_exhausted",
            ),
            (
                429,
                body("rate_limit_error", "", "contract_spend_limit_reached"),
                Class::KeyLevel,
                "provider_quota_exhausted",
            ),
            (500, body("api_error", "", ""), Class::Transient, "provider_error"),
            (502, "<html>".to_owned(), Class::Transient, "provider_unavailable"),
            (503, String::new(), Class::Wait, "provider_overloaded"),
            (504, body("timeout_error", "", ""), Class::Transient, "provider_unavailable"),
            (529, body("overloaded_error", "", ""), Class::Wait, "provider_overloaded"),
            (307, String::new(), Class::KeyLevel, "provider_misconfigured"),
        ];
        for (status, body, class, code) in table {
            let failure = failure_of(status, HeaderMap::new(), &body);
            assert_eq!((failure.class, failure.error.code.as_str()), (class, code), "{status} {body}");
        }
    }

    #[test]
    fn the_wait_and_the_words_are_the_provider_s() {
        let headers = HeaderMap::from_iter([(reqwest::header::RETRY_AFTER, HeaderValue::from_static("7"))]);
        let failure = failure_of(429, headers, &body("rate_limit_error", "slowly", ""));
        assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(failure.error.message, "HTTP 429: slowly");
        assert_eq!(failure_of(502, HeaderMap::new(), "<b>\n bad").error.message, "HTTP 502: <b> bad");
    }

    #[test]
    fn an_item_s_error_has_the_class_of_its_type() {
        let table = [
            (body("invalid_request_error", "no", ""), Class::Permanent, "provider_rejected"),
            (
                body("invalid_request_error", "prompt is too long: 2 > 1", ""),
                Class::Permanent,
                "context_length_exceeded",
            ),
            (body("not_found_error", "model: x", ""), Class::KeyLevel, "model_not_found"),
            (body("overloaded_error", "", ""), Class::Wait, "provider_overloaded"),
            (body("api_error", "", ""), Class::Transient, "provider_error"),
            (body("something_new", "", ""), Class::Transient, "provider_error"),
            ("{}".to_owned(), Class::Transient, "provider_error"),
        ];
        for (body, class, code) in table {
            let failure = item(serde_json::from_str(&body).expect(&body));
            assert_eq!((failure.class, failure.error.code.as_str()), (class, code), "{body}");
        }
    }
}
