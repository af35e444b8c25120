//! Lines of a result file, and results of requests that were sent inline.

use std::borrow::Cow;

use serde::Deserialize;

use super::error::{self, Status};
use super::response::Response;
use crate::driver::Reply;
use crate::result_id;

#[derive(Deserialize)]
struct Inline<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Line {
    response: Option<Response>,
    error: Option<Status>,
}

/// In files the key stands by itself; inline it is metadata.
pub(super) fn id(line: &[u8]) -> Option<Cow<'_, str>> {
    let inline = || Some(serde_json::from_slice::<Inline>(line).ok()?.metadata.key).filter(|id| !id.is_empty());
    result_id::find(line, "key").or_else(inline)
}

pub(super) fn read(line: &[u8]) -> Reply {
    match serde_json::from_slice(line) {
        Ok(Line { error: Some(error), .. }) => Reply::without_answer(error::item(&error)),
        Ok(Line { response: Some(response), .. }) => Reply { http_status: Some(200), ..response.into_reply() },
        Ok(Line { response: None, error: None }) => Reply::invalid("a result without a response and without an error"),
        Err(wrong) => Reply::invalid(format!("not a result: {wrong}")),
    }
}

#[cfg(test)]
mod tests {
    use domain::failure::Class;

    use super::*;

    #[test]
    fn a_success_is_what_a_call_would_have_been() {
        let response = r#""response":{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"STOP"}],
            "usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":4}}"#;
        for line in [format!(r#"{{"key":"r1",{response}}}"#), format!(r#"{{{response},"metadata":{{"key":"r1"}}}}"#)] {
            assert_eq!(id(line.as_bytes()).as_deref(), Some("r1"), "{line}");
            let reply = read(line.as_bytes());
            assert_eq!(reply.result.map(|answer| answer.text), Ok("hi".to_owned()), "{line}");
            assert_eq!((reply.usage.map(|usage| usage.input_tokens), reply.http_status), (Some(10), Some(200)));
        }
    }

    #[test]
    fn every_error_has_its_class() {
        for (line, class, code) in [
            (r#"{"key":"r1","error":{"code":3,"message":"no"}}"#, Class::Permanent, "provider_rejected"),
            (r#"{"key":"r1","error":{"code":429,"message":"no"},"response":null}"#, Class::Wait, "rate_limited"),
            (r#"{"key":"r1"}"#, Class::Transient, "invalid_provider_response"),
            (r#"{"key":"r1","response":{"candidates":7}}"#, Class::Transient, "invalid_provider_response"),
            ("<html>", Class::Transient, "invalid_provider_response"),
        ] {
            let failure = read(line.as_bytes()).result.expect_err(line);
            assert_eq!((failure.class, failure.error.code.as_str()), (class, code), "{line}");
        }
    }

    #[test]
    fn only_results_have_an_id() {
        for line in ["", "{}", "[]", "<html>", r#"{"key":7}"#, r#"{"key":""}"#, r#"{"metadata":{}}"#] {
            assert_eq!(id(line.as_bytes()), None, "{line}");
        }
    }
}
