use serde_json::json;

use super::*;
use crate::prompt::Role;

fn model() -> LineModel {
    LineModel { name: "acme/mini".into(), upstream: Some("mini-2026".into()), max_output_tokens: Some(100) }
}

fn line(body: &Value) -> Value {
    json!({"custom_id": "a", "method": "POST", "url": URL, "body": body})
}

/// A sound line with other fields in its body.
fn with(changes: &Value) -> Result<LineRequest, ItemError> {
    let mut body = json!({"model": "acme/mini", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
    read(&line(&body).to_string(), Some(&model()))
}

fn refused(changes: &Value) -> String {
    let error = with(changes).expect_err("a refusal");
    assert_eq!(error.code, "unsupported_parameter");
    error.message
}

#[test]
fn a_line_brings_messages_and_parameters() {
    let request = with(&json!({
        "messages": [
            {"role": "developer", "content": "be brief"}, {"role": "system", "content": " "},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": null},
            {"role": "assistant", "content": "c"},
        ],
        "temperature": 0, "top_p": 0.5, "max_completion_tokens": 7, "stop": "END", "seed": -1, "reasoning_effort": "low",
        "stream": false,
    }))
    .expect("sound");
    let message = |role, text: &str| Message { role, text: text.to_owned() };
    assert_eq!(
        request.messages,
        [message(Role::System, "be brief"), message(Role::User, "ab"), message(Role::Assistant, "c")]
    );
    let params = Params {
        temperature: Some(0.0),
        top_p: Some(0.5),
        max_output_tokens: Some(7),
        stop: vec!["END".into()],
        seed: Some(-1),
        reasoning_effort: Some("low".into()),
        ..Params::default()
    };
    assert_eq!(request.params, params);
    assert_eq!(with(&json!({"max_tokens": 9, "stop": ["a", "b"]})).expect("sound").params.max_output_tokens, Some(9));
}

#[test]
fn f7_what_is_not_portable_is_named() {
    for (changes, name) in [
        (json!({"stream": true}), "body.stream"),
        (json!({"tools": []}), "body.tools"),
        (json!({"n": 2}), "body.n"),
        (json!({"temperature": 3}), "body.temperature"),
        (json!({"max_tokens": 0}), "body.max_tokens"),
        (json!({"max_tokens": 5, "max_completion_tokens": 6}), "body.max_tokens"),
        (json!({"max_tokens": 101}), "body.max_completion_tokens"),
        (json!({"stop": ["a", "b", "c", "d", "e"]}), "body.stop"),
        (json!({"seed": 1.5}), "body.seed"),
        (json!({"reasoning_effort": "huge"}), "body.reasoning_effort"),
        (json!({"model": "gpt-4o"}), "body.model"),
        (json!({"model": null}), "body.model"),
        (json!({"messages": "hi"}), "body.messages"),
        (json!({"messages": [{"role": "tool", "content": "x"}]}), "body.messages.0.role"),
        (json!({"messages": [{"role": "user", "content": "x", "name": "y"}]}), "body.messages.0.name"),
        (json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}), "body.messages.0.content.0.type"),
    ] {
        assert!(refused(&changes).starts_with(&format!("`{name}` ")), "{changes}: {}", refused(&changes));
    }
    for (name, value) in
        [("method", json!("GET")), ("url", json!("/v1/embeddings")), ("body", json!([])), ("url", Value::Null)]
    {
        let mut line = line(&json!({"model": "acme/mini", "messages": []}));
        line[name] = value;
        let error = read(&line.to_string(), None).expect_err("a refusal");
        assert_eq!(error.code, "unsupported_parameter");
        assert!(error.message.starts_with(&format!("`{name}` ")), "{}", error.message);
    }
}

#[test]
fn the_model_is_the_job_s_or_the_provider_s_name_of_it() {
    assert!(with(&json!({"model": "mini-2026"})).is_ok());
    let foreign = line(&json!({"model": "other", "messages": [{"role": "user", "content": "x"}]})).to_string();
    assert!(read(&foreign, Some(&model())).is_err());
    assert!(read(&foreign, None).is_ok());
}

#[test]
fn f8_a_line_has_an_id() {
    for id in [json!(7), json!(null), json!(""), json!(["a"])] {
        let mut line = line(&json!({}));
        line["custom_id"] = id;
        assert_eq!(read(&line.to_string(), None).expect_err("a refusal").code, "custom_id_required");
        assert_eq!(custom_id(&line.to_string()), None);
    }
    assert_eq!(read("{}", None).expect_err("a refusal").code, "custom_id_required");
    assert_eq!(custom_id(r#"{"custom_id": "\u00e9\n/", "x": 1e999}"#).as_deref(), Some("é\n/"));
}

#[test]
fn blank_messages_are_no_request() {
    for messages in [json!([]), json!([{"role": "user", "content": " "}]), json!([{"role": "system", "content": "x"}])]
    {
        assert_eq!(with(&json!({"messages": messages})).expect_err("a refusal").code, "prompt_empty");
    }
}
