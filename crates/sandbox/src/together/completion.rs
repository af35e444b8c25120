//! The body of a chat completion.

use crate::completion::{
    Completion, Content, ENVELOPE_BYTES, Finish, ReportedUsage, put, put_lone_surrogate, put_string,
};

/// The whole body.
pub(super) fn body(completion: &Completion<'_>) -> Vec<u8> {
    let mut out = completion.buffer();
    start(completion, &mut out);
    if !matches!(completion.content, Content::NoChoices) {
        start_choice(completion.finish, &mut out);
        message(completion.content, &mut out);
        out.extend(b"}}");
    }
    end(completion, &mut out);
    out
}

/// Everything before the first byte of the content.
pub(super) fn head(completion: &Completion<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENVELOPE_BYTES);
    start(completion, &mut out);
    start_choice(completion.finish, &mut out);
    out.push(b'"');
    out
}

/// Everything after the last byte of the content.
pub(super) fn tail(completion: &Completion<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENVELOPE_BYTES);
    out.extend(br#"","tool_calls":[]}}"#);
    end(completion, &mut out);
    out
}

fn start(completion: &Completion<'_>, out: &mut Vec<u8>) {
    let (seq, created) = (completion.seq, completion.unix_ms / 1000);
    put(out, format_args!(r#"{{"id":"{seq:016x}","object":"chat.completion","created":{created},"model":"#));
    put_string(out, completion.model);
    out.extend(br#","prompt":[],"choices":["#);
}

/// Up to the content.
fn start_choice(finish: Finish, out: &mut Vec<u8>) {
    out.extend(br#"{"finish_reason":"#);
    put_string(
        out,
        match finish {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::ContentFilter => "content_filter",
            Finish::ToolCall => "tool_calls",
            Finish::Nul => "stop\0",
        },
    );
    out.extend(br#","seed":null,"logprobs":null,"index":0,"message":{"role":"assistant","content":"#);
}

/// The content and what follows it in the message. A refusal is a text like any other.
fn message(content: Content<'_>, out: &mut Vec<u8>) {
    match content {
        Content::Text(text) | Content::Refusal(text) => put_string(out, text),
        Content::LoneSurrogate(text) => put_lone_surrogate(out, text),
        Content::ToolCall => {
            out.extend(br#"null,"tool_calls":[{"id":"call_sandbox","type":"function","index":0,"#);
            out.extend(br#""function":{"name":"lookup","arguments":"{}"}}]"#);
            return;
        }
        Content::Null | Content::NoChoices | Content::Filler(_) => out.extend(b"null"),
    }
    out.extend(br#","tool_calls":[]"#);
}

fn end(completion: &Completion<'_>, out: &mut Vec<u8>) {
    out.push(b']');
    let (prompt, cached, answer) = (completion.prompt_tokens, completion.cached_tokens, completion.completion_tokens());
    match completion.usage {
        ReportedUsage::True => put_usage(out, [prompt, answer, prompt.saturating_add(answer)], cached),
        ReportedUsage::Absent => {}
        ReportedUsage::Negative => put_usage(out, [-1, -1, -2], 0),
        ReportedUsage::Huge => put_usage(out, [i64::MAX; 3], 0),
    }
    out.push(b'}');
}

fn put_usage<T: std::fmt::Display>(out: &mut Vec<u8>, [prompt, completion, total]: [T; 3], cached: u64) {
    put(
        out,
        format_args!(
            r#","usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total},"cached_tokens":{cached}}}"#
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_has_the_documented_shape() {
        let completion = Completion {
            seq: 255,
            unix_ms: 7000,
            model: "echo",
            content: Content::Text("a\"\n"),
            finish: Finish::Stop,
            prompt_tokens: 3,
            cached_tokens: 0,
            thinking_tokens: 0,
            usage: ReportedUsage::True,
        };
        let whole: serde_json::Value = serde_json::from_slice(&body(&completion)).expect("JSON");
        let expected = serde_json::json!({
            "id": "00000000000000ff", "object": "chat.completion", "created": 7, "model": "echo", "prompt": [],
            "choices": [{"finish_reason": "stop", "seed": null, "logprobs": null, "index": 0,
                         "message": {"role": "assistant", "content": "a\"\n", "tool_calls": []}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4, "cached_tokens": 0},
        });
        assert_eq!(whole, expected);
        let filler = Completion { content: Content::Filler(5), ..completion };
        let body = [head(&filler), b"fffff".to_vec(), tail(&filler)].concat();
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["choices"][0]["message"]["content"], "fffff");
    }
}
