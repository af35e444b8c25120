//! Chat requests as JSON, without a tree in between.

use bytes::Bytes;
use domain::job::spec::Params;
use domain::prompt::{Message, Role};
use serde::Serialize;

use super::{MaxTokens, Prefill};

#[derive(Serialize)]
struct Fixed<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(flatten)]
    extra: &'a serde_json::Map<String, serde_json::Value>,
}

/// The request up to its messages: all that is the same for every row of a job.
pub(crate) fn prepare(model: &str, params: &Params, max_tokens: MaxTokens) -> Vec<u8> {
    let bound = |name: MaxTokens| params.max_output_tokens.filter(|_| name == max_tokens);
    let fixed = Fixed {
        model,
        temperature: params.temperature,
        top_p: params.top_p,
        max_completion_tokens: bound(MaxTokens::MaxCompletionTokens),
        max_tokens: bound(MaxTokens::MaxTokens),
        stop: &params.stop,
        seed: params.seed,
        reasoning_effort: params.reasoning_effort.as_deref(),
        extra: &params.extra,
    };
    open(&fixed)
}

/// An object that goes on with its messages.
pub(crate) fn open(fixed: &impl Serialize) -> Vec<u8> {
    let mut json = serde_json::to_vec(fixed).expect("numbers, strings and JSON values always serialise");
    json.pop();
    if json.len() > 1 {
        json.push(b',');
    }
    json.extend_from_slice(b"\"messages\":");
    json
}

/// The whole request.
pub(crate) fn body(prepared: &[u8], prefill: Prefill, messages: &[Message]) -> Vec<u8> {
    let text: usize = messages.iter().map(|message| message.text.len() + 40).sum();
    let mut json = Vec::with_capacity(prepared.len() + text + text / 16 + 8);
    json.extend_from_slice(prepared);
    list(prefill, messages, &mut json);
    json.push(b'}');
    json
}

/// The part of a line of a batch file between its id and its messages. `head` is what goes between the id and the request.
pub(crate) fn prepare_line(head: &str, prepared: &[u8]) -> Bytes {
    [b"\",", head.as_bytes(), b"\"body\":", prepared].concat().into()
}

/// A line of a batch file, without its end. The id needs no escapes.
pub(crate) fn line(prepared: &[u8], id: &str, prefill: Prefill, messages: &[Message], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"custom_id\":\"");
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(prepared);
    list(prefill, messages, out);
    out.extend_from_slice(b"}}");
}

#[derive(Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    prefix: bool,
}

fn list(prefill: Prefill, messages: &[Message], out: &mut Vec<u8>) {
    out.push(b'[');
    for (position, message) in messages.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        let is_prefill = message.role == Role::Assistant && position + 1 == messages.len();
        let message = WireMessage {
            role: message.role.name(),
            content: &message.text,
            prefix: is_prefill && prefill == Prefill::Marked,
        };
        serde_json::to_writer(&mut *out, &message).expect("strings always serialise, and a Vec takes every write");
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_json_object() {
        let params = Params {
            temperature: Some(0.0),
            max_output_tokens: Some(9),
            extra: serde_json::Map::from_iter([("top_k".to_owned(), 3.into())]),
            ..Params::default()
        };
        let messages = [
            Message { role: Role::System, text: "s".to_owned() },
            Message { role: Role::User, text: "\"quoted\" \0 \u{1f600}".to_owned() },
        ];
        let body = body(&prepare("m", &params, MaxTokens::MaxTokens), Prefill::Plain, &messages);
        let json: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(
            json,
            serde_json::json!({"model": "m", "temperature": 0.0, "max_tokens": 9, "top_k": 3, "messages": [
                {"role": "system", "content": "s"}, {"role": "user", "content": "\"quoted\" \0 \u{1f600}"},
            ]})
        );
    }

    #[test]
    fn a_line_holds_the_same_body_as_a_call() {
        let prepared = prepare("m", &Params::default(), MaxTokens::MaxTokens);
        let messages = [Message { role: Role::User, text: "a\n\u{2028}b".to_owned() }];
        let mut out = Vec::new();
        line(
            &prepare_line(r#""method":"POST","url":"/v1/x","#, &prepared),
            "r-1_A",
            Prefill::Plain,
            &messages,
            &mut out,
        );
        let json: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        let body: serde_json::Value =
            serde_json::from_slice(&body(&prepared, Prefill::Plain, &messages)).expect("JSON");
        assert_eq!(json, serde_json::json!({"custom_id": "r-1_A", "method": "POST", "url": "/v1/x", "body": body}));
        assert!(!out.contains(&b'\n'));
    }

    #[test]
    fn a_prefill_is_marked_where_it_must_be() {
        let message = |role| Message { role, text: "x".to_owned() };
        let marks = |prefill, roles: &[Role]| {
            let messages: Vec<_> = roles.iter().copied().map(message).collect();
            String::from_utf8(body(b"{", prefill, &messages)).expect("text").matches("\"prefix\":true").count()
        };
        assert_eq!(marks(Prefill::Plain, &[Role::User, Role::Assistant]), 0);
        assert_eq!(marks(Prefill::Marked, &[Role::Assistant, Role::User, Role::Assistant]), 1);
        assert_eq!(marks(Prefill::Marked, &[Role::Assistant, Role::User]), 0);
    }

    #[test]
    fn openai_itself_takes_max_completion_tokens() {
        let params = Params { max_output_tokens: Some(9), ..Params::default() };
        let body = body(&prepare("m", &params, MaxTokens::MaxCompletionTokens), Prefill::Plain, &[]);
        assert_eq!(body, br#"{"model":"m","max_completion_tokens":9,"messages":[]}"#);
    }
}
