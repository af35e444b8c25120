//! The body of a chat completion.

use crate::completion::{
    Completion, Content, ENVELOPE_BYTES, Finish, ReportedUsage, put, put_lone_surrogate, put_string,
};

/// The whole body.
pub(super) fn body(completion: &Completion<'_>) -> Vec<u8> {
    let mut out = completion.buffer();
    start(completion, &mut out);
    if !matches!(completion.content, Content::NoChoices) {
        out.extend(br#"{"index":0,"message":{"role":"assistant",""#);
        message(completion.content, &mut out);
        end_choice(completion.finish, &mut out);
    }
    end(completion, &mut out);
    out
}

/// Everything before the first byte of the content.
pub(super) fn head(completion: &Completion<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENVELOPE_BYTES);
    start(completion, &mut out);
    out.extend(br#"{"index":0,"message":{"role":"assistant","content":""#);
    out
}

/// Everything after the last byte of the content.
pub(super) fn tail(completion: &Completion<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENVELOPE_BYTES);
    out.extend(br#"","refusal":null"#);
    end_choice(completion.finish, &mut out);
    end(completion, &mut out);
    out
}

fn start(completion: &Completion<'_>, out: &mut Vec<u8>) {
    let (seq, created) = (completion.seq, completion.unix_ms / 1000);
    put(out, format_args!(r#"{{"id":"chatcmpl-{seq:016x}","object":"chat.completion","created":{created},"model":"#));
    put_string(out, completion.model);
    out.extend(br#","choices":["#);
}

/// The message's fields after the role, from the name of the first on.
fn message(content: Content<'_>, out: &mut Vec<u8>) {
    match content {
        Content::Text(text) => {
            out.extend(br#"content":"#);
            put_string(out, text);
            out.extend(br#","refusal":null"#);
        }
        Content::Refusal(text) => {
            out.extend(br#"content":null,"refusal":"#);
            put_string(out, text);
        }
        Content::LoneSurrogate(text) => {
            out.extend(br#"content":"#);
            put_lone_surrogate(out, text);
            out.extend(br#","refusal":null"#);
        }
        Content::ToolCall => {
            out.extend(br#"content":null,"refusal":null,"tool_calls":[{"id":"call_sandbox","type":"function","#);
            out.extend(br#""function":{"name":"lookup","arguments":"{}"}}]"#);
        }
        Content::Null | Content::NoChoices | Content::Filler(_) => {
            out.extend(br#"content":null,"refusal":null"#);
        }
    }
}

fn end_choice(finish: Finish, out: &mut Vec<u8>) {
    out.extend(br#"},"logprobs":null,"finish_reason":"#);
    put_string(out, finish_reason(finish));
    out.push(b'}');
}

fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ContentFilter => "content_filter",
        Finish::ToolCall => "tool_calls",
        Finish::Nul => "stop\0",
    }
}

fn end(completion: &Completion<'_>, out: &mut Vec<u8>) {
    out.extend(b"]");
    let (prompt, cached) = (completion.prompt_tokens, completion.cached_tokens);
    let (answer, thinking) = (completion.completion_tokens(), completion.thinking_tokens);
    match completion.usage {
        ReportedUsage::True => put_usage(out, [prompt, answer, prompt.saturating_add(answer)], cached, thinking),
        ReportedUsage::Absent => {}
        ReportedUsage::Negative => put_usage(out, [-1, -1, -2], 0, 0),
        ReportedUsage::Huge => put_usage(out, [i64::MAX; 3], 0, 0),
    }
    out.extend(br#","service_tier":"default","system_fingerprint":"fp_sandbox"}"#);
}

/// Cached tokens are among the prompt's, thoughts among the completion's.
fn put_usage<T: std::fmt::Display>(out: &mut Vec<u8>, [prompt, completion, total]: [T; 3], cached: u64, thinking: u64) {
    put(
        out,
        format_args!(
            r#","usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":{cached},"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":{thinking},"audio_tokens":0}}}}"#
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completion(content: Content<'_>) -> Completion<'_> {
        Completion {
            seq: 255,
            unix_ms: 7000,
            model: "echo",
            content,
            finish: Finish::Stop,
            prompt_tokens: 3,
            cached_tokens: 0,
            thinking_tokens: 0,
            usage: ReportedUsage::True,
        }
    }

    #[test]
    fn answer_has_the_documented_shape() {
        let body = body(&completion(Content::Text("a\"\n")));
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let expected = serde_json::json!({
            "id": "chatcmpl-00000000000000ff", "object": "chat.completion", "created": 7, "model": "echo",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "a\"\n", "refusal": null},
                         "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4,
                      "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                      "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}},
            "service_tier": "default", "system_fingerprint": "fp_sandbox",
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn head_filler_and_tail_make_a_whole_answer() {
        let completion = completion(Content::Filler(5));
        let body = [head(&completion), b"fffff".to_vec(), tail(&completion)].concat();
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["choices"][0]["message"]["content"], "fffff");
        assert_eq!(body["usage"]["completion_tokens"], 2);
    }
}
