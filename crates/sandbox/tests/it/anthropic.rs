//! Messages.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use sandbox::{Config, Model, Totals};
use serde_json::{Value, json};

use crate::support::{Sandbox, error, header, message};

fn with_model(model: Model) -> Config {
    Config { models: BTreeMap::from([("echo".to_owned(), model)]), ..Config::default() }
}

/// The body of a 200 that meets a fault.
async fn answer(sandbox: &Sandbox, prompt: &str) -> Value {
    let response = sandbox.anthropic(&message(prompt)).await;
    assert_eq!(response.status(), StatusCode::OK, "{prompt}");
    response.json().await.expect("JSON")
}

async fn refused(sandbox: &Sandbox, prompt: &str) -> (u16, Value) {
    let (status, error) = error(sandbox.anthropic(&message(prompt)).await).await;
    (status.as_u16(), error)
}

#[tokio::test]
async fn answer_is_the_last_user_message_with_its_usage() {
    let sandbox = Sandbox::with(with_model(Model { cached_tokens: 2, thinking_tokens: 10, ..Model::default() })).await;
    let mut body = message("grüße \"x\"");
    body["system"] = json!("be brief");
    let response = sandbox.anthropic(&body).await;
    assert_eq!(header(&response, "request-id"), Some("req_0000000000000001"));
    let answer: Value = response.json().await.expect("JSON");
    assert_eq!(
        (&answer["type"], &answer["role"], &answer["model"]),
        (&json!("message"), &json!("assistant"), &json!("echo"))
    );
    assert_eq!(answer["content"][0]["type"], "thinking");
    assert_eq!(answer["content"][1], json!({"type": "text", "text": "grüße \"x\""}));
    assert_eq!(answer["stop_reason"], "end_turn");
    let usage = &answer["usage"];
    assert_eq!((&usage["input_tokens"], &usage["cache_read_input_tokens"]), (&json!(3), &json!(2)));
    assert_eq!(usage["output_tokens"], 13);
    let totals = Totals::of(sandbox.log_path()).expect("readable");
    assert_eq!((totals.billed, totals.billed_prompt_tokens, totals.billed_completion_tokens), (1, 5, 13));
    let line = &sandbox.requests()[0];
    assert_eq!((line.key_tail.as_deref(), line.model.as_deref()), (Some("-key"), Some("echo")));
}

#[tokio::test]
async fn answer_is_cut_to_the_tokens_asked_for() {
    let sandbox = Sandbox::start().await;
    let mut body = message("a long prompt");
    body["max_tokens"] = json!(2);
    let answer: Value = sandbox.anthropic(&body).await.json().await.expect("JSON");
    assert_eq!((&answer["content"][0]["text"], &answer["stop_reason"]), (&json!("a long p"), &json!("max_tokens")));
}

#[tokio::test]
async fn key_and_version_are_needed() {
    let sandbox = Sandbox::with(Config { api_keys: vec!["test-key".into()], ..Config::default() }).await;
    let url = format!("http://{}/anthropic/v1/messages", sandbox.address);
    for (headers, status, kind) in [
        (&[("anthropic-version", "2023-06-01")][..], 401, "authentication_error"),
        (&[("anthropic-version", "2023-06-01"), ("x-api-key", "wrong")], 401, "authentication_error"),
        (&[("anthropic-version", "2023-06-01"), ("authorization", "Bearer test-key")], 401, "authentication_error"),
        (&[("x-api-key", "test-key")], 400, "invalid_request_error"),
        (&[("x-api-key", "test-key"), ("anthropic-version", "2024-01-01")], 400, "invalid_request_error"),
    ] {
        let mut request = sandbox.client.post(&url).json(&message("x"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), status, "{headers:?}");
        let id = header(&response, "request-id").map(str::to_owned);
        let body: Value = response.json().await.expect("JSON");
        assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!(kind)), "{headers:?}");
        assert_eq!(body["request_id"].as_str(), id.as_deref());
    }
    assert_eq!(sandbox.requests().len(), 5);
}

#[tokio::test]
async fn version_of_2026_refuses_sampling_parameters() {
    let sandbox = Sandbox::start().await;
    let mut body = message("x");
    body["temperature"] = json!(0.5);
    assert_eq!(sandbox.anthropic(&body).await.status(), 200);
    let url = format!("http://{}/anthropic/v1/messages", sandbox.address);
    let request = sandbox.client.post(url).header("x-api-key", "k").header("anthropic-version", "2026-10-21");
    let (status, error) = error(request.json(&body).send().await.expect("an answer")).await;
    assert_eq!((status.as_u16(), &error["type"]), (400, &json!("invalid_request_error")));
}

#[tokio::test]
async fn invalid_requests_get_the_documented_errors() {
    let sandbox = Sandbox::start().await;
    let changed = |name: &str, value: Value| {
        let mut body = message("x");
        body[name] = value;
        body
    };
    for (body, status, kind, text) in [
        (changed("model", json!("none")), 404, "not_found_error", "model: none"),
        (changed("foo", json!(1)), 400, "invalid_request_error", "foo: Extra inputs are not permitted"),
        (changed("max_tokens", json!(null)), 400, "invalid_request_error", "max_tokens: Field required"),
        (changed("max_tokens", json!(128_000)), 400, "invalid_request_error", "exceed context limit"),
        (
            message(&"x".repeat(512_004)),
            400,
            "invalid_request_error",
            "prompt is too long: 128001 tokens > 128000 maximum",
        ),
        (message("[[sandbox:tpyo]]"), 400, "invalid_request_error", "Sandbox marker"),
        (json!([]), 400, "invalid_request_error", "not valid JSON"),
    ] {
        let (got, error) = error(sandbox.anthropic(&body).await).await;
        assert_eq!((got.as_u16(), &error["type"]), (status, &json!(kind)), "{text}");
        assert!(error["message"].as_str().expect("text").contains(text), "{error}");
    }
    let url = format!("http://{}/anthropic/v1/complete", sandbox.address);
    let (status, body) = error(sandbox.client.post(url).send().await.expect("an answer")).await;
    assert_eq!((status.as_u16(), &body["type"]), (404, &json!("not_found_error")));
}

#[tokio::test]
async fn limits_are_told_in_anthropics_headers() {
    let limits = Model { requests_per_minute: Some(1), tokens_per_minute: Some(50_000), ..Model::default() };
    let sandbox = Sandbox::with(with_model(limits)).await;
    let first = sandbox.anthropic(&message("a")).await;
    assert_eq!(header(&first, "anthropic-ratelimit-requests-limit"), Some("1"));
    assert_eq!(header(&first, "anthropic-ratelimit-requests-remaining"), Some("0"));
    assert_eq!(header(&first, "anthropic-ratelimit-tokens-remaining"), Some("49000"));
    let reset = header(&first, "anthropic-ratelimit-requests-reset").expect("a time");
    let reset = chrono::DateTime::parse_from_rfc3339(reset).expect("RFC 3339").timestamp_millis();
    let at = i64::try_from(sandbox.requests()[0].at_ms).expect("fits");
    assert!((60_000..=61_000).contains(&(reset - at)), "{reset} {at}");
    assert_eq!(header(&first, "x-ratelimit-limit-requests"), None);

    let over = sandbox.anthropic(&message("b")).await;
    let seconds: u64 = header(&over, "retry-after").expect("a delay").parse().expect("seconds");
    assert!((30..=60).contains(&seconds));
    assert_eq!(header(&over, "retry-after-ms"), None);
    let (status, error) = error(over).await;
    assert_eq!((status.as_u16(), &error["type"]), (429, &json!("rate_limit_error")));
    assert_eq!(sandbox.anthropic(&message("[[sandbox:rate_limit]]")).await.status(), 429, "limits come first");
}

#[tokio::test]
async fn statuses_have_true_to_life_bodies() {
    let sandbox = Sandbox::start().await;
    for (status, kind) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (409, "conflict_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ] {
        let (got, error) = refused(&sandbox, &format!("[[sandbox:status code={status}]]")).await;
        assert_eq!((got, &error["type"]), (status, &json!(kind)));
        assert!(error.get("details").is_none());
    }
    let named = "[[sandbox:status code=429 type=a error=ramp_limit_exceeded]]";
    let (_, error) = refused(&sandbox, named).await;
    assert_eq!((&error["type"], &error["details"]["error_code"]), (&json!("a"), &json!("ramp_limit_exceeded")));
    let page = sandbox.anthropic(&message("[[sandbox:status code=502]]")).await;
    assert_eq!(header(&page, "content-type"), Some("text/html"));
}

#[tokio::test]
async fn errors_of_the_account_and_the_prompt() {
    let sandbox = Sandbox::start().await;
    let response = sandbox.anthropic(&message("[[sandbox:insufficient_quota]]")).await;
    assert_eq!(header(&response, "retry-after"), None);
    let (status, quota) = error(response).await;
    assert_eq!((status.as_u16(), &quota["type"]), (429, &json!("rate_limit_error")));
    assert_eq!(quota["details"]["error_code"], "enforced_spend_limit_reached");
    let (status, error) = refused(&sandbox, "[[sandbox:context_length]]").await;
    assert_eq!((status, &error["type"]), (400, &json!("invalid_request_error")));
    assert!(error["message"].as_str().expect("text").starts_with("prompt is too long"));
    assert_eq!(refused(&sandbox, "[[sandbox:content_filter as=400]]").await.0, 400);
    let limited = sandbox.anthropic(&message("[[sandbox:rate_limit delay=1.2]]")).await;
    assert_eq!((limited.status().as_u16(), header(&limited, "retry-after")), (429, Some("2")));
}

#[tokio::test]
async fn answers_of_an_odd_shape() {
    let sandbox = Sandbox::start().await;
    let refusal = answer(&sandbox, "[[sandbox:refusal]]").await;
    assert_eq!((&refusal["stop_reason"], &refusal["content"]), (&json!("refusal"), &json!([])));
    assert_eq!(refusal["stop_details"]["type"], "refusal");
    for (fault, reason) in [("content_filter", "refusal"), ("length", "max_tokens")] {
        let prompt = format!("[[sandbox:{fault}]]");
        let cut = answer(&sandbox, &prompt).await;
        assert_eq!(
            (&cut["stop_reason"], &cut["content"][0]["text"]),
            (&json!(reason), &json!(prompt[..prompt.len() / 2]))
        );
    }
    assert_eq!(answer(&sandbox, "[[sandbox:empty_content]]").await["content"][0]["text"], "");
    assert_eq!(answer(&sandbox, "[[sandbox:null_content]]").await["content"], Value::Null);
    assert_eq!(answer(&sandbox, "[[sandbox:no_choices]]").await["content"], json!([]));
    assert_eq!(answer(&sandbox, "[[sandbox:no_usage]]").await.get("usage"), None);
    assert_eq!(answer(&sandbox, "[[sandbox:negative_usage]]").await["usage"]["input_tokens"], -1);
    assert_eq!(answer(&sandbox, "[[sandbox:huge_usage]]").await["usage"]["output_tokens"], i64::MAX);
    let tool = answer(&sandbox, "[[sandbox:tool_call]]").await;
    assert_eq!((&tool["stop_reason"], &tool["content"][0]["name"]), (&json!("tool_use"), &json!("lookup")));
    assert_eq!(answer(&sandbox, "[[sandbox:nul_finish_reason]]").await["stop_reason"], "end_turn\0");
    assert_eq!(answer(&sandbox, "[[sandbox:nul]]").await["content"][0]["text"], "[[sandbox:nul]]\0");
    assert_eq!(answer(&sandbox, "[[sandbox:wrong_type]]").await["content"]["text"], "none");
    let big = answer(&sandbox, "[[sandbox:oversized bytes=100001]]").await;
    assert_eq!(big["content"][0]["text"].as_str().expect("text").len(), 100_001);
    assert_eq!(big["usage"]["output_tokens"], 25_001);
    let surrogate = sandbox.anthropic(&message("[[sandbox:lone_surrogate]]")).await.bytes().await.expect("body");
    assert!(String::from_utf8_lossy(&surrogate).contains(r"\ud800"));
    assert!(serde_json::from_slice::<Value>(&surrogate).is_err());
}
