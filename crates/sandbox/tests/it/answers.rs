use reqwest::StatusCode;
use sandbox::{Config, echo};
use serde_json::{Value, json};

use crate::support::{Sandbox, error, header, request};

#[tokio::test]
async fn answer_is_the_last_user_message_with_its_usage() {
    let sandbox = Sandbox::start().await;
    let body = json!({"model": "echo-2", "messages": [
        {"role": "system", "content": "be brief"}, {"role": "user", "content": "grüße \u{0} \"x\""},
    ]});
    let response = sandbox.send(&body).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "x-request-id"), Some("req_0000000000000001"));
    assert_eq!(header(&response, "content-type"), Some("application/json"));
    let answer: Value = response.json().await.expect("JSON");
    assert_eq!(answer["model"], "echo-2");
    assert_eq!(answer["choices"][0]["message"]["content"], "grüße \u{0} \"x\"");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["usage"]["prompt_tokens"], 2 + 4);
    assert_eq!(answer["usage"]["completion_tokens"], 4);
    assert_eq!(answer["usage"]["total_tokens"], 10);
    assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
}

#[tokio::test]
async fn answer_is_what_the_pure_function_computes() {
    let sandbox = Sandbox::with(Config { answer_bytes: Some(1000), ..Config::default() }).await;
    let mut body = request("echo", "a prompt");
    body["max_completion_tokens"] = json!(100);
    let expected = echo("a prompt", Some(1000), Some(100));
    for _ in 0..2 {
        let answer: Value = sandbox.send(&body).await.expect("an answer").json().await.expect("JSON");
        assert_eq!(answer["choices"][0]["message"]["content"], expected.text.as_ref());
        assert_eq!(answer["choices"][0]["finish_reason"], "length");
        assert_eq!(answer["usage"]["completion_tokens"], 100);
    }
}

#[tokio::test]
async fn bearer_is_needed_and_checked_where_keys_are_configured() {
    let config = Config { api_keys: vec!["test-key".into()], ..Config::default() };
    let sandbox = Sandbox::with(config).await;
    assert_eq!(sandbox.ask("hi").await.status(), StatusCode::OK);
    let url = format!("http://{}/v1/chat/completions", sandbox.address);
    let (status, body) = error(sandbox.client.post(&url).json(&request("echo", "x")).send().await.expect("sent")).await;
    assert_eq!((status.as_u16(), &body["type"], &body["code"]), (401, &json!("invalid_request_error"), &Value::Null));
    let wrong = sandbox.client.post(&url).bearer_auth("wrong").json(&request("echo", "x")).send().await.expect("sent");
    let (status, body) = error(wrong).await;
    assert_eq!((status.as_u16(), &body["code"]), (401, &json!("invalid_api_key")));
    assert_eq!(sandbox.requests().len(), 3);
}

#[tokio::test]
async fn invalid_requests_get_the_documented_errors() {
    let sandbox = Sandbox::start().await;
    let mut unknown_field = request("echo", "x");
    unknown_field["foo"] = json!(1);
    let mut streamed = request("echo", "x");
    streamed["stream"] = json!(true);
    let mut long = request("echo", "x");
    long["max_tokens"] = json!(128_000);
    for (body, status, code, param) in [
        (request("gpt", "x"), 404, json!("model_not_found"), Value::Null),
        (unknown_field, 400, Value::Null, Value::Null),
        (streamed, 400, json!("unsupported_parameter"), json!("stream")),
        (long, 400, json!("context_length_exceeded"), json!("messages")),
        (json!({"model": "echo"}), 400, json!("missing_required_parameter"), json!("messages")),
        (json!([]), 400, Value::Null, Value::Null),
        (request("echo", "[[sandbox:tpyo]]"), 400, json!("sandbox_marker_invalid"), json!("messages")),
    ] {
        let (got, error) = error(sandbox.send(&body).await.expect("an answer")).await;
        assert_eq!(got.as_u16(), status, "{body}");
        assert_eq!((&error["code"], &error["param"]), (&code, &param), "{body}");
        assert_eq!(error["type"], "invalid_request_error");
    }
    let (status, body) =
        error(sandbox.client.get(format!("http://{}/v2", sandbox.address)).send().await.expect("sent")).await;
    assert_eq!((status.as_u16(), &body["code"]), (404, &json!("unknown_url")));
}

#[tokio::test]
async fn models_are_listed() {
    let sandbox = Sandbox::start().await;
    let get = |path: &str| sandbox.client.get(format!("http://{}{path}", sandbox.address)).bearer_auth("k").send();
    let list: Value = get("/v1/models").await.expect("sent").json().await.expect("JSON");
    assert_eq!(list["object"], "list");
    assert_eq!((&list["data"][0]["id"], &list["data"][1]["id"]), (&json!("echo"), &json!("echo-2")));
    let model: Value = get("/models/echo-2").await.expect("sent").json().await.expect("JSON");
    assert_eq!(model["object"], "model");
    assert_eq!(get("/v1/models/none").await.expect("sent").status(), StatusCode::NOT_FOUND);
}
