//! Lines of `results_url`.

use std::borrow::Cow;

use domain::failure::{Class, Failure};
use serde::Deserialize;

use super::error::{self, ErrorBody};
use super::message::Message;
use crate::driver::Reply;
use crate::result_id;

#[derive(Deserialize)]
struct Line {
    result: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(rename = "type")]
    kind: String,
    message: Option<Message>,
    error: Option<ErrorBody>,
}

pub(super) fn id(line: &[u8]) -> Option<Cow<'_, str>> {
    result_id::find(line, "custom_id")
}

pub(super) fn read(line: &[u8]) -> Reply {
    let outcome = match serde_json::from_slice::<Line>(line) {
        Ok(line) => line.result,
        Err(wrong) => return Reply::invalid(format!("not a result: {wrong}")),
    };
    let wait = |code, words| Reply::without_answer(Failure::new(Class::Wait, code, words));
    match (outcome.kind.as_str(), outcome.message, outcome.error) {
        ("succeeded", Some(message), _) => Reply { http_status: Some(200), ..message.into_reply() },
        ("errored", _, error) => {
            let error = error.unwrap_or_default();
            Reply { request_id: error.request_id.clone(), ..Reply::without_answer(error::item(error)) }
        }
        ("canceled" | "cancelled", ..) => {
            wait("batch_cancelled", "the provider batch was cancelled before this request")
        }
        ("expired", ..) => wait("batch_expired", "the provider batch expired before this request"),
        (kind, ..) => Reply::invalid(format!("a result that is {kind} and has nothing to show for it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(line: &str) -> (Class, String) {
        let failure = read(line.as_bytes()).result.expect_err(line);
        (failure.class, failure.error.code)
    }

    #[test]
    fn a_success_is_what_a_call_would_have_been() {
        let line = br#"{"custom_id":"r1","result":{"type":"succeeded","message":{"id":"msg_1","type":"message",
            "content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":10,"output_tokens":4}}}}"#;
        assert_eq!(id(line).as_deref(), Some("r1"));
        let reply = read(line);
        assert_eq!(reply.result.map(|answer| answer.text), Ok("hi".to_owned()));
        assert_eq!((reply.usage.map(|usage| usage.input_tokens), reply.http_status), (Some(10), Some(200)));
    }

    #[test]
    fn every_kind_has_its_class() {
        let line = |result: &str| format!(r#"{{"custom_id":"r1","result":{result}}}"#);
        let errored = |kind: &str, message: &str| {
            line(&format!(
                r#"{{"type":"errored","error":{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_1"}}}}"#
            ))
        };
        let table = [
            (errored("invalid_request_error", "temperature: no"), Class::Permanent, "provider_rejected"),
            (errored("invalid_request_error", "prompt is too long"), Class::Permanent, "context_length_exceeded"),
            (errored("api_error", ""), Class::Transient, "provider_error"),
            (errored("overloaded_error", ""), Class::Wait, "provider_overloaded"),
            (line(r#"{"type":"errored"}"#), Class::Transient, "provider_error"),
            (line(r#"{"type":"canceled"}"#), Class::Wait, "batch_cancelled"),
            (line(r#"{"type":"expired"}"#), Class::Wait, "batch_expired"),
            (line(r#"{"type":"succeeded"}"#), Class::Transient, "invalid_provider_response"),
            (line(r#"{"type":"succeeded","message":{"content":7}}"#), Class::Transient, "invalid_provider_response"),
            (line(r#"{"type":"something_new"}"#), Class::Transient, "invalid_provider_response"),
            (line("null"), Class::Transient, "invalid_provider_response"),
            ("<html>".to_owned(), Class::Transient, "invalid_provider_response"),
        ];
        for (line, class, code) in table {
            assert_eq!(failure(&line), (class, code.to_owned()), "{line}");
        }
        assert_eq!(read(errored("api_error", "").as_bytes()).request_id.as_deref(), Some("req_1"));
    }

    #[test]
    fn only_results_have_an_id() {
        for line in ["", "{}", "[]", "<html>", r#"{"custom_id":7}"#, r#"{"custom_id":""}"#] {
            assert_eq!(id(line.as_bytes()), None, "{line}");
        }
        assert_eq!(id(br#"{"custom_id":"r\u0031"}"#).as_deref(), Some("r1"));
    }
}
