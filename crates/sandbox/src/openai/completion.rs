//! The body of an answer, written straight into one buffer.

use std::io::Write;

use crate::answer::count_tokens;

/// Room for everything but the content.
const ENVELOPE_BYTES: usize = 640;

/// A chat completion.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Completion<'a> {
    /// Of the request; makes the completion's id.
    pub seq: u64,
    /// Unix seconds.
    pub created: u64,
    pub model: &'a str,
    pub content: Content<'a>,
    pub finish_reason: &'static str,
    pub prompt_tokens: u64,
    pub usage: ReportedUsage,
}

/// What stands in `choices[0].message`, or what stands there instead.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'a> {
    Text(&'a str),
    Refusal(&'a str),
    Null,
    ToolCall,
    NoChoices,
    /// The text, then half of a surrogate pair.
    LoneSurrogate(&'a str),
    /// So many bytes that somebody else writes between head and tail.
    Filler(u64),
}

/// What `usage` says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReportedUsage {
    True,
    Absent,
    Negative,
    Huge,
}

impl<'a> Content<'a> {
    /// The text, where it is one.
    pub fn text(&self) -> &'a str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }

    fn tokens(&self) -> u64 {
        match self {
            Self::Text(text) | Self::Refusal(text) | Self::LoneSurrogate(text) => count_tokens(text),
            Self::Filler(bytes) => bytes.div_ceil(4),
            Self::ToolCall => 1,
            Self::Null | Self::NoChoices => 0,
        }
    }
}

impl Completion<'_> {
    /// What the answer costs in completion tokens.
    pub fn completion_tokens(&self) -> u64 {
        self.content.tokens()
    }

    /// The whole body.
    pub fn body(&self) -> Vec<u8> {
        let text = self.content.text();
        let mut out = Vec::with_capacity(ENVELOPE_BYTES + text.len() + text.len() / 16);
        self.start(&mut out);
        if !matches!(self.content, Content::NoChoices) {
            out.extend(br#"{"index":0,"message":{"role":"assistant",""#);
            self.message(&mut out);
            self.end_choice(&mut out);
        }
        self.end(&mut out);
        out
    }

    /// Everything before the first byte of the content.
    pub fn head(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ENVELOPE_BYTES);
        self.start(&mut out);
        out.extend(br#"{"index":0,"message":{"role":"assistant","content":""#);
        out
    }

    /// Everything after the last byte of the content.
    pub fn tail(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ENVELOPE_BYTES);
        out.extend(br#"","refusal":null"#);
        self.end_choice(&mut out);
        self.end(&mut out);
        out
    }

    fn start(&self, out: &mut Vec<u8>) {
        put(
            out,
            format_args!(
                r#"{{"id":"chatcmpl-{:016x}","object":"chat.completion","created":{},"model":"#,
                self.seq, self.created
            ),
        );
        put_string(out, self.model);
        out.extend(br#","choices":["#);
    }

    /// The message's fields after the role, from the name of the first on.
    fn message(&self, out: &mut Vec<u8>) {
        match self.content {
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
                put_string(out, text);
                out.pop();
                out.extend(br#"\ud800","refusal":null"#);
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

    fn end_choice(&self, out: &mut Vec<u8>) {
        out.extend(br#"},"logprobs":null,"finish_reason":"#);
        put_string(out, self.finish_reason);
        out.push(b'}');
    }

    fn end(&self, out: &mut Vec<u8>) {
        out.extend(b"]");
        let (prompt, completion) = (self.prompt_tokens, self.completion_tokens());
        match self.usage {
            ReportedUsage::True => put_usage(out, prompt, completion, prompt.saturating_add(completion)),
            ReportedUsage::Absent => {}
            ReportedUsage::Negative => put_usage(out, -1, -1, -2),
            ReportedUsage::Huge => put_usage(out, i64::MAX, i64::MAX, i64::MAX),
        }
        out.extend(br#","service_tier":"default","system_fingerprint":"fp_sandbox"}"#);
    }
}

fn put_usage<T: std::fmt::Display>(out: &mut Vec<u8>, prompt: T, completion: T, total: T) {
    put(
        out,
        format_args!(r#","usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total},"#),
    );
    out.extend(br#""prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"#);
    out.extend(br#""completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}"#);
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes every write");
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a Vec takes every write and a string always serialises");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completion(content: Content<'_>) -> Completion<'_> {
        Completion {
            seq: 255,
            created: 7,
            model: "echo",
            content,
            finish_reason: "stop",
            prompt_tokens: 3,
            usage: ReportedUsage::True,
        }
    }

    #[test]
    fn answer_has_the_documented_shape() {
        let body = completion(Content::Text("a\"\n")).body();
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
        let body = [completion.head(), b"fffff".to_vec(), completion.tail()].concat();
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["choices"][0]["message"]["content"], "fffff");
        assert_eq!(body["usage"]["completion_tokens"], 2);
    }
}
