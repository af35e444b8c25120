//! `GenerateContentRequest`s as JSON, without a tree of them in between.

use bytes::Bytes;
use domain::job::spec::Params;
use domain::prompt::{Message, Role};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::encode::{SystemText, append, merge, room};

/// The request up to its system instruction and contents. The model is named by the URL.
///
/// A response schema in `extra` is passed on under the name it came with: `responseJsonSchema` is reported to give malformed
/// answers in provider batches, `responseSchema` is not (<https://github.com/crmne/ruby_llm/issues/894>).
pub(super) fn prepare(params: &Params) -> Bytes {
    let mut request = params.extra.clone();
    request.retain(|name, _| !["systemInstruction", "contents", "model"].contains(&name.as_str()));
    let generation = generation_config(params);
    if !generation.is_empty() {
        merge(&mut request, "generationConfig", Value::Object(generation));
    }
    let mut json = Vec::new();
    append(&mut json, &request);
    json.pop();
    if !request.is_empty() {
        json.push(b',');
    }
    json.into()
}

fn generation_config(params: &Params) -> Map<String, Value> {
    let stop = Some(&params.stop).filter(|stop| !stop.is_empty());
    let fields = [
        ("temperature", params.temperature.map(|temperature| json!(temperature))),
        ("topP", params.top_p.map(|top_p| json!(top_p))),
        ("maxOutputTokens", params.max_output_tokens.map(|bound| json!(bound))),
        ("stopSequences", stop.map(|stop| json!(stop))),
        ("seed", params.seed.map(|seed| json!(narrow(seed)))),
        ("thinkingConfig", params.reasoning_effort.as_deref().map(|effort| json!({"thinkingLevel": level(effort)}))),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Seeds are 32 bits wide here. A wider one loses its upper part: it still stands for the same answers.
fn narrow(seed: i64) -> i64 {
    i32::try_from(seed).map_or(seed & i64::from(i32::MAX), i64::from)
}

/// There are four levels (the enum `ThinkingLevel` of Google's discovery documents); what lies beyond becomes the nearest.
fn level(effort: &str) -> &'static str {
    match effort {
        "none" | "minimal" => "MINIMAL",
        "low" => "LOW",
        "medium" => "MEDIUM",
        _ => "HIGH",
    }
}

#[derive(Serialize)]
struct Content<'a> {
    role: &'static str,
    parts: [Part<&'a str>; 1],
}

#[derive(Serialize)]
struct Part<T> {
    text: T,
}

/// The body of a real-time call.
pub(super) fn body(prepared: &[u8], messages: &[Message]) -> Vec<u8> {
    let mut json = Vec::with_capacity(prepared.len() + room(messages, 48));
    append_request(prepared, messages, &mut json);
    json
}

/// How a line of an input file begins, before its key.
pub(super) const LINE_START: &[u8] = b"{\"key\":";

/// One line of an input file, without its end.
pub(super) fn append_line(prepared: &[u8], id: &str, messages: &[Message], out: &mut Vec<u8>) {
    out.reserve(prepared.len() + id.len() + 32 + room(messages, 48));
    out.extend_from_slice(LINE_START);
    append(out, &id);
    out.extend_from_slice(b",\"request\":");
    append_request(prepared, messages, out);
    out.push(b'}');
}

fn append_request(prepared: &[u8], messages: &[Message], out: &mut Vec<u8>) {
    out.extend_from_slice(prepared);
    if let Some(system) = SystemText::of(messages) {
        out.extend_from_slice(b"\"systemInstruction\":{\"parts\":[");
        append(out, &Part { text: system });
        out.extend_from_slice(b"]},");
    }
    out.extend_from_slice(b"\"contents\":[");
    let turns = messages.iter().filter(|message| message.role != Role::System);
    for (position, message) in turns.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        let role = if message.role == Role::Assistant { "model" } else { "user" };
        append(out, &Content { role, parts: [Part { text: &message.text }] });
    }
    out.extend_from_slice(b"]}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(params: &Params, messages: &[Message]) -> Value {
        serde_json::from_slice(&body(&prepare(params), messages)).expect("JSON")
    }

    fn message(role: Role, text: &str) -> Message {
        Message { role, text: text.to_owned() }
    }

    #[test]
    fn every_parameter_has_its_place() {
        let extra = json!({"generationConfig": {"topK": 3, "temperature": 2}, "safetySettings": [], "contents": "x"});
        let params = Params {
            temperature: Some(0.5),
            top_p: Some(0.9),
            max_output_tokens: Some(9),
            stop: vec!["END".to_owned()],
            seed: Some(7),
            reasoning_effort: Some("low".to_owned()),
            extra: serde_json::from_value(extra).expect("an object"),
        };
        let messages = [
            message(Role::System, "s"),
            message(Role::User, "\"q\" \0 \u{1f600}"),
            message(Role::Assistant, "a"),
            message(Role::System, "t"),
            message(Role::User, "u"),
        ];
        let expected = json!({
            "generationConfig": {"topK": 3, "temperature": 0.5, "topP": 0.9, "maxOutputTokens": 9, "stopSequences": ["END"],
                                 "seed": 7, "thinkingConfig": {"thinkingLevel": "LOW"}},
            "safetySettings": [],
            "systemInstruction": {"parts": [{"text": "s\n\nt"}]},
            "contents": [{"role": "user", "parts": [{"text": "\"q\" \0 \u{1f600}"}]},
                         {"role": "model", "parts": [{"text": "a"}]}, {"role": "user", "parts": [{"text": "u"}]}],
        });
        assert_eq!(encode(&params, &messages), expected);
    }

    #[test]
    fn a_request_without_parameters_is_its_contents() {
        let request = encode(&Params::default(), &[message(Role::User, "u")]);
        assert_eq!(request, json!({"contents": [{"role": "user", "parts": [{"text": "u"}]}]}));
    }

    #[test]
    fn what_the_api_has_no_word_for_becomes_the_nearest() {
        assert_eq!(["none", "minimal", "xhigh"].map(level), ["MINIMAL", "MINIMAL", "HIGH"]);
        assert_eq!([-3, 7, 1 << 31, i64::MIN, i64::MAX].map(narrow), [-3, 7, 0, 0, i64::from(i32::MAX)]);
    }

    #[test]
    fn a_provider_batch_sends_what_a_call_sends() {
        let prepared = prepare(&Params::default());
        let messages = [message(Role::System, "s"), message(Role::User, "u")];
        let mut line = Vec::new();
        append_line(&prepared, "r-1", &messages, &mut line);
        let call = String::from_utf8(body(&prepared, &messages)).expect("UTF-8");
        assert_eq!(String::from_utf8(line).expect("UTF-8"), format!(r#"{{"key":"r-1","request":{call}}}"#));
    }
}
