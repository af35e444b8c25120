//! Chat completions, as they come in a reply and in a result line.

use std::fmt;

use domain::failure::{Class, Failure};
use domain::outcome::Usage;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::error::{Classify, Signs};
use crate::driver::{Answer, Reply};
use crate::usage::tokens;

/// What is read of a successful reply.
#[derive(Deserialize)]
pub(crate) struct Completion {
    choices: Vec<Choice>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Choice {
    message: AssistantMessage,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct AssistantMessage {
    #[serde(default, deserialize_with = "text")]
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct WireUsage {
    prompt_tokens: Option<i64>,
    completion_tokens: Option<i64>,
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<i64>,
}

impl WireUsage {
    fn believed(&self) -> Option<Usage> {
        let cached = self.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens);
        Some(Usage {
            input_tokens: tokens(self.prompt_tokens)?,
            cached_input_tokens: tokens(cached).unwrap_or(0),
            output_tokens: tokens(self.completion_tokens)?,
        })
    }
}

/// The reply that a status and its body are, without what only headers know.
pub(crate) fn read(status: u16, body: &[u8], classify: Classify) -> Reply {
    let http_status = Some(status);
    if !(200..300).contains(&status) {
        let signs = Signs::of_body(body);
        let failure = signs.failure(status, classify(status, &signs));
        return Reply { http_status, ..Reply::without_answer(failure) };
    }
    match serde_json::from_slice::<Completion>(body) {
        Ok(completion) => Reply { http_status, ..answer(completion) },
        Err(wrong) => Reply { http_status, ..Reply::invalid(format!("not a chat completion: {wrong}")) },
    }
}

/// A completion as a reply, without its status.
pub(crate) fn answer(completion: Completion) -> Reply {
    let usage = completion.usage.as_ref().and_then(WireUsage::believed);
    let Some(choice) = completion.choices.into_iter().next() else {
        return Reply { usage, ..Reply::invalid("the reply has no choices") };
    };
    let AssistantMessage { content, refusal } = choice.message;
    let filtered = choice.finish_reason.as_deref() == Some("content_filter");
    if refusal.is_some() || filtered {
        let words =
            if filtered { "the provider's content filter stopped the answer" } else { "the model refused to answer" };
        let failure = Failure::new(Class::Refusal, "refused", words);
        return Reply { usage, refusal: refusal.or(content), ..Reply::without_answer(failure) };
    }
    // Mistral's word for an answer that broke off.
    if choice.finish_reason.as_deref() == Some("error") {
        let failure = Failure::new(Class::Transient, "provider_error", "the provider broke off the answer");
        return Reply { usage, ..Reply::without_answer(failure) };
    }
    let answer = Answer { text: content.unwrap_or_default(), finish_reason: choice.finish_reason };
    Reply { result: Ok(answer), refusal: None, usage, http_status: None, request_id: None }
}

/// A text, or the texts among the parts of a content.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct Text;

    impl<'de> Visitor<'de> for Text {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text, a list of parts, or null")
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(text.to_owned()))
        }

        fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
            Ok(Some(text))
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
            let mut all = String::new();
            while let Some(part) = parts.next_element::<Part>()? {
                if let Part::Text { text } = part {
                    all.push_str(&text);
                }
            }
            Ok(Some(all))
        }
    }

    deserializer.deserialize_any(Text)
}

/// Of the parts of a content only texts are the answer; a model's thoughts are not.
#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Text { text: String },
    Other(IgnoredAny),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_json(body: &str) -> Reply {
        read(200, body.as_bytes(), crate::openai::error::classify)
    }

    fn failure(reply: &Reply) -> (Class, &str) {
        let failure = reply.result.as_ref().expect_err("a failure");
        (failure.class, failure.error.code.as_str())
    }

    #[test]
    fn an_answer_is_read_with_its_usage() {
        let reply = read_json(
            r#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi\u0000"},"finish_reason":"length"}],
            "usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":3}}}"#,
        );
        assert_eq!(reply.result, Ok(Answer { text: "hi\0".to_owned(), finish_reason: Some("length".to_owned()) }));
        assert_eq!(reply.usage, Some(Usage { input_tokens: 5, cached_input_tokens: 3, output_tokens: 2 }));
    }

    #[test]
    fn usage_that_cannot_be_is_unknown() {
        for usage in [
            "null",
            "{}",
            r#"{"prompt_tokens":-1,"completion_tokens":1}"#,
            r#"{"prompt_tokens":1,"completion_tokens":9000000000000}"#,
        ] {
            let reply = read_json(&format!(r#"{{"choices":[{{"message":{{"content":"x"}}}}],"usage":{usage}}}"#));
            assert!(reply.result.is_ok() && reply.usage.is_none(), "{usage}");
        }
    }

    #[test]
    fn refusals_are_billed_and_keep_their_words() {
        let reply = read_json(
            r#"{"choices":[{"message":{"content":null,"refusal":"no"},"finish_reason":"stop"}],
            "usage":{"prompt_tokens":5,"completion_tokens":2}}"#,
        );
        assert_eq!(failure(&reply), (Class::Refusal, "refused"));
        assert_eq!((reply.refusal.as_deref(), reply.usage.is_some()), (Some("no"), true));
        let filtered = read_json(r#"{"choices":[{"message":{"content":"so"},"finish_reason":"content_filter"}]}"#);
        assert_eq!(failure(&filtered), (Class::Refusal, "refused"));
    }

    #[test]
    fn what_is_no_completion_may_be_tried_again() {
        for body in [
            "",
            "<html>",
            "{\"choices\":[",
            "[]",
            r#"{"choices":[]}"#,
            r#"{"choices":[{"message":{"content":"\ud800"}}]}"#,
        ] {
            assert_eq!(failure(&read_json(body)), (Class::Transient, "invalid_provider_response"), "{body}");
        }
    }

    #[test]
    fn an_answer_that_broke_off_may_be_tried_again() {
        let reply = read_json(
            r#"{"choices":[{"message":{"content":"so f"},"finish_reason":"error"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#,
        );
        assert_eq!((failure(&reply), reply.usage.is_some()), ((Class::Transient, "provider_error"), true));
    }

    #[test]
    fn an_empty_answer_is_an_answer() {
        let reply =
            read_json(r#"{"choices":[{"message":{"content":null,"tool_calls":[]},"finish_reason":"tool_calls"}]}"#);
        assert_eq!(reply.result.map(|answer| answer.text), Ok(String::new()));
    }

    #[test]
    fn parts_of_a_content_are_joined_without_thoughts() {
        let reply = read_json(
            r#"{"choices":[{"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},
            {"type":"text","text":"a"},{"type":"text","text":"b"}]},"finish_reason":"stop"}]}"#,
        );
        assert_eq!(reply.result.map(|answer| answer.text), Ok("ab".to_owned()));
    }
}
