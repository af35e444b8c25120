//! What a `GenerateContentResponse` tells, as a call answers it and as a result line holds it.

use domain::failure::{Class, Failure};
use domain::outcome::Usage;
use serde::Deserialize;

use crate::driver::{Answer, Reply};
use crate::lenient::lenient;
use crate::usage::{believed, tokens};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response {
    candidates: Option<Vec<Candidate>>,
    #[serde(default, deserialize_with = "lenient")]
    prompt_feedback: Option<PromptFeedback>,
    #[serde(default, deserialize_with = "lenient")]
    usage_metadata: Option<WireUsage>,
    #[serde(rename = "responseId", default, deserialize_with = "lenient")]
    id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Content>,
    finish_reason: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    finish_message: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    parts: Option<Vec<Part>>,
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
    thought: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
struct WireUsage {
    #[serde(rename = "promptTokenCount")]
    prompt: Option<i64>,
    #[serde(rename = "toolUsePromptTokenCount")]
    tool_use: Option<i64>,
    #[serde(rename = "cachedContentTokenCount")]
    cached: Option<i64>,
    #[serde(rename = "candidatesTokenCount")]
    candidates: Option<i64>,
    #[serde(rename = "thoughtsTokenCount")]
    thoughts: Option<i64>,
}

impl WireUsage {
    /// Zeros are left out on the wire. The prompt includes what was cached; candidates leave out thoughts.
    fn believed(&self) -> Option<Usage> {
        let or_zero = |count: Option<i64>| tokens(count.or(Some(0)));
        believed(Usage {
            input_tokens: tokens(self.prompt)? + or_zero(self.tool_use)?,
            cached_input_tokens: or_zero(self.cached)?,
            output_tokens: or_zero(self.candidates)? + or_zero(self.thoughts)?,
        })
    }
}

/// Reasons after which there is no answer because there must be none.
const REFUSALS: [&str; 7] =
    ["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "MODEL_ARMOR"];

/// Reasons after which an empty text is what the model had to say.
const ENDS: [&str; 2] = ["STOP", "MAX_TOKENS"];

impl Response {
    pub(super) fn into_reply(self) -> Reply {
        let usage = self.usage_metadata.as_ref().and_then(WireUsage::believed);
        let (result, refusal) = match self.candidates.into_iter().flatten().next() {
            Some(candidate) => candidate.into_result(),
            None => (Err(without_candidate(self.prompt_feedback)), None),
        };
        Reply { result, refusal, usage, http_status: None, request_id: self.id }
    }
}

impl Candidate {
    fn into_result(self) -> (Result<Answer, Failure>, Option<String>) {
        let parts = self.content.and_then(|content| content.parts).into_iter().flatten();
        let text: String = parts.filter(|part| part.thought != Some(true)).filter_map(|part| part.text).collect();
        let reason = self.finish_reason.as_deref().unwrap_or("STOP");
        if REFUSALS.contains(&reason) || reason.starts_with("IMAGE_") {
            let failure = Failure::new(Class::Refusal, "refused", format!("the answer was stopped: {reason}"));
            return (Err(failure), Some(text).filter(|text| !text.is_empty()).or(self.finish_message));
        }
        if text.is_empty() && !ENDS.contains(&reason) {
            let words = format!("the model stopped without an answer: {reason}");
            return (Err(Failure::new(Class::Transient, "invalid_provider_response", words)), None);
        }
        (Ok(Answer { text, finish_reason: self.finish_reason }), None)
    }
}

fn without_candidate(feedback: Option<PromptFeedback>) -> Failure {
    match feedback.and_then(|feedback| feedback.block_reason) {
        Some(reason) => Failure::new(Class::Refusal, "refused", format!("the prompt was blocked: {reason}")),
        None => Failure::new(Class::Transient, "invalid_provider_response", "the reply has no candidates"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Reply {
        serde_json::from_str::<Response>(json).expect(json).into_reply()
    }

    fn failure(reply: &Reply) -> (Class, &str) {
        let failure = reply.result.as_ref().expect_err("a failure");
        (failure.class, failure.error.code.as_str())
    }

    fn stopped(reason: &str, text: &str) -> Reply {
        read(&format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}},"finishReason":"{reason}"}}]}}"#
        ))
    }

    #[test]
    fn thoughts_are_no_answer_but_are_output() {
        let reply = read(
            r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"a"},{"functionCall":{}},{"text":"b"}],
            "role":"model"},"finishReason":"MAX_TOKENS","index":0}],"responseId":"resp","modelVersion":"m",
            "usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":7,
            "thoughtsTokenCount":30,"toolUsePromptTokenCount":5,"totalTokenCount":142}}"#,
        );
        let answer = Answer { text: "ab".to_owned(), finish_reason: Some("MAX_TOKENS".to_owned()) };
        assert_eq!((reply.result, reply.request_id.as_deref()), (Ok(answer), Some("resp")));
        let usage = Usage { input_tokens: 105, cached_input_tokens: 60, output_tokens: 37 };
        assert_eq!(reply.usage, Some(usage));
    }

    #[test]
    fn usage_that_cannot_be_is_unknown() {
        for usage in [
            "null",
            "[]",
            "{}",
            r#"{"promptTokenCount":-1}"#,
            r#"{"promptTokenCount":1,"candidatesTokenCount":9000000000000}"#,
            r#"{"promptTokenCount":1000000000,"toolUsePromptTokenCount":1000000000}"#,
        ] {
            let reply = read(&format!(r#"{{"candidates":[{{}}],"usageMetadata":{usage}}}"#));
            assert!(reply.result.is_ok() && reply.usage.is_none(), "{usage}");
        }
        let zeros = read(r#"{"candidates":[{}],"usageMetadata":{"promptTokenCount":3}}"#);
        assert_eq!(zeros.usage, Some(Usage { input_tokens: 3, ..Usage::default() }));
    }

    #[test]
    fn every_reason_has_its_class() {
        for reason in ["SAFETY", "RECITATION", "SPII", "LANGUAGE", "IMAGE_SAFETY"] {
            assert_eq!(failure(&stopped(reason, "")), (Class::Refusal, "refused"), "{reason}");
        }
        for reason in ["OTHER", "MALFORMED_RESPONSE", "MALFORMED_FUNCTION_CALL", "SOMETHING_NEW"] {
            assert_eq!(failure(&stopped(reason, "")), (Class::Transient, "invalid_provider_response"), "{reason}");
            assert!(stopped(reason, "x").result.is_ok(), "{reason}");
        }
        for reason in ["STOP", "MAX_TOKENS"] {
            assert!(stopped(reason, "").result.is_ok(), "{reason}");
        }
    }

    #[test]
    fn refusals_are_billed_and_keep_their_words() {
        assert_eq!(stopped("SAFETY", "so far").refusal.as_deref(), Some("so far"));
        let blocked =
            read(r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":5}}"#);
        assert_eq!(failure(&blocked), (Class::Refusal, "refused"));
        assert_eq!(blocked.usage.map(|usage| usage.input_tokens), Some(5));
    }

    #[test]
    fn a_reply_without_candidate_may_be_tried_again() {
        for body in ["{}", r#"{"candidates":[]}"#, r#"{"candidates":null,"promptFeedback":{}}"#] {
            assert_eq!(failure(&read(body)), (Class::Transient, "invalid_provider_response"), "{body}");
        }
    }
}
