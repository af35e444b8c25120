//! What a `Message` tells, as a call answers it and as a result line holds it.

use domain::failure::{Class, Failure};
use domain::outcome::Usage;
use serde::Deserialize;

use crate::driver::{Answer, Reply};
use crate::lenient::lenient;
use crate::usage::{believed, tokens};

#[derive(Deserialize)]
pub(super) struct Message {
    content: Vec<Block>,
    #[serde(default, deserialize_with = "lenient")]
    stop_reason: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    stop_details: Option<StopDetails>,
    #[serde(default, deserialize_with = "lenient")]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: Option<String>,
    text: Option<String>,
}

#[derive(Deserialize)]
struct StopDetails {
    explanation: Option<String>,
}

#[derive(Deserialize)]
struct WireUsage {
    #[serde(rename = "input_tokens")]
    uncached: Option<i64>,
    #[serde(rename = "cache_creation_input_tokens")]
    cache_writes: Option<i64>,
    #[serde(rename = "cache_read_input_tokens")]
    cache_reads: Option<i64>,
    #[serde(rename = "output_tokens")]
    output: Option<i64>,
}

impl WireUsage {
    /// What is written to the cache or read from it is input, too.
    fn believed(&self) -> Option<Usage> {
        let or_zero = |count: Option<i64>| tokens(count.or(Some(0)));
        let cached_input_tokens = or_zero(self.cache_reads)?;
        believed(Usage {
            input_tokens: tokens(self.uncached)? + or_zero(self.cache_writes)? + cached_input_tokens,
            cached_input_tokens,
            output_tokens: tokens(self.output)?,
        })
    }
}

impl Message {
    pub(super) fn into_reply(self) -> Reply {
        let usage = self.usage.as_ref().and_then(WireUsage::believed);
        let texts = self.content.into_iter().filter(|block| block.kind.as_deref() == Some("text"));
        let text: String = texts.filter_map(|block| block.text).collect();
        let failure = match self.stop_reason.as_deref() {
            Some("refusal") => Failure::new(Class::Refusal, "refused", "the model refused to answer"),
            Some("model_context_window_exceeded") if text.is_empty() => {
                let words = "the model's context window was full before it could answer";
                Failure::new(Class::Permanent, "context_length_exceeded", words)
            }
            _ => {
                let answer = Answer { text, finish_reason: self.stop_reason };
                return Reply { result: Ok(answer), refusal: None, usage, http_status: None, request_id: None };
            }
        };
        let explanation = self.stop_details.and_then(|details| details.explanation);
        let refusal = Some(text).filter(|text| !text.is_empty()).or(explanation);
        Reply { refusal, usage, ..Reply::without_answer(failure) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Reply {
        serde_json::from_str::<Message>(json).expect(json).into_reply()
    }

    fn failure(reply: &Reply) -> (Class, &str) {
        let failure = reply.result.as_ref().expect_err("a failure");
        (failure.class, failure.error.code.as_str())
    }

    #[test]
    fn texts_are_joined_and_cached_input_is_counted() {
        let reply = read(
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[
            {"type":"thinking","thinking":"hm","signature":"x"},{"type":"text","text":"a"},{"type":"tool_use","input":{}},
            {"type":"text","text":"b\u0000"}],"stop_reason":"max_tokens","stop_sequence":null,
            "usage":{"input_tokens":5,"cache_creation_input_tokens":20,"cache_read_input_tokens":300,"output_tokens":7,
            "service_tier":"batch"}}"#,
        );
        let answer = Answer { text: "ab\0".to_owned(), finish_reason: Some("max_tokens".to_owned()) };
        assert_eq!(reply.result, Ok(answer));
        let usage = Usage { input_tokens: 325, cached_input_tokens: 300, output_tokens: 7 };
        assert_eq!(reply.usage, Some(usage));
    }

    #[test]
    fn usage_that_cannot_be_is_unknown() {
        for usage in [
            "null",
            "[]",
            "{}",
            r#"{"input_tokens":"1","output_tokens":1}"#,
            r#"{"input_tokens":-1,"output_tokens":1}"#,
            r#"{"input_tokens":1,"output_tokens":9000000000000}"#,
            r#"{"input_tokens":1,"output_tokens":1,"cache_read_input_tokens":9223372036854775807}"#,
        ] {
            let reply = read(&format!(r#"{{"content":[],"usage":{usage}}}"#));
            assert!(reply.result.is_ok() && reply.usage.is_none(), "{usage}");
        }
        let nulls =
            r#"{"input_tokens":1,"output_tokens":2,"cache_creation_input_tokens":null,"cache_read_input_tokens":null}"#;
        assert!(read(&format!(r#"{{"content":[],"usage":{nulls}}}"#)).usage.is_some());
    }

    #[test]
    fn refusals_are_billed_and_keep_their_words() {
        let usage = r#""usage":{"input_tokens":5,"output_tokens":2}"#;
        let said = read(&format!(
            r#"{{"content":[{{"type":"text","text":"I can't"}}],"stop_reason":"refusal","stop_details":null,{usage}}}"#
        ));
        assert_eq!(failure(&said), (Class::Refusal, "refused"));
        assert_eq!((said.refusal.as_deref(), said.usage.is_some()), (Some("I can't"), true));
        let silent = read(&format!(
            r#"{{"content":[],"stop_reason":"refusal","stop_details":{{"type":"refusal","explanation":"why"}},{usage}}}"#
        ));
        assert_eq!((failure(&silent), silent.refusal.as_deref()), ((Class::Refusal, "refused"), Some("why")));
    }

    #[test]
    fn a_full_context_window_cuts_an_answer_or_leaves_none() {
        let stop = r#""stop_reason":"model_context_window_exceeded""#;
        let cut = read(&format!(r#"{{"content":[{{"type":"text","text":"so"}}],{stop}}}"#));
        assert_eq!(cut.result.map(|answer| answer.text), Ok("so".to_owned()));
        let none = read(&format!(r#"{{"content":[],{stop}}}"#));
        assert_eq!(failure(&none), (Class::Permanent, "context_length_exceeded"));
    }
}
