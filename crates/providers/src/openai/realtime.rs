//! `POST /chat/completions`.

use std::time::SystemTime;

use bytes::Bytes;
use domain::failure::{Class, Failure};
use domain::job::spec::Params;
use domain::outcome::Usage;
use domain::prompt::Message;
use futures::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{MaxTokens, OpenAi, encode, error};
use crate::client::{HttpClient, HttpReply};
use crate::driver::{Answer, Driver, Endpoint, Reply};

impl OpenAi {
    pub(crate) fn new(http: HttpClient, endpoint: Endpoint, max_tokens: MaxTokens) -> Self {
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let bearer = endpoint.secret.as_ref().map(|secret| format!("Bearer {}", secret.expose_secret()));
        if let Some(mut value) = bearer.and_then(|bearer| HeaderValue::from_str(&bearer).ok()) {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let url = format!("{}/chat/completions", endpoint.base_url.trim_end_matches('/')).parse().ok();
        Self { http, url, headers, upstream_model: endpoint.upstream_model, max_tokens, timeout: endpoint.timeout }
    }

    async fn send(&self, prepared: &Bytes, messages: &[Message]) -> Reply {
        let Some(url) = &self.url else {
            let failure =
                Failure::new(Class::KeyLevel, "provider_misconfigured", "the provider's base_url is not a URL");
            return Reply::without_answer(failure);
        };
        match self.http.post(url, self.headers.clone(), encode::body(prepared, messages), self.timeout).await {
            Ok(reply) => read(&reply, SystemTime::now()),
            Err(error) => Reply::without_answer(error::transport(&error)),
        }
    }
}

impl Driver for OpenAi {
    fn prepare(&self, params: &Params) -> Bytes {
        encode::prepare(&self.upstream_model, params, self.max_tokens)
    }

    fn chat<'a>(&'a self, prepared: &'a Bytes, messages: &'a [Message]) -> BoxFuture<'a, Reply> {
        Box::pin(self.send(prepared, messages))
    }
}

#[derive(Deserialize)]
struct Completion {
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

/// More tokens than any request can use: whoever reports more is not believed.
const MAX_TOKENS_OF_A_CALL: u64 = 1_000_000_000;

impl WireUsage {
    fn believed(&self) -> Option<Usage> {
        let tokens = |count: Option<i64>| u64::try_from(count?).ok().filter(|count| *count <= MAX_TOKENS_OF_A_CALL);
        let cached = self.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens);
        Some(Usage {
            input_tokens: tokens(self.prompt_tokens)?,
            cached_input_tokens: tokens(cached).unwrap_or(0),
            output_tokens: tokens(self.completion_tokens)?,
        })
    }
}

fn read(reply: &HttpReply, now: SystemTime) -> Reply {
    let request_id = reply.headers.get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let http_status = Some(reply.status.as_u16());
    if !reply.status.is_success() {
        let failure = error::status(reply, now);
        return Reply { http_status, request_id, ..Reply::without_answer(failure) };
    }
    match serde_json::from_slice::<Completion>(&reply.body) {
        Ok(completion) => Reply { http_status, request_id, ..answer(completion) },
        Err(wrong) => {
            let failure =
                Failure::new(Class::Transient, "invalid_provider_response", format!("not a chat completion: {wrong}"));
            Reply { http_status, request_id, ..Reply::without_answer(failure) }
        }
    }
}

fn answer(completion: Completion) -> Reply {
    let usage = completion.usage.as_ref().and_then(WireUsage::believed);
    let Some(choice) = completion.choices.into_iter().next() else {
        let failure = Failure::new(Class::Transient, "invalid_provider_response", "the reply has no choices");
        return Reply { usage, ..Reply::without_answer(failure) };
    };
    let AssistantMessage { content, refusal } = choice.message;
    let filtered = choice.finish_reason.as_deref() == Some("content_filter");
    if refusal.is_some() || filtered {
        let words =
            if filtered { "the provider's content filter stopped the answer" } else { "the model refused to answer" };
        let failure = Failure::new(Class::Refusal, "refused", words);
        return Reply { usage, refusal: refusal.or(content), ..Reply::without_answer(failure) };
    }
    let answer = Answer { text: content.unwrap_or_default(), finish_reason: choice.finish_reason };
    Reply { result: Ok(answer), refusal: None, usage, http_status: None, request_id: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_json(body: &str) -> Reply {
        let reply = HttpReply {
            status: reqwest::StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        read(&reply, SystemTime::UNIX_EPOCH)
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
    fn an_empty_answer_is_an_answer() {
        let reply =
            read_json(r#"{"choices":[{"message":{"content":null,"tool_calls":[]},"finish_reason":"tool_calls"}]}"#);
        assert_eq!(reply.result.map(|answer| answer.text), Ok(String::new()));
    }
}
