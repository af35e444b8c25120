//! Requests of the Messages API as JSON, without a tree of them in between.

use bytes::Bytes;
use domain::job::spec::Params;
use domain::prompt::{Message, Role};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::encode::{SystemText, append, merge, room};

/// What a record says about every request.
#[derive(Debug, Clone)]
pub(super) struct Fixed {
    pub upstream_model: String,
    /// Bound on an answer where the job names none: the API requires one.
    pub max_tokens: u32,
    /// Whether temperature and the like may be sent.
    pub samples: bool,
}

/// The highest temperature that the API takes; portable ones go up to 2.
const MAX_TEMPERATURE: f64 = 1.0;

const SAMPLING: [&str; 3] = ["temperature", "top_p", "top_k"];

/// The request up to its system text and messages. A seed has no counterpart.
pub(super) fn prepare(fixed: &Fixed, params: &Params) -> Bytes {
    let mut request = params.extra.clone();
    request.retain(|name, _| !["system", "messages", "stream"].contains(&name.as_str()));
    request.insert("model".to_owned(), json!(fixed.upstream_model));
    request.insert("max_tokens".to_owned(), json!(params.max_output_tokens.unwrap_or(fixed.max_tokens)));
    if !params.stop.is_empty() {
        request.insert("stop_sequences".to_owned(), json!(params.stop));
    }
    sampling(fixed, params, &mut request);
    if let Some(effort) = params.reasoning_effort.as_deref().and_then(effort) {
        merge(&mut request, "output_config", json!({"effort": effort}));
    }
    let mut json = Vec::new();
    append(&mut json, &request);
    json.pop();
    json.push(b',');
    json.into()
}

fn sampling(fixed: &Fixed, params: &Params, request: &mut Map<String, Value>) {
    if !fixed.samples {
        request.retain(|name, _| !SAMPLING.contains(&name.as_str()));
        return;
    }
    if let Some(temperature) = params.temperature {
        request.insert("temperature".to_owned(), json!(temperature.min(MAX_TEMPERATURE)));
    }
    if let Some(top_p) = params.top_p {
        request.insert("top_p".to_owned(), json!(top_p));
    }
}

/// `low` is the least that can be asked for; to think not at all is what a request without the field does.
fn effort(portable: &str) -> Option<&str> {
    match portable {
        "none" => None,
        "minimal" => Some("low"),
        other => Some(other),
    }
}

#[derive(Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: &'a str,
}

/// The body of a real-time call.
pub(super) fn body(prepared: &[u8], messages: &[Message]) -> Vec<u8> {
    let mut json = Vec::with_capacity(prepared.len() + room(messages, 40));
    append_request(prepared, messages, &mut json);
    json
}

/// One element of a provider batch's `requests`.
pub(super) fn append_element(prepared: &[u8], id: &str, messages: &[Message], out: &mut Vec<u8>) {
    out.reserve(prepared.len() + id.len() + 32 + room(messages, 40));
    out.extend_from_slice(b"{\"custom_id\":");
    append(out, &id);
    out.extend_from_slice(b",\"params\":");
    append_request(prepared, messages, out);
    out.push(b'}');
}

fn append_request(prepared: &[u8], messages: &[Message], out: &mut Vec<u8>) {
    out.extend_from_slice(prepared);
    if let Some(system) = SystemText::of(messages) {
        out.extend_from_slice(b"\"system\":");
        append(out, &system);
        out.push(b',');
    }
    out.extend_from_slice(b"\"messages\":[");
    let turns = messages.iter().filter(|message| message.role != Role::System);
    for (position, message) in turns.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        append(out, &WireMessage { role: message.role.name(), content: &message.text });
    }
    out.extend_from_slice(b"]}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(samples: bool) -> Fixed {
        Fixed { upstream_model: "m".to_owned(), max_tokens: 4096, samples }
    }

    fn encode(fixed: &Fixed, params: &Params, messages: &[Message]) -> Value {
        let body = body(&prepare(fixed, params), messages);
        serde_json::from_slice(&body).expect("JSON")
    }

    fn message(role: Role, text: &str) -> Message {
        Message { role, text: text.to_owned() }
    }

    fn extra(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).expect("an object")
    }

    #[test]
    fn every_parameter_has_its_place() {
        let params = Params {
            temperature: Some(0.5),
            top_p: Some(0.9),
            max_output_tokens: Some(9),
            stop: vec!["END".to_owned()],
            seed: Some(1),
            reasoning_effort: Some("high".to_owned()),
            extra: extra(json!({"top_k": 3, "output_config": {"format": {"type": "json_schema"}}})),
        };
        let messages = [
            message(Role::System, "s"),
            message(Role::User, "\"q\" \0 \u{1f600}"),
            message(Role::Assistant, "a"),
            message(Role::System, "t"),
            message(Role::User, "u"),
        ];
        let expected = json!({
            "model": "m", "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 3, "stop_sequences": ["END"],
            "output_config": {"format": {"type": "json_schema"}, "effort": "high"}, "system": "s\n\nt",
            "messages": [{"role": "user", "content": "\"q\" \0 \u{1f600}"}, {"role": "assistant", "content": "a"},
                         {"role": "user", "content": "u"}],
        });
        assert_eq!(encode(&fixed(true), &params, &messages), expected);
    }

    #[test]
    fn the_driver_s_own_fields_win_over_extras() {
        let params = Params {
            extra: extra(json!({"model": "x", "max_tokens": 1, "stream": true, "system": "x", "messages": []})),
            ..Params::default()
        };
        let request = encode(&fixed(true), &params, &[message(Role::User, "u")]);
        assert_eq!(request, json!({"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "u"}]}));
    }

    #[test]
    fn the_newer_version_gets_no_sampling_parameters() {
        let params =
            Params { temperature: Some(0.0), top_p: Some(0.1), extra: extra(json!({"top_k": 1})), ..Params::default() };
        let request = encode(&fixed(false), &params, &[]);
        assert_eq!(request, json!({"model": "m", "max_tokens": 4096, "messages": []}));
    }

    #[test]
    fn what_the_api_has_no_word_for_becomes_the_nearest() {
        let ask = |effort: &str| {
            let params =
                Params { temperature: Some(1.7), reasoning_effort: Some(effort.to_owned()), ..Params::default() };
            encode(&fixed(true), &params, &[])
        };
        assert_eq!(ask("minimal")["output_config"]["effort"], "low");
        assert_eq!(ask("xhigh")["output_config"]["effort"], "xhigh");
        assert_eq!(ask("none").get("output_config"), None);
        assert_eq!(ask("none")["temperature"], 1.0);
    }

    #[test]
    fn a_provider_batch_sends_what_a_call_sends() {
        let prepared = prepare(&fixed(true), &Params::default());
        let messages = [message(Role::System, "s"), message(Role::User, "u")];
        let mut element = Vec::new();
        append_element(&prepared, "r-1", &messages, &mut element);
        let call = String::from_utf8(body(&prepared, &messages)).expect("UTF-8");
        assert_eq!(String::from_utf8(element).expect("UTF-8"), format!(r#"{{"custom_id":"r-1","params":{call}}}"#));
    }
}
