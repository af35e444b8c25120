//! Chat requests as JSON, without a tree in between.

use bytes::Bytes;
use domain::job::spec::Params;
use domain::prompt::Message;
use serde::Serialize;

use super::MaxTokens;

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
pub(super) fn prepare(model: &str, params: &Params, max_tokens: MaxTokens) -> Bytes {
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
    let mut json = serde_json::to_vec(&fixed).expect("numbers, strings and JSON values always serialise");
    json.pop();
    json.extend_from_slice(b",\"messages\":");
    json.into()
}

#[derive(Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: &'a str,
}

/// The whole request.
pub(super) fn body(prepared: &Bytes, messages: &[Message]) -> Vec<u8> {
    let text: usize = messages.iter().map(|message| message.text.len() + 40).sum();
    let mut json = Vec::with_capacity(prepared.len() + text + text / 16 + 8);
    json.extend_from_slice(prepared);
    json.push(b'[');
    for (position, message) in messages.iter().enumerate() {
        if position > 0 {
            json.push(b',');
        }
        let message = WireMessage { role: message.role.name(), content: &message.text };
        serde_json::to_writer(&mut json, &message).expect("strings always serialise, and a Vec takes every write");
    }
    json.extend_from_slice(b"]}");
    json
}

#[cfg(test)]
mod tests {
    use domain::prompt::Role;

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
        let body = body(&prepare("m", &params, MaxTokens::MaxTokens), &messages);
        let json: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(
            json,
            serde_json::json!({"model": "m", "temperature": 0.0, "max_tokens": 9, "top_k": 3, "messages": [
                {"role": "system", "content": "s"}, {"role": "user", "content": "\"quoted\" \0 \u{1f600}"},
            ]})
        );
    }

    #[test]
    fn openai_itself_takes_max_completion_tokens() {
        let params = Params { max_output_tokens: Some(9), ..Params::default() };
        let body = body(&prepare("m", &params, MaxTokens::MaxCompletionTokens), &[]);
        assert_eq!(body, br#"{"model":"m","max_completion_tokens":9,"messages":[]}"#);
    }
}
