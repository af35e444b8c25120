//! The body of a message.

use crate::completion::{
    Completion, Content, ENVELOPE_BYTES, Finish, ReportedUsage, put, put_lone_surrogate, put_string,
};

/// The whole body.
pub(super) fn body(completion: &Completion<'_>) -> Vec<u8> {
    let mut out = completion.buffer();
    start(completion, &mut out);
    match completion.content {
        Content::Text(text) => {
            start_text(completion, &mut out);
            put_string(&mut out, text);
            out.extend(b"}]");
        }
        Content::LoneSurrogate(text) => {
            start_text(completion, &mut out);
            put_lone_surrogate(&mut out, text);
            out.extend(b"}]");
        }
        Content::ToolCall => {
            out.push(b'[');
            put_thinking(completion, &mut out);
            out.extend(br#"{"type":"tool_use","id":"toolu_sandbox","name":"lookup","input":{}}]"#);
        }
        Content::Refusal(_) | Content::NoChoices => out.extend(b"[]"),
        Content::Null | Content::Filler(_) => out.extend(b"null"),
    }
    end(completion, &mut out);
    out
}

/// Everything before the first byte of the content.
pub(super) fn head(completion: &Completion<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENVELOPE_BYTES);
    start(completion, &mut out);
    start_text(completion, &mut out);
    out.push(b'"');
    out
}

/// Everything after the last byte of the content.
pub(super) fn tail(completion: &Completion<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENVELOPE_BYTES);
    out.extend(br#""}]"#);
    end(completion, &mut out);
    out
}

fn start(completion: &Completion<'_>, out: &mut Vec<u8>) {
    put(out, format_args!(r#"{{"id":"msg_{:016x}","type":"message","role":"assistant","model":"#, completion.seq));
    put_string(out, completion.model);
    out.extend(br#","content":"#);
}

/// The list of blocks up to the value of the text.
fn start_text(completion: &Completion<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    put_thinking(completion, out);
    out.extend(br#"{"type":"text","text":"#);
}

/// A block that is no part of the answer.
fn put_thinking(completion: &Completion<'_>, out: &mut Vec<u8>) {
    if completion.thinking_tokens > 0 {
        out.extend(br#"{"type":"thinking","thinking":"Say it again.","signature":"c2FuZGJveA=="},"#);
    }
}

fn end(completion: &Completion<'_>, out: &mut Vec<u8>) {
    out.extend(br#","stop_reason":"#);
    if let Content::Refusal(_) = completion.content {
        out.extend(br#""refusal","stop_sequence":null,"stop_details":{"type":"refusal","category":null,"#);
        out.extend(br#""explanation":"The model declined to answer."}"#);
    } else {
        put_string(out, stop_reason(completion.finish));
        out.extend(br#","stop_sequence":null,"stop_details":null"#);
    }
    let (cached, output) = (completion.cached_tokens, completion.completion_tokens());
    match completion.usage {
        ReportedUsage::True => put_usage(out, [completion.prompt_tokens.saturating_sub(cached), cached, output]),
        ReportedUsage::Absent => {}
        ReportedUsage::Negative => put_usage(out, [-1, -1, -1]),
        ReportedUsage::Huge => put_usage(out, [i64::MAX; 3]),
    }
    out.push(b'}');
}

/// The input's tokens are those that no cache was read or written for.
fn put_usage<T: std::fmt::Display>(out: &mut Vec<u8>, [input, cache_read, output]: [T; 3]) {
    put(
        out,
        format_args!(
            r#","usage":{{"input_tokens":{input},"cache_creation_input_tokens":0,"cache_read_input_tokens":{cache_read},"#
        ),
    );
    out.extend(br#""cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"#);
    put(out, format_args!(r#""output_tokens":{output},"service_tier":"standard"}}"#));
}

fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ContentFilter => "refusal",
        Finish::ToolCall => "tool_use",
        Finish::Nul => "end_turn\0",
    }
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
            prompt_tokens: 7,
            cached_tokens: 5,
            thinking_tokens: 0,
            usage: ReportedUsage::True,
        }
    }

    fn json(body: &[u8]) -> serde_json::Value {
        serde_json::from_slice(body).expect("JSON")
    }

    #[test]
    fn answer_has_the_documented_shape_and_input_without_what_was_cached() {
        let expected = serde_json::json!({
            "id": "msg_00000000000000ff", "type": "message", "role": "assistant", "model": "echo",
            "content": [{"type": "text", "text": "a\"\n"}],
            "stop_reason": "end_turn", "stop_sequence": null, "stop_details": null,
            "usage": {"input_tokens": 2, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 5,
                      "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                      "output_tokens": 1, "service_tier": "standard"},
        });
        assert_eq!(json(&body(&completion(Content::Text("a\"\n")))), expected);
    }

    #[test]
    fn thought_comes_first_and_is_billed_as_output() {
        let completion = Completion { thinking_tokens: 40, ..completion(Content::Text("hi")) };
        let message = json(&body(&completion));
        assert_eq!(
            (&message["content"][0]["type"], &message["content"][1]["text"]),
            (&"thinking".into(), &"hi".into())
        );
        assert_eq!(message["usage"]["output_tokens"], 41);
    }

    #[test]
    fn head_filler_and_tail_make_a_whole_answer() {
        let completion = completion(Content::Filler(5));
        let message = json(&[head(&completion), b"fffff".to_vec(), tail(&completion)].concat());
        assert_eq!((&message["content"][0]["text"], &message["usage"]["output_tokens"]), (&"fffff".into(), &2.into()));
    }
}
