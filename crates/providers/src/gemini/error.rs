//! Which class an error of the Gemini API belongs to. Structured fields decide first, the message last.
//!
//! Sources: Google's error model (<https://google.aip.dev/193>), the codes in `google/rpc/code.proto`, and
//! <https://ai.google.dev/gemini-api/docs/troubleshooting>.

use std::time::{Duration, SystemTime};

use domain::backoff::MAX_RETRY_AFTER;
use domain::failure::{Class, Failure};
use serde::Deserialize;
use serde_json::Value;

use crate::client::{HttpReply, retry_after};
use crate::error::{by_status, told};
use crate::lenient::lenient;

/// `google.rpc.Status`: `error` of an error reply, of an item, and of an operation.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Status {
    #[serde(default, deserialize_with = "lenient")]
    code: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
    #[serde(rename = "status", default, deserialize_with = "lenient")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    details: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Body {
    error: Option<Status>,
}

/// The failure of a reply that is no 2xx.
pub(super) fn status(reply: &HttpReply, now: SystemTime) -> Failure {
    let http = reply.status.as_u16();
    let error = serde_json::from_slice::<Body>(&reply.body).ok().and_then(|body| body.error).unwrap_or_default();
    let (class, code) = classify(http, &error);
    let message = told(http, error.message.as_deref(), &reply.body);
    let retry_after = error.retry_delay().or_else(|| retry_after(&reply.headers, now));
    Failure { retry_after, ..Failure::new(class, code, message) }
}

/// The failure of an item.
pub(super) fn item(error: &Status) -> Failure {
    let (class, code) = match error.name() {
        "CANCELLED" => (Class::Wait, "batch_cancelled"),
        _ => classify(error.http_status(), error),
    };
    let message = format!("{}: {}", error.name(), error.message());
    Failure { retry_after: error.retry_delay(), ..Failure::new(class, code, message) }
}

/// Names of the codes of `google.rpc`, and the HTTP statuses that stand for them.
const RPC_CODES: [(&str, u16); 17] = [
    ("OK", 500),
    ("CANCELLED", 499),
    ("UNKNOWN", 500),
    ("INVALID_ARGUMENT", 400),
    ("DEADLINE_EXCEEDED", 504),
    ("NOT_FOUND", 404),
    ("ALREADY_EXISTS", 409),
    ("PERMISSION_DENIED", 403),
    ("RESOURCE_EXHAUSTED", 429),
    ("FAILED_PRECONDITION", 400),
    ("ABORTED", 409),
    ("OUT_OF_RANGE", 400),
    ("UNIMPLEMENTED", 501),
    ("INTERNAL", 500),
    ("UNAVAILABLE", 503),
    ("DATA_LOSS", 500),
    ("UNAUTHENTICATED", 401),
];

impl Status {
    pub(super) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or("no details")
    }

    /// The code's name. Items and operations may give its number only.
    pub(super) fn name(&self) -> &str {
        let by_number = || {
            let number = usize::try_from(self.code?).ok()?;
            RPC_CODES.get(number).or_else(|| RPC_CODES.iter().skip(1).find(|code| usize::from(code.1) == number))
        };
        self.name.as_deref().or_else(|| by_number().map(|(name, _)| *name)).unwrap_or("UNKNOWN")
    }

    fn http_status(&self) -> u16 {
        let stated = self.code.and_then(|code| u16::try_from(code).ok()).filter(|code| (300..600).contains(code));
        let named = || RPC_CODES.iter().find(|code| code.0 == self.name()).map(|code| code.1);
        stated.or_else(named).unwrap_or(500)
    }

    /// The first detail of a type, such as `RetryInfo`.
    fn detail(&self, kind: &str) -> Option<&Value> {
        let is_kind = |detail: &&Value| {
            detail["@type"].as_str().and_then(|name| name.rsplit_once('.')).is_some_and(|(_, name)| name == kind)
        };
        self.details.as_ref()?.iter().find(is_kind)
    }

    /// `"34.07s"`, as durations are written in JSON.
    fn retry_delay(&self) -> Option<Duration> {
        let seconds: f64 = self.detail("RetryInfo")?["retryDelay"].as_str()?.strip_suffix('s')?.parse().ok()?;
        if !seconds.is_finite() || seconds < 0.0 {
            return None;
        }
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(MAX_RETRY_AFTER).min(MAX_RETRY_AFTER))
    }

    /// A quota of a day is used up: that takes hours, whatever delay is named.
    fn names_day_quota(&self) -> bool {
        let violations = self.detail("QuotaFailure").and_then(|detail| detail["violations"].as_array());
        violations
            .into_iter()
            .flatten()
            .any(|violation| violation["quotaId"].as_str().is_some_and(|id| id.contains("PerDay")))
    }

    fn is_context_overflow(&self) -> bool {
        let message = self.message();
        message.contains("token count") && message.contains("exceeds the maximum")
    }

    fn is_bad_key(&self) -> bool {
        self.detail("ErrorInfo").is_some_and(|detail| detail["reason"] == "API_KEY_INVALID")
            || self.message().starts_with("API key not valid")
    }
}

fn classify(status: u16, error: &Status) -> (Class, &'static str) {
    match status {
        400 if error.is_bad_key() => (Class::KeyLevel, "provider_auth_failed"),
        // Billing or the region: so it is for every row.
        400 if error.name() == "FAILED_PRECONDITION" => (Class::KeyLevel, "provider_misconfigured"),
        400 if error.is_context_overflow() => (Class::Permanent, "context_length_exceeded"),
        429 if error.names_day_quota() => (Class::KeyLevel, "provider_quota_exhausted"),
        429 if error.retry_delay().is_none() && error.message().contains("check your plan and billing") => {
            (Class::KeyLevel, "provider_quota_exhausted")
        }
        499 => (Class::Transient, "provider_error"),
        _ => by_status(status),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::*;

    fn failure_of(status_code: u16, body: &str) -> Failure {
        let status_code = StatusCode::from_u16(status_code).expect("a status");
        let body = Bytes::copy_from_slice(body.as_bytes());
        status(&HttpReply { status: status_code, headers: HeaderMap::new(), body }, SystemTime::UNIX_EPOCH)
    }

    fn body(status: &str, message: &str, details: &Value) -> String {
        json!({"error": {"code": 0, "message": message, "status": status, "details": details}}).to_string()
    }

    fn quota(id: &str) -> Value {
        json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": id}]})
    }

    fn delay(text: &str) -> Value {
        json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": text})
    }

    const PLAN: &str = "You exceeded your current quota, please check your plan and billing details.";

    #[test]
    fn every_status_has_its_class() {
        let none = json!(null);
        let bad_key = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]);
        let too_long = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).";
        let per_minute = json!([quota("GenerateRequestsPerMinutePerProjectPerModel"), delay("34s")]);
        let per_day = json!([quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), delay("34s")]);
        let table = [
            (400, body("INVALID_ARGUMENT", "no", &none), Class::Permanent, "provider_rejected"),
            (400, body("INVALID_ARGUMENT", "no", &bad_key), Class::KeyLevel, "provider_auth_failed"),
            (400, body("INVALID_ARGUMENT", too_long, &none), Class::Permanent, "context_length_exceeded"),
            (400, body("FAILED_PRECONDITION", "location", &none), Class::KeyLevel, "provider_misconfigured"),
            (401, body("UNAUTHENTICATED", "", &none), Class::KeyLevel, "provider_auth_failed"),
            (403, body("PERMISSION_DENIED", "", &none), Class::KeyLevel, "provider_auth_failed"),
            (404, body("NOT_FOUND", "", &none), Class::KeyLevel, "model_not_found"),
            (429, body("RESOURCE_EXHAUSTED", PLAN, &per_minute), Class::Wait, "rate_limited"),
            (429, body("RESOURCE_EXHAUSTED", PLAN, &per_day), Class::KeyLevel, "provider_quota_exhausted"),
            (429, body("RESOURCE_EXHAUSTED", PLAN, &none), Class::KeyLevel, "provider_quota_exhausted"),
            (429, body("RESOURCE_EXHAUSTED", "Resource has been exhausted", &none), Class::Wait, "rate_limited"),
            (429, String::new(), Class::Wait, "rate_limited"),
            (499, body("CANCELLED", "", &none), Class::Transient, "provider_error"),
            (500, body("INTERNAL", "", &none), Class::Transient, "provider_error"),
            (503, body("UNAVAILABLE", "The model is overloaded", &none), Class::Wait, "provider_overloaded"),
            (504, body("DEADLINE_EXCEEDED", "", &none), Class::Transient, "provider_unavailable"),
            (302, "<html>".to_owned(), Class::KeyLevel, "provider_misconfigured"),
        ];
        for (status, body, class, code) in table {
            let failure = failure_of(status, &body);
            assert_eq!((failure.class, failure.error.code.as_str()), (class, code), "{status} {body}");
        }
    }

    #[test]
    fn the_delay_in_the_body_is_the_wait() {
        let wait = |text| failure_of(429, &body("RESOURCE_EXHAUSTED", PLAN, &json!([delay(text)]))).retry_after;
        assert_eq!(wait("34.5s"), Some(Duration::from_millis(34_500)));
        assert_eq!([wait("1e300s"), wait("86400s")], [Some(MAX_RETRY_AFTER); 2]);
        assert_eq!(["soon", "-1s", "NaNs", "infs", ""].map(wait), [None; 5]);
    }

    #[test]
    fn an_item_s_error_is_known_by_name_or_by_either_number() {
        let table = [
            (json!({"code": 3, "message": "no"}), Class::Permanent, "provider_rejected"),
            (json!({"code": 400, "message": "no"}), Class::Permanent, "provider_rejected"),
            (json!({"code": 1}), Class::Wait, "batch_cancelled"),
            (json!({"status": "CANCELLED", "code": 499}), Class::Wait, "batch_cancelled"),
            (json!({"code": 8}), Class::Wait, "rate_limited"),
            (json!({"code": 429}), Class::Wait, "rate_limited"),
            (json!({"code": 9}), Class::KeyLevel, "provider_misconfigured"),
            (json!({"code": 13}), Class::Transient, "provider_error"),
            (json!({"code": 14}), Class::Wait, "provider_overloaded"),
            (json!({"status": "INTERNAL"}), Class::Transient, "provider_error"),
            (json!({"code": -7}), Class::Transient, "provider_error"),
            (json!({}), Class::Transient, "provider_error"),
        ];
        for (error, class, code) in table {
            let failure = item(&serde_json::from_value(error.clone()).expect("a status"));
            assert_eq!((failure.class, failure.error.code.as_str()), (class, code), "{error}");
        }
    }
}
