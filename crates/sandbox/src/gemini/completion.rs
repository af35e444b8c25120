//! The body of generated content. As everywhere in Google's JSON, counts of 0 are left out.

use std::fmt::Display;

use crate::completion::{
    Completion, Content, ENVELOPE_BYTES, Finish, ReportedUsage, put, put_lone_surrogate, put_string,
};

/// The whole body.
pub(super) fn body(completion: &Completion<'_>) -> Vec<u8> {
    let mut out = completion.buffer();
    match completion.content {
        Content::Text(text) => {
            start_text(completion, &mut out);
            put_string(&mut out, text);
            end_text(completion, &mut out);
        }
        Content::LoneSurrogate(text) => {
            start_text(completion, &mut out);
            put_lone_surrogate(&mut out, text);
            end_text(completion, &mut out);
        }
        Content::ToolCall => {
            start_parts(completion, &mut out);
            out.extend(br#"{"functionCall":{"name":"lookup","args":{}}"#);
            end_text(completion, &mut out);
        }
        Content::Null | Content::Filler(_) => {
            out.extend(br#"{"candidates":[{"content":{"role":"model""#);
            end_candidate(completion.finish, &mut out);
        }
        Content::NoChoices => out.extend(br#"{"candidates":[],"#),
        // The prompt is blocked, so no model saw it.
        Content::Refusal(_) => out.extend(br#"{"promptFeedback":{"blockReason":"SAFETY"},"#),
    }
    end(completion, &mut out);
    out
}

/// Everything before the first byte of the content.
pub(super) fn head(completion: &Completion<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENVELOPE_BYTES);
    start_text(completion, &mut out);
    out.push(b'"');
    out
}

/// Everything after the last byte of the content.
pub(super) fn tail(completion: &Completion<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENVELOPE_BYTES);
    out.push(b'"');
    end_text(completion, &mut out);
    end(completion, &mut out);
    out
}

/// Up to the value of the text.
fn start_text(completion: &Completion<'_>, out: &mut Vec<u8>) {
    start_parts(completion, out);
    out.extend(br#"{"text":"#);
}

fn start_parts(completion: &Completion<'_>, out: &mut Vec<u8>) {
    out.extend(br#"{"candidates":[{"content":{"parts":["#);
    if completion.thinking_tokens > 0 {
        out.extend(br#"{"text":"Say it again.","thought":true},"#);
    }
}

/// From the end of the last part to the end of the candidates.
fn end_text(completion: &Completion<'_>, out: &mut Vec<u8>) {
    out.extend(br#"}],"role":"model""#);
    end_candidate(completion.finish, out);
}

fn end_candidate(finish: Finish, out: &mut Vec<u8>) {
    out.extend(br#"},"finishReason":"#);
    put_string(out, finish_reason(finish));
    out.extend(br#","index":0}],"#);
}

fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter => "SAFETY",
        // Nobody offered the tool.
        Finish::ToolCall => "UNEXPECTED_TOOL_CALL",
        Finish::Nul => "STOP\0",
    }
}

fn end(completion: &Completion<'_>, out: &mut Vec<u8>) {
    match completion.usage {
        ReportedUsage::True => put_true_usage(completion, out),
        ReportedUsage::Absent => {}
        ReportedUsage::Negative => put_usage(out, [-1, 0, -1, 0, -2]),
        ReportedUsage::Huge => put_usage(out, [i64::MAX, 0, i64::MAX, 0, i64::MAX]),
    }
    out.extend(br#""modelVersion":"#);
    put_string(out, completion.model);
    put(out, format_args!(r#","responseId":"{:016x}"}}"#, completion.seq));
}

/// The prompt's tokens include cached ones; the candidates' do not include thoughts.
fn put_true_usage(completion: &Completion<'_>, out: &mut Vec<u8>) {
    let (prompt, thoughts) = (completion.prompt_tokens, completion.thinking_tokens);
    let total = prompt.saturating_add(completion.completion_tokens());
    put_usage(out, [prompt, completion.cached_tokens, completion.content_tokens(), thoughts, total]);
}

fn put_usage<T: Display + Default + PartialEq>(out: &mut Vec<u8>, counts: [T; 5]) {
    const NAMES: [&str; 5] = [
        "promptTokenCount",
        "cachedContentTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "totalTokenCount",
    ];
    out.extend(br#""usageMetadata":{"#);
    for (name, count) in NAMES.iter().zip(counts).filter(|(_, count)| *count != T::default()) {
        put(out, format_args!(r#""{name}":{count},"#));
    }
    if out.ends_with(b",") {
        out.pop();
    }
    out.extend(b"},");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn completion(content: Content<'_>) -> Completion<'_> {
        Completion {
            seq: 255,
            unix_ms: 7000,
            model: "echo",
            content,
            finish: Finish::Stop,
            prompt_tokens: 7,
            cached_tokens: 0,
            thinking_tokens: 0,
            usage: ReportedUsage::True,
        }
    }

    fn parsed(body: &[u8]) -> Value {
        serde_json::from_slice(body).expect("JSON")
    }

    #[test]
    fn answer_has_the_documented_shape() {
        let expected = json!({
            "candidates": [{"content": {"parts": [{"text": "a\"\n"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 1, "totalTokenCount": 8},
            "modelVersion": "echo", "responseId": "00000000000000ff",
        });
        assert_eq!(parsed(&body(&completion(Content::Text("a\"\n")))), expected);
    }

    #[test]
    fn thoughts_are_counted_apart_and_cached_tokens_in_the_prompt() {
        let completion = Completion { thinking_tokens: 40, cached_tokens: 5, ..completion(Content::Text("hi")) };
        let answer = parsed(&body(&completion));
        let expected = json!({"promptTokenCount": 7, "cachedContentTokenCount": 5, "candidatesTokenCount": 1,
                              "thoughtsTokenCount": 40, "totalTokenCount": 48});
        assert_eq!(answer["usageMetadata"], expected);
        let parts = &answer["candidates"][0]["content"]["parts"];
        assert_eq!((&parts[0]["thought"], &parts[1]["text"]), (&json!(true), &json!("hi")));
    }

    #[test]
    fn every_content_is_valid_json() {
        for content in [Content::Refusal(""), Content::Null, Content::ToolCall, Content::NoChoices, Content::Text("")] {
            for usage in [ReportedUsage::True, ReportedUsage::Absent, ReportedUsage::Negative, ReportedUsage::Huge] {
                parsed(&body(&Completion { usage, prompt_tokens: 0, ..completion(content) }));
            }
        }
    }

    #[test]
    fn head_filler_and_tail_make_a_whole_answer() {
        let completion = completion(Content::Filler(5));
        let answer = parsed(&[head(&completion), b"fffff".to_vec(), tail(&completion)].concat());
        assert_eq!(answer["candidates"][0]["content"]["parts"][0]["text"], "fffff");
        assert_eq!(answer["usageMetadata"]["candidatesTokenCount"], 2);
    }
}
