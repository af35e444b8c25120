//! Lines of result files.

use std::borrow::Cow;

use domain::failure::Failure;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::driver::Reply;
use crate::openai::completion::{self, Completion};
use crate::openai::error::{Classify, Signs, classify_code};
use crate::result_id;

/// By far the most lines: read in one go, without a look at the body before.
#[derive(Deserialize)]
struct Success {
    response: Answered,
}

#[derive(Deserialize)]
struct Answered {
    status_code: u16,
    request_id: Option<String>,
    body: Completion,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    response: Option<Response<'a>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Response<'a> {
    status_code: Option<i64>,
    request_id: Option<String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// The id that a line is for. `None`: it is no result.
pub(crate) fn id(line: &[u8]) -> Option<Cow<'_, str>> {
    result_id::find(line, "custom_id")
}

/// The reply in a line: what the real-time API would have said, or why it never answered.
pub(crate) fn read(line: &[u8], classify: Classify) -> Reply {
    match serde_json::from_slice(line) {
        Ok(Success { response: Answered { status_code: status @ 200..300, request_id, body } }) => {
            let request_id = request_id.filter(|id| !id.is_empty());
            Reply { http_status: Some(status), request_id, ..completion::answer(body) }
        }
        Ok(_) | Err(_) => read_any(line, classify),
    }
}

fn read_any(line: &[u8], classify: Classify) -> Reply {
    let Line { response, error } = match serde_json::from_slice(line) {
        Ok(line) => line,
        Err(wrong) => return Reply::invalid(format!("not a result: {wrong}")),
    };
    let status = response.as_ref().and_then(|response| response.status_code);
    let status = status.and_then(|status| u16::try_from(status).ok()).filter(|status| (100..600).contains(status));
    let (body, request_id) = response.map_or((None, None), |response| (response.body, response.request_id));
    let request_id = request_id.filter(|id| !id.is_empty());
    match (status, body, error) {
        (Some(status), Some(body), _) => {
            Reply { request_id, ..completion::read(status, body.get().as_bytes(), classify) }
        }
        (status, None, Some(error)) => {
            let failure = without_body(status, &Signs::of_detail(error.get()), classify);
            Reply { http_status: status, request_id, ..Reply::without_answer(failure) }
        }
        (None, Some(_), Some(error)) => {
            let failure = without_body(None, &Signs::of_detail(error.get()), classify);
            Reply { request_id, ..Reply::without_answer(failure) }
        }
        (http_status, _, None) => {
            Reply { http_status, request_id, ..Reply::invalid("a result without a response and without an error") }
        }
    }
}

fn without_body(status: Option<u16>, signs: &Signs, classify: Classify) -> Failure {
    let (class, code) = match status.filter(|status| *status >= 300) {
        Some(status) => return signs.failure(status, classify(status, signs)),
        None => classify_code(signs, classify),
    };
    let said = if signs.code.is_empty() { signs.message.clone() } else { format!("{}: {}", signs.code, signs.message) };
    Failure::new(class, code, said)
}

#[cfg(test)]
mod tests {
    use domain::failure::Class;
    use domain::outcome::Usage;

    use super::*;
    use crate::driver::Answer;
    use crate::openai::error::classify;

    fn failure(line: &str) -> (Class, String) {
        let failure = read(line.as_bytes(), classify).result.expect_err(line);
        (failure.class, failure.error.code)
    }

    #[test]
    fn a_success_is_what_the_real_time_call_would_have_said() {
        let body = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
        let line = format!(
            r#"{{"id":"b","custom_id":"r1","response":{{"status_code":200,"request_id":"req_1","body":{body}}},"error":null}}"#
        );
        let reply = read(line.as_bytes(), classify);
        assert_eq!(reply.result, Ok(Answer { text: "hi".to_owned(), finish_reason: Some("stop".to_owned()) }));
        assert_eq!(reply.usage, Some(Usage { input_tokens: 5, cached_input_tokens: 0, output_tokens: 2 }));
        assert_eq!((reply.http_status, reply.request_id.as_deref()), (Some(200), Some("req_1")));
        assert_eq!(Reply { request_id: None, ..reply }, completion::read(200, body.as_bytes(), classify));
    }

    #[test]
    fn a_refused_request_is_classified_as_in_real_time() {
        let line = |status: u16, body: &str| {
            format!(r#"{{"response":{{"status_code":{status},"body":{body}}},"error":null}}"#)
        };
        let table = [
            (400, "{}", Class::Permanent, "provider_rejected"),
            (400, r#"{"error":{"code":"context_length_exceeded"}}"#, Class::Permanent, "context_length_exceeded"),
            (400, r#"{"error":{"code":"content_filter"}}"#, Class::Refusal, "refused"),
            (401, "\"\"", Class::KeyLevel, "provider_auth_failed"),
            (429, r#"{"error":{"code":"rate_limit_exceeded"}}"#, Class::Wait, "rate_limited"),
            (500, "{}", Class::Transient, "provider_error"),
            (503, "{}", Class::Wait, "provider_overloaded"),
            (200, "{}", Class::Transient, "invalid_provider_response"),
        ];
        for (status, body, class, code) in table {
            assert_eq!(failure(&line(status, body)), (class, code.to_owned()), "{status} {body}");
        }
    }

    #[test]
    fn an_error_without_a_response_is_known_by_its_code() {
        let line =
            |code: &str| format!(r#"{{"custom_id":"r","response":null,"error":{{"code":"{code}","message":"m"}}}}"#);
        let table = [
            ("batch_expired", Class::Wait, "batch_expired"),
            ("batch_cancelled", Class::Wait, "batch_cancelled"),
            ("request_timeout", Class::Transient, "provider_timeout"),
            ("token_limit_exceeded", Class::Wait, "token_limit_exceeded"),
            ("server_error", Class::Transient, "provider_error"),
            ("insufficient_quota", Class::KeyLevel, "provider_quota_exhausted"),
            ("context_length_exceeded", Class::Permanent, "context_length_exceeded"),
            ("503", Class::Wait, "provider_overloaded"),
            ("invalid_request", Class::Permanent, "provider_rejected"),
        ];
        for (code, class, name) in table {
            assert_eq!(failure(&line(code)), (class, name.to_owned()), "{code}");
        }
        let beside = r#"{"response":{"status_code":429,"body":null},"error":{"code":"insufficient_quota"}}"#;
        assert_eq!(failure(beside), (Class::KeyLevel, "provider_quota_exhausted".to_owned()));
        for silent in [r#"{"error":"out of order"}"#, r#"{"error":{}}"#, r#"{"error":{"type":"server_error"}}"#] {
            assert_eq!(failure(silent), (Class::Transient, "provider_error".to_owned()), "{silent}");
        }
    }

    #[test]
    fn a_result_that_says_nothing_may_be_tried_again() {
        for line in [
            "",
            "{}",
            r#"{"custom_id":"r","response":null,"error":null}"#,
            r#"{"response":{"status_code":0,"request_id":"","body":""},"error":null}"#,
            r#"{"response":{"status_code":200,"body":null},"error":null}"#,
            r#"{"response":{"status_code":-1,"body":{}},"error":null}"#,
            r#"{"response":{"status_code":200,"body":{"choices":["#,
        ] {
            assert_eq!(failure(line), (Class::Transient, "invalid_provider_response".to_owned()), "{line}");
        }
    }
}
